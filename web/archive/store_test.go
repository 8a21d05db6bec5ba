package archive

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// stores are the implementations; each test of this file runs on all of them.
var stores = map[string]func(t *testing.T) *SQL{
	"sqlite": func(t *testing.T) *SQL {
		s, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "a folder", "reports.db"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	},
	"postgres": func(t *testing.T) *SQL {
		return openPostgres(t, diagtest.Postgres(t).Database(t))
	},
}

func openPostgres(t *testing.T, address string) *SQL {
	t.Helper()
	s, err := OpenPostgres(t.Context(), diag.NewSecret(address))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func onAll(t *testing.T, test func(t *testing.T, s Store, now *time.Time)) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			s.now = func() time.Time { return at }
			test(t, s, &at)
		})
	}
}

func header(id string, now time.Time) diag.Report {
	return diag.Report{Schema: diag.Schema, ID: id, State: diag.StateRunning, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
		Lang: "zh", Target: diag.TargetInput{URL: "mqtt://broker.test:1883", Username: "u", Password: diag.NewSecret("CANARY-password")}}
}

var owner = Owner{TokenHash: []byte("token hash"), CookieHash: []byte("cookie hash")}

func create(t *testing.T, s Store, id string, now time.Time) diag.Report {
	t.Helper()
	h := header(id, now)
	if err := s.Create(t.Context(), h, owner, Room{}); err != nil {
		t.Fatal(err)
	}
	return h
}

func stepEvent(seq int, id string) diag.Event {
	return diag.Event{Seq: seq, Type: diag.EventStepFinished, Step: &diag.Step{ID: id, Check: "dns.resolve",
		Status: diag.StatusPassed, Observation: &diag.DNSAnswer{}}}
}

func finished(seq int, h diag.Report, at time.Time) diag.Event {
	h.State, h.FinishedAt, h.Verdict = diag.StateFinished, at, diag.OverallBroken
	h.RootCause = &diag.Finding{Code: "tcp.refused"}
	h.Steps = []diag.Step{*stepEvent(0, "a").Step}
	return diag.Event{Seq: seq, Type: diag.EventRunFinished, Report: &h}
}

func TestRunIsKeptFromBeginToEnd(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		ctx := t.Context()
		h := create(t, s, "x", *now)
		got, err := s.Run(ctx, "x")
		if err != nil || got.Report.State != diag.StateRunning || got.LastSeq != 0 || got.Report.Lang != "zh" {
			t.Fatalf("%+v, %v", got, err)
		}
		if !slices.Equal(got.Owner.TokenHash, owner.TokenHash) || !slices.Equal(got.Owner.CookieHash, owner.CookieHash) {
			t.Errorf("owner %+v", got.Owner)
		}
		if err := s.Append(ctx, "x", []diag.Event{{Seq: 1, Type: diag.EventRunStarted, Report: &h}, stepEvent(2, "a")}); err != nil {
			t.Fatal(err)
		}
		if duties, err := s.Beat(ctx); err != nil || !slices.Equal(duties, []Duty{{ID: "x"}}) {
			t.Errorf("%v, %v", duties, err)
		}
		if err := s.Append(ctx, "x", []diag.Event{finished(3, h, *now)}); err != nil {
			t.Fatal(err)
		}
		if duties, err := s.Beat(ctx); err != nil || len(duties) != 0 {
			t.Errorf("%v, %v", duties, err)
		}
		got, err = s.Run(ctx, "x")
		if err != nil || got.Report.State != diag.StateFinished || got.LastSeq != 3 || got.Report.RootCause.Code != "tcp.refused" {
			t.Fatalf("%+v, %v", got, err)
		}
		if got.Report.Target.Password.Reveal() != "" || !got.Report.Target.Password.Given() {
			t.Error("that a password was given should be kept, and not which")
		}
		events, err := s.Events(ctx, "x", 1, 10)
		if err != nil || len(events) != 2 || events[0].Seq != 2 || events[1].Report == nil ||
			events[1].Report.State != diag.StateFinished {
			t.Fatalf("%+v, %v", events, err)
		}
		if _, ok := events[0].Step.Observation.(*diag.DNSAnswer); !ok {
			t.Errorf("observation %T", events[0].Step.Observation)
		}
		if events, err := s.Events(ctx, "x", 0, 1); err != nil || len(events) != 1 || events[0].Seq != 1 {
			t.Errorf("%+v, %v", events, err)
		}
	})
}

