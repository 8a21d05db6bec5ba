package diagtest

import (
	"net"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ClosedPort returns a port of 127.0.0.1 that refuses connections (RST) until the end of the test: a socket is bound to
// it, so that nobody else can take it, and does not listen.
func ClosedPort(t testing.TB) int {
	t.Helper()
	_, port := boundSocket(t)
	return port
}

// FilteredPort returns a port of 127.0.0.1 that leaves connection attempts unanswered until the end of the test, as a
// firewall with DROP does. It needs no privilege: the kernel drops a SYN for a listener whose queue of unaccepted
// connections is full. See [Netns.Filter] for a real firewall.
func FilteredPort(t testing.TB) int {
	t.Helper()
	fd, port := boundSocket(t)
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatalf("listen: %v", err)
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for range 8 { // a queue of length 0 holds one, on the kernels known
		conn, err := net.DialTimeout("tcp", addr, 300*time.Millisecond)
		if err != nil {
			return port
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the kernel goes on answering for a listener whose queue is full")
	return 0
}

// boundSocket is a TCP socket bound to a free port of 127.0.0.1 that does not listen yet.
func boundSocket(t testing.TB) (fd, port int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("socket: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatalf("bind: %v", err)
	}
	addr, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatalf("getsockname: %v", err)
	}
	return fd, addr.(*unix.SockaddrInet4).Port
}
