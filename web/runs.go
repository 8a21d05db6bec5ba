package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
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
	engine *Engine
	store  archive.Store
	set    atomic.Pointer[Limits] // only what concerns runs
	audit  *audit                 // nil: nobody signs in, and nothing is noted
	vault  *vault
	meter  *meter
	log    *slog.Logger
	now    func() time.Time

	viewers atomic.Int64
	beaten  atomic.Pointer[beaten] // the last round at the archive; nil: none yet
	wakes   wakes
	full    chan struct{} // the archive has grown
	shares  shares

	mu       sync.Mutex
	running  map[string]*run // also ended ones that could not be kept
	followed map[string]*follow
	stopping bool
	all      sync.WaitGroup // one for each run under way, and for each that is followed
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
	ending atomic.Bool   // its end is on its way to the archive
	erased atomic.Bool
	lost   atomic.Bool  // another process has written its end
	unkept atomic.Bool  // the archive did not take its end; it is shown from memory for a while
	left   []diag.Event // what it did not take, once unkept is set
}

// RunsConfig is what a manager of runs needs.
type RunsConfig struct {
	Engine       *Engine
	Store        archive.Store
	MaxRuns      int
	MaxPerClient int
	Retention    time.Duration
	MaxBytes     int64            // of all reports in the archive, of which the oldest go first; 0: no bound
	Log          *slog.Logger     // nil: none
	Now          func() time.Time // nil: the system's clock
	audit        *audit
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
	m := &Runs{engine: c.Engine, store: c.Store, full: make(chan struct{}, 1), audit: c.audit,
		vault: newVault(c.Now), meter: c.meter, log: c.Log, now: c.Now, running: map[string]*run{}, followed: map[string]*follow{},
		shares: shares{known: map[string]knownShare{}, looked: map[look]time.Time{}}}
	m.set.Store(&Limits{MaxRuns: c.MaxRuns, MaxPerClient: c.MaxPerClient, Retention: c.Retention, MaxDatabase: c.MaxBytes})
	return m
}

// limits are those of the moment.
func (m *Runs) limits() Limits { return *m.set.Load() }

// limit sets them from now on. Runs under way stay, and reports keep the time that they were promised.
func (m *Runs) limit(l Limits) {
	m.set.Store(&l)
	m.grown()
}

// Start implements [handlers.Runs].
func (m *Runs) Start(ctx context.Context, by handlers.Actor, in diag.RunInput) (handlers.Started, error) {
	id, token := newID(), newToken()
	if err := m.start(ctx, id, ownerOf(by, token), starterOf(by), in); err != nil {
		return handlers.Started{}, err
	}
	return handlers.Started{ID: id, DeleteToken: token}, nil
}

// ownerOf is by what the maker of a run is known again.
func ownerOf(by handlers.Actor, token string) archive.Owner {
	return archive.Owner{TokenHash: hashOf(token), CookieHash: hashOf(by.Owner), Person: by.Person.ID, Name: by.Person.Name}
}

// starter is who starts a run: whom it counts for, and whom the audit log names. A helper who repeats a run is not its owner.
type starter struct {
	Person string     `json:"person,omitempty"`
	Name   string     `json:"name,omitempty"`
	Addr   netip.Addr `json:"addr"`
}

func starterOf(by handlers.Actor) starter {
	return starter{Person: by.Person.ID, Name: by.Person.Name, Addr: by.Addr}
}

// start begins a run under the given id.
func (m *Runs) start(ctx context.Context, id string, owner archive.Owner, by starter, in diag.RunInput) error {
	plan, err := m.engine.Plan(in)
	if err != nil {
		return err
	}
	m.mu.Lock()
	if m.stopping {
		m.mu.Unlock()
		return handlers.ErrStopping
	}
	m.all.Add(1)
	m.mu.Unlock()

	now := m.now()
	// Context of the run: that of a request would end it with its viewer.
	runCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	r := &run{id: id, owner: owner, log: live.NewLog(m.now), cancel: cancel, ended: make(chan struct{}),
		header: diag.Report{Schema: diag.Schema, ID: id, State: diag.StateRunning, CreatedAt: now,
			ExpiresAt: now.Add(plan.Options.Watch + m.limits().Retention), Lang: in.Lang, Target: plan.Target.Public(), Plan: plan.Options,
			TimeoutS: plan.Options.Timeout.Seconds(), WatchS: int(plan.Options.Watch / time.Second), Checks: plan.IDs(),
			Vantage: m.engine.Vantage}}
	if err := m.store.Create(ctx, r.header, r.owner, m.room(by.Person, by.Addr)); err != nil {
		cancel(nil)
		m.all.Done()
		return m.busy(err)
	}
	m.audit.note(ctx, archive.AuditLine{Act: actRun, Person: by.Person, Name: by.Name, Client: by.Addr.String(), Run: tagOf(id), Target: place(plan.Target),
		Note: requestNote(owner.Request)})
	m.changedRequest(owner.Request)
	if plan.Target.HasSecrets() {
		m.hold(ctx, id, in, now.Add(plan.Deadline()+holdSecrets))
	}
	m.mu.Lock()
	m.running[id] = r
	if m.stopping { // since the look above
		cancel(diag.ErrInterrupted)
	}
	m.mu.Unlock()
	go m.carry(runCtx, r, plan)
	return nil
}

