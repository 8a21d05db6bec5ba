package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/errno"
	"mqttdoctor/diag/netprobe"
	"mqttdoctor/diag/patience"
)

// dialTCP makes one TCP connection and tells what came of it; the connection is nil where there is none. Where the platform
// has it, the socket's error queue tells an ICMP error from a RST. A peer that resets what it has just accepted is asked
// again: what it says to a byte is worth more.
func dialTCP(ctx context.Context, env *diag.Env, r route) (*diag.TCPConnect, net.Conn) {
	o, conn := dialTCPOnce(ctx, env, r)
	for range 2 {
		if o.Outcome != diag.OutcomeReset || ctx.Err() != nil {
			break
		}
		o, conn = dialTCPOnce(ctx, env, r)
	}
	return o, conn
}

func dialTCPOnce(ctx context.Context, env *diag.Env, r route) (*diag.TCPConnect, net.Conn) {
	o := &diag.TCPConnect{Purpose: r.Purpose, Address: r.Address}
	if err := env.Allowed(r.Address); err != nil {
		o.Outcome, o.Error = diag.OutcomeForbidden, err.Error()
		return o, nil
	}
	limit := synBound(env.Options.Timeout)
	if r.SYNWait > 0 {
		limit = min(env.Options.Timeout, r.SYNWait)
	}
	ctx, cancel := patience.WithTimeout(ctx, limit)
	defer cancel()
	target, err := netip.ParseAddrPort(r.Address)
	if err == nil {
		conn, result := netprobe.ConnectTCP(ctx, target, netprobe.ConnectOptions{MaxSegment: r.MaxSegment,
			Allow: func(a netip.Addr) error { return env.Allowed(netip.AddrPortFrom(a, target.Port()).String()) }})
		if !errors.Is(result.Err, netprobe.ErrUnsupported) {
			env.Conns.Add()
			describeTCP(o, result)
			return o, ackQuickly(env, conn, result.LateSYNs)
		}
	}
	begun := time.Now()
	conn, err := env.Dial(ctx, "tcp", r.Address)
	o.RTT = time.Since(begun)
	if err == nil {
		o.Outcome = diag.OutcomeOK
		return o, ackQuickly(env, conn, 0)
	}
	o.Error = err.Error()
	switch {
	case errno.Is(err, syscall.ECONNREFUSED):
		o.Outcome, o.Errno = diag.OutcomeRefused, "ECONNREFUSED"
	case errno.Is(err, syscall.ECONNRESET):
		o.Outcome, o.Errno = diag.OutcomeReset, "ECONNRESET"
	case errno.Is(err, syscall.EHOSTUNREACH, syscall.EHOSTDOWN):
		o.Outcome, o.Errno = diag.OutcomeUnreachable, "EHOSTUNREACH"
	case errno.Is(err, syscall.ENETUNREACH, syscall.ENETDOWN):
		o.Outcome, o.Errno = diag.OutcomeUnreachable, "ENETUNREACH"
	case errno.Is(err, syscall.EACCES, syscall.EPERM):
		o.Outcome, o.Errno = diag.OutcomeUnreachable, "EACCES"
	case outcomeOf(err) == diag.OutcomeSilent, outcomeOf(err) == diag.OutcomeCanceled:
		o.Outcome = outcomeOf(err)
	default:
		o.Outcome = diag.OutcomeLocal
	}
	return o, nil
}

func describeTCP(o *diag.TCPConnect, r netprobe.ConnectResult) {
	o.RTT, o.Errno, o.Retransmits = r.RTT, r.Errno, r.SYNRetransmits
	if r.Err != nil {
		o.Error = r.Err.Error()
	}
	if r.ICMPFamily != 0 {
		o.ICMPFamily, o.ICMPType, o.ICMPCode = r.ICMPFamily, r.ICMPType, r.ICMPCode
		if r.Offender.IsValid() {
			o.ICMPOffender = r.Offender.String()
		}
	}
	o.Outcome = map[netprobe.Outcome]diag.Outcome{
		netprobe.OutcomeConnected: diag.OutcomeOK, netprobe.OutcomeRefusedRST: diag.OutcomeRefused,
		netprobe.OutcomeICMP: diag.OutcomeICMP, netprobe.OutcomeTimeout: diag.OutcomeSilent,
		netprobe.OutcomeUnreachable: diag.OutcomeUnreachable, netprobe.OutcomeCanceled: diag.OutcomeCanceled,
		netprobe.OutcomeForbidden: diag.OutcomeForbidden, netprobe.OutcomeOther: diag.OutcomeLocal,
	}[r.Outcome]
	// A RST to a SYN is ECONNREFUSED. This one came after the SYN's answer, before connect returned.
	switch {
	case o.Outcome != diag.OutcomeLocal:
	case errno.Is(r.Err, syscall.ECONNRESET):
		o.Outcome = diag.OutcomeReset
	case errno.Is(r.Err, syscall.EACCES, syscall.EPERM, syscall.EINVAL):
		// A route of the kind prohibit or blackhole, a local firewall, or an address that needs a zone and has none.
		o.Outcome = diag.OutcomeUnreachable
	}
}
