package web

import (
	"context"
	"errors"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/live"
	awake "mqttdoctor/diag/patience"
	"mqttdoctor/web/archive"
)

const (
	// keepTime bounds one write to the archive while viewers wait for what it holds. A write takes a millisecond.
	keepTime = 3 * time.Second
	// keepTries is how often the end of a run is offered to an archive that does not answer, with a growing wait between. Nobody
	// waits for it then, and a report of megabytes takes a slow machine a while: each time it gets twice as long.
	keepTries = 4
	// keepAtOnce is how many events are written in one go, so that what was written stays where the rest takes too long.
	keepAtOnce = 16
	// keepLateTime bounds a later try.
	keepLateTime = 30 * time.Second
)

// keep writes a run's events to the archive and then shows them: what a viewer has seen survives a crash. Where the
// archive does not answer, the run goes on and is shown all the same, and what is missing is written with the next event.
func (m *Runs) keep(ctx context.Context, r *run) {
	var unkept []diag.Event
	for ended := false; !ended; {
		batch, err := r.log.Pending(ctx)
		if err != nil {
			return // cannot be: the context has no end
		}
		if batch[len(batch)-1].Type == diag.EventRunFinished {
			r.ending.Store(true)
		}
		unkept = m.append(ctx, r, append(unkept, batch...), keepTime)
		ended = r.log.Publish(batch)
	}
	for try := 1; len(unkept) > 0 && try < keepTries; try++ {
		time.Sleep(time.Duration(try) * 200 * time.Millisecond)
		unkept = m.append(ctx, r, unkept, keepTime<<try)
	}
	if len(unkept) > 0 {
		r.left = unkept
		r.unkept.Store(true)
		m.log.Error("report could not be kept", "run", tagOf(r.id), "events", len(unkept))
		m.meter.unkept.Inc()
	}
}

// append writes events within a time, and returns those that have to be offered again.
func (m *Runs) append(ctx context.Context, r *run, events []diag.Event, within time.Duration) (left []diag.Event) {
	ctx, cancel := awake.WithTimeout(ctx, within)
	defer cancel()
	for len(events) > 0 {
		n := min(len(events), keepAtOnce)
		err := m.store.Append(ctx, r.id, events[:n])
		if errors.Is(err, archive.ErrOutOfTurn) || errors.Is(err, archive.ErrEnded) {
			if n = m.alreadyKept(ctx, r, events); n > 0 {
				err = nil
			}
		}
		switch {
		case err == nil:
			events = events[n:]
		case errors.Is(err, archive.ErrNotFound), errors.Is(err, archive.ErrEnded): // it is no longer ours
			if !r.erased.Load() {
				if err := m.lose(ctx, r); err != nil {
					m.log.Error("run was taken away, and cannot be looked at", "run", tagOf(r.id), "err", err)
				}
			}
			return nil
		default:
			m.log.Error("events could not be kept", "run", tagOf(r.id), "err", err)
			return events
		}
	}
	return nil
}

// alreadyKept is how many of the events the archive has: those of a write that was given up while it was done all the same.
func (m *Runs) alreadyKept(ctx context.Context, r *run, events []diag.Event) int {
	kept, err := m.store.Run(ctx, r.id)
	if err != nil {
		return 0
	}
	n := min(max(0, kept.LastSeq-events[0].Seq+1), len(events))
	if kept.Report.State != diag.StateRunning { // by this process, or by another one, which took it for dead?
		if end := events[len(events)-1]; n < len(events) || end.Report == nil || end.Report.State != kept.Report.State {
			return 0
		}
	}
	return n
}

// Recover ends the runs whose process died: they become interrupted, with the steps that had finished.
func (m *Runs) Recover(ctx context.Context) error {
	ids, err := m.store.Orphans(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		switch err := m.interrupt(ctx, id); {
		case errors.Is(err, archive.ErrNotFound), errors.Is(err, archive.ErrEnded), errors.Is(err, archive.ErrOutOfTurn):
			// Another process was quicker, or its own was only slow.
		case err != nil:
			return err
		default:
			m.log.Warn("run was interrupted by the end of its process", "run", tagOf(id))
		}
	}
	return nil
}

