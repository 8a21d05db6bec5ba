package web

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

// places are the limits on consoles at once, over all processes at one archive: runs count by themselves.
type places struct {
	crew             archive.Crew // nil: this process alone counts
	inAll, perClient atomic.Int64

	mu     sync.Mutex
	taken  int
	client map[string]int
	left   []string // places that the archive still has
}

func newPlaces(crew archive.Crew, inAll, perClient int) *places {
	p := &places{crew: crew, client: map[string]int{}}
	p.limit(inAll, perClient)
	return p
}

// limit sets how many there may be from now on. What is open stays.
func (p *places) limit(inAll, perClient int) {
	p.inAll.Store(int64(inAll))
	p.perClient.Store(int64(perClient))
}

const (
	// retryAfter is about how long a standard run takes.
	retryAfter = 10 * time.Second
	// retryConsole: people close their consoles now and then, forgotten ones end by themselves.
	retryConsole = time.Minute
)

func (p *places) busy(perClient bool) error {
	limit := p.inAll.Load()
	if perClient {
		limit = p.perClient.Load()
	}
	return &handlers.Busy{Consoles: true, RetryAfter: retryConsole, PerClient: perClient, Limit: int(limit)}
}

// take reserves a place for a client, or says why there is none. What it returns gives the place back here at once, and at the
// archive with the next call of settle.
func (p *places) take(ctx context.Context, by handlers.Actor) (release func(), err error) {
	who := clientOf(by.Person.ID, by.Addr)
	if err := p.takeHere(who); err != nil {
		return nil, err
	}
	id := newID()
	if p.crew != nil {
		_ = p.settle(ctx) // tried again later
		err := p.crew.Take(ctx, "console", id, archive.Room{Client: who, InAll: int(p.inAll.Load()), PerClient: int(p.perClient.Load())})
		if err != nil {
			p.leaveHere(who, "")
			var full *archive.Full
			if errors.As(err, &full) {
				err = p.busy(full.PerClient)
			}
			return nil, err
		}
	}
	return sync.OnceFunc(func() { p.leaveHere(who, id) }), nil
}

func (p *places) takeHere(who string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.client[who] >= int(p.perClient.Load()):
		return p.busy(true)
	case p.taken >= int(p.inAll.Load()):
		return p.busy(false)
	}
	p.taken++
	p.client[who]++
	return nil
}

func (p *places) leaveHere(who, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if p.client[who]--; p.client[who] == 0 {
		delete(p.client, who)
	}
	if p.crew != nil && id != "" {
		p.left = append(p.left, id)
	}
}

// settle gives places back at the archive. Those that it does not take are given back the next time.
func (p *places) settle(ctx context.Context) error {
	p.mu.Lock()
	left := p.left
	p.left = nil
	p.mu.Unlock()
	if len(left) == 0 {
		return nil
	}
	err := p.crew.Leave(ctx, left...)
	if err != nil {
		p.mu.Lock()
		p.left = append(p.left, left...)
		p.mu.Unlock()
	}
	return err
}

// room is the limit that a run of this person, or from this address, is under.
func (m *Runs) room(person string, addr netip.Addr) archive.Room {
	return archive.Room{Client: clientOf(person, addr), InAll: m.limits().MaxRuns, PerClient: m.limits().MaxPerClient}
}

// busy puts an archive that is full into the words of package handlers; other errors stay.
func (m *Runs) busy(err error) error {
	var full *archive.Full
	if !errors.As(err, &full) {
		return err
	}
	m.meter.refused.Inc()
	limit := m.limits().MaxRuns
	if full.PerClient {
		limit = m.limits().MaxPerClient
	}
	return &handlers.Busy{RetryAfter: retryAfter, PerClient: full.PerClient, Limit: limit}
}

// clientOf is what counts as one client: somebody who is signed in, wherever he sits, since a whole helpdesk may come from one
// address; else an IPv4 address, or an IPv6 network of the size that one customer gets.
func clientOf(person string, addr netip.Addr) string {
	if person != "" {
		return "person " + person
	}
	addr = addr.Unmap()
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}
