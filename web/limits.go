package web

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

// places are the limits on runs at once, or on consoles.
type places struct {
	inAll, perClient int
	consoles         bool // what is counted are consoles

	mu     sync.Mutex
	taken  int
	client map[netip.Prefix]int
}

func newPlaces(inAll, perClient int) *places {
	return &places{inAll: inAll, perClient: perClient, client: map[netip.Prefix]int{}}
}

func newConsolePlaces(inAll, perClient int) *places {
	p := newPlaces(inAll, perClient)
	p.consoles = true
	return p
}

const (
	// retryAfter is about how long a standard run takes.
	retryAfter = 10 * time.Second
	// retryConsole: people close their consoles now and then, forgotten ones end by themselves.
	retryConsole = time.Minute
)

func (p *places) busy(perClient bool, limit int) error {
	b := &handlers.Busy{Consoles: p.consoles, RetryAfter: retryAfter, PerClient: perClient, Limit: limit}
	if p.consoles {
		b.RetryAfter = retryConsole
	}
	return b
}

// take reserves a place for a client, or says why there is none.
func (p *places) take(addr netip.Addr) (release func(), err error) {
	who := clientOf(addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.client[who] >= p.perClient:
		return nil, p.busy(true, p.perClient)
	case p.taken >= p.inAll:
		return nil, p.busy(false, p.inAll)
	}
	p.taken++
	p.client[who]++
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.taken--
		if p.client[who]--; p.client[who] == 0 {
			delete(p.client, who)
		}
	}), nil
}

// room is the limit that a run of this client is under.
func (m *Runs) room(addr netip.Addr) archive.Room {
	return archive.Room{Client: clientOf(addr).String(), InAll: m.maxRuns, PerClient: m.perClient}
}

// busy puts an archive that is full into the words of package handlers; other errors stay.
func (m *Runs) busy(err error) error {
	var full *archive.Full
	if !errors.As(err, &full) {
		return err
	}
	m.meter.refused.Inc()
	limit := m.maxRuns
	if full.PerClient {
		limit = m.perClient
	}
	return &handlers.Busy{RetryAfter: retryAfter, PerClient: full.PerClient, Limit: limit}
}

// clientOf is what counts as one client: an IPv4 address, or an IPv6 network of the size that one customer gets.
func clientOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
