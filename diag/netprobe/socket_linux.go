package netprobe

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is a non-blocking TCP socket that keeps the ICMP errors it receives. It has to be a raw one: package net closes a
// socket that does not connect, and the error queue with it.
type socket struct {
	fd     int // -1: closed or handed on
	target netip.AddrPort
	addr   unix.Sockaddr
}

// icmpError is an ICMP error that came in for a socket.
type icmpError struct {
	family     int // 4 or 6
	kind, code int
	offender   netip.Addr
}

// answer is what a connection attempt came to; errno 0: connected.
type answer struct {
	errno unix.Errno
	icmp  *icmpError
}

func openSocket(target netip.AddrPort) (*socket, error) {
	s := &socket{target: target}
	family := unix.AF_INET
	if addr := target.Addr(); addr.Is4() {
		s.addr = &unix.SockaddrInet4{Addr: addr.As4(), Port: int(target.Port())}
	} else {
		zone, err := zoneIndex(addr.Zone())
		if err != nil {
			return nil, err
		}
		family = unix.AF_INET6
		s.addr = &unix.SockaddrInet6{Addr: addr.As16(), Port: int(target.Port()), ZoneId: zone}
	}
	var err error
	if s.fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP); err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if err := s.receiveErrors(1); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// zoneIndex finds the interface of an IPv6 zone (RFC 4007 11).
func zoneIndex(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	iface, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, fmt.Errorf("zone %q: %w", zone, err)
	}
	return uint32(iface.Index), nil
}

// receiveErrors sets IP_RECVERR, which must be on before the SYN leaves; off also empties the queue (ip(7)).
func (s *socket) receiveErrors(on int) error {
	level, option := unix.IPPROTO_IP, unix.IP_RECVERR
	if s.target.Addr().Is6() {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	}
	if err := unix.SetsockoptInt(s.fd, level, option, on); err != nil {
		return fmt.Errorf("IP_RECVERR: %w", err)
	}
	return nil
}

// hopLimit sets the TTL or hop limit of what the socket sends.
func (s *socket) hopLimit(n int) error {
	level, option := unix.IPPROTO_IP, unix.IP_TTL
	if s.target.Addr().Is6() {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS
	}
	if err := unix.SetsockoptInt(s.fd, level, option, n); err != nil {
		return fmt.Errorf("hop limit %d: %w", n, err)
	}
	return nil
}

func (s *socket) close() {
	if s.fd >= 0 {
		unix.Close(s.fd)
		s.fd = -1
	}
}

// connect sends the SYN; done is false while the answer has to be waited for.
func (s *socket) connect() (a answer, done bool) {
	switch err := unix.Connect(s.fd, s.addr); err {
	case nil:
		return answer{}, true
	case unix.EINPROGRESS, unix.EINTR:
		// Interrupted, a connect goes on by itself just so (connect(2)).
		return answer{}, false
	default:
		errno, _ := err.(unix.Errno)
		return answer{errno, s.queued()}, true
	}
}

// answer looks at a socket that poll reported; done is false where there is no answer yet after all.
func (s *socket) answer(revents int16) (a answer, done bool) {
	// In this order: emptying the queue clears the socket's error.
	value, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		value = int(err.(unix.Errno))
	}
	a.errno = unix.Errno(value)
	if a.icmp = s.queued(); a.icmp != nil && a.errno == 0 {
		// The queue is filled an instant before the error is set.
		a.errno = unix.EHOSTUNREACH
	}
	if a.errno != 0 {
		return a, true
	}
	if _, err := unix.Getpeername(s.fd); err == nil {
		return answer{}, true
	}
	if revents&unix.POLLHUP != 0 {
		// Closed without a reason to be had; left unanswered, poll would report it for ever.
		return answer{errno: unix.ECONNABORTED}, true
	}
	return answer{}, false
}

// queued takes the first ICMP error off the error queue; nil: none. The queue is emptied.
func (s *socket) queued() *icmpError {
	var first *icmpError
	payload, control := make([]byte, 512), make([]byte, 512)
	for {
		_, n, _, _, err := unix.Recvmsg(s.fd, payload, control, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return first
		}
		messages, err := unix.ParseSocketControlMessage(control[:n])
		if err != nil {
			continue
		}
		for _, m := range messages {
			if e := parseExtendedError(m); e != nil && first == nil {
				first = e
			}
		}
	}
}

// parseExtendedError reads a struct sock_extended_err and the address that follows it (linux/errqueue.h); nil: it is about
// something other than an ICMP error.
func parseExtendedError(m unix.SocketControlMessage) *icmpError {
	isError := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR ||
		m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
	size := int(unsafe.Sizeof(unix.SockExtendedErr{}))
	if !isError || len(m.Data) < size {
		return nil
	}
	origin, e := m.Data[4], &icmpError{kind: int(m.Data[5]), code: int(m.Data[6])}
	switch origin {
	case unix.SO_EE_ORIGIN_ICMP:
		e.family = 4
	case unix.SO_EE_ORIGIN_ICMP6:
		e.family = 6
	default:
		return nil
	}
	// A sockaddr begins with its family in the machine's byte order; the address stands after port (and flow label).
	offender := m.Data[size:]
	if len(offender) >= 2 {
		switch family := binary.NativeEndian.Uint16(offender); {
		case family == unix.AF_INET && len(offender) >= 8:
			e.offender, _ = netip.AddrFromSlice(offender[4:8])
		case family == unix.AF_INET6 && len(offender) >= 24:
			e.offender, _ = netip.AddrFromSlice(offender[8:24])
			e.offender = e.offender.Unmap()
		}
	}
	return e
}

func (s *socket) localAddr() netip.AddrPort {
	addr, err := unix.Getsockname(s.fd)
	if err != nil {
		return netip.AddrPort{}
	}
	switch a := addr.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return netip.AddrPort{}
}

// retransmits counts the repeated SYNs, as long as the connection is not established.
func (s *socket) retransmits() int {
	info, err := unix.GetsockoptTCPInfo(s.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0
	}
	return int(info.Total_retrans)
}
