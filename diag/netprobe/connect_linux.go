package netprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func connectTCP(ctx context.Context, target netip.AddrPort, opts ConnectOptions) (net.Conn, ConnectResult) {
	s, err := openSocket(target)
	if err != nil {
		return nil, local(err)
	}
	defer s.close()
	if opts.MaxSegment != 0 {
		if err := unix.SetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, opts.MaxSegment); err != nil {
			return nil, local(fmt.Errorf("TCP_MAXSEG %d: %w", opts.MaxSegment, err))
		}
	}
	w, err := newWaiter(ctx)
	if err != nil {
		return nil, local(err)
	}
	defer w.close()

	begun := time.Now()
	a, done := s.connect()
	for !done {
		polled := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}
		if err = w.wait(polled, time.Time{}); err != nil {
			break
		}
		if polled[0].Revents != 0 {
			a, done = s.answer(polled[0].Revents)
		}
	}
	r := ConnectResult{RTT: time.Since(begun), LocalAddr: s.localAddr(), SYNRetransmits: s.retransmits()}
	if err != nil {
		// The context ended it, or poll failed on us.
		r.Outcome, r.Err = OutcomeOther, fmt.Errorf("connect %s: %w", target, err)
		if ctx.Err() != nil {
			r.Outcome = ended(ctx.Err())
		}
		return nil, r
	}
	s.judge(&r, a)
	if r.Outcome != OutcomeConnected {
		r.Err = fmt.Errorf("connect %s: %w", target, a.errno)
		return nil, r
	}
	conn, err := s.conn()
	if err != nil {
		return nil, local(err)
	}
	// The kernel stamped the SYN and its answer itself; we may have turned to the answer late.
	if info, err := TCPInfo(conn); err == nil && info.MinRTT > 0 && info.MinRTT <= r.RTT+10*time.Millisecond { // what it does not know is huge; timestamps count milliseconds
		r.LateSYNs = lateSYNs(info.MinRTT, r.SYNRetransmits)
		if r.SYNRetransmits -= r.LateSYNs; r.SYNRetransmits == 0 {
			r.RTT = min(r.RTT, info.MinRTT)
		}
	}
	return conn, r
}

// synWait is for how long the kernel awaits the answer to a SYN before it sends another (RFC 6298 2.1), at first.
const synWait = time.Second

// lateSYNs is how many of the SYNs that were sent again went out while the answer to the one before was under way. The round trip
// is that of the SYN which was answered: the answer repeats its timestamp (RFC 7323 4.1).
func lateSYNs(rtt time.Duration, again int) int { return min(again, int(rtt/synWait)) }

// judge names what the kernel answered.
func (s *socket) judge(r *ConnectResult, a answer) {
	if a.errno != 0 {
		r.Errno = unix.ErrnoName(a.errno)
	}
	if i := a.icmp; i != nil {
		r.ICMPFamily, r.ICMPType, r.ICMPCode, r.Offender = i.family, i.kind, i.code, i.offender
	}
	switch {
	case a.errno == 0:
		r.Outcome = OutcomeConnected
	case a.icmp != nil && a.icmp.offender == r.LocalAddr.Addr() && a.icmp.offender != s.target.Addr():
		// The kernel tells itself that the neighbour did not answer, or a local firewall rule does; nothing came in.
		r.Outcome = OutcomeUnreachable
	case a.icmp != nil:
		r.Outcome = OutcomeICMP
	case a.errno == unix.ECONNREFUSED:
		r.Outcome = OutcomeRefusedRST
	case a.errno == unix.ETIMEDOUT:
		r.Outcome = OutcomeTimeout
	case a.errno == unix.EHOSTUNREACH, a.errno == unix.ENETUNREACH:
		r.Outcome = OutcomeUnreachable
	default:
		r.Outcome = OutcomeOther
	}
}

// local is a failure before anything was sent.
func local(err error) ConnectResult {
	r := failed(OutcomeOther, err)
	var errno unix.Errno
	if errors.As(err, &errno) {
		r.Errno = unix.ErrnoName(errno)
	}
	return r
}

// conn makes the connected socket one of package net's. The socket itself still has to be closed.
func (s *socket) conn() (net.Conn, error) {
	// Left on, an ICMP error that TCP is to shrug off (RFC 1122 4.2.3.9) would end the connection.
	if err := s.receiveErrors(0); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(s.fd), "tcp "+s.target.String())
	s.fd = -1 // file closes it
	defer file.Close()
	// FileConn works on a duplicate, which it makes non-blocking.
	return net.FileConn(file)
}
