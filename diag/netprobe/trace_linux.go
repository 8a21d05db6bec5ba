package netprobe

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// trace is a TCP trace under way: one socket for each distance, all in one poll loop.
type trace struct {
	target  netip.AddrPort
	hops    []Hop // hops[i] has TTL i+1
	sockets []*socket
	sentAt  []time.Time
	open    int // sockets that wait for an answer
	final   int // the smallest TTL with a final answer; len(hops)+1: none yet
}

func traceTCP(ctx context.Context, target netip.AddrPort, maxHops int) (_ []Hop, err error) {
	w, err := newWaiter(ctx)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	defer w.close()
	t := &trace{target: target, hops: make([]Hop, maxHops), sockets: make([]*socket, maxHops),
		sentAt: make([]time.Time, maxHops), final: maxHops + 1}
	for i := range t.hops {
		t.hops[i] = Hop{TTL: i + 1, Kind: HopSilent}
	}
	defer t.closeFrom(0)

	begun := time.Now()
	for launched := 0; ; {
		now := time.Now()
		// Late wake-ups are made up for, so that the last distances keep their time; what was answered meanwhile is looked at
		// between any two, or an open port would get a connection for each.
		if launched < maxHops && launched+1 < t.final && now.Sub(begun) >= time.Duration(launched)*traceGap {
			if err := t.launch(launched); err != nil {
				return nil, fmt.Errorf("trace: %w", err)
			}
			launched++
		}
		pending := launched < maxHops && launched+1 < t.final
		if t.open == 0 && !pending || now.Sub(begun) >= traceTime {
			break
		}
		until := begun.Add(traceTime)
		if pending {
			until = begun.Add(time.Duration(launched) * traceGap)
		}
		polled, at := t.polled()
		if err := w.wait(polled, until); err != nil {
			return t.result(launched), fmt.Errorf("trace: %w", err)
		}
		for i, p := range polled {
			if p.Revents == 0 || t.sockets[at[i]] == nil {
				continue // silent, or closed by the answer of a nearer one
			}
			if a, done := t.sockets[at[i]].answer(p.Revents); done {
				t.settle(at[i], a)
			}
		}
	}
	return t.result(maxHops), nil
}

// launch sends the SYN of one distance. An error means that this machine could not send it.
func (t *trace) launch(i int) error {
	s, err := openSocket(t.target)
	if err != nil {
		return err
	}
	t.sockets[i] = s
	t.open++
	if err := s.hopLimit(i + 1); err != nil {
		return err
	}
	// What connects is reset, so that no broker waits for a CONNECT that never comes and no port stays in TIME-WAIT.
	if err := unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return fmt.Errorf("SO_LINGER: %w", err)
	}
	t.sentAt[i] = time.Now()
	a, done := s.connect()
	if i == 0 && done && a.icmp == nil && a.errno != 0 && a.errno != unix.ECONNREFUSED {
		// No route, no address of this family, a local firewall: no distance will fare better.
		return fmt.Errorf("connect %s: %w", t.target, a.errno)
	}
	if done {
		t.settle(i, a)
	}
	return nil
}

// settle records the answer of one distance and closes the sockets that it makes pointless.
func (t *trace) settle(i int, a answer) {
	h, s := &t.hops[i], t.sockets[i]
	if h.Sent = 1 + s.retransmits(); h.Sent == 1 {
		h.RTT = time.Since(t.sentAt[i])
	}
	if a.errno != 0 {
		h.Errno = unix.ErrnoName(a.errno)
	}
	switch {
	case a.errno == 0:
		h.Kind, h.Addr = HopConnected, t.target.Addr()
	case a.icmp != nil:
		h.Kind, h.Addr = HopUnreachable, a.icmp.offender
		h.ICMPFamily, h.ICMPType, h.ICMPCode = a.icmp.family, a.icmp.kind, a.icmp.code
		if a.icmp.timeExceeded() {
			h.Kind = HopTimeExceeded
		}
	case a.errno == unix.ECONNREFUSED:
		h.Kind, h.Addr = HopReset, t.target.Addr()
	case a.errno == unix.ETIMEDOUT:
		// The kernel gave up: silent.
	default:
		h.Kind = HopUnreachable
	}
	s.close()
	t.sockets[i] = nil
	t.open--
	if h.Final() && i+1 < t.final {
		t.final = i + 1
		t.closeFrom(t.final)
	}
}

// timeExceeded: RFC 792 and RFC 4443 3.3.
func (e *icmpError) timeExceeded() bool {
	return e.family == 4 && e.kind == 11 || e.family == 6 && e.kind == 3
}

// closeFrom closes every socket from an index on.
func (t *trace) closeFrom(i int) {
	for ; i < len(t.sockets); i++ {
		if t.sockets[i] != nil {
			t.hops[i].Sent = 1 + t.sockets[i].retransmits()
			t.sockets[i].close()
			t.sockets[i] = nil
			t.open--
		}
	}
}

// polled lists the open sockets for poll, and the index of each.
func (t *trace) polled() (polled []unix.PollFd, at []int) {
	for i, s := range t.sockets {
		if s != nil {
			polled, at = append(polled, unix.PollFd{Fd: int32(s.fd), Events: unix.POLLOUT}), append(at, i)
		}
	}
	return polled, at
}

// result is the hops up to the final one, with what is known of those still open.
func (t *trace) result(launched int) []Hop {
	t.closeFrom(0)
	return t.hops[:min(t.final, launched)]
}
