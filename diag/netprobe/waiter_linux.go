package netprobe

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// waiter polls descriptors until a context ends. It blocks a thread and no goroutine of its own waits beside it: the
// context writes to an event descriptor, which is polled with the others.
type waiter struct {
	ctx  context.Context
	fd   int
	stop func() bool
	done chan struct{} // closed once the context has written
}

func newWaiter(ctx context.Context) (*waiter, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	w := &waiter{ctx: ctx, fd: fd, done: make(chan struct{})}
	w.stop = context.AfterFunc(ctx, func() {
		defer close(w.done)
		// Eight bytes in the machine's order, and any value but 0 will do (eventfd(2)).
		_, _ = unix.Write(fd, []byte{1, 1, 1, 1, 1, 1, 1, 1})
	})
	return w, nil
}

// wait returns when a descriptor is ready or until is over (zero: never), and with the context's error when that ended.
func (w *waiter) wait(polled []unix.PollFd, until time.Time) error {
	all := append(polled[:len(polled):len(polled)], unix.PollFd{Fd: int32(w.fd), Events: unix.POLLIN})
	for {
		timeout := -1
		if !until.IsZero() {
			// Rounded up: a millisecond too early would make the caller spin.
			timeout = max(0, int((time.Until(until)+time.Millisecond-1)/time.Millisecond))
		}
		n, err := unix.Poll(all, timeout)
		if err == unix.EINTR {
			continue // the runtime's own signals
		}
		if err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		copy(polled, all)
		if all[len(polled)].Revents != 0 && n == 1 {
			return context.Cause(w.ctx)
		}
		return nil
	}
}

// close must come before the descriptor number can be used again, so it waits for a write that is on its way.
func (w *waiter) close() {
	if !w.stop() {
		<-w.done
	}
	unix.Close(w.fd)
}
