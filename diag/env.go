package diag

import (
	"context"
	"crypto/x509"
	"io"
	"net"
	"sync"
	"time"
)

// DialFunc opens a connection to a literal address and port; the guard stands behind it and judges that address.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Env is what a probe may use of the world. Everything that leaves the machine goes through it.
type Env struct {
	Target  Target
	Options PlanOptions
	RunID   string // for scratch topics and temporary client ids
	// View is a snapshot of what was known when the probe was started.
	View *View
	// Dial is the only way out; it is bounded by the guard's policy.
	Dial DialFunc
	// DialResolver reaches the DNS servers that this system is configured with; nil: Dial. They are often at addresses that
	// the policy forbids as targets, such as 127.0.0.53, and no user chose them.
	DialResolver DialFunc
	// Allowed tells, without dialling, whether the policy lets an address be reached; nil error: it does.
	Allowed func(addr string) error
	// Stash carries open connections from one probe to the next, and closes what is left at the end.
	Stash *Stash
	// Now is the clock; tests set it.
	Now func() time.Time
	// Roots are the certificates trusted without a given CA; nil: the system's.
	Roots *x509.CertPool
	// Resolvers are the system's DNS servers, host:port; nil: found by the probe.
	Resolvers []string
	// ResolvConf is the path of the resolver configuration; empty: the system's. Resolvers stand in place of its servers.
	ResolvConf string
	// HostsFile is the path of the hosts file; empty: the system's.
	HostsFile string
	// Progress reports how far a long step is; unit is a word such as "messages".
	Progress func(done, total int, unit string)
	// Conns counts the connections that the run opened.
	Conns *Counter
	// Repeats knows the run's TCP connections, where the system tells how much was sent again on each.
	Repeats *Repeats
}

// Repeats adds up what TCP had to send again on the connections of a run, open ones and ended ones. It is safe for concurrent
// use; nil counts nothing.
type Repeats struct {
	mu  sync.Mutex
	all []func() int
}

// Watch adds a connection, which answers how many segments were sent again on it so far.
func (r *Repeats) Watch(count func() int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, count)
}

// Total asks all of them.
func (r *Repeats) Total() int {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, count := range r.all {
		n += count()
	}
	return n
}

// Counter counts, safely for concurrent use.
type Counter struct {
	mu sync.Mutex
	n  int
}

// Add counts one more.
func (c *Counter) Add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

// Value is the count so far.
func (c *Counter) Value() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// Stash holds open connections and sessions by name for the probe that goes on with them. It is safe for concurrent use.
type Stash struct {
	mu     sync.Mutex
	items  map[string]io.Closer
	closed bool
}

// NewStash returns an empty stash.
func NewStash() *Stash { return &Stash{items: map[string]io.Closer{}} }

// Put keeps an item. What was under the name before is closed; so is the item itself where the run has ended.
func (s *Stash) Put(name string, item io.Closer) {
	s.mu.Lock()
	old := s.items[name]
	if s.closed {
		old = item
	} else {
		s.items[name] = item
	}
	s.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
}

// Take removes an item and hands it to the caller, who closes it.
func (s *Stash) Take(name string) (io.Closer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	item, ok := s.items[name]
	delete(s.items, name)
	return item, ok
}

// Borrow returns an item and leaves it in the stash, which closes it at the end: for a session that several checks share.
func (s *Stash) Borrow(name string) (io.Closer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	item, ok := s.items[name]
	return item, ok
}

// CloseAllBut closes everything but what has that name. The stash goes on.
func (s *Stash) CloseAllBut(name string) {
	s.mu.Lock()
	items := s.items
	s.items = map[string]io.Closer{}
	if kept, ok := items[name]; ok {
		s.items[name] = kept
		delete(items, name)
	}
	s.mu.Unlock()
	for _, item := range items {
		_ = item.Close()
	}
}

// Close closes everything that nobody took, and from then on everything that is put.
func (s *Stash) Close() {
	s.mu.Lock()
	items := s.items
	s.items, s.closed = map[string]io.Closer{}, true
	s.mu.Unlock()
	for _, item := range items {
		_ = item.Close()
	}
}

// Dial-time names under which the asked path is handed on; the address is the step's subject.
const (
	StashTCP  = "tcp/"
	StashTLS  = "tls/"
	StashWS   = "ws/"
	StashMQTT = "mqtt/"
)