func (m *Runs) interrupt(ctx context.Context, id string) error {
	kept, err := m.store.Run(ctx, id)
	if err != nil {
		return err
	}
	events, err := m.store.Events(ctx, id, 0, kept.LastSeq+1)
	if err != nil {
		return err
	}
	report, last := kept.Report, kept.Report.CreatedAt
	if len(events) > 0 {
		report, last = live.Fold(events), events[len(events)-1].At
	}
	m.concludeInterrupted(&report, last)
	return m.store.Append(ctx, id, []diag.Event{{Seq: kept.LastSeq + 1, Type: diag.EventRunFinished, At: m.now(), Report: &report}})
}

// concludeInterrupted makes the end that a run never came to: the rules say what its finished steps tell.
func (m *Runs) concludeInterrupted(r *diag.Report, last time.Time) {
	done := breakOff(r, last)
	// What the secrets were is gone; that they were given is known, and that is what rules ask.
	target, _ := diag.ParseTarget(r.Target)
	opts := r.Plan
	opts.Timeout, opts.Watch = time.Duration(r.TimeoutS*float64(time.Second)), time.Duration(r.WatchS)*time.Second
	c := diag.Conclude(diag.NewView(target, opts, done), m.engine.Rules)
	r.RootCause, r.Findings, r.RuledOut = c.RootCause, c.Findings, c.RuledOut
	if c.Verdict == diag.OverallBroken { // what was not looked at cannot be called healthy
		r.Verdict = c.Verdict
	}
}

// breakOff turns a report of the moment into one that was interrupted at that time: what was running is canceled. It
// returns the finished steps.
func breakOff(r *diag.Report, at time.Time) (done []diag.Step) {
	because := diag.N("api.step_interrupted")
	for i, s := range r.Steps {
		if s.Status == diag.StatusRunning {
			r.Steps[i].Status, r.Steps[i].SkippedBecause = diag.StatusCanceled, &because
			continue
		}
		done = append(done, s)
	}
	r.State, r.Verdict = diag.StateInterrupted, diag.OverallInconclusive
	r.FinishedAt, r.Duration = at, max(0, at.Sub(r.CreatedAt))
	return done
}

// Sweep erases expired runs, and the oldest where all of them take too much, and forgets secrets that had their time.
func (m *Runs) Sweep(ctx context.Context) {
	m.vault.sweep()
	m.forgetUnkept()
	n, err := m.store.Expire(ctx)
	if err != nil && ctx.Err() == nil {
		m.log.Error("expired reports could not be erased", "err", err)
	}
	if n > 0 {
		m.meter.erased.WithLabelValues(erasedByTime).Add(float64(n))
		m.log.Info("expired reports erased", "count", n)
	}
	m.audit.forget(ctx)
	m.shrink(ctx)
}

// shrink keeps the database within its bound.
func (m *Runs) shrink(ctx context.Context) {
	if most := m.limits().MaxDatabase; most > 0 {
		n, err := m.store.Shrink(ctx, most)
		if err != nil && ctx.Err() == nil {
			m.log.Error("the oldest reports could not be erased, and the database grows", "err", err)
		}
		if n > 0 {
			m.meter.erased.WithLabelValues(erasedBySize).Add(float64(n))
			m.log.Warn("the oldest reports were erased before their time: there are as many as --max-database lets in", "count", n)
		}
	}
	bytes, err := m.store.Bytes(ctx)
	if err != nil {
		return // the rounds at the archive tell of that
	}
	m.meter.bytes.Set(float64(bytes))
}

// grown asks for a look at the size of the database, where it has a bound: it may fill between two sweeps.
func (m *Runs) grown() {
	if m.limits().MaxDatabase == 0 {
		return
	}
	select {
	case m.full <- struct{}{}:
	default: // it is asked already
	}
}

// keepSmall keeps the database within its bound as it grows, until the context ends.
func (m *Runs) keepSmall(ctx context.Context) {
	for {
		select {
		case <-m.full:
			m.shrink(ctx)
		case <-ctx.Done():
			return
		}
		select { // what ends in the meantime is looked at together
		case <-time.After(shrinkEvery):
		case <-ctx.Done():
			return
		}
	}
}

// shrinkEvery is how often the size is looked at while runs end one after the other.
const shrinkEvery = 2 * time.Second

// unkeptLife is how long a report that the archive did not take is shown from memory.
const unkeptLife = 10 * time.Minute

func (m *Runs) forgetUnkept() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, r := range m.running {
		if !r.unkept.Load() {
			continue
		}
		if end := r.log.Report().FinishedAt; !end.IsZero() && m.now().Sub(end) > unkeptLife {
			delete(m.running, id)
		}
	}
}
