package guard

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// ControlFunc works on a socket after it was made and before it connects or sends, for example to set TCP_MAXSEG, IP_TTL
// or IP_RECVERR. The address is the one about to be dialled, as an IP address and port. An error ends the attempt.
type ControlFunc func(ctx context.Context, network, address string, c syscall.RawConn) error

// Dialer opens connections to what its policy lets through. Its zero value dials under the policy Public.
type Dialer struct {
	Policy Policy
	// Resolver looks names up; nil: the system's. What it answers is judged, whom it asks is not.
	Resolver *net.Resolver
	// KeepAlive is the TCP keep-alive period as in [net.Dialer]: 0 is the default of 15 s, negative is off.
	KeepAlive time.Duration
	// Control is called once the policy has let the address through; nil: nothing to set.
	Control ControlFunc
}

// DialContext dials network "tcp", "tcp4", "tcp6", "udp", "udp4" or "udp6". Every address that is tried is judged on its
// own, at the moment of dialling; errors.As finds the *[Forbidden] of a refusal. A name may be given, and is judged by
// what it resolves to.
func (d Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	switch network {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
	default:
		// Unix sockets and raw IP have no address that a policy could judge.
		return nil, fmt.Errorf("dial %s: %w", network, net.UnknownNetworkError(network))
	}
	dialer := net.Dialer{Resolver: d.Resolver, KeepAlive: d.KeepAlive, ControlContext: d.control}
	return dialer.DialContext(ctx, network, address)
}

func (d Dialer) control(ctx context.Context, network, address string, c syscall.RawConn) error {
	addr, err := dialledAddr(address)
	if err != nil {
		return err
	}
	if err := d.Policy.Check(addr); err != nil {
		return err
	}
	if d.Control != nil {
		return d.Control(ctx, network, address, c)
	}
	return nil
}

// dialledAddr reads the address that package net is about to dial. One without a host connects to this machine.
func dialledAddr(address string) (netip.Addr, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return netip.Addr{}, err
	}
	if host == "" {
		return netip.IPv6Unspecified(), nil
	}
	return netip.ParseAddr(host)
}

// CheckHostPort judges a target as it is typed, with or without port and brackets, so that a form can be refused before
// anything is resolved. A name passes, except those that mean this machine everywhere (RFC 6761 6.3): what it resolves to
// is judged when it is dialled. The only error is a *[Forbidden].
func (p Policy) CheckHostPort(target string) error {
	host := target
	if h, _, err := net.SplitHostPort(target); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if addr, err := netip.ParseAddr(host); err == nil {
		return p.Check(addr)
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	switch {
	case name == "":
		return p.Check(netip.IPv6Unspecified())
	case name == "localhost", strings.HasSuffix(name, ".localhost"):
		return p.Check(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	return nil
}

// CheckHostPort is that of the dialer's policy.
func (d Dialer) CheckHostPort(target string) error { return d.Policy.CheckHostPort(target) }
