package patience

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	// of is the number of slices that a wait of two seconds lasts where each takes so much longer than it should.
	of := func(late func(i int) time.Duration) int {
		b := newBudget(2 * time.Second)
		for i := 1; ; i++ {
			if b.spend(b.next() + late(i)) {
				return i
			}
			if i > 1000 {
				t.Fatal("the wait does not end")
			}
		}
	}
	for _, tt := range []struct {
		name     string
		late     func(int) time.Duration
		min, max int
	}{
		{"on time", func(int) time.Duration { return 0 }, 20, 20},
		{"a millisecond late, as timers are", func(int) time.Duration { return time.Millisecond }, 19, 20},
		{"one stall is not counted", func(i int) time.Duration {
			if i == 5 {
				return 10 * time.Second
			}
			return 0
		}, 20, 20},
		{"a stall at the end gives another slice", func(i int) time.Duration {
			if i == 20 {
				return time.Second
			}
			return 0
		}, 21, 21},
		{"a machine that never rests", func(int) time.Duration { return time.Second }, 25, 27},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := of(tt.late); got < tt.min || got > tt.max {
				t.Errorf("the wait lasted %d slices, want %d to %d", got, tt.min, tt.max)
			}
		})
	}
	if b := newBudget(0); !b.spend(0) {
		t.Error("no time at all is not over at once")
	}
}

func TestWithTimeout(t *testing.T) {
	t.Run("ends", func(t *testing.T) {
		begun := time.Now()
		ctx, cancel := WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		child, stop := context.WithCancel(ctx)
		defer stop()
		<-child.Done()
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) || !errors.Is(child.Err(), context.DeadlineExceeded) {
			t.Errorf("ended with %v, its child with %v", ctx.Err(), child.Err())
		}
		if took := time.Since(begun); took < 50*time.Millisecond {
			t.Errorf("ended after %v", took)
		}
	})
	t.Run("is canceled", func(t *testing.T) {
		ctx, cancel := WithTimeout(t.Context(), time.Hour)
		child, stop := context.WithTimeout(ctx, time.Hour)
		defer stop()
		cancel()
		<-child.Done()
		if !errors.Is(ctx.Err(), context.Canceled) || !errors.Is(child.Err(), context.Canceled) {
			t.Errorf("ended with %v, its child with %v", ctx.Err(), child.Err())
		}
	})
	t.Run("ends with its parent", func(t *testing.T) {
		parent, done := context.WithTimeout(t.Context(), time.Millisecond)
		defer done()
		ctx, cancel := WithTimeout(parent, time.Hour)
		defer cancel()
		<-ctx.Done()
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("ended with %v", ctx.Err())
		}
		over, cancel := WithTimeout(parent, time.Hour)
		defer cancel()
		<-over.Done()
	})
	t.Run("functions to be called after it", func(t *testing.T) {
		ctx, cancel := WithTimeout(t.Context(), time.Hour)
		called, never := make(chan struct{}), make(chan struct{})
		context.AfterFunc(ctx, func() { close(called) })
		if stop := context.AfterFunc(ctx, func() { close(never) }); !stop() || stop() {
			t.Error("a function could not be taken back once")
		}
		cancel()
		<-called
		context.AfterFunc(ctx, func() { never <- struct{}{} })
		<-never
	})
}
