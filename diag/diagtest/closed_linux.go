package diagtest

import (
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
	for range 8 { // a queue of length 0 holds one, on the kernels known
		if !answered(t, port) {
			return port
		}
	}
	t.Fatal("the kernel goes on answering for a listener whose queue is full")
	return 0
}

// answered tries to connect and tells whether that was answered; until the end of the test the attempt takes a place in the queue.
// poll(2) looks once more when its time is over: a machine that is too busy to run us in time does not make an answer a silence.
func answered(t testing.TB, port int) bool {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatalf("socket: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}); err == nil {
		return true
	} else if err != unix.EINPROGRESS {
		t.Fatalf("connect: %v", err)
	}
	for deadline := time.Now().Add(300 * time.Millisecond); ; {
		left := max(0, time.Until(deadline))
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(left.Milliseconds())+1)
		if err != unix.EINTR {
			return n > 0
		}
	}
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
