package web

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/guard"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

// interrupted is an archive in which somebody else does something between two looks at it. What a method does is set in the field of
// its name, once, and done before (runs, events) or after (share) it looks.
type interrupted struct {
	archive.Store
	runs, events, share atomic.Pointer[func()]
	erased              atomic.Pointer[string] // id of a run that is gone when it is looked at
}

func once(p *atomic.Pointer[func()]) {
	if f := p.Swap(nil); f != nil {
		(*f)()
	}
}

func (s *interrupted) Runs(ctx context.Context, f archive.RunFilter) ([]archive.RunLine, error) {
	once(&s.runs)
	return s.Store.Runs(ctx, f)
}

func (s *interrupted) Run(ctx context.Context, id string) (archive.Run, error) {
	if erased := s.erased.Load(); erased != nil && *erased == id {
		s.erased.Store(nil)
		if err := s.Erase(ctx, id); err != nil {
			return archive.Run{}, err
		}
	}
	return s.Store.Run(ctx, id)
}

func (s *interrupted) Events(ctx context.Context, id string, after, limit int) ([]diag.Event, error) {
	once(&s.events)
	return s.Store.Events(ctx, id, after, limit)
}

func (s *interrupted) Share(ctx context.Context, id string) (archive.Share, error) {
	share, err := s.Store.Share(ctx, id)
	once(&s.share)
	return share, err
}

// interruptedRuns are runs in such an archive.
func interruptedRuns(t *testing.T, probes ...diag.Probe) (*Runs, *interrupted) {
	t.Helper()
	store, err := archive.OpenSQLite(t.Context(), t.TempDir()+"/a.db")
	if err != nil {
		t.Fatal(err)
	}
	s := &interrupted{Store: store}
	m := NewRuns(RunsConfig{Engine: testEngine(guard.Laptop, probes...), Store: s, MaxRuns: 4, MaxPerClient: 4, Retention: time.Hour})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(m.Stop(ctx), store.Close()); err != nil {
			t.Error(err)
		}
	})
	return m, s
}

func (s *interrupted) erases(t *testing.T, at *atomic.Pointer[func()], erase func(context.Context, string) error, id string) {
	f := func() {
		if err := erase(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	at.Store(&f)
}

// Who looks at a request while it is erased is told that it is gone, and never that it has no runs.
func TestRequestErasedWhileItIsRead(t *testing.T) {
	t.Parallel()
	m, s := interruptedRuns(t)
	helper := handlers.Actor{Owner: "helper"}
	asked, err := m.Ask(t.Context(), helper, handlers.RequestInput{Target: diag.TargetInput{URL: "mqtt://broker.test"}})
	if err != nil {
		t.Fatal(err)
	}
	s.erases(t, &s.runs, s.EraseRequest, asked.ID)
	if got, err := m.Request(t.Context(), asked.ID, helper); !errors.Is(err, handlers.ErrNoRequest) {
		t.Errorf("%+v, %v", got, err)
	}
}

// The same with a run that another process carries: it is not shown as one that has not begun.
func TestRunErasedWhileItIsRead(t *testing.T) {
	t.Parallel()
	m, s := interruptedRuns(t)
	now := time.Now()
	begin := func() string {
		t.Helper()
		h := diag.Report{Schema: diag.Schema, ID: newID(), State: diag.StateRunning, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
		if err := errors.Join(s.Create(t.Context(), h, archive.Owner{TokenHash: []byte("x")}, archive.Room{}),
			s.Append(t.Context(), h.ID, []diag.Event{{Seq: 1, Type: diag.EventRunStarted, At: now, Report: &h}})); err != nil {
			t.Fatal(err)
		}
		return h.ID
	}
	id := begin()
	if r, err := m.Get(t.Context(), id, handlers.Actor{}); err != nil || r.State != diag.StateRunning {
		t.Fatalf("%s, %v", r.State, err)
	}
	s.erases(t, &s.events, s.Erase, id)
	if r, err := m.Get(t.Context(), id, handlers.Actor{}); !errors.Is(err, handlers.ErrNotFound) {
		t.Errorf("%s, %v", r.State, err)
	}
	// Nor is a viewer who has seen an event of it told that there was none.
	id = begin()
	erase := func() { s.erases(t, &s.events, s.Erase, id) } // the report's events are read first, then those of the viewer
	s.events.Store(&erase)
	if v, err := m.Watch(t.Context(), id, handlers.Actor{}, 1); !errors.Is(err, handlers.ErrNotFound) {
		if err == nil {
			v.Stop()
		}
		t.Errorf("a viewer gets %v", err)
	}
}

// What its owner hides is hidden from then on, whoever read before what the link shows.
func TestShareChangedWhileItIsRead(t *testing.T) {
	t.Parallel()
	g := newGate()
	m, s := interruptedRuns(t, g.probe("mqtt.test"))
	owner := handlers.Actor{Owner: "owner"}
	st, err := m.Start(t.Context(), owner, diag.RunInput{Target: diag.TargetInput{URL: "mqtt://" + sharedHost}})
	if err != nil {
		t.Fatal(err)
	}
	receive(t, g.entered)
	defer close(g.leave)
	hide := []diag.Hide{diag.HideHost}
	change := func() {
		if err := m.SetShare(t.Context(), st.ID, owner, handlers.ShareChange{Hide: &hide}); err != nil {
			t.Error(err)
		}
	}
	s.share.Store(&change)
	if _, err := m.Get(t.Context(), st.ID, handlers.Actor{}); err != nil {
		t.Fatal(err)
	}
	if r, err := m.Get(t.Context(), st.ID, handlers.Actor{}); err != nil || !slices.Contains(r.Hidden, diag.HideHost) {
		t.Errorf("%s, %v is hidden, %v", r.Target.URL, r.Hidden, err)
	}
}

// A report whose predecessor is erased meanwhile is compared with the one before that.
func TestHistoryErasedWhileItIsRead(t *testing.T) {
	t.Parallel()
	m, s := interruptedRuns(t, passing("dns.test"))
	owner := handlers.Actor{Owner: "owner"}
	var ids []string
	for range 3 {
		st, err := m.Start(t.Context(), owner, diag.RunInput{Target: diag.TargetInput{URL: "mqtt://broker.test"}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, st.ID)
		began := time.Now().UnixMilli() // of runs of one millisecond none is the earlier
		await(t, "the run has ended", func() bool { _, running := m.find(st.ID); return !running && time.Now().UnixMilli() > began })
	}
	h, err := m.History(t.Context(), ids[2], owner, 9)
	if err != nil || len(h.Runs) != 3 || h.Previous == nil || h.Previous.ID != ids[1] {
		t.Fatalf("%+v, %v", h, err)
	}
	s.erased.Store(&ids[1])
	if h, err = m.History(t.Context(), ids[2], owner, 9); err != nil || h.Previous == nil || h.Previous.ID != ids[0] {
		t.Errorf("%+v, %v", h.Previous, err)
	}
}
