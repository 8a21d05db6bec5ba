package live

import (
	"context"
	"errors"
	"sync"
	"time"

	"mqttdoctor/diag"
)

// Errors of a viewer.
var (
	// ErrSlow: the viewer was behind for longer than may be; it should come back and say what it has seen.
	ErrSlow = errors.New("live: viewer too slow")
	// ErrAhead: the viewer claims to have seen events that have not happened.
	ErrAhead = errors.New("live: no such event yet")
	// ErrClosed: the log was closed before its run ended: the run was deleted, or its process ends.
	ErrClosed = errors.New("live: log closed")
)

const (
	// progressEvery thins step.progress: ten a second is as much as an eye follows.
	progressEvery = 100 * time.Millisecond
	// maxProgress bounds the progress events of a run. Each time it is reached, the interval doubles, so that a watch of a
	// day still shows movement.
	maxProgress = 500
	// maxEvents is where a log stops taking what only decorates: it keeps finished steps, findings and the end. A plan of
	// 100 checks on 20 addresses each comes to 4,000.
	maxEvents = 8192
)

// Log is the event log of one run. Events enter by [Log.Push] and become visible by [Log.Publish], so that they can be
// kept in between: what a viewer has seen survives a crash.
type Log struct {
	now func() time.Time

	mu      sync.Mutex
	seq     int // number of the newest event taken
	pending []diag.Event
	events  []diag.Event // published; events[i].Seq == i+1
	ended   bool         // run.finished was published
	err     error        // closed early
	wake    chan struct{}
	more    chan struct{}

	progress      int
	progressEvery time.Duration
	lastProgress  map[string]time.Time
	viewers       int
}

// NewLog returns an empty log. now is the clock; nil: the system's.
func NewLog(now func() time.Time) *Log {
	if now == nil {
		now = time.Now
	}
	return &Log{now: now, wake: make(chan struct{}), more: make(chan struct{}, 1),
		progressEvery: progressEvery, lastProgress: map[string]time.Time{}}
}

// Push takes an event, numbers it, and never waits. Progress that comes faster than people read is left out; the numbers
// of what is taken have no gap.
func (l *Log) Push(e diag.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.takes(e) {
		return
	}
	l.seq++
	e.Seq = l.seq
	l.pending = append(l.pending, e)
	select {
	case l.more <- struct{}{}:
	default:
	}
}

func (l *Log) takes(e diag.Event) bool {
	switch e.Type {
	case diag.EventStepProgress:
		if e.Step == nil || l.seq >= maxEvents {
			return false
		}
		last, begun := l.lastProgress[e.Step.ID]
		complete := e.Total > 0 && e.Done >= e.Total
		if begun && !complete && e.At.Sub(last) < l.progressEvery {
			return false
		}
		l.lastProgress[e.Step.ID] = e.At
		if l.progress++; l.progress%maxProgress == 0 {
			l.progressEvery *= 2
		}
	case diag.EventStepFinished:
		if e.Step != nil {
			delete(l.lastProgress, e.Step.ID)
		}
	case diag.EventStepStarted, diag.EventFinding:
		// Findings past the bound are not lost: run.finished carries the report.
		return l.seq < maxEvents
	}
	return true
}

// Pending waits for events that were pushed and not yet published, and hands them over in order. It returns the context's
// error when that ends. It is for one goroutine, which then calls Publish.
func (l *Log) Pending(ctx context.Context) ([]diag.Event, error) {
	for {
		l.mu.Lock()
		batch := l.pending
		l.pending = nil
		l.mu.Unlock()
		if len(batch) > 0 {
			return batch, nil
		}
		select {
		case <-l.more:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Publish makes events visible, as Pending handed them over. It reports whether the run has ended with them.
func (l *Log) Publish(batch []diag.Event) (ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return true
	}
	l.events = append(l.events, batch...)
	l.ended = l.ended || (len(batch) > 0 && batch[len(batch)-1].Type == diag.EventRunFinished)
	l.rouse()
	return l.ended
}

// Close ends the log before its run ended; viewers get err. Closing an ended log does nothing.
func (l *Log) Close(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.err != nil {
		return
	}
	if err == nil {
		err = ErrClosed
	}
	l.err = err
	l.rouse()
}

// rouse wakes every waiting viewer.
func (l *Log) rouse() {
	close(l.wake)
	l.wake = make(chan struct{})
}

// Last is the number of the newest published event.
func (l *Log) Last() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.events)
}

// Viewers counts the viewers that read at present.
func (l *Log) Viewers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.viewers
}

// Report folds the published events into the report of the moment.
func (l *Log) Report() diag.Report {
	l.mu.Lock()
	events := l.events[:len(l.events):len(l.events)] // published events never change
	l.mu.Unlock()
	return Fold(events)
}