// hold keeps the secrets of a run in memory, and tells the other processes that they are here.
func (m *Runs) hold(ctx context.Context, id string, in diag.RunInput, until time.Time) {
	m.vault.put(id, in, until)
	m.tellHeld(ctx, id, until)
}

func (m *Runs) tellHeld(ctx context.Context, id string, until time.Time) {
	if err := m.store.Hold(ctx, id, until); err != nil { // a rerun elsewhere will ask for them again
		m.log.Warn("not noted where secrets are held", "run", tagOf(id), "err", err)
	}
}

// carry takes a run from its first event to its kept report.
func (m *Runs) carry(ctx context.Context, r *run, plan diag.Plan) {
	defer m.all.Done()
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
	m.grown()
	m.meter.running.Dec()
	m.meter.ended(report, time.Since(begun))
	if m.vault.ended(r.id) {
		m.tellHeld(context.WithoutCancel(ctx), r.id, m.now().Add(holdSecrets))
	}
	if r.erased.Load() {
		m.vault.drop(r.id)
	}
	m.mu.Lock()
	if !r.unkept.Load() || r.erased.Load() || r.lost.Load() {
		delete(m.running, r.id)
	}
	m.mu.Unlock()
	close(r.ended)
	m.changedRequest(r.owner.Request)
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

// find returns a run of this process, if it is one, was not erased, and is still its own.
func (m *Runs) find(id string) (*run, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.running[id]
	if !ok || r.erased.Load() || r.lost.Load() {
		return nil, false
	}
	return r, true
}

// Get implements [handlers.Runs].
func (m *Runs) Get(ctx context.Context, id string, by handlers.Actor) (diag.Report, error) {
	found, err := m.lookUp(ctx, id)
	if err != nil {
		return diag.Report{}, err
	}
	return maskFor(by, found).Report(found.report), nil
}

// foundRun is a run's report of the moment, who made it, and where it is.
type foundRun struct {
	report diag.Report
	owner  archive.Owner
	hide   []diag.Hide // from those who only have the link
	// process carries it, or carried it; held tells that it is another one that lives and holds the run's secrets.
	process string
	held    bool
	kept    *archive.Run // as the archive has it; nil: this process carries it
}

// lookUp finds a run, wherever it is carried.
func (m *Runs) lookUp(ctx context.Context, id string) (foundRun, error) {
	if r, ok := m.find(id); ok {
		share := m.shownOf(ctx, id)
		f := foundRun{report: m.report(r), owner: r.owner, process: m.store.Process(), hide: share.Hide}
		f.report.PreviewHost = share.PreviewHost
		if !share.ExpiresAt.IsZero() {
			f.report.ExpiresAt = share.ExpiresAt
		}
		return f, nil
	}
	kept, err := m.store.Run(ctx, id)
	if errors.Is(err, archive.ErrNotFound) {
		return foundRun{}, handlers.ErrNotFound
	}
	if err != nil {
		return foundRun{}, err
	}
	f := foundRun{report: kept.Report, owner: kept.Owner, hide: kept.Hide, process: kept.Process, kept: &kept,
		held: !kept.HeldUntil.IsZero() && kept.Process != m.store.Process()}
	if kept.Report.State == diag.StateRunning {
		f.report, err = m.fold(ctx, kept)
		f.report.ExpiresAt = kept.Report.ExpiresAt
	}
	f.report.PreviewHost = kept.PreviewHost
	return f, err
}

// Cancel implements [handlers.Runs].
func (m *Runs) Cancel(ctx context.Context, id string, by handlers.Actor) error {
	found, err := m.lookUp(ctx, id)
	if err != nil {
		return err
	}
	if err := mayCancel(by, found.owner); err != nil {
		return err
	}
	if found.report.State == diag.StateRunning {
		m.audit.by(ctx, by, actCancel, found.report)
	}
	r, ok := m.find(id)
	switch {
	case ok:
		r.cancel(diag.ErrCanceled)
		select { // so that the answer tells what came of it
		case <-r.ended:
		case <-time.After(cancelWait):
		case <-ctx.Done():
		}
	case found.report.State == diag.StateRunning:
		return m.cancelElsewhere(ctx, id)
	}
	return nil
}

// cancelElsewhere lets the process that carries a run end it, and waits for that as Cancel does.
func (m *Runs) cancelElsewhere(ctx context.Context, id string) error {
	woken, stop := m.wakes.on(archive.Key(id))
	defer stop()
	if err := m.store.Want(ctx, id); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cancelWait)
	defer cancel()
	poll := time.NewTicker(followPoll)
	defer poll.Stop()
	for {
		kept, err := m.store.Run(ctx, id)
		if err != nil || kept.Report.State != diag.StateRunning {
			return nil // it has ended, is gone, or cannot be seen in time
		}
		select {
		case <-woken:
		case <-poll.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// cancelWait is the runner's grace for probes that are slow to stop, and as much again for a machine that is busy.
const cancelWait = 8 * time.Second

// Delete implements [handlers.Runs].
func (m *Runs) Delete(ctx context.Context, id string, by handlers.Actor) error {
	found, err := m.lookUp(ctx, id)
	if err != nil {
		return err
	}
	if err := mayErase(by, found.owner); err != nil {
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
	if err == nil {
		m.meter.erased.WithLabelValues(erasedByOwner).Inc()
		m.audit.by(ctx, by, actErase, found.report)
		m.changedRequest(found.owner.Request)
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
	for _, f := range m.followed {
		f.cancel()
	}
	m.mu.Unlock()
	m.wakes.heard("") // those who look at requests go too
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