func TestNumbersHaveNoGapAndAnEndIsAnEnd(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		ctx := t.Context()
		h := create(t, s, "x", *now)
		if err := s.Append(ctx, "x", []diag.Event{stepEvent(2, "a")}); err == nil {
			t.Error("event 2 was taken as the first")
		}
		if err := s.Append(ctx, "x", []diag.Event{finished(1, h, *now)}); err != nil {
			t.Fatal(err)
		}
		if err := s.Append(ctx, "x", []diag.Event{stepEvent(2, "a")}); !errors.Is(err, ErrEnded) {
			t.Errorf("an event was taken after the end: %v", err)
		}
		if err := s.Append(ctx, "y", []diag.Event{stepEvent(1, "a")}); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
		if err := s.Append(ctx, "x", nil); err != nil {
			t.Error(err)
		}
	})
}

func TestExpiredRunsAreGone(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		ctx := t.Context()
		for i := range 3 {
			h := create(t, s, fmt.Sprint(i), *now)
			if i > 0 {
				if err := s.Append(ctx, h.ID, []diag.Event{finished(1, h, *now)}); err != nil {
					t.Fatal(err)
				}
			}
			*now = now.Add(20 * time.Minute)
		}
		// An hour after the first and 40 minutes after the second.
		*now = now.Add(25 * time.Minute)
		if _, err := s.Run(ctx, "1"); !errors.Is(err, ErrNotFound) {
			t.Errorf("expired run is readable: %v", err)
		}
		if events, err := s.Events(ctx, "1", 0, 10); err != nil || len(events) != 0 {
			t.Errorf("events of an expired run: %v, %v", events, err)
		}
		if n, err := s.Expire(ctx); err != nil || n != 1 {
			t.Errorf("%d expired, %v", n, err)
		}
		if _, err := s.Run(ctx, "2"); err != nil {
			t.Error(err)
		}
		if duties, _ := s.Beat(ctx); !slices.Equal(duties, []Duty{{ID: "0"}}) {
			t.Errorf("a run under way was erased by its age: %v", duties)
		}
	})
}

func TestEraseTakesEverything(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		ctx := t.Context()
		h := create(t, s, "x", *now)
		if err := s.Append(ctx, "x", []diag.Event{stepEvent(1, "a"), finished(2, h, *now)}); err != nil {
			t.Fatal(err)
		}
		if err := s.Erase(ctx, "x"); err != nil {
			t.Fatal(err)
		}
		if err := s.Erase(ctx, "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("erased twice: %v", err)
		}
		if _, err := s.Run(ctx, "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
		if events, err := s.Events(ctx, "x", 0, 10); err != nil || len(events) != 0 {
			t.Errorf("%v, %v", events, err)
		}
		if err := s.Append(ctx, "x", []diag.Event{stepEvent(3, "a")}); !errors.Is(err, ErrNotFound) {
			t.Errorf("a late writer brings an erased run back: %v", err)
		}
	})
}

func TestManyWritersAndReaders(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		ctx := t.Context()
		const runs, events = 16, 25
		errs := make(chan error, 2*runs)
		var all sync.WaitGroup
		for i := range runs {
			h := create(t, s, fmt.Sprint("run", i), *now)
			all.Go(func() { errs <- write(ctx, s, h, events) })
			all.Go(func() {
				for range events {
					if _, err := s.Events(ctx, h.ID, 0, 1000); err != nil {
						errs <- err
						return
					}
				}
			})
		}
		all.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				t.Error(err)
			}
		}
		for i := range runs {
			if got, err := s.Events(ctx, fmt.Sprint("run", i), 0, 1000); err != nil || len(got) != events+1 {
				t.Errorf("%d events, %v", len(got), err)
			}
		}
		if err := s.Ping(ctx); err != nil {
			t.Error(err)
		}
	})
}

func write(ctx context.Context, s Store, h diag.Report, n int) error {
	for i := range n {
		if err := s.Append(ctx, h.ID, []diag.Event{stepEvent(i+1, fmt.Sprint(i))}); err != nil {
			return err
		}
	}
	return s.Append(ctx, h.ID, []diag.Event{finished(n+1, h, h.CreatedAt)})
}
