package netprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Outcome is how a connection attempt ended.
type Outcome string

// The outcomes.
const (
	// OutcomeConnected: the three-way handshake was completed.
	OutcomeConnected Outcome = "connected"
	// OutcomeRefusedRST: a RST came back. A firewall can forge one; it cannot be told from the target's own.
	OutcomeRefusedRST Outcome = "refused_rst"
	// OutcomeICMP: an ICMP error came back; type, code and sender are in the result.
	OutcomeICMP Outcome = "icmp"
	// OutcomeTimeout: nothing came back until the context's deadline or the kernel's own.
	OutcomeTimeout Outcome = "timeout"
	// OutcomeUnreachable: this machine has no route, or nobody answered for the address on its own link (ARP, neighbour
	// discovery). In the second case the kernel speaks ICMP to itself, and Offender is an address of this machine.
	OutcomeUnreachable Outcome = "unreachable"
	// OutcomeCanceled: the context was canceled before an answer.
	OutcomeCanceled Outcome = "canceled"
	// OutcomeForbidden: Allow refused; nothing was sent.
	OutcomeForbidden Outcome = "forbidden"
	// OutcomeOther: trouble on this machine, see Errno: EACCES or EPERM of a local firewall or a prohibiting route,
	// EADDRNOTAVAIL for want of a local port or address, EMFILE, and ErrUnsupported.
	OutcomeOther Outcome = "other"
)

// ConnectOptions says how to connect. The zero value is as the system does.
type ConnectOptions struct {
	// MaxSegment is the TCP_MAXSEG to set before the SYN, in bytes (RFC 9293 3.7.1): it bounds the segments of both
	// directions, since it is also what the SYN announces. 0: the system's. Linux takes 88 to 32767.
	MaxSegment int
	// Allow judges the address first; nil: no judgement.
	Allow Allow
}

// ConnectResult is what became of a connection attempt.
type ConnectResult struct {
	Outcome Outcome
	Errno   string // such as ECONNREFUSED, as the kernel named it; empty: none
	Err     error  // the same with its context; nil: connected

	// The ICMP error, where one came (RFC 792, RFC 4443). The kernel reports several of them under one errno, a port
	// unreachable as ECONNREFUSED like a RST among them: only these tell. ICMPFamily is 4 or 6; 0: no ICMP was seen.
	ICMPFamily int
	ICMPType   int
	ICMPCode   int
	Offender   netip.Addr // who sent it

	// RTT is the time from the SYN to the end of the attempt: one round trip, where connected or answered and
	// SYNRetransmits is 0.
	RTT time.Duration
	// SYNRetransmits are SYNs that were sent again since the one before was lost, or its answer. LateSYNs were sent again although
	// it was answered: the answer took longer than the kernel waits for it.
	SYNRetransmits, LateSYNs int
	LocalAddr                netip.AddrPort // invalid where the attempt ended before there was one
}

// ConnectTCP makes one TCP connection to one address and tells what came back. The connection is nil unless Outcome is
// OutcomeConnected; the caller closes it. It is a *net.TCPConn as net.Dial makes them. Without a deadline the kernel gives
// up after tcp_syn_retries, about two minutes.
func ConnectTCP(ctx context.Context, target netip.AddrPort, opts ConnectOptions) (net.Conn, ConnectResult) {
	target = netip.AddrPortFrom(target.Addr().Unmap(), target.Port())
	if !target.IsValid() {
		return nil, failed(OutcomeOther, errors.New("not an address and port"))
	}
	if err := opts.Allow.check(target.Addr()); err != nil {
		return nil, failed(OutcomeForbidden, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, failed(ended(err), err)
	}
	return connectTCP(ctx, target, opts)
}

func failed(o Outcome, err error) ConnectResult {
	return ConnectResult{Outcome: o, Err: fmt.Errorf("connect: %w", err)}
}

// ended names the outcome of an attempt that its context ended.
func ended(err error) Outcome {
	if errors.Is(err, context.DeadlineExceeded) {
		return OutcomeTimeout
	}
	return OutcomeCanceled
}
