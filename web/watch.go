package web

import (
	"context"
	"errors"
	"io"
	"sync"

	"mqttdoctor/diag"
	"mqttdoctor/diag/live"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

// Watch implements [handlers.Runs].
func (m *Runs) Watch(ctx context.Context, id string, by handlers.Actor, after int) (handlers.Viewer, error) {
	found, err := m.lookUp(ctx, id)
	if err != nil {
		return nil, err
	}
	if m.viewers.Add(1) > maxViewers {
		m.viewers.Add(-1)
		return nil, &handlers.TooManyViewers{Limit: maxViewers}
	}
	m.meter.viewers.Inc()
	stop := sync.OnceFunc(func() { m.viewers.Add(-1); m.meter.viewers.Dec() })
	v, err := m.watch(ctx, found, id, after, stop)
	if err != nil {
		stop()
		return nil, err
	}
	if sees(by, found.owner) {
		return v, nil
	}
	return &maskedViewer{Viewer: v, runs: m, run: found, hide: found.hide, mask: maskOf(found.hide, found)}, nil
}

func (m *Runs) watch(ctx context.Context, found foundRun, id string, after int, stop func()) (handlers.Viewer, error) {
	if r, ok := m.find(id); ok {
		v, err := r.log.View(after)
		if errors.Is(err, live.ErrAhead) {
			return nil, &handlers.AfterAhead{Last: r.log.Last()}
		}
		if err != nil {
			return nil, err
		}
		return &liveViewer{viewer: v, stop: stop}, nil
	}
	kept := found.kept
	if kept == nil { // it has ended since
		now, err := m.store.Run(ctx, id)
		if errors.Is(err, archive.ErrNotFound) {
			return nil, handlers.ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		kept = &now
	}
	if kept.Report.State == diag.StateRunning { // another process carries it
		return m.watchFollowed(ctx, id, after, kept.LastSeq, stop)
	}
	if after > kept.LastSeq {
		return nil, &handlers.AfterAhead{Last: kept.LastSeq}
	}
	return &keptViewer{store: m.store, id: id, after: after, last: kept.LastSeq, stop: stop}, nil
}

// liveViewer reads a run of this process.
type liveViewer struct {
	viewer *live.Viewer
	stop   func()
}

// Next implements [handlers.Viewer].
func (v *liveViewer) Next(ctx context.Context) ([]diag.Event, error) {
	events, err := v.viewer.Next(ctx)
	switch {
	case errors.Is(err, live.ErrSlow):
		return nil, handlers.ErrSlow
	case errors.Is(err, live.ErrClosed):
		return nil, handlers.ErrNotFound
	}
	return events, err
}

// Stop implements [handlers.Viewer].
func (v *liveViewer) Stop() {
	v.viewer.Stop()
	v.stop()
}

// keptViewer reads a run that has ended from the archive.
type keptViewer struct {
	store archive.Store
	id    string
	after int
	last  int
	stop  func()
}

// replayBatch is how many events are read from the archive at once.
const replayBatch = 64

// Next implements [handlers.Viewer].
func (v *keptViewer) Next(ctx context.Context) ([]diag.Event, error) {
	if v.after >= v.last {
		return nil, io.EOF
	}
	events, err := v.store.Events(ctx, v.id, v.after, replayBatch)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 { // erased meanwhile
		return nil, handlers.ErrNotFound
	}
	v.after = events[len(events)-1].Seq
	return events, nil
}

// Stop implements [handlers.Viewer].
func (v *keptViewer) Stop() { v.stop() }
