package web

import "sync"

// wakes hands the signals of the archive to those who wait for them. A signal is no news, only a reason to look.
type wakes struct {
	mu sync.Mutex
	by map[string]map[chan struct{}]bool
}

// on returns a channel that gets a value when the key is heard, and a function that ends that.
func (w *wakes) on(key string) (woken <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = map[string]map[chan struct{}]bool{}
	}
	if w.by[key] == nil {
		w.by[key] = map[chan struct{}]bool{}
	}
	w.by[key][c] = true
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.by[key], c); len(w.by[key]) == 0 {
			delete(w.by, key)
		}
	}
}

// heard wakes whoever waits for the key; "" wakes everybody.
func (w *wakes) heard(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, all := range w.by {
		if key != "" && k != key {
			continue
		}
		for c := range all {
			select {
			case c <- struct{}{}:
			default: // it has not looked since the last one
			}
		}
	}
}
