package leaks

import "testing"

func TestWhatEndsLateIsNoLeak(t *testing.T) {
	ended := make(chan struct{})
	begun := make(chan struct{})
	go func() {
		close(begun)
		<-ended
	}()
	<-begun
	go func() { close(ended) }()
	if code := Check(0); code != 0 {
		t.Errorf("code %d", code)
	}
	if code := Check(2); code != 2 {
		t.Errorf("code %d of tests that had failed", code)
	}
}
