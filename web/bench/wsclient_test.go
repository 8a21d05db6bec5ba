package bench

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
)

// wsClient is a WebSocket client that costs little: each Write is one masked message in one system call, and reads come
// straight out of a large buffer. A library's own costs would be taken for the relay's.
type wsClient struct {
	net.Conn
	in   *bufio.Reader
	left int
	out  []byte
}

func dialWS(t testing.TB, address string) net.Conn {
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	conn := dialTCP(t, u.Host)
	req, _ := http.NewRequest(http.MethodGet, "http://"+u.Host+u.Path, nil)
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "mqtt,binary"} {
		req.Header.Set(name, value)
	}
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReaderSize(conn, 64<<10)
	res, err := http.ReadResponse(in, req)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	return &wsClient{Conn: conn, in: in}
}

func (c *wsClient) Write(b []byte) (int, error) {
	head := append(c.out[:0], 0x82)
	switch {
	case len(b) < 126:
		head = append(head, 0x80|byte(len(b)))
	case len(b) < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 0xfe), uint16(len(b)))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 0xff), uint64(len(b)))
	}
	key := [8]byte{1, 2, 3, 4, 1, 2, 3, 4}
	word := binary.NativeEndian.Uint64(key[:])
	head = append(head, key[:4]...)
	start := len(head)
	c.out = append(head, b...)
	body := c.out[start:]
	for len(body) >= 8 {
		binary.NativeEndian.PutUint64(body, binary.NativeEndian.Uint64(body)^word)
		body = body[8:]
	}
	for i := range body {
		body[i] ^= key[i&3]
	}
	if _, err := c.Conn.Write(c.out); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (c *wsClient) Read(p []byte) (int, error) {
	for c.left == 0 {
		var head [2]byte
		if _, err := io.ReadFull(c.in, head[:]); err != nil {
			return 0, err
		}
		if head[0] != 0x82 {
			return 0, io.ErrUnexpectedEOF // closed, or a message in frames, which no relay here sends
		}
		c.left = int(head[1])
		var long [8]byte
		switch c.left {
		case 126:
			_, _ = io.ReadFull(c.in, long[6:])
			c.left = int(binary.BigEndian.Uint64(long[:]))
		case 127:
			_, _ = io.ReadFull(c.in, long[:])
			c.left = int(binary.BigEndian.Uint64(long[:]))
		}
	}
	n, err := c.in.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
