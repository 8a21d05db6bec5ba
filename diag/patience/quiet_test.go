package patience

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestWithQuiet(t *testing.T) {
	t.Run("ends where nothing is heard", func(t *testing.T) {
		begun := time.Now()
		ctx, _, cancel := WithQuiet(t.Context(), 50*time.Millisecond)
		defer cancel()
		<-ctx.Done()
		if took := time.Since(begun); took < 50*time.Millisecond || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("ended after %v with %v", took, ctx.Err())
		}
	})
	t.Run("lasts while something is heard", func(t *testing.T) {
		ctx, heard, cancel := WithQuiet(t.Context(), 50*time.Millisecond)
		defer cancel()
		var last time.Time
		for range 20 {
			time.Sleep(10 * time.Millisecond)
			last = time.Now()
			heard()
		}
		over := ctx.Err() != nil // on a machine that sleeps longer than it was told to
		<-ctx.Done()
		if took := time.Since(last); took < 50*time.Millisecond && !over {
			t.Errorf("ended %v after the last that was heard", took)
		}
		heard()
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("ended with %v", ctx.Err())
		}
	})
	t.Run("what is heard late in a slice starts the time anew", func(t *testing.T) {
		ctx, heard, cancel := WithQuiet(t.Context(), time.Hour)
		defer cancel()
		c := ctx.(*wait)
		c.mu.Lock()
		c.budget.left = time.Microsecond
		c.mu.Unlock()
		heard()
		c.tick()
		if err := ctx.Err(); err != nil || c.budget.left < 59*time.Minute {
			t.Errorf("%v, %v left", err, c.budget.left)
		}
	})
	t.Run("is canceled", func(t *testing.T) {
		ctx, heard, cancel := WithQuiet(t.Context(), time.Hour)
		cancel()
		heard()
		if <-ctx.Done(); !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("ended with %v", ctx.Err())
		}
	})
}
