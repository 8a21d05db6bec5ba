package relay

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
)

// maxHTTPBytes bounds the answer to an upgrade.
const maxHTTPBytes = 64 << 10

// upgrade makes a WebSocket opening handshake with the target (RFC 6455 4.1) and returns its framing, with what came behind the
// answer. Redirects are not followed: MQTT clients do not either.
func (d *Dialer) upgrade(ctx context.Context, conn net.Conn, subprotocol string, path *Path) (*framed, []byte, *End) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout())
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	begun := time.Now()
	refusal, early, err := d.ask(conn, subprotocol, path)
	if !stop() { // the context ended, and with it the connection
		return nil, nil, canceled(ctx, "WebSocket upgrade")
	}
	if err != nil {
		end := readEnd(err)
		if end.Why == WhyClosed || end.Why == WhyReset || end.Why == WhyNetwork {
			end.Text = "no HTTP answer: " + string(end.Why)
			end.Why = WhyUpgrade
		}
		return nil, nil, end
	}
	if refusal != "" {
		return nil, nil, &End{By: ByBroker, Why: WhyUpgrade, Text: refusal}
	}
	path.UpgradeTook = time.Since(begun)
	return newFramed(conn, true), early, nil
}

// ask sends the request and reads the answer. refusal says what is wrong with an answer; empty: the WebSocket is open.
func (d *Dialer) ask(conn net.Conn, subprotocol string, path *Path) (refusal string, early []byte, err error) {
	if subprotocol == "" {
		subprotocol = subprotocols[0]
	}
	path.Offered = subprotocol
	req, err := http.NewRequest(http.MethodGet, "http://"+authority(d.Target)+d.Target.RequestURI(d.Target.WS.Path), nil)
	if err != nil {
		return "the path cannot be asked for", nil, nil //nolint:nilerr // it is the answer
	}
	for name, value := range d.Target.WS.Headers {
		req.Header.Set(name, value.Reveal())
	}
	if d.Target.WS.Origin != "" {
		req.Header.Set("Origin", d.Target.WS.Origin)
	}
	key := base64.StdEncoding.EncodeToString(randomBytes(16))
	req.Header.Set("User-Agent", "mqttdoctor")
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	req.Header.Set("Sec-WebSocket-Key", key)
	req.Header.Set("Sec-WebSocket-Protocol", subprotocol)
	if err := req.Write(conn); err != nil {
		return "", nil, err
	}
	reader := bufio.NewReader(io.LimitReader(conn, maxHTTPBytes))
	resp, err := http.ReadResponse(reader, req)
	if err != nil {
		if strings.Contains(err.Error(), "malformed") { // net/http has no error of its own for it
			return "the answer is not HTTP", nil, nil
		}
		return "", nil, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode != http.StatusSwitchingProtocols:
		return plain("HTTP " + resp.Status), nil, nil
	case !tokenIn(resp.Header, "Upgrade", "websocket"), !tokenIn(resp.Header, "Connection", "upgrade"):
		return "the answer is 101 and upgrades to something else", nil, nil
	case resp.Header.Get("Sec-WebSocket-Accept") != acceptOf(key):
		return "Sec-WebSocket-Accept does not fit the key", nil, nil
	case resp.Header.Get("Sec-WebSocket-Extensions") != "":
		return fmt.Sprintf("an extension was chosen that was not offered: %s", plain(resp.Header.Get("Sec-WebSocket-Extensions"))), nil, nil
	}
	path.Subprotocol = plain(resp.Header.Get("Sec-WebSocket-Protocol"))
	early = make([]byte, reader.Buffered())
	_, err = io.ReadFull(reader, early)
	return "", early, err
}

// authority is the Host header as a client would send it: without the scheme's default port (RFC 9110 4.2.3).
func authority(t diag.Target) string {
	if t.Port != t.Scheme.DefaultPort() {
		return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))
	}
	if strings.Contains(t.Host, ":") {
		return "[" + t.Host + "]"
	}
	return t.Host
}
