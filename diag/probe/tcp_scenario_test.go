package probe_test

import (
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

func filteredPort(t testing.TB) string {
	return "mqtt://127.0.0.1:" + strconv.Itoa(diagtest.FilteredPort(t))
}

// behindProxyHeader serves only connections that begin with a PROXY protocol header of the given version; others are closed
// after patience, or at the first wrong byte where that is 0.
func behindProxyHeader(version string, patience time.Duration, serve diagtest.Handler) diagtest.Handler {
	magic := map[string]string{"v1": "PROXY TCP4 ", "v2": "\r\n\r\n\x00\r\nQUIT\n"}[version]
	return func(conn net.Conn) {
		begun := time.Now()
		refuse := func() {
			if patience > 0 {
				_ = conn.SetReadDeadline(begun.Add(patience))
				_, _ = io.Copy(io.Discard, conn)
			}
		}
		head := make([]byte, len(magic))
		if n, err := io.ReadFull(conn, head[:1]); n == 0 || err != nil || head[0] != magic[0] {
			refuse()
			return
		}
		if _, err := io.ReadFull(conn, head[1:]); err != nil || string(head) != magic {
			refuse()
			return
		}
		if version == "v1" {
			for b := make([]byte, 1); b[0] != '\n'; {
				if _, err := conn.Read(b); err != nil {
					return
				}
			}
		} else {
			rest := make([]byte, 4)
			if _, err := io.ReadFull(conn, rest); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, conn, int64(rest[2])<<8|int64(rest[3])); err != nil {
				return
			}
		}
		serve(conn)
	}
}

// connackFor answers every CONNECT with acceptance.
var connackFor = diagtest.Connack(0, 0)

// overTLS takes a handshake with an untrusted certificate before the handler.
func overTLS(t testing.TB, handle diagtest.Handler) diagtest.Handler {
	config := diagtest.SelfSigned(t, diagtest.CertOptions{}).Server()
	return func(conn net.Conn) {
		secured := tls.Server(conn, config)
		if secured.Handshake() == nil {
			handle(secured)
		}
	}
}

// deadBackends is a balancer that tries its backends for a while, whatever the client says, and gives up.
func deadBackends(conn net.Conn) {
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	_, _ = io.Copy(io.Discard, conn)
}

func TestTCPScenarios(t *testing.T) {
	t.Parallel()
	patient := diag.PlanInput{TimeoutS: seconds(5)}
	runScenarios(t, []scenario{
		{name: "closed late", peer: peerAs("mqtt", deadBackends), plan: patient, want: "tcp.closed_on_accept"},
		{name: "closed late TLS", peer: peerAs("mqtts", deadBackends), plan: patient, want: "tcp.closed_on_accept"},
		{name: "closed late WebSocket", peer: peerAs("ws", deadBackends), plan: patient, want: "tcp.closed_on_accept"},
		{name: "refused", peer: closedPort, want: "tcp.refused", check: within(time.Second)},
		{name: "refused TLS", peer: as("mqtts", "", closedPort), want: "tcp.refused", check: within(time.Second)},
		{name: "refused WebSocket", peer: as("ws", "/mqtt", closedPort), want: "tcp.refused", check: within(time.Second)},
		{name: "filtered", peer: filteredPort, want: "tcp.filtered", variant: "port_alone", plan: diag.PlanInput{TimeoutS: seconds(5)},
			check: within(4500 * time.Millisecond)},
		{name: "filtered TLS", peer: as("mqtts", "", filteredPort), want: "tcp.filtered", variant: "port_alone", plan: diag.PlanInput{TimeoutS: seconds(5)},
			check: within(4500 * time.Millisecond)},

		{name: "closed", peer: peerAs("mqtt", diagtest.CloseAtOnce), want: "tcp.closed_on_accept"},
		{name: "reset at the first byte", peer: peerAs("mqtt", readsOneByte), want: "tcp.closed_on_accept", variant: "first_byte"},
		{name: "reset at the first byte of TLS", peer: peerAs("mqtts", readsOneByte), want: "tcp.closed_on_accept", variant: "first_byte"},
		{name: "reset at the first byte of WebSocket", peer: peerAs("ws", readsOneByte), want: "tcp.closed_on_accept", variant: "first_byte"},
		{name: "reset inside the handshake", peer: peerAs("mqtts", diagtest.ResetAfterFirstBytes), want: "tls.handshake_closed", variant: "mute",
			readings: []diag.Code{"tcp.closed_on_accept"}},
		{name: "reset once it was read", peer: peerAs("mqtt", readsAPacket), want: "mqtt.closed_without_connack"},
		{name: "closed TLS", peer: peerAs("mqtts", diagtest.CloseAtOnce), want: "tcp.closed_on_accept"},
		{name: "closed WebSocket", peer: peerAs("ws", diagtest.CloseAtOnce), want: "tcp.closed_on_accept"},
		{name: "reset", peer: peerAs("mqtt", diagtest.ResetAtOnce), want: "tcp.closed_on_accept"},
		{name: "reset TLS", peer: peerAs("mqtts", diagtest.ResetAtOnce), want: "tcp.closed_on_accept"},
		{name: "reset WebSocket with TLS", peer: peerAs("wss", diagtest.ResetAtOnce), want: "tcp.closed_on_accept"},

		{name: "PROXY v1", peer: peerAs("mqtt", behindProxyHeader("v1", 0, connackFor)), want: "tcp.proxy_protocol_expected"},
		{name: "PROXY v2", peer: peerAs("mqtt", behindProxyHeader("v2", 0, connackFor)), want: "tcp.proxy_protocol_expected"},
		{name: "PROXY v2 with TLS", want: "tcp.proxy_protocol_expected", peer: func(t testing.TB) string {
			return diagtest.Peer(t, behindProxyHeader("v2", 0, overTLS(t, connackFor))).URL("mqtts")
		}},
		{name: "PROXY v1 with TLS", want: "tcp.proxy_protocol_expected", peer: func(t testing.TB) string {
			return diagtest.Peer(t, behindProxyHeader("v1", 0, overTLS(t, connackFor))).URL("mqtts")
		}},
		{name: "PROXY v2 patient", peer: peerAs("mqtt", behindProxyHeader("v2", 3*time.Second, connackFor)),
			plan: diag.PlanInput{TimeoutS: seconds(5)}, check: within(6 * time.Second), want: "tcp.proxy_protocol_expected"},
		{name: "PROXY v2 patient beyond the time-out", peer: peerAs("mqtt", behindProxyHeader("v2", 3*time.Second, connackFor)),
			want: "tcp.proxy_protocol_expected"},
	})
}

// readsOneByte leaves the rest of what it is sent unread, for which the system resets the connection.
func readsOneByte(conn net.Conn) {
	conn.Read(make([]byte, 1))
	conn.Close()
}

// readsAPacket waits for a whole MQTT packet of less than 128 bytes before it resets the connection.
func readsAPacket(conn net.Conn) {
	header := make([]byte, 2)
	if _, err := io.ReadFull(conn, header); err == nil {
		io.CopyN(io.Discard, conn, int64(header[1]&0x7F))
	}
	diagtest.Reset(conn)
}
