package relay

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 4.2.2 demands it
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"
)

// Subprotocols that clients may speak: MQTT 5.0 6 knows the first, clients of MQTT 3.1 use the second.
var subprotocols = []string{"mqtt", "mqttv3.1"}

// Client is an MQTT client on a WebSocket.
type Client struct {
	ws          *framed
	source      *source
	subprotocol string
}

// Errors of Accept, before anything is answered.
var (
	// ErrNoUpgrade: the request asks for no WebSocket.
	ErrNoUpgrade = errors.New("no WebSocket upgrade")
	// ErrBadUpgrade: it asks for one in a way that RFC 6455 4.1 does not allow.
	ErrBadUpgrade = errors.New("not a valid WebSocket upgrade")
)

// Accept answers a WebSocket opening handshake (RFC 6455 4.2) and takes the connection over. The first of the client's
// subprotocols that is one of MQTT's is agreed on; a client that offers none gets none. Who may come, by origin, the caller
// has judged. After an error that is neither ErrNoUpgrade nor ErrBadUpgrade the connection is gone.
func Accept(w http.ResponseWriter, r *http.Request) (*Client, error) {
	if !tokenIn(r.Header, "Connection", "upgrade") || !tokenIn(r.Header, "Upgrade", "websocket") {
		return nil, ErrNoUpgrade
	}
	key := strings.TrimSpace(r.Header.Get("Sec-WebSocket-Key"))
	if nonce, err := base64.StdEncoding.DecodeString(key); err != nil || len(nonce) != 16 ||
		len(r.Header.Values("Sec-WebSocket-Key")) != 1 || r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1) {
		return nil, ErrBadUpgrade
	}
	h := w.Header()
	if r.Header.Get("Sec-WebSocket-Version") != "13" {
		h.Set("Sec-WebSocket-Version", "13")
		return nil, ErrBadUpgrade
	}
	h.Set("Upgrade", "websocket")
	h.Set("Connection", "Upgrade")
	h.Set("Sec-WebSocket-Accept", acceptOf(key))
	chosen := choose(r.Header)
	if chosen != "" {
		h.Set("Sec-WebSocket-Protocol", chosen)
	}
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	var early []byte // a client that did not wait for the answer
	if n := rw.Reader.Buffered(); n > 0 {
		peeked, _ := rw.Reader.Peek(n) // they are there
		early = append(early, peeked...)
	}
	_ = conn.SetDeadline(time.Time{}) // those of the request
	return &Client{ws: newFramed(conn, false), source: newSource(conn, early), subprotocol: chosen}, nil
}

// acceptOf is the answer to a key (RFC 6455 4.2.2).
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // no secret hangs on it
	return base64.StdEncoding.EncodeToString(sum[:])
}

// choose returns the first subprotocol of the client's list that we know, in the client's spelling: it compares letter by
// letter (RFC 6455 4.1), and some write "MQTT".
func choose(h http.Header) string {
	for _, line := range h.Values("Sec-WebSocket-Protocol") {
		for offered := range strings.SplitSeq(line, ",") {
			offered = strings.TrimSpace(offered)
			for _, known := range subprotocols {
				if strings.EqualFold(offered, known) {
					return offered
				}
			}
		}
	}
	return ""
}

func tokenIn(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// Refuse closes the client's WebSocket with the end's status, and waits a moment for its answer.
func (c *Client) Refuse(end *End) {
	_ = c.ws.conn.SetDeadline(time.Now().Add(linger))
	c.ws.close(end.Status(), end.Reason())
	c.drain()
	_ = c.ws.conn.Close()
}

// drain reads what a client still sends, so that our close frame is not lost in a reset, until it closes or the deadline.
func (c *Client) drain() {
	for {
		buf, n, err := c.source.next()
		if err != nil {
			return
		}
		_, err = c.ws.in.strip(buf.b[headRoom : headRoom+n])
		buf.release()
		if err != nil {
			return
		}
	}
}
