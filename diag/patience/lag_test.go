package patience

import (
	"testing"
	"time"
)

func TestLag(t *testing.T) {
	l := Watch()
	l.mu.Lock() // its ticks wait meanwhile, as they do where the process is stopped
	time.Sleep(100 * time.Millisecond)
	l.mu.Unlock()
	if got := l.Total(); got < 80*time.Millisecond {
		t.Errorf("lost %v of 100 ms", got)
	}
	if got := l.Ran(); got > 80*time.Millisecond {
		t.Errorf("ran for %v", got)
	}
	got := l.Stop()
	time.Sleep(50 * time.Millisecond)
	if again := l.Stop(); again != got || l.Total() != got {
		t.Errorf("%v, and %v after the end", got, again)
	}
	for took, want := range map[time.Duration]time.Duration{
		lagEvery: 0, lagEvery + time.Millisecond: 0, lagEvery + shortest + time.Second: time.Second, 0: 0,
	} {
		if got := lost(took); got != want {
			t.Errorf("of an interval of %v %v are lost, want %v", took, got, want)
		}
	}
}
