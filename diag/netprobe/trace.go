package netprobe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// HopKind is what came back from one distance.
type HopKind string

// The kinds. The texts are those that a stored trace uses.
const (
	// HopSilent: nothing. Routers limit how many errors they send, so look at Hop.Sent: once is no finding.
	HopSilent HopKind = "silent"
	// HopTimeExceeded: a router on the way (ICMP type 11, RFC 792; type 3, RFC 4443).
	HopTimeExceeded HopKind = "time_exceeded"
	// HopConnected: the target, which accepted.
	HopConnected HopKind = "connected"
	// HopReset: a RST in the target's name. A firewall on the way can forge one.
	HopReset HopKind = "reset"
	// HopUnreachable: a router or the target sent another ICMP error. Without a valid Addr it was this machine that gave
	// up, for the reason in Errno.
	HopUnreachable HopKind = "unreachable"
)

// Hop is one distance of a trace.
type Hop struct {
	TTL   int
	Kind  HopKind
	Addr  netip.Addr    // who answered; invalid: nobody
	RTT   time.Duration // from SYN to answer; 0: silent, or not known which of several SYNs was answered
	Sent  int           // SYNs that left with this TTL: the kernel repeats an unanswered one after about 1 s
	Errno string        // such as ECONNREFUSED; empty: none

	// The ICMP error, for HopTimeExceeded and HopUnreachable. ICMPFamily is 4 or 6; 0: there was none.
	ICMPFamily int
	ICMPType   int
	ICMPCode   int
}

// Final tells whether no SYN gets past this distance: the target answered, or somebody in its place.
func (h Hop) Final() bool {
	return h.Kind == HopConnected || h.Kind == HopReset || h.Kind == HopUnreachable
}

// Reached tells whether the target answered, as far as a TCP answer in its name can say.
func (h Hop) Reached() bool { return h.Kind == HopConnected || h.Kind == HopReset }

// LastAnswering is the farthest hop that answered; false: none did.
func LastAnswering(hops []Hop) (Hop, bool) {
	for i := len(hops) - 1; i >= 0; i-- {
		if hops[i].Addr.IsValid() {
			return hops[i], true
		}
	}
	return Hop{}, false
}

const (
	// traceTime is how long a trace waits for silent hops. The kernel repeats a SYN after 1 s and after 2 s (RFC 6298 2,
	// tcp_syn_linear_timeouts), so that a router which limits its errors to one a second gets a second and a third chance.
	traceTime = 2500 * time.Millisecond
	// traceGap lies between the SYNs of neighbouring distances. As soon as the target answers, what is farther is closed,
	// and its SYN-ACKs are reset before a listener sees them: with the gap, an open port gets one connection and not one
	// for each distance behind it. It also spares the routers' error limits.
	traceGap = 10 * time.Millisecond
	// maxTraceHops is more than any path seen on the Internet has, and few enough to launch within traceTime.
	maxTraceHops = 64
)

// TraceTCP sends SYNs to the target with the TTLs 1 to maxHops (at most 64) and reports what came back from each distance,
// in order, up to the first that is Final. It takes as long as the slowest answer, and 2.5 s where any hop is silent. An
// open port gets a connection that is reset at once.
//
// A RST by a firewall looks like one of the target. The last hop that answers is where the SYNs were last seen: they may
// die behind it, on their way out of it, or in the target's own firewall. Hops may differ between traces, because each
// distance has a source port of its own and routers choose among equal paths by it.
//
// The error is the context's where that ended first, beside the hops so far, which are true up to then; or why nothing
// could be sent, [ErrUnsupported] among them; or what an Allow said, before anything was sent.
func TraceTCP(ctx context.Context, target netip.AddrPort, maxHops int, allow ...Allow) ([]Hop, error) {
	target = netip.AddrPortFrom(target.Addr().Unmap(), target.Port())
	if !target.IsValid() {
		return nil, errors.New("trace: not an address and port")
	}
	if maxHops < 1 || maxHops > maxTraceHops {
		return nil, fmt.Errorf("trace: %d hops, want 1 to %d", maxHops, maxTraceHops)
	}
	if err := checkAll(allow, target.Addr()); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	return traceTCP(ctx, target, maxHops)
}
