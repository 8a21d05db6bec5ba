package web

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"mqttdoctor/diag/guard"
	"mqttdoctor/web/archive"
)

func TestAServerThatDrainsWorksOnAndIsNotReady(t *testing.T) {
	c := testConfig(t)
	c.Drain = time.Second
	gate := newGate()
	s := startServer(t, c, testEngine(guard.Laptop, gate.probe("dns.test")))
	drained := make(chan time.Time)
	s.server.after = func(time.Duration) <-chan time.Time { return drained }
	s.do("GET", "/readyz", "").want(http.StatusOK)
	st := s.start(plainRun)
	<-gate.entered
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	await(t, "not ready", func() bool { return s.do("GET", "/readyz", "").status == http.StatusServiceUnavailable })
	s.do("GET", "/readyz", "").wantError(http.StatusServiceUnavailable, "stopping")
	s.do("GET", "/healthz", "").want(http.StatusOK)
	other := s.start(plainRun) // of somebody whose balancer has not noticed
	close(gate.leave)
	for _, id := range []string{st.ID, other.ID} {
		s.watch(id, "")
		if r := s.report(id); r.State != "finished" {
			t.Errorf("state %s", r.State)
		}
	}
	close(drained)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// failingBeat is an archive that answers questions but takes nothing.
type failingBeat struct{ archive.Store }

var errReadOnly = errors.New("read-only")

func (failingBeat) Beat(context.Context) ([]archive.Duty, error) { return nil, errReadOnly }

func TestAnArchiveThatTakesNothingMakesAServerNotReady(t *testing.T) {
	store, err := archive.OpenSQLite(t.Context(), t.TempDir()+"/a.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	m := NewRuns(RunsConfig{Engine: testEngine(guard.Laptop), Store: failingBeat{store}, MaxRuns: 1, MaxPerClient: 1, Retention: time.Hour})
	s := &Server{store: store, runs: m}
	if err := (health{s}).Ready(t.Context()); err != nil {
		t.Errorf("before the first round: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Tend(ctx)
	}()
	await(t, "a round has failed", func() bool { return errors.Is(health{s}.Ready(t.Context()), errReadOnly) })
	if failed := sample(t, m.meter, "mqttdoctor_archive_rounds_total", "result", "failed"); failed < 1 {
		t.Errorf("%v failed rounds are counted", failed)
	}
	cancel()
	<-done
	m.beaten.Store(&beaten{at: time.Now().Add(-time.Minute)})
	if err := (health{s}).Ready(t.Context()); !errors.Is(err, errStuck) {
		t.Errorf("rounds have stopped: %v", err)
	}
}
