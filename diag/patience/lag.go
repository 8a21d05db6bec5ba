package patience

import (
	"sync"
	"time"
)

// lagEvery is how often a Lag looks whether this process comes to run. What it is late by, shortest apart, is lost time.
const lagEvery = 10 * time.Millisecond

// Lag tells how much of a time this process did not come to run. Who measures what a peer takes has no right to call it slow for that
// part: the answer may have lain there all the while.
type Lag struct {
	mu      sync.Mutex
	timer   *time.Timer
	since   time.Time
	began   time.Time // of the running interval
	total   time.Duration
	stopped bool
}

// Watch begins to look. Stop ends it.
func Watch() *Lag {
	now := time.Now()
	l := &Lag{since: now, began: now}
	l.mu.Lock()
	l.timer = time.AfterFunc(lagEvery, l.tick)
	l.mu.Unlock()
	return l
}

func (l *Lag) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return
	}
	now := time.Now()
	l.total += lost(now.Sub(l.began))
	l.began = now
	l.timer.Reset(lagEvery)
}

// lost is what an interval lasted too long.
func lost(took time.Duration) time.Duration { return max(0, took-lagEvery-shortest) }

// Total is the time lost so far.
func (l *Lag) Total() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return l.total
	}
	return l.total + lost(time.Since(l.began))
}

// Ran tells for how long this process ran since Watch, which is what a bound on waiting for a peer is to be compared with.
func (l *Lag) Ran() time.Duration {
	total := l.Total()
	return time.Since(l.since) - total
}

// Stop ends looking, and returns the time lost.
func (l *Lag) Stop() time.Duration {
	total := l.Total()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped {
		l.stopped, l.total = true, total
		l.timer.Stop()
	}
	return l.total
}
