package probe

import (
	"net"
	"sync"
)

// frameStartConn keeps the two bytes that follow the HTTP header of an upgrade: those with which the peer's first WebSocket frame
// begins (RFC 6455 5.2). The library reports a frame that breaks the rules as an end of the connection, or not at all.
type frameStartConn struct {
	net.Conn

	mu      sync.Mutex
	matched int // bytes of headerEnd seen in a row
	start   []byte
}

const headerEnd = "\r\n\r\n"

func (c *frameStartConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range p[:n] {
		switch {
		case len(c.start) == 2:
			return n, err
		case c.matched == len(headerEnd):
			c.start = append(c.start, b)
		case b == headerEnd[c.matched]:
			c.matched++
		case b == headerEnd[0]:
			c.matched = 1
		default:
			c.matched = 0
		}
	}
	return n, err
}

// broken is the start of the peer's first frame where no server may send it so: with a reserved bit, since no extension was offered, a
// reserved opcode, a continuation of nothing, or a mask. Bytes of MQTT without any frame look so too.
func (c *frameStartConn) broken() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.start) < 2 {
		return nil
	}
	const reserved, opcode, masked = 0x70, 0x0f, 0x80
	if c.start[0]&reserved == 0 && c.start[1]&masked == 0 {
		switch c.start[0] & opcode {
		case 1, 2, 8, 9, 10:
			return nil
		}
	}
	return append([]byte(nil), c.start...)
}
