package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

// changedRequest wakes those who look at a request in this process, whatever the archive does for others.
func (m *Runs) changedRequest(id string) {
	if id != "" {
		m.wakes.heard(archive.Key(id))
	}
}

// Wish implements [handlers.Requests].
func (m *Runs) Wish(ctx context.Context, id string, by handlers.Actor, wish handlers.Wish) error {
	kept, _, err := m.keptRequest(ctx, id)
	if err != nil {
		return err
	}
	if err := mustOwn(by, helperOf(kept)); err != nil {
		return err
	}
	found, err := m.lookUp(ctx, wish.Run)
	if err != nil {
		return err
	}
	if found.owner.Request != id {
		return handlers.ErrNotFound
	}
	data, err := json.Marshal(wish)
	if err != nil {
		return err
	}
	err = m.store.Wish(ctx, id, data)
	m.changedRequest(id)
	if errors.Is(err, archive.ErrNotFound) {
		return handlers.ErrNoRequest
	}
	return err
}

// requestPoll is how often a request is looked at without a signal.
const requestPoll = 3 * time.Second

// requestViewer looks at a request whenever something may have changed.
type requestViewer struct {
	runs  *Runs
	id    string
	by    handlers.Actor
	woken <-chan struct{}
	stop  func()
	last  []byte // what was returned last
}

// WatchRequest implements [handlers.Requests].
func (m *Runs) WatchRequest(ctx context.Context, id string, by handlers.Actor) (handlers.RequestViewer, error) {
	if _, _, err := m.keptRequest(ctx, id); err != nil {
		return nil, err
	}
	if m.viewers.Add(1) > maxViewers {
		m.viewers.Add(-1)
		return nil, &handlers.TooManyViewers{Limit: maxViewers}
	}
	m.meter.viewers.Inc()
	woken, deaf := m.wakes.on(archive.Key(id))
	stop := sync.OnceFunc(func() { deaf(); m.viewers.Add(-1); m.meter.viewers.Dec() })
	return &requestViewer{runs: m, id: id, by: by, woken: woken, stop: stop}, nil
}

// Next implements [handlers.RequestViewer].
func (v *requestViewer) Next(ctx context.Context) (handlers.Request, error) {
	for {
		if v.runs.Stopping() {
			return handlers.Request{}, handlers.ErrStopping
		}
		r, err := v.runs.Request(ctx, v.id, v.by)
		if err != nil {
			return r, err
		}
		now, err := json.Marshal(r)
		if err != nil {
			return r, err
		}
		if !bytes.Equal(now, v.last) {
			v.last = now
			return r, nil
		}
		poll := time.NewTimer(requestPoll)
		select {
		case <-v.woken:
		case <-poll.C:
		case <-ctx.Done():
		}
		poll.Stop()
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
	}
}

// Stop implements [handlers.RequestViewer].
func (v *requestViewer) Stop() { v.stop() }
