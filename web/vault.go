package web

import (
	"sync"
	"time"

	"mqttdoctor/diag"
)

const (
	// holdSecrets is how long after its end a run can be repeated without typing the password again.
	holdSecrets = 30 * time.Minute
	// maxHeld and maxHeldBytes bound the inputs in memory: up to 1 MB each with their certificates, a few KB in practice.
	maxHeld      = 500
	maxHeldBytes = 32 << 20
)

// vault keeps the inputs of runs that hold secrets, in memory alone.
type vault struct {
	now func() time.Time

	mu    sync.Mutex
	held  map[string]heldInput
	bytes int
}

type heldInput struct {
	input diag.RunInput
	bytes int
	until time.Time
}

func newVault(now func() time.Time) *vault { return &vault{now: now, held: map[string]heldInput{}} }

// put keeps an input until the given time. Where there are too many, the one that would go first goes now.
func (v *vault) put(id string, in diag.RunInput, until time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dropLocked(id)
	h := heldInput{input: in, bytes: sizeOf(in), until: until}
	v.held[id], v.bytes = h, v.bytes+h.bytes
	for len(v.held) > maxHeld || v.bytes > maxHeldBytes {
		first := ""
		for key, h := range v.held {
			if first == "" || h.until.Before(v.held[first].until) {
				first = key
			}
		}
		v.dropLocked(first)
	}
}

// sizeOf is about how much memory an input takes: what is large in it.
func sizeOf(in diag.RunInput) int {
	n := 1024 + len(in.Target.TLS.CAPEM) + len(in.Target.TLS.CertPEM) + len(in.Target.TLS.KeyPEM.Reveal()) +
		len(in.Target.WS.Query.Reveal()) + len(in.Target.URL) + len(in.Target.Username) + len(in.Target.Password.Reveal()) + len(in.Target.Topics.Publish)
	for _, h := range in.Target.WS.Headers {
		n += len(h.Reveal())
	}
	for _, filter := range in.Target.Topics.Subscribe {
		n += len(filter)
	}
	return n
}

// ended begins the time after the end of a run, and tells whether its secrets are held.
func (v *vault) ended(id string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	h, ok := v.held[id]
	if ok {
		h.until = v.now().Add(holdSecrets)
		v.held[id] = h
	}
	return ok
}

func (v *vault) get(id string) (diag.RunInput, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	h, ok := v.held[id]
	if !ok || !v.now().Before(h.until) {
		return diag.RunInput{}, false
	}
	return h.input, true
}

func (v *vault) drop(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dropLocked(id)
}

func (v *vault) dropLocked(id string) {
	v.bytes -= v.held[id].bytes
	delete(v.held, id)
}

// sweep forgets what has had its time.
func (v *vault) sweep() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, h := range v.held {
		if !v.now().Before(h.until) {
			v.dropLocked(id)
		}
	}
}
