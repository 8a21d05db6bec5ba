package probe

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"
	"unicode/utf8"

	"mqttdoctor/diag"
)

// cannedConn is a connection whose peer says the same whatever it is told, and ends it.
type cannedConn struct {
	io.Reader
}

func (c *cannedConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *cannedConn) Close() error                     { return nil }
func (c *cannedConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *cannedConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *cannedConn) SetDeadline(time.Time) error      { return nil }
func (c *cannedConn) SetReadDeadline(time.Time) error  { return nil }
func (c *cannedConn) SetWriteDeadline(time.Time) error { return nil }

// FuzzUpgradeAnswer reads any bytes as the answer to a WebSocket opening handshake.
func FuzzUpgradeAnswer(f *testing.F) {
	for _, answer := range []string{
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
		"HTTP/1.1 404 Not Found\r\nServer: nginx\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 302 Found\r\nLocation: https://else.where/\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.0 403 Forbidden\r\n\r\n", "\x20\x02\x00\x00", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n",
	} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		env := &diag.Env{Target: diag.Target{Host: "broker.test", Scheme: diag.SchemeWS, Port: 80}, Now: time.Now}
		env.Options.Timeout = 5 * time.Second
		r := route{Address: "192.0.2.1:80", Transport: diag.SchemeWS, WS: wsOffer{Path: "/mqtt", Subprotocols: []string{"mqtt"}}}
		o, conn := upgradeWS(context.Background(), env, r, &cannedConn{Reader: bytes.NewReader(answer)})
		if conn != nil {
			conn.Close()
		}
		if o.Outcome == "" {
			t.Errorf("no outcome for %q", answer)
		}
		for _, e := range o.Facts() {
			if !utf8.ValidString(e.Value) {
				t.Errorf("%s is not UTF-8: %q", e.Key, e.Value)
			}
		}
	})
}
