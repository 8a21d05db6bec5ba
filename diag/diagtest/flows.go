package diagtest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// FlowEnd is how a [Flows] proxy ends a connection.
type FlowEnd int

// The ends.
const (
	FlowFIN    FlowEnd = iota // both sides are closed in order
	FlowRST                   // the client gets a reset
	FlowForget                // both sides keep what they have, and nothing is carried any more, as behind a NAT that forgot
)

// FlowLimits says which connections a [Flows] proxy ends, and how. Zero times end none.
type FlowLimits struct {
	Idle     time.Duration // without a byte in either direction
	Lifetime time.Duration // at this age, whatever goes over it
	Every    time.Duration // all of them, each time so much has passed
	End      FlowEnd
}

// Flows starts a TCP proxy before an address that ends connections over time, as balancers, firewalls and routers do.
func Flows(t testing.TB, upstream string, limits FlowLimits, options ...PeerOption) *PeerServer {
	t.Helper()
	var mu sync.Mutex
	open := map[*flow]bool{}
	p := Peer(t, func(client net.Conn) {
		server, err := net.Dial("tcp", upstream)
		if err != nil {
			return
		}
		f := &flow{client: client, server: server, end: limits.End, moved: make(chan struct{}, 1), cut: make(chan struct{}), over: make(chan struct{})}
		mu.Lock()
		open[f] = true
		mu.Unlock()
		f.carry(limits)
		mu.Lock()
		delete(open, f)
		mu.Unlock()
	}, options...)
	if limits.Every > 0 {
		p.group.Go(func() {
			ticker := time.NewTicker(limits.Every)
			defer ticker.Stop()
			for {
				select {
				case <-p.stop:
					return
				case <-ticker.C:
				}
				mu.Lock()
				for f := range open {
					f.once.Do(func() { close(f.cut) })
				}
				mu.Unlock()
			}
		})
	}
	return p
}

// flow is one connection through the proxy.
type flow struct {
	client, server net.Conn
	end            FlowEnd
	moved          chan struct{} // something was carried
	cut, over      chan struct{}
	once           sync.Once // closes cut

	mu   sync.Mutex
	dead bool // nothing is carried any more
}

// carry returns when one side has closed, or the flow was cut.
func (f *flow) carry(limits FlowLimits) {
	var group sync.WaitGroup
	group.Go(func() { f.copy(f.server, f.client) })
	group.Go(func() { f.copy(f.client, f.server) })
	done := make(chan struct{})
	group.Go(func() {
		defer close(done)
		f.watch(limits)
	})
	group.Wait()
}

func (f *flow) copy(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		f.mu.Lock()
		dead := f.dead
		f.mu.Unlock()
		if n > 0 && !dead {
			select {
			case f.moved <- struct{}{}:
			default:
			}
			if _, writeErr := to.Write(buf[:n]); writeErr != nil {
				err = writeErr
			}
		}
		if err != nil {
			select {
			case <-f.over:
			default:
				f.mu.Lock()
				if !f.dead || from == f.client { // the server's own end is not carried behind a forgotten flow
					f.closeOverLocked()
				}
				f.mu.Unlock()
			}
			return
		}
	}
}

func (f *flow) closeOverLocked() {
	select {
	case <-f.over:
	default:
		close(f.over)
	}
}

// watch ends the flow when its time has come.
func (f *flow) watch(limits FlowLimits) {
	never := make(<-chan time.Time)
	age, idle := never, time.NewTimer(limits.Idle)
	defer idle.Stop()
	quiet := idle.C
	if limits.Idle == 0 {
		quiet = never
	}
	if limits.Lifetime > 0 {
		timer := time.NewTimer(limits.Lifetime)
		defer timer.Stop()
		age = timer.C
	}
	for {
		select {
		case <-f.over:
			return
		case <-f.moved:
			if limits.Idle > 0 {
				idle.Reset(limits.Idle)
			}
			continue
		case <-quiet:
		case <-age:
		case <-f.cut:
		}
		break
	}
	f.mu.Lock()
	f.dead = true
	f.mu.Unlock()
	switch f.end {
	case FlowRST:
		Reset(f.client)
		f.server.Close()
	case FlowFIN:
		f.client.Close()
		f.server.Close()
	}
}
