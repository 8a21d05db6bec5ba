package diagtest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// FreePort returns a port of 127.0.0.1 on which nothing listens, TCP or UDP, for a program that cannot be told to
// choose one itself. It is taken from below the range that the kernel gives to outgoing connections, since nothing
// holds it until the program listens, and never twice within a test binary, whose other tests may be about to listen, too.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 200 {
		port := 15000 + rand.IntN(17000)
		if !claim(port) {
			continue
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		tcp, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		udp, err := net.ListenPacket("udp", addr)
		tcp.Close()
		if err != nil {
			continue
		}
		udp.Close()
		return port
	}
	t.Fatal("no free port found in 200 tries")
	return 0
}

// claimed are the ports that were given out last.
var claimed struct {
	sync.Mutex
	ports []int
}

// claim tells whether a port was not given out lately, and notes that it is now. After thousands a port comes again.
func claim(port int) bool {
	claimed.Lock()
	defer claimed.Unlock()
	if slices.Contains(claimed.ports, port) {
		return false
	}
	if len(claimed.ports) == 4000 {
		claimed.ports = claimed.ports[1:]
	}
	claimed.ports = append(claimed.ports, port)
	return true
}

// hostPort splits an address that the kernel gave.
func hostPort(t testing.TB, addr net.Addr) (host string, port int) {
	t.Helper()
	host, digits, err := net.SplitHostPort(addr.String())
	if err == nil {
		_, err = fmt.Sscan(digits, &port)
	}
	if err != nil {
		t.Fatalf("address %v: %v", addr, err)
	}
	return host, port
}

// listen opens a TCP listener on the caller's goroutine and closes it at the end of the test.
func listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}
