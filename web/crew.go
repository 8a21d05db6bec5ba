package web

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/live"
	"mqttdoctor/web/archive"
)

// beatTime bounds one round of the crew: less than the lease, so that a slow database is noticed before others give us up.
const beatTime = 5 * time.Second

// Tend does this process's part among those at one archive until the context ends: it says that it lives, ends runs as others
// ask, takes orders, and writes the end of runs whose process died.
func (m *Runs) Tend(ctx context.Context) {
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		m.store.Listen(ctx, m.wakes.heard)
	}()
	defer func() { <-listening }()
	woken, stop := m.wakes.on(archive.Key(m.store.Process()))
	defer stop()
	ticker := time.NewTicker(archive.BeatEvery)
	defer ticker.Stop()
	var steady time.Time // since when every beat has worked
	// Beside the rounds, which must not wait for it.
	var late sync.WaitGroup
	defer late.Wait()
	var keeping atomic.Bool
	for {
		round, cancel := context.WithTimeout(ctx, beatTime)
		err := m.beat(round)
		m.meter.beats.WithLabelValues(result(err == nil)).Inc() // before others can learn of it
		m.beaten.Store(&beaten{time.Now(), err})
		if err == nil && steady.IsZero() {
			steady = time.Now()
		}
		// Others are judged only after a whole lease of unbroken beats: when the database has been away for everybody, all of them
		// look dead for a moment.
		if err == nil && time.Since(steady) > archive.Lease+archive.BeatEvery {
			if err := m.Recover(round); err != nil && ctx.Err() == nil {
				m.log.Error("ends of runs whose process died could not be written", "err", err)
			}
		}
		cancel()
		if err == nil && keeping.CompareAndSwap(false, true) {
			late.Go(func() {
				defer keeping.Store(false)
				m.keepLate(ctx)
			})
		}
		if err != nil && ctx.Err() == nil {
			steady = time.Time{}
			m.log.Error("archive does not answer", "err", err)
		}
		select {
		case <-ticker.C:
		case <-woken:
		case <-ctx.Done():
			return
		}
	}
}

// beaten is what came of a round.
type beaten struct {
	at  time.Time
	err error
}

// errStuck: a round neither went well nor failed in its time.
var errStuck = errors.New("the rounds at the archive have stopped")

// Working tells why this process can do no work, or nil. A round writes, and by that a database shows that may only be read, or
// whose disk is full; and where rounds have stopped, others take this process for dead.
func (m *Runs) Working() error {
	last := m.beaten.Load()
	switch {
	case last == nil: // the archive has just been opened
		return nil
	case last.err != nil:
		return last.err
	case time.Since(last.at) > archive.Lease+beatTime:
		return errStuck
	}
	return nil
}

// beat is one round.
func (m *Runs) beat(ctx context.Context) error {
	here := m.underWay() // before the archive is asked: what begins meanwhile is not missed in its answer
	duties, err := m.store.Beat(ctx)
	if err != nil {
		return err
	}
	theirs := map[string]archive.Duty{}
	for _, d := range duties {
		theirs[d.ID] = d
	}
	for id, r := range here {
		d, ok := theirs[id]
		switch {
		case r.unkept.Load(): // see keepLate
		case ok && d.Wanted:
			r.cancel(diag.ErrCanceled)
		case !ok && !r.ending.Load():
			if err := m.lose(ctx, r); err != nil {
				return err
			}
		}
	}
	return m.takeOrders(ctx)
}

// underWay are the runs of this process that have not ended, and those whose end is not kept.
func (m *Runs) underWay() map[string]*run {
	m.mu.Lock()
	defer m.mu.Unlock()
	runs := map[string]*run{}
	for id, r := range m.running {
		if !r.erased.Load() && !r.lost.Load() {
			runs[id] = r
		}
	}
	return runs
}

// lose ends a run that is no longer this process's to carry: another one erased it, or took this process for dead and wrote
// its end, which then stands.
func (m *Runs) lose(ctx context.Context, r *run) error {
	_, err := m.store.Run(ctx, r.id)
	switch {
	case errors.Is(err, archive.ErrNotFound):
		r.erased.Store(true)
		r.cancel(diag.ErrCanceled)
		r.log.Close(live.ErrClosed)
		m.vault.drop(r.id)
	case err != nil:
		return err
	default:
		m.log.Error("run was ended by another process, which took this one for dead", "run", tagOf(r.id))
		r.lost.Store(true)
		r.cancel(diag.ErrInterrupted)
		r.log.Close(live.ErrSlow) // viewers come back, and see what is kept
	}
	return nil
}

// keepLate writes the ends of runs that the archive did not take at the time. It is called by one goroutine at a time.
func (m *Runs) keepLate(ctx context.Context) {
	for _, r := range m.underWay() {
		if !r.unkept.Load() || ctx.Err() != nil {
			continue
		}
		if r.left = m.append(ctx, r, r.left, keepLateTime); len(r.left) > 0 {
			continue
		}
		m.mu.Lock()
		delete(m.running, r.id)
		m.mu.Unlock()
		m.log.Info("report kept late", "run", tagOf(r.id))
	}
}
