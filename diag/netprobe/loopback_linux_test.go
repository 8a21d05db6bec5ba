package netprobe

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// echoServer listens on a loopback address, accepts, and sends back what it reads.
func echoServer(t *testing.T, address string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		missing(t, "needs to listen on %s: %v", address, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			// One at a time is enough here. Hidden behind plain readers, io.Copy keeps no pipes for splice(2).
			_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return netip.MustParseAddrPort(l.Addr().String())
}

// closedPort is a port on which nothing listens until the end of the test: a socket that does not listen holds it.
func closedPort(t *testing.T, address string) netip.AddrPort {
	t.Helper()
	at := netip.MustParseAddrPort(address)
	family, local := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: at.Addr().As16()})
	if at.Addr().Is4() {
		family, local = unix.AF_INET, &unix.SockaddrInet4{Addr: at.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, local); err != nil {
		missing(t, "needs to bind to %s: %v", address, err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	if four, ok := bound.(*unix.SockaddrInet4); ok {
		return netip.AddrPortFrom(at.Addr(), uint16(four.Port))
	}
	return netip.AddrPortFrom(at.Addr(), uint16(bound.(*unix.SockaddrInet6).Port))
}

// noDescriptorLeft fails the test when it ends with more open descriptors than it began with.
func noDescriptorLeft(t *testing.T) {
	t.Helper()
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	// The runtime's own poller is opened with the first socket and stays.
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
	}
	before := count()
	t.Cleanup(func() {
		after := count()
		// The other end of a connection is closed a moment later.
		for end := time.Now().Add(time.Minute); after > before && time.Now().Before(end); after = count() {
			time.Sleep(5 * time.Millisecond)
		}
		if after > before {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	})
}

func TestConnectOnLoopback(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			target := echoServer(t, address)
			closed := closedPort(t, address)
			noDescriptorLeft(t)

			conn, r := ConnectTCP(t.Context(), target, ConnectOptions{MaxSegment: 1100})
			if conn == nil || r.Outcome != OutcomeConnected || r.Err != nil || r.Errno != "" || r.ICMPFamily != 0 || r.SYNRetransmits != 0 {
				t.Fatalf("%v, %+v", conn, r)
			}
			defer conn.Close()
			if r.RTT <= 0 || conn.LocalAddr().String() != r.LocalAddr.String() ||
				conn.RemoteAddr().String() != target.String() {
				t.Errorf("%+v, connection from %s to %s", r, conn.LocalAddr(), conn.RemoteAddr())
			}
			if _, ok := conn.(*net.TCPConn); !ok {
				t.Errorf("a %T", conn)
			}
			sent := make([]byte, 3000)
			if _, err := conn.Write(sent); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(conn, sent); err != nil {
				t.Fatal(err)
			}
			info, err := TCPInfo(conn)
			if err != nil {
				t.Fatal(err)
			}
			if info.SndMSS > 1100 || info.SndMSS < 500 || info.BytesReceived != 3000 || info.BytesAcked != 3001 || info.DataSegsIn < 3 ||
				info.RTT <= 0 || info.MinRTT <= 0 || info.PMTU < 1280 || info.Retransmits != 0 || info.Unacked != 0 {
				t.Errorf("%+v", info)
			}
			// Deadlines work only on a non-blocking descriptor.
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if _, err := conn.Read(sent); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("reading past the deadline: %v", err)
			}

			conn, r = ConnectTCP(t.Context(), closed, ConnectOptions{})
			if conn != nil || r.Outcome != OutcomeRefusedRST || r.Errno != "ECONNREFUSED" || r.ICMPFamily != 0 || !errors.Is(r.Err, syscall.ECONNREFUSED) {
				t.Errorf("closed port: %v, %+v", conn, r)
			}
		})
	}
}

