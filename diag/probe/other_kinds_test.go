package probe_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// Ports of other kinds than any listener for MQTT: each is named for what it is, alone, whatever was asked, and what was said on the
// way is not taken back.
func TestPortsOfOtherKinds(t *testing.T) {
	t.Parallel()
	ca := diagtest.NewCA(t, "other CA")
	server := ca.Issue(t, diagtest.CertOptions{}).Server()
	mutual := ca.Issue(t, diagtest.CertOptions{}).Server(diagtest.ClientCertRequired(ca))
	bytesOf := func(handler diagtest.Handler) func(testing.TB) *diagtest.PeerServer {
		return func(t testing.TB) *diagtest.PeerServer { return diagtest.Peer(t, handler) }
	}
	opcua := bytesOf(diagtest.AnswerAndClose([]byte("ERRF\x10\x00\x00\x00\x00\x00\x7e\x80\xff\xff\xff\xff")...))
	coap := bytesOf(func(conn net.Conn) {
		_, _ = io.WriteString(conn, "\x40\xe1\x22\x08\x00\x40")
		_, _ = io.Copy(io.Discard, conn)
	})
	squid := bytesOf(func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nServer: squid/5.7\r\nX-Squid-Error: ERR_INVALID_URL 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	meter := func(t testing.TB) *diagtest.PeerServer {
		return diagtest.ScriptedBroker(t, diagtest.Script{}, diagtest.WithTLS(mutual)).PeerServer
	}
	web := bytesOf(nginxSays400(server))
	queue := func(t testing.TB) *diagtest.PeerServer {
		return diagtest.TLSPeer(t, server, diagtest.AnswerAndClose([]byte("AMQP\x00\x00\x09\x01")...))
	}
	for _, tt := range []struct {
		name, asked string
		start       func(testing.TB) *diagtest.PeerServer
		want        diag.Code
		variant     string
		args        diag.Args // some of them
	}{
		{"OPC UA", "mqtt", opcua, "mqtt.not_mqtt", "", diag.Args{"protocol": "OPC UA"}},
		{"OPC UA", "wss", opcua, "mqtt.not_mqtt", "", diag.Args{"protocol": "OPC UA"}},
		{"CoAP", "mqtt", coap, "mqtt.not_mqtt", "", diag.Args{"protocol": "CoAP (TCP)"}},
		{"CoAP", "mqtts", coap, "mqtt.not_mqtt", "", diag.Args{"protocol": "CoAP (TCP)"}},
		{"HTTP proxy", "mqtt", squid, "mqtt.not_mqtt", "", diag.Args{"protocol": "HTTP"}},
		{"HTTP proxy", "ws", squid, "ws.not_websocket", "forward_proxy", nil},
		{"HTTP proxy", "mqtts", squid, "mqtt.not_mqtt", "", diag.Args{"protocol": "HTTP"}},
		{"client certificate", "mqtt", meter, "tls.required", "client_certificate", diag.Args{"transport": "mqtts"}},
		{"client certificate", "ws", meter, "tls.required", "client_certificate", diag.Args{"transport": "wss"}},
		{"client certificate", "mqtts", meter, "tls.client_cert_required", "", nil},
		{"https that says so", "mqtt", web, "mqtt.not_mqtt", "", diag.Args{"protocol": "HTTP"}},
		{"https that says so", "ws", web, "tls.required", "handshake", nil},
		{"https that says so", "wss", web, "ws.not_websocket", "", nil},
		{"AMQP behind TLS", "mqtts", queue, "mqtt.not_mqtt", "", diag.Args{"protocol": "AMQP"}},
	} {
		t.Run(tt.name+" asked "+tt.asked, func(t *testing.T) {
			t.Parallel()
			peer := tt.start(t)
			r := diagnoseHearing(t, diag.TargetInput{URL: tt.asked + "://" + peer.Addr, TLS: diag.TLSInput{CAPEM: ca.PEM}}, diag.PlanInput{TimeoutS: seconds(2)}, nil, func(e diag.Event) {
				if e.Type == diag.EventFinding && e.Withdrawn {
					t.Errorf("%s was taken back", e.Finding.Code)
				}
			})
			if r.RootCause == nil || r.RootCause.Code != tt.want || r.RootCause.Variant != tt.variant || len(r.Findings) != 1 {
				t.Fatalf("found %+v, want %s %s alone", r.Findings, tt.want, tt.variant)
			}
			for name, want := range tt.args {
				if got := r.RootCause.Args[name]; got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

// nginxSays400 answers plain HTTP, and whatever else is no TLS, on its TLS listener with 400.
func nginxSays400(config *tls.Config) diagtest.Handler {
	return func(conn net.Conn) {
		reader := bufio.NewReader(conn)
		first, err := reader.Peek(1)
		if err != nil {
			return
		}
		if first[0] != 0x16 {
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 92\r\nConnection: close\r\n\r\n<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>\r\n")
			return
		}
		secured := tls.Server(&peekedConn{conn, reader}, config)
		if secured.Handshake() != nil {
			return
		}
		in := bufio.NewReader(secured)
		if _, err := in.Peek(1); err != nil {
			return
		}
		_, _ = io.WriteString(secured, "HTTP/1.1 404 Not Found\r\nServer: nginx\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		secured.Close()
	}
}

type peekedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (c *peekedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }
