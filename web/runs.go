package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/live"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

// Runs manages runs: it starts them within limits, keeps their events as they happen, hands them to viewers, and ends them.
// It implements [handlers.Runs].
type Runs struct {
	engine    *Engine
	store     archive.Store
	retention time.Duration
	places    *places
	vault     *vault
	meter     *meter
	log       *slog.Logger
	now       func() time.Time

	viewers atomic.Int64

	mu       sync.Mutex
	running  map[string]*run // also ended ones that could not be kept
	stopping bool
	all      sync.WaitGroup // one for each run under way
}

var _ handlers.Runs = (*Runs)(nil)

// maxViewers bounds the websockets of a server: about 30 KB each.
const maxViewers = 5000

// run is a run of this process.
type run struct {
	id     string
	owner  archive.Owner
	header diag.Report
	log    *live.Log
	cancel context.CancelCauseFunc
	ended  chan struct{} // closed when the report is kept, or given up
	erased atomic.Bool
	unkept atomic.Bool // the archive did not take its end; it is shown from memory for a while
}

// RunsConfig is what a manager of runs needs.
type RunsConfig struct {
	Engine       *Engine
	Store        archive.Store
	MaxRuns      int
	MaxPerClient int
	Retention    time.Duration
	Log          *slog.Logger     // nil: none
	Now          func() time.Time // nil: the system's clock
	meter        *meter
}

// NewRuns returns a manager. It starts nothing by itself; runs that a crash interrupted are ended by [Runs.Recover].
func NewRuns(c RunsConfig) *Runs {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.meter == nil {
		c.meter = newMeter()
	}
	return &Runs{engine: c.Engine, store: c.Store, retention: c.Retention, places: newPlaces(c.MaxRuns, c.MaxPerClient),
		vault: newVault(c.Now), meter: c.meter, log: c.Log, now: c.Now, running: map[string]*run{}}
}

// Start implements [handlers.Runs].
func (m *Runs) Start(ctx context.Context, by handlers.Actor, in diag.RunInput) (handlers.Started, error) {
	plan, err := m.engine.Plan(in)
	if err != nil {
		return handlers.Started{}, err
	}
	release, err := m.places.take(by.Addr)
	if err != nil {
		m.meter.refused.Inc()
		return handlers.Started{}, err
	}
	m.mu.Lock()
	if m.stopping {
		m.mu.Unlock()
		release()
		return handlers.Started{}, handlers.ErrStopping
	}
	m.all.Add(1)
	m.mu.Unlock()
	give := func() { release(); m.all.Done() }

	id, token, now := newID(), newToken(), m.now()
	// Context of the run: that of a request would end it with its viewer.
	runCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	r := &run{id: id, owner: archive.Owner{TokenHash: hashOf(token), CookieHash: hashOf(by.Owner)}, log: live.NewLog(m.now),
		cancel: cancel, ended: make(chan struct{}),
		header: diag.Report{Schema: diag.Schema, ID: id, State: diag.StateRunning, CreatedAt: now,
			ExpiresAt: now.Add(plan.Options.Watch + m.retention), Lang: in.Lang, Target: plan.Target.Public(), Plan: plan.Options,
			TimeoutS: plan.Options.Timeout.Seconds(), WatchS: int(plan.Options.Watch / time.Second), Checks: plan.IDs(),
			Vantage: m.engine.Vantage}}
	if err := m.store.Create(ctx, r.header, r.owner); err != nil {
		cancel(nil)
		give()
		return handlers.Started{}, err
	}
	if plan.Target.HasSecrets() {
		m.vault.put(id, in, now.Add(plan.Deadline()+holdSecrets))
	}
	m.mu.Lock()
	m.running[id] = r
	if m.stopping { // since the look above
		cancel(diag.ErrInterrupted)
	}
	m.mu.Unlock()
	go m.carry(runCtx, r, plan, give)
	return handlers.Started{ID: id, DeleteToken: token}, nil
}