func TestConnectRefusesBeforeSending(t *testing.T) {
	noDescriptorLeft(t)
	target := netip.MustParseAddrPort("127.0.0.1:9")
	denied := errors.New("denied")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	tests := []struct {
		name   string
		ctx    context.Context
		target netip.AddrPort
		opts   ConnectOptions
		want   Outcome
		err    error
		errno  string
	}{
		{"forbidden", t.Context(), target, ConnectOptions{Allow: func(netip.Addr) error { return denied }}, OutcomeForbidden, denied, ""},
		{"canceled", canceled, target, ConnectOptions{}, OutcomeCanceled, context.Canceled, ""},
		{"too late", late, target, ConnectOptions{}, OutcomeTimeout, context.DeadlineExceeded, ""},
		{"no address", t.Context(), netip.AddrPort{}, ConnectOptions{}, OutcomeOther, nil, ""},
		{"segment size", t.Context(), target, ConnectOptions{MaxSegment: 1}, OutcomeOther, syscall.EINVAL, "EINVAL"},
		{"no such zone", t.Context(), netip.MustParseAddrPort("[fe80::1%no-such-if]:9"), ConnectOptions{}, OutcomeOther, nil, ""},
	}
	for _, tt := range tests {
		conn, r := ConnectTCP(tt.ctx, tt.target, tt.opts)
		if conn != nil || r.Outcome != tt.want || r.Err == nil || r.Errno != tt.errno || (tt.err != nil && !errors.Is(r.Err, tt.err)) {
			t.Errorf("%s: %v, %+v", tt.name, conn, r)
		}
	}
	asked := netip.Addr{}
	_, _ = ConnectTCP(t.Context(), netip.MustParseAddrPort("[::ffff:127.0.0.1]:9"), ConnectOptions{Allow: func(a netip.Addr) error {
		asked = a
		return denied
	}})
	if asked != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("asked about %s", asked)
	}
	if _, err := TraceTCP(t.Context(), target, 3, func(netip.Addr) error { return denied }); !errors.Is(err, denied) {
		t.Errorf("trace: %v", err)
	}
	if _, err := Echo(t.Context(), target.Addr(), func(netip.Addr) error { return denied }); !errors.Is(err, denied) {
		t.Errorf("echo: %v", err)
	}
	for _, hops := range []int{-1, 0, maxTraceHops + 1} {
		if _, err := TraceTCP(t.Context(), target, hops); err == nil {
			t.Errorf("a trace of %d hops", hops)
		}
	}
	if _, err := TraceTCP(canceled, target, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled trace: %v", err)
	}
}

func TestTraceOnLoopback(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			target, closed := echoServer(t, address), closedPort(t, address)
			noDescriptorLeft(t)
			for at, want := range map[netip.AddrPort]HopKind{target: HopConnected, closed: HopReset} {
				hops, err := TraceTCP(t.Context(), at, 8)
				if err != nil || len(hops) != 1 || hops[0].Kind != want || hops[0].Addr != at.Addr() || hops[0].TTL != 1 || hops[0].Sent != 1 || hops[0].RTT <= 0 {
					t.Errorf("%s: %+v, %v", want, hops, err)
				}
			}
		})
	}
}

func TestTCPInfoLooksBelow(t *testing.T) {
	target := echoServer(t, "127.0.0.1:0")
	conn, err := net.Dial("tcp", target.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if info, err := TCPInfo(tls.Client(conn, &tls.Config{ServerName: "x"})); err != nil || info.PMTU == 0 {
		t.Errorf("below TLS: %+v, %v", info, err)
	}
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	if _, err := TCPInfo(here); !errors.Is(err, ErrUnsupported) {
		t.Errorf("of a pipe: %v", err)
	}
	udp, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	if _, err := TCPInfo(udp); !errors.Is(err, ErrUnsupported) {
		t.Errorf("of UDP: %v", err)
	}
	conn.Close()
	if _, err := TCPInfo(conn); !errors.Is(err, net.ErrClosed) {
		t.Errorf("of a closed connection: %v", err)
	}
}

func TestLastAnswering(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	hops := []Hop{{TTL: 1, Kind: HopTimeExceeded, Addr: a}, {TTL: 2, Kind: HopSilent}, {TTL: 3, Kind: HopTimeExceeded, Addr: b}, {TTL: 4, Kind: HopSilent}}
	if h, ok := LastAnswering(hops); !ok || h.TTL != 3 || h.Addr != b {
		t.Errorf("%+v, %v", h, ok)
	}
	if h, ok := LastAnswering(hops[1:2]); ok {
		t.Errorf("%+v of silence", h)
	}
}
