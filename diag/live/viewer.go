package live

import (
	"context"
	"io"
	"time"

	"mqttdoctor/diag"
)

const (
	// maxBehind is how long a viewer may go without once having caught up. The log is shared, so a slow viewer costs no
	// memory of its own, but its connection would outlive the run.
	maxBehind = 30 * time.Second
	// batchSize is how many events a viewer gets at once: enough to replay a whole run in a few writes.
	batchSize = 64
)

// Viewer reads a log from one event on. It needs no closing beyond [Viewer.Stop].
type Viewer struct {
	log     *Log
	next    int // index of the next event
	behind  time.Time
	stopped bool
}

// View returns a viewer of the events numbered greater than after. ErrAhead: there are fewer events.
func (l *Log) View(after int) (*Viewer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if after > len(l.events) {
		return nil, ErrAhead
	}
	l.viewers++
	return &Viewer{log: l, next: max(0, after), behind: l.now()}, nil
}

// Next returns the next events, at least one, and waits for them. After run.finished it returns io.EOF; ErrSlow where the
// viewer was behind for too long; the error of [Log.Close]; else the context's.
func (v *Viewer) Next(ctx context.Context) ([]diag.Event, error) {
	l := v.log
	for {
		l.mu.Lock()
		have := l.events[v.next:]
		wake, ended, err := l.wake, l.ended, l.err
		l.mu.Unlock()
		now := l.now()
		if len(have) <= batchSize {
			v.behind = now // caught up with this batch
		}
		switch {
		case len(have) > 0 && now.Sub(v.behind) > maxBehind:
			v.Stop()
			return nil, ErrSlow
		case len(have) > 0:
			have = have[:min(len(have), batchSize):min(len(have), batchSize)]
			v.next += len(have)
			return have, nil
		case ended:
			v.Stop()
			return nil, io.EOF
		case err != nil:
			v.Stop()
			return nil, err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Stop ends the viewer. It may be called more than once.
func (v *Viewer) Stop() {
	if v.stopped {
		return
	}
	v.stopped = true
	v.log.mu.Lock()
	v.log.viewers--
	v.log.mu.Unlock()
}