// carry takes a run from its first event to its kept report.
func (m *Runs) carry(ctx context.Context, r *run, plan diag.Plan, give func()) {
	defer give()
	defer r.cancel(nil)
	m.meter.running.Inc()
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		m.keep(context.WithoutCancel(ctx), r)
	}()
	begun := time.Now()
	report := m.walk(ctx, r, plan)
	<-kept
	m.meter.running.Dec()
	m.meter.ended(report, time.Since(begun))
	m.vault.ended(r.id)
	if r.erased.Load() {
		m.vault.drop(r.id)
	}
	m.mu.Lock()
	if !r.unkept.Load() || r.erased.Load() {
		delete(m.running, r.id)
	}
	m.mu.Unlock()
	close(r.ended)
	m.log.Info("run ended", "run", tagOf(r.id), "state", report.State, "verdict", report.Verdict,
		"duration_ms", report.Duration.Milliseconds(), "connections", report.Connections)
}

// walk runs the engine. A defect in a rule ends this run, and not those of other people.
func (m *Runs) walk(ctx context.Context, r *run, plan diag.Plan) (report diag.Report) {
	defer func() {
		if problem := recover(); problem != nil {
			m.log.Error("run panicked", "run", tagOf(r.id), "panic", fmt.Sprint(problem), "stack", string(debug.Stack()))
			report = m.report(r)
			breakOff(&report, m.now())
			r.log.Push(diag.Event{Type: diag.EventRunFinished, At: m.now(), Report: &report})
		}
	}()
	return m.engine.Run(ctx, plan, r.header, r.log.Push)
}

// report is a run's report of the moment.
func (m *Runs) report(r *run) diag.Report {
	report := r.log.Report()
	if report.ID == "" { // its first event is not out yet
		return r.header
	}
	return report
}

// find returns a run of this process, if it is one and was not erased.
func (m *Runs) find(id string) (*run, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.running[id]
	if !ok || r.erased.Load() {
		return nil, false
	}
	return r, true
}

// Get implements [handlers.Runs].
func (m *Runs) Get(ctx context.Context, id string) (diag.Report, error) {
	report, _, err := m.lookUp(ctx, id)
	return report, err
}

// lookUp finds a run's report of the moment and who made it.
func (m *Runs) lookUp(ctx context.Context, id string) (diag.Report, archive.Owner, error) {
	if r, ok := m.find(id); ok {
		return m.report(r), r.owner, nil
	}
	kept, err := m.store.Run(ctx, id)
	if errors.Is(err, archive.ErrNotFound) {
		return diag.Report{}, archive.Owner{}, handlers.ErrNotFound
	}
	return kept.Report, kept.Owner, err
}

// Cancel implements [handlers.Runs].
func (m *Runs) Cancel(ctx context.Context, id string, by handlers.Actor) error {
	_, owner, err := m.lookUp(ctx, id)
	if err != nil {
		return err
	}
	if err := mayAct(by, owner); err != nil {
		return err
	}
	r, ok := m.find(id)
	if !ok {
		return nil
	}
	r.cancel(diag.ErrCanceled)
	select { // so that the answer tells what came of it
	case <-r.ended:
	case <-time.After(cancelWait):
	case <-ctx.Done():
	}
	return nil
}

// cancelWait is the runner's grace for probes that are slow to stop, and a little.
const cancelWait = 4 * time.Second

// Delete implements [handlers.Runs].
func (m *Runs) Delete(ctx context.Context, id string, by handlers.Actor) error {
	_, owner, err := m.lookUp(ctx, id)
	if err != nil {
		return err
	}
	if err := mustOwn(by, owner); err != nil {
		return err
	}
	if r, ok := m.find(id); ok {
		r.erased.Store(true)
		r.cancel(diag.ErrCanceled)
		r.log.Close(nil)
	}
	m.vault.drop(id)
	err = m.store.Erase(ctx, id)
	if errors.Is(err, archive.ErrNotFound) {
		return handlers.ErrNotFound
	}
	return err
}

// Stop ends every run as interrupted, takes no new ones, and returns when the last report is kept, or with the context.
func (m *Runs) Stop(ctx context.Context) error {
	m.mu.Lock()
	m.stopping = true
	for _, r := range m.running {
		r.cancel(diag.ErrInterrupted)
	}
	m.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends with the runs, which end in bounded time
		m.all.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stopping tells whether Stop was called.
func (m *Runs) Stopping() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stopping
}
