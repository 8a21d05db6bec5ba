package probe_test

import (
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// bridge agrees to a WebSocket with the given headers, the right Sec-WebSocket-Accept in place of ACCEPT, and sends the bytes when the
// client has said something.
func bridge(header, bytes string) func(testing.TB) string {
	return func(t testing.TB) string {
		return diagtest.HTTPPeer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
			accept := base64.StdEncoding.EncodeToString(sum[:])
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n"+strings.ReplaceAll(header, "ACCEPT", accept)+"\r\n\r\n")
			if _, err := buffered.ReadByte(); err == nil {
				_, _ = io.WriteString(conn, bytes)
				_, _ = io.Copy(io.Discard, buffered)
			}
		})).URL("ws", "/mqtt")
	}
}

// TestUpgradeHalfMade: the server agrees to the WebSocket, and its answer or the first frame breaks RFC 6455.
func TestUpgradeHalfMade(t *testing.T) {
	t.Parallel()
	const proper = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Protocol: mqtt"
	const connack = "\x20\x02\x00\x00"
	greets := func(text string) func(testing.TB) string { return bridge(proper, "\x81"+string(rune(len(text)))+text) }
	all := []scenario{
		{name: "MQTT without frames", peer: bridge(proper, connack), want: "ws.not_websocket", variant: "frames"},
		{name: "masked frame", peer: bridge(proper, "\x82\x84\x01\x02\x03\x04\x21\x00\x03\x04"), want: "ws.not_websocket", variant: "frames"},
		{name: "compressed frame", peer: bridge(proper, "\xc2\x04"+connack), want: "ws.not_websocket", variant: "frames"},
		{name: "reserved opcode", peer: bridge(proper, "\x83\x04"+connack), want: "ws.not_websocket", variant: "frames"},
		{name: "continuation of nothing", peer: bridge(proper, "\x80\x04"+connack), want: "ws.not_websocket", variant: "frames"},
		{name: "wrong accept", peer: bridge(strings.Replace(proper, "ACCEPT", "x", 1), ""), want: "ws.not_websocket", variant: "handshake"},
		{name: "no upgrade header", peer: bridge(strings.Replace(proper, "Upgrade: websocket\r\n", "", 1), ""), want: "ws.not_websocket", variant: "handshake"},
		{name: "extension not asked for", peer: bridge(proper+"\r\nSec-WebSocket-Extensions: permessage-deflate", ""), want: "ws.not_websocket", variant: "handshake"},
		{name: "subprotocol in capitals", peer: bridge(proper[:len(proper)-4]+"MQTT", "\x88\x02\x03\xe8"), want: "ws.subprotocol_rejected", variant: "other_chosen"},
		{name: "greeting of a chat", peer: greets("hello"), want: "mqtt.not_mqtt", variant: "unknown"},
		{name: "CONNACK in Base64", peer: greets("IAIAAA=="), want: "ws.text_frames"},
		{name: "closed by a gateway that wants a token", peer: bridge(proper, "\x88\x0e\x03\xf0unauthorized"), want: "mqtt.auth_required",
			variant: "websocket_close", readings: []diag.Code{"ws.auth_required"}},
		{name: "proper frames of one byte", peer: overWS(diagtest.WSScript{FrameBytes: 1})},
		{name: "HTTP/2 alone, said by Node.js", peer: func(t testing.TB) string {
			return diagtest.HTTPPeer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Error(w, "Missing ALPN Protocol, expected `h2` to be available.", http.StatusForbidden)
			})).URL("ws", "/mqtt")
		}, want: "ws.not_websocket", variant: "http2"},
		{name: "HTTP/2 alone", peer: func(t testing.TB) string {
			return diagtest.Peer(t, func(conn net.Conn) {
				_, _ = io.WriteString(conn, "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80")
				_, _ = conn.Read(make([]byte, 512))
			}).URL("ws", "/mqtt")
		}, want: "ws.not_websocket", variant: "http2"},
	}
	for i := range all {
		all[i].plan.TimeoutS = seconds(10) // every peer answers at once; a loaded machine must not turn that into silence
	}
	runScenarios(t, all)
}
