package web

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/guard"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

func TestCrashedRunsBecomeInterruptedWithTheirFinishedSteps(t *testing.T) {
	c := testConfig(t)
	store, err := archive.OpenSQLite(t.Context(), filepath.Join(c.Data, "mqttdoctor.db"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	begun, notBegun := newID(), newID()
	for _, id := range []string{begun, notBegun} {
		header := diag.Report{Schema: diag.Schema, ID: id, State: diag.StateRunning, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
			Lang: "en", Target: diag.TargetInput{URL: "mqtt://broker.test:1883", Password: diag.NewSecret("x")}}
		if err := store.Create(t.Context(), header, archive.Owner{TokenHash: hashOf("token")}, archive.Room{}); err != nil {
			t.Fatal(err)
		}
		if id == notBegun {
			continue
		}
		step := func(id string, status diag.Status) *diag.Step {
			return &diag.Step{ID: id, Check: diag.ProbeID(id), Status: status, StartedAt: now}
		}
		if err := store.Append(t.Context(), id, []diag.Event{
			{Seq: 1, Type: diag.EventRunStarted, At: now, Report: &header},
			{Seq: 2, Type: diag.EventStepStarted, At: now, Step: step("dns.test", diag.StatusRunning)},
			{Seq: 3, Type: diag.EventStepFinished, At: now, Step: step("dns.test", diag.StatusPassed)},
			{Seq: 4, Type: diag.EventStepStarted, At: now.Add(time.Second), Step: step("mqtt.test", diag.StatusRunning)},
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	e := testEngine(guard.Laptop)
	e.Rules = []diag.Rule{{Code: "dns.nxdomain", Severity: diag.SeverityCritical, When: func(v *diag.View) diag.Verdict {
		if v.Passed("dns.test") && !v.Passed("mqtt.test") && v.Target.Credentials() {
			return diag.Holds(diag.Finding{})
		}
		return diag.Open()
	}}}
	s := startServer(t, c, e)
	r := s.report(begun)
	if r.State != diag.StateInterrupted || r.Verdict != "broken" || r.RootCause["code"] != "dns.nxdomain" || len(r.Steps) != 2 ||
		r.Steps[0].Status != "passed" || r.Steps[1].Status != "canceled" {
		t.Errorf("%+v", r)
	}
	frames, _ := s.watch(begun, "?after=4") // where a viewer was when the process died
	wantNumbers(t, frames, 4)
	if r := s.report(notBegun); r.State != diag.StateInterrupted || r.Verdict != "inconclusive" {
		t.Errorf("%+v", r)
	}
	frames, _ = s.watch(notBegun, "")
	wantNumbers(t, frames, 0)
}

func TestARuleThatPanicsEndsItsRunAlone(t *testing.T) {
	e := testEngine(guard.Laptop, passing("dns.test"))
	e.Rules = []diag.Rule{{Code: "dns.nxdomain", When: func(*diag.View) diag.Verdict { panic("defect") }}}
	s := startServer(t, testConfig(t), e)
	st := s.start(plainRun)
	s.watch(st.ID, "")
	if r := s.report(st.ID); r.State != diag.StateInterrupted || r.Verdict != "inconclusive" {
		t.Errorf("%+v", r)
	}
}

// ailing is an archive that can be made to fail.
type ailing struct {
	archive.Store
	mu   sync.Mutex
	sick bool
}

func (a *ailing) set(sick bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sick = sick
}

func (a *ailing) Append(ctx context.Context, id string, events []diag.Event) error {
	a.mu.Lock()
	sick := a.sick
	a.mu.Unlock()
	if sick {
		return errors.New("no space left on device")
	}
	return a.Store.Append(ctx, id, events)
}

func TestAnArchiveThatFailsLosesNothingWhileTheProcessLives(t *testing.T) {
	store, err := archive.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	a := &ailing{Store: store, sick: true}
	g := newGate()
	runs := NewRuns(RunsConfig{Engine: testEngine(guard.Laptop, passing("dns.test"), g.probe("mqtt.test", "dns.test")), Store: a,
		MaxRuns: 2, MaxPerClient: 2, Retention: time.Hour})
	start := func() string {
		st, err := runs.Start(t.Context(), handlers.Actor{}, diag.RunInput{Target: diag.TargetInput{URL: "broker.test"}, Lang: "en"})
		if err != nil {
			t.Fatal(err)
		}
		return st.ID
	}
	recovering, lost := start(), start()
	receive(t, g.entered)
	receive(t, g.entered)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := runs.Watch(ctx, recovering, handlers.Actor{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Stop()
	if events, err := v.Next(ctx); err != nil || events[0].Type != diag.EventRunStarted {
		t.Fatalf("the run is not shown while the archive fails: %v", err)
	}
	if err := runs.Cancel(ctx, lost, handlers.Actor{}); err != nil {
		t.Fatal(err)
	}
	if r, err := runs.Get(ctx, lost, handlers.Actor{}); err != nil || r.State != diag.StateCanceled {
		t.Errorf("a report that was not kept: %s, %v", r.State, err)
	}
	a.set(false)
	close(g.leave)
	if err := runs.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	kept, err := store.Run(ctx, recovering)
	if err != nil || kept.Report.State == diag.StateRunning || len(kept.Report.Steps) != 2 {
		t.Errorf("%+v, %v", kept.Report.State, err)
	}
	if events, err := store.Events(ctx, recovering, 0, 100); err != nil || events[0].Seq != 1 || len(events) != kept.LastSeq {
		t.Errorf("%d events of %d, %v", len(events), kept.LastSeq, err)
	}
}

// unheard is an archive that does what it is told, and whose answers to the beginning and to the end of a run get lost.
type unheard struct{ archive.Store }

func (u unheard) Append(ctx context.Context, id string, events []diag.Event) error {
	if err := u.Store.Append(ctx, id, events); err != nil {
		return err
	}
	if events[0].Seq == 1 || events[len(events)-1].Type == diag.EventRunFinished {
		return errors.New("connection lost")
	}
	return nil
}

func TestWhatTheArchiveTookWithoutAWordIsKeptOnce(t *testing.T) {
	t.Parallel()
	store, err := archive.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	log := &logBuffer{}
	runs := NewRuns(RunsConfig{Engine: testEngine(guard.Laptop, many("tcp.test", 40)), Store: unheard{store}, MaxRuns: 2, MaxPerClient: 2,
		Retention: time.Hour, Log: NewLog(log, "json", slog.LevelInfo)})
	st, err := runs.Start(t.Context(), handlers.Actor{}, diag.RunInput{Target: diag.TargetInput{URL: "broker.test"}, Lang: "en"})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the run has ended", func() bool { _, running := runs.find(st.ID); return !running })
	kept, err := store.Run(t.Context(), st.ID)
	if err != nil || kept.Report.State != diag.StateFinished || len(kept.Report.Steps) != 40 {
		t.Errorf("%s, %d steps, %v", kept.Report.State, len(kept.Report.Steps), err)
	}
	if out := log.String(); strings.Contains(out, "took this one for dead") || strings.Contains(out, "report could not be kept") {
		t.Errorf("%s", log)
	}
}

func TestSecretsAreForgotten(t *testing.T) {
	now := time.Now()
	v := newVault(func() time.Time { return now })
	in := diag.RunInput{Target: diag.TargetInput{Password: diag.NewSecret("x")}}
	v.put("a", in, now.Add(time.Hour))
	v.ended("a")
	now = now.Add(holdSecrets - time.Second)
	if _, ok := v.get("a"); !ok {
		t.Error("gone too early")
	}
	now = now.Add(time.Second)
	if _, ok := v.get("a"); ok {
		t.Error("held too long")
	}
	v.sweep()
	if len(v.held) != 0 || v.bytes != 0 {
		t.Errorf("%d held, %d bytes", len(v.held), v.bytes)
	}
	for i := range maxHeld + 10 {
		v.put(string(rune('a'+i)), in, now.Add(time.Duration(i)*time.Second))
	}
	if _, ok := v.get("a"); ok || len(v.held) != maxHeld {
		t.Errorf("%d held", len(v.held))
	}
}
