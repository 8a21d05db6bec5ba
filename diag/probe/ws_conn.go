package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// wsConn carries MQTT bytes in WebSocket binary messages (MQTT 5.0 6). Unlike websocket.NetConn it accepts text messages
// too, and remembers that they came: a broker that sends them breaks [MQTT-6.0.0-1], which is a finding and not the end of
// what can be learnt. Deadlines are those of the connection below; one that expires in a message ends the connection for
// good, which suits probes.
type wsConn struct {
	net.Conn // the connection below: addresses and deadlines
	ws       *websocket.Conn
	first    *frameStartConn // nil where nobody watches

	readMu sync.Mutex
	msg    io.Reader

	text     atomic.Bool
	closeErr atomic.Pointer[websocket.CloseError]
}

func newWSConn(ws *websocket.Conn, under net.Conn) *wsConn { return &wsConn{Conn: under, ws: ws} }

// brokenFrame is how the peer's first frame began, where it breaks RFC 6455.
func (c *wsConn) brokenFrame() []byte {
	if c.first == nil {
		return nil
	}
	return c.first.broken()
}

// sawText tells whether a text message came.
func (c *wsConn) sawText() bool { return c.text.Load() }

// closeCode is the WebSocket close code and reason that the peer sent; 0: none.
func (c *wsConn) closeCode() (int, string) {
	if closed := c.closeErr.Load(); closed != nil {
		return int(closed.Code), printable(closed.Reason, 125)
	}
	return 0, ""
}

// Read reads the bytes of messages; message borders mean nothing to MQTT ([MQTT-6.0.0-2]). The peer's close frame is
// io.EOF, as from TCP.
func (c *wsConn) Read(p []byte) (int, error) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	for {
		if c.msg == nil {
			kind, reader, err := c.ws.Reader(context.Background())
			if err != nil {
				return 0, c.keepClose(err)
			}
			if kind == websocket.MessageText {
				c.text.Store(true)
			}
			c.msg = reader
		}
		n, err := c.msg.Read(p)
		if errors.Is(err, io.EOF) {
			c.msg, err = nil, nil
			if n == 0 {
				continue
			}
		}
		if err != nil {
			err = c.keepClose(err)
		}
		return n, err
	}
}

func (c *wsConn) keepClose(err error) error {
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		c.closeErr.Store(&closed)
		return io.EOF
	}
	return err
}

// Write sends the bytes as one binary message ([MQTT-6.0.0-1]).
func (c *wsConn) Write(p []byte) (int, error) {
	if err := c.ws.Write(context.Background(), websocket.MessageBinary, p); err != nil {
		return 0, c.keepClose(err)
	}
	return len(p), nil
}

// Close sends a close frame where that is possible at once, and ends the connection below in any case.
func (c *wsConn) Close() error {
	_ = c.Conn.SetDeadline(time.Now().Add(50 * time.Millisecond)) // a peer that does not answer our close holds up nothing
	_ = c.ws.Close(websocket.StatusNormalClosure, "")
	return c.Conn.Close()
}

// NetConn is the connection below, for those who look at its socket.
func (c *wsConn) NetConn() net.Conn { return c.Conn }
