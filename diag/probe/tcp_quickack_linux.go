package probe

import (
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"mqttdoctor/diag"
	"mqttdoctor/diag/netprobe"
)

// quickAck acknowledges at once what it has read. Brokers that leave Nagle's algorithm on (RFC 896; mosquitto does unless
// told otherwise) hold back the second of two small packets until the first is acknowledged, and a kernel that delays that by
// 40 ms would make the broker look slower than it is.
type quickAck struct {
	*net.TCPConn
	lateSYNs int // sent again, and not lost

	mu     sync.Mutex
	closed bool
	last   netprobe.Info // once closed
	known  error         // of last
}

func (c *quickAck) Read(p []byte) (int, error) {
	c.hurry() // it wears off, and must be set again (tcp(7))
	n, err := c.TCPConn.Read(p)
	c.hurry()
	return n, err
}

func (c *quickAck) hurry() {
	raw, err := c.TCPConn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	})
}

// Close remembers what the kernel forgets with the socket.
func (c *quickAck) Close() error {
	c.mu.Lock()
	if !c.closed {
		c.last, c.known = netprobe.TCPInfo(c.TCPConn)
		c.closed = true
	}
	c.mu.Unlock()
	return c.TCPConn.Close()
}

// info is what the kernel knows of the connection, or knew when it was closed.
func (c *quickAck) info() (netprobe.Info, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.last, c.known
	}
	return netprobe.TCPInfo(c.TCPConn)
}

// repeats is how many segments were sent again, the SYN among them: those apart that had only been late.
func (c *quickAck) repeats() int {
	info, err := c.info()
	if err != nil {
		return 0
	}
	return max(0, info.Retransmits-info.Spurious-c.lateSYNs)
}

// NetConn is the connection below, for those who look at its socket.
func (c *quickAck) NetConn() net.Conn { return c.TCPConn }

// ackQuickly wraps a TCP connection and lets its repeats be counted; any other stays as it is.
func ackQuickly(env *diag.Env, conn net.Conn, lateSYNs int) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	c := &quickAck{TCPConn: tcp, lateSYNs: lateSYNs}
	env.Repeats.Watch(c.repeats)
	return c
}
