package probe

import (
	"net"

	"golang.org/x/sys/unix"
)

// quickAck acknowledges at once what it has read. Brokers that leave Nagle's algorithm on (RFC 896; mosquitto does unless
// told otherwise) hold back the second of two small packets until the first is acknowledged, and a kernel that delays that by
// 40 ms would make the broker look slower than it is.
type quickAck struct {
	*net.TCPConn
}

func (c quickAck) Read(p []byte) (int, error) {
	c.hurry() // it wears off, and must be set again (tcp(7))
	n, err := c.TCPConn.Read(p)
	c.hurry()
	return n, err
}

func (c quickAck) hurry() {
	raw, err := c.TCPConn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	})
}

// NetConn is the connection below, for those who look at its socket.
func (c quickAck) NetConn() net.Conn { return c.TCPConn }

// ackQuickly wraps a TCP connection; any other stays as it is.
func ackQuickly(conn net.Conn) net.Conn {
	if tcp, ok := conn.(*net.TCPConn); ok {
		return quickAck{tcp}
	}
	return conn
}
