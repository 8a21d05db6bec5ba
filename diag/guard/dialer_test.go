package guard

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// listen accepts on a loopback address and counts who came.
func listen(t *testing.T, network, address string) (string, *atomic.Int32) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Skipf("SKIPPED: cannot listen on %s: %v", address, err)
	}
	var came atomic.Int32
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			came.Add(1)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String(), &came
}

func TestDialJudgesWhatIsDialled(t *testing.T) {
	address, came := listen(t, "tcp4", "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(address)
	d := Dialer{Policy: mustPolicy(t, Public, nil, nil)}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	// The second half are spellings that inet_aton, and with it a cgo resolver, takes for 127.0.0.1; a resolver that does
	// not says that there is no such host, which is as good.
	for _, host := range []string{"127.0.0.1", "0.0.0.0", "", "localhost", "::ffff:127.0.0.1", "::ffff:7f00:1", "::1", "::",
		"127.1", "0x7f.1", "0177.0.0.1", "2130706433", "0x7f000001"} {
		for _, network := range []string{"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"} {
			conn, err := d.DialContext(ctx, network, net.JoinHostPort(host, port))
			if err == nil {
				conn.Close()
				t.Errorf("%s to %q was dialled", network, host)
			}
		}
	}
	// A resolver that answers nothing may have taken all of that time.
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, literal := range []string{"127.0.0.1", "0.0.0.0", "", "[::ffff:127.0.0.1]", "[::1]", "[::]", "localhost"} {
		var f *Forbidden
		if _, err := d.DialContext(ctx, "tcp", literal+":"+port); !errors.As(err, &f) {
			t.Errorf("%q: %v, want a *Forbidden", literal, err)
		}
	}
	for _, network := range []string{"unix", "unixgram", "ip4:icmp", "ip6:58", "", "tcp7"} {
		if conn, err := d.DialContext(ctx, network, address); err == nil {
			conn.Close()
			t.Errorf("network %q was dialled", network)
		}
	}
	if came.Load() != 0 {
		t.Errorf("%d connections arrived", came.Load())
	}

	d.Policy.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, network := range []string{"tcp", "udp"} {
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			t.Errorf("%s to an allowed address: %v", network, err)
			continue
		}
		conn.Close()
	}
}

func TestControlRunsAfterThePolicy(t *testing.T) {
	address, _ := listen(t, "tcp4", "127.0.0.1:0")
	var calls atomic.Int32
	failure := errors.New("cannot set the option")
	d := Dialer{Policy: mustPolicy(t, Public, nil, nil), Control: func(_ context.Context, network, got string, c syscall.RawConn) error {
		calls.Add(1)
		if network != "tcp4" || got != address {
			t.Errorf("control was told %s %s", network, got)
		}
		return failure
	}}
	if _, err := d.DialContext(t.Context(), "tcp", address); err == nil || calls.Load() != 0 {
		t.Errorf("a forbidden socket was worked on: %d calls, %v", calls.Load(), err)
	}
	d.Policy = mustPolicy(t, Laptop, nil, nil)
	if _, err := d.DialContext(t.Context(), "tcp", address); !errors.Is(err, failure) || calls.Load() != 1 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
}

// rebinder is a DNS server that says something else each time it is asked for an IPv4 address.
func rebinder(t *testing.T, answers ...[4]byte) *net.Resolver {
	t.Helper()
	var asked atomic.Int32
	serve := func(query []byte) []byte {
		var m dnsmessage.Message
		if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
			return nil
		}
		m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			n := int(asked.Add(1)) - 1
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
				Body:   &dnsmessage.AResource{A: answers[min(n, len(answers)-1)]},
			}}
		}
		reply, _ := m.Pack()
		return reply
	}
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe() // no net.PacketConn, so the resolver speaks DNS over a stream (RFC 1035 4.2.2)
		go func() {
			defer there.Close()
			size := make([]byte, 2)
			for {
				if _, err := readFull(there, size); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(size))
				if _, err := readFull(there, query); err != nil {
					return
				}
				reply := serve(query)
				if _, err := there.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
					return
				}
			}
		}()
		return here, nil
	}}
}

func readFull(c net.Conn, b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := c.Read(b[n:])
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}

func TestRebindingGainsNothing(t *testing.T) {
	address, came := listen(t, "tcp4", "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(address)
	policy := mustPolicy(t, Public, nil, nil)
	resolver := rebinder(t, [4]byte{8, 8, 8, 8}, [4]byte{127, 0, 0, 1})

	// What a check before dialling sees is fine.
	addrs, err := resolver.LookupNetIP(t.Context(), "ip4", "rebind.example.")
	if err != nil || len(addrs) != 1 || policy.Check(addrs[0]) != nil {
		t.Fatalf("first answer: %v, %v", addrs, err)
	}
	var f *Forbidden
	_, err = Dialer{Policy: policy, Resolver: resolver}.DialContext(t.Context(), "tcp4", "rebind.example.:"+port)
	if !errors.As(err, &f) || f.Addr != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("second answer: %v, want 127.0.0.1 refused", err)
	}
	if came.Load() != 0 {
		t.Error("the connection arrived")
	}
}
