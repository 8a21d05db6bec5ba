package signin

import (
	"net/netip"
	"sync"
	"time"
)

// tries counts wrong passwords by client: an IPv4 address, or the IPv6 network that one customer gets. Names are not locked,
// or anybody could lock out anybody. The zero value is ready.
type tries struct {
	mu   sync.Mutex
	from map[netip.Prefix][]time.Time // of the last maxTries, the oldest first
}

const (
	// maxTries in triesFor are what people who have forgotten a password need, and too few to guess one that is any good.
	maxTries = 20
	triesFor = 10 * time.Minute
	// maxClients bounds what is remembered.
	maxClients = 10_000
)

// wait is how long a client has to; 0: not at all.
func (t *tries) wait(addr netip.Addr, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.from[clientOf(addr)]
	if len(at) < maxTries {
		return 0
	}
	return max(0, at[0].Add(triesFor).Sub(now))
}

func (t *tries) wrong(addr netip.Addr, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.from == nil {
		t.from = map[netip.Prefix][]time.Time{}
	}
	if len(t.from) >= maxClients {
		for who, at := range t.from {
			if now.Sub(at[len(at)-1]) > triesFor {
				delete(t.from, who)
			}
		}
		if len(t.from) >= maxClients { // an attack from everywhere, which the cost of comparing still bounds
			clear(t.from)
		}
	}
	who := clientOf(addr)
	at := append(t.from[who], now)
	if len(at) > maxTries {
		at = at[len(at)-maxTries:]
	}
	t.from[who] = at
}

func clientOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
