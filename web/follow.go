package web

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/live"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

const (
	// followPoll is how often a run of another process is looked at without a signal: signals are quick, and may be lost.
	followPoll = time.Second
	// followLinger is how long a run is followed after its last viewer went: he may come back, and pages read before they watch.
	followLinger = 5 * time.Second
)

// follow reads a run of another process from the archive, once for all its viewers here.
type follow struct {
	id     string
	log    *live.Log
	loaded chan struct{} // closed when what was kept at the beginning is in the log, or nothing comes into it any more
	gone   atomic.Bool   // erased; set before loaded is closed
	users  int           // under the lock of Runs
	idle   *time.Timer   // ends it; under the lock of Runs
	cancel context.CancelFunc
}

// follow returns a follower of the run, with one more user, who calls unfollow.
func (m *Runs) follow(id string) (*follow, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopping {
		return nil, handlers.ErrStopping
	}
	if f, ok := m.followed[id]; ok {
		f.users++
		if f.idle != nil {
			f.idle.Stop()
			f.idle = nil
		}
		return f, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &follow{id: id, log: live.NewLog(m.now), loaded: make(chan struct{}), users: 1, cancel: cancel}
	m.followed[id] = f
	m.all.Add(1)
	go func() {
		defer m.all.Done()
		defer cancel()
		m.tail(ctx, f)
		m.mu.Lock()
		if m.followed[id] == f {
			delete(m.followed, id)
		}
		if f.idle != nil {
			f.idle.Stop()
		}
		m.mu.Unlock()
	}()
	return f, nil
}

func (m *Runs) unfollow(f *follow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.users--; f.users == 0 && m.followed[f.id] == f {
		f.idle = time.AfterFunc(followLinger, func() { m.forget(f) })
	}
}

// forget ends a follower that nobody has come back to.
func (m *Runs) forget(f *follow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.users == 0 && m.followed[f.id] == f {
		delete(m.followed, f.id)
		f.cancel()
	}
}

// tail publishes a run's events as they come to the archive, until the run ends, is erased, or nobody follows.
func (m *Runs) tail(ctx context.Context, f *follow) {
	defer f.log.Close(handlers.ErrStopping) // where the run has ended or was erased it is closed already
	woken, stop := m.wakes.on(archive.Key(f.id))
	defer stop()
	poll := time.NewTicker(followPoll)
	defer poll.Stop()
	loaded := sync.OnceFunc(func() { close(f.loaded) })
	defer loaded()
	for {
		events, err := m.store.Events(ctx, f.id, f.log.Last(), replayBatch)
		if err == nil && len(events) > 0 {
			if f.log.Publish(events) {
				return
			}
			continue // there may be more
		}
		if err == nil { // nothing new: is it still there?
			if _, err = m.store.Run(ctx, f.id); errors.Is(err, archive.ErrNotFound) {
				f.gone.Store(true)
				f.log.Close(live.ErrClosed)
				return
			}
			loaded()
		}
		if err != nil && ctx.Err() == nil {
			m.log.Warn("run of another process cannot be followed", "run", tagOf(f.id), "err", err)
		}
		select {
		case <-woken:
		case <-poll.C:
		case <-ctx.Done():
			return
		}
	}
}

// watchFollowed returns a viewer of a run of another process, of which last events are kept.
func (m *Runs) watchFollowed(ctx context.Context, id string, after, last int, stop func()) (handlers.Viewer, error) {
	f, err := m.follow(id)
	if err != nil {
		return nil, err
	}
	v, err := f.view(ctx, after, last)
	if err != nil {
		m.unfollow(f)
		return nil, err
	}
	return &liveViewer{viewer: v, stop: func() { m.unfollow(f); stop() }}, nil
}

// view waits until the log holds what the archive held, so that nobody is told that he is ahead.
func (f *follow) view(ctx context.Context, after, last int) (*live.Viewer, error) {
	if f.log.Last() < last {
		select {
		case <-f.loaded:
		case <-time.After(keepTime): // the archive has become slow: what is there is shown
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	v, err := f.log.View(after)
	switch {
	case errors.Is(err, live.ErrAhead) && f.gone.Load():
		return nil, handlers.ErrNotFound
	case errors.Is(err, live.ErrAhead):
		return nil, &handlers.AfterAhead{Last: f.log.Last()}
	}
	return v, err
}

// fold makes the report of the moment of a run that another process carries.
func (m *Runs) fold(ctx context.Context, kept archive.Run) (diag.Report, error) {
	m.mu.Lock()
	f, ok := m.followed[kept.Report.ID]
	m.mu.Unlock()
	if ok && f.log.Last() >= kept.LastSeq {
		if r := f.log.Report(); r.ID != "" {
			return r, nil
		}
	}
	events, err := m.store.Events(ctx, kept.Report.ID, 0, kept.LastSeq+1)
	switch {
	case err != nil:
		return kept.Report, err
	case len(events) == 0 && kept.LastSeq > 0: // erased since
		return kept.Report, handlers.ErrNotFound
	case len(events) == 0: // it has only begun
		return kept.Report, nil
	}
	return live.Fold(events), nil
}
