package patience

import (
	"context"
	"time"
)

// WithQuiet returns a context that ends, with [context.DeadlineExceeded], once nothing was heard for d in which this process ran:
// since the call, or since heard was last called. It ends with parent too, like that of [WithTimeout]; heard does not bring back
// a context that has ended, and is safe to be called from many goroutines, as often as something comes.
func WithQuiet(parent context.Context, d time.Duration) (ctx context.Context, heard func(), cancel context.CancelFunc) {
	c := newWait(parent, d)
	return c, func() {
		c.mu.Lock()
		c.heard = time.Now()
		c.mu.Unlock()
	}, c.start()
}
