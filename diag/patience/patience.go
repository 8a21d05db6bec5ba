// Package patience bounds waiting by time in which this process could have taken an answer.
//
// A peer that says nothing for five seconds is silent. A peer whose answer lay in the socket while this machine was too busy
// to read it, or while the virtual machine's host gave it no time at all, is not; and whoever judges by a plain time-out cannot
// tell the two apart. A wait of this package therefore notices when the process did not come to run, and does not count that
// time against the peer.
package patience

import (
	"context"
	"sync"
	"time"
)

// WithTimeout returns a context that ends, with [context.DeadlineExceeded], after d in which this process ran; with parent, if
// that ends before; or when the returned function is called. On a machine that is not overloaded that is d, like
// [context.WithTimeout]. It has no deadline of its own that could be told beforehand: Deadline tells the parent's.
func WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	c := newWait(parent, d)
	return c, c.start()
}

// wait is a context. Its done channel is its own, so that contexts made from it take its error and not the parent's.
type wait struct {
	context.Context // the parent: values, and the deadline

	mu     sync.Mutex
	done   chan struct{}
	err    error
	timer  *time.Timer
	length time.Duration // of the whole wait
	began  time.Time     // of the running slice
	heard  time.Time     // since then it starts over; zero: nothing was heard in the running slice
	budget budget
	after  map[*func()]struct{}
}

func newWait(parent context.Context, d time.Duration) *wait {
	return &wait{Context: parent, done: make(chan struct{}), length: d}
}

// start lets the time run; the returned function ends it.
func (c *wait) start() context.CancelFunc {
	if err := c.Context.Err(); err != nil {
		c.end(err)
		return func() {}
	}
	c.mu.Lock()
	c.began, c.budget = time.Now(), newBudget(c.length)
	c.timer = time.AfterFunc(c.budget.next(), c.tick)
	c.mu.Unlock()
	unwatch := context.AfterFunc(c.Context, func() { c.end(c.Context.Err()) })
	return func() {
		unwatch()
		c.end(context.Canceled)
	}
}

func (c *wait) Done() <-chan struct{} { return c.done }

func (c *wait) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// AfterFunc lets contexts that are made from this one follow it without a goroutine each (see [context.AfterFunc]).
func (c *wait) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	if c.after == nil {
		c.after = map[*func()]struct{}{}
	}
	c.after[&f] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, pending := c.after[&f]
		delete(c.after, &f)
		return pending
	}
}

func (c *wait) tick() {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	now := time.Now()
	if !c.heard.IsZero() { // from there on it is a new wait, and the rest of this slice one of its own
		c.began, c.budget, c.heard = c.heard, newBudget(c.length), time.Time{}
	}
	over := c.budget.spend(now.Sub(c.began))
	if !over {
		c.began = now
		c.timer.Reset(c.budget.next())
	}
	c.mu.Unlock()
	if over {
		c.end(context.DeadlineExceeded)
	}
}

func (c *wait) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.done)
	if c.timer != nil {
		c.timer.Stop()
	}
	for f := range c.after {
		go (*f)()
	}
	c.after = nil
}
