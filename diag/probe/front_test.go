package probe_test

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// onePlace relays one connection at a time to a backend and closes every other at once, in the order in which they come: a
// broker or gateway that has a single place.
func onePlace(t testing.TB, backend string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	place := make(chan struct{}, 1)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			select {
			case place <- struct{}{}:
				all.Go(func() { relayTo(backend, conn); <-place })
			default:
				conn.Close()
			}
		}
	})
	t.Cleanup(func() { listener.Close(); all.Wait() })
	return listener.Addr().String()
}

// relayTo carries bytes between a connection and a backend until one of them ends.
func relayTo(backend string, conn net.Conn) {
	defer conn.Close()
	behind, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(behind, conn); behind.Close() })
	both.Go(func() { _, _ = io.Copy(conn, behind); conn.Close() })
	both.Wait()
}

// TestOnePlaceBroker is about brokers that have one place left: what we try beside the asked connection must neither take it
// nor be held against the broker, nor be waited for.
func TestOnePlaceBroker(t *testing.T) {
	t.Parallel()
	peer := func(t testing.TB) string {
		return "mqtt://" + onePlace(t, diagtest.ScriptedBroker(t, diagtest.Script{}).Addr)
	}
	named := diag.TargetInput{Topics: diag.TopicsInput{Publish: "plant/temp", Subscribe: []string{"plant/#"}}}
	prompt := within(3 * time.Second)
	runScenarios(t, append(
		inVersions(scenario{name: "healthy", peer: peer, check: prompt}, everyVersion...),
		inVersions(scenario{name: "healthy with topics", peer: peer, in: named, check: prompt}, everyVersion...)...))
}

// behindHaproxy is a scenario's peer: a haproxy with the given sections. In them PORT is where it listens, RAW and WS are a
// broker's listeners, and PEM is a file with a certificate of ca and its key.
func behindHaproxy(scheme, path string, ca *diagtest.CA, sections string) func(testing.TB) string {
	return func(t testing.TB) string {
		port := diagtest.FreePort(t)
		fill := strings.NewReplacer("PORT", fmt.Sprintf("127.0.0.1:%d", port), "RAW", hostOf(t, diagtest.Mochi(t, diagtest.MochiOptions{}).MQTT),
			"WS", hostOf(t, mochiWS(t).WS), "PEM", pemFile(t, ca))
		program(t, "haproxy", port, "defaults\n timeout connect 1s\n timeout client 30s\n timeout server 30s\n"+fill.Replace(sections)+"\n",
			func(_, file string) []string { return []string{"-db", "-f", file} })
		return fmt.Sprintf("%s://127.0.0.1:%d%s", scheme, port, path)
	}
}

func hostOf(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// pemFile holds a certificate of the authority and its key, as haproxy wants them; none without one.
func pemFile(t testing.TB, ca *diagtest.CA) string {
	t.Helper()
	if ca == nil {
		return ""
	}
	cert, file := ca.Issue(t, diagtest.CertOptions{}), filepath.Join(t.TempDir(), "both.pem")
	if err := os.WriteFile(file, []byte(cert.CertPEM+cert.KeyPEM), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestBehindHaproxy(t *testing.T) {
	t.Parallel()
	ca := diagtest.NewCA(t, "Root")
	trusting := diag.TargetInput{TLS: diag.TLSInput{CAPEM: ca.PEM}}
	foreign := diag.TargetInput{WS: diag.WSInput{Origin: "https://console.example"}}
	patient := diag.PlanInput{TimeoutS: seconds(5)}
	const raw, web = "listen l\n mode tcp\n bind PORT\n ", "listen l\n mode http\n bind PORT\n "
	const ended = "listen l\n mode tcp\n bind PORT ssl crt PEM\n "
	// As AWS IoT Core has it on 443.
	const byALPN = "frontend f\n mode tcp\n bind PORT ssl crt PEM alpn x-amzn-mqtt-ca,http/1.1\n use_backend mqtt if { ssl_fc_alpn x-amzn-mqtt-ca }\n default_backend web\n" +
		"backend mqtt\n mode tcp\n server s RAW\nbackend web\n mode tcp\n"
	runScenarios(t, []scenario{
		{name: "raw", peer: behindHaproxy("mqtt", "", nil, raw+"server s RAW")},
		{name: "dead backend", peer: behindHaproxy("mqtt", "", nil, raw+"server s 127.0.0.1:1"), plan: patient, want: "tcp.closed_on_accept"},
		{name: "dead backend for WebSocket", peer: behindHaproxy("ws", "/mqtt", nil, raw+"server s 127.0.0.1:1"), plan: patient, want: "tcp.closed_on_accept"},
		{name: "no backend", peer: behindHaproxy("mqtt", "", nil, raw), want: "tcp.closed_on_accept"},
		{name: "address refused", peer: behindHaproxy("mqtt", "", nil, raw+"tcp-request connection reject if { src 127.0.0.0/8 }\n server s RAW"), want: "tcp.closed_on_accept"},
		{name: "PROXY header wanted", peer: behindHaproxy("mqtt", "", nil, "listen l\n mode tcp\n bind PORT accept-proxy\n server s RAW"), want: "tcp.proxy_protocol_expected"},
		{name: "PROXY header wanted for WebSocket", peer: behindHaproxy("ws", "/mqtt", nil, "listen l\n mode tcp\n bind PORT accept-proxy\n server s WS"),
			want: "tcp.proxy_protocol_expected"},
		{name: "PROXY header wanted before TLS", peer: behindHaproxy("mqtts", "", ca, "listen l\n mode tcp\n bind PORT accept-proxy ssl crt PEM\n server s RAW"),
			in: trusting, want: "tcp.proxy_protocol_expected"},
		{name: "ALPN name wanted", peer: behindHaproxy("mqtts", "", ca, byALPN), in: trusting, want: "tls.alpn_required", suggest: `{"tls":{"alpn":["x-amzn-mqtt-ca"]}}`},
		{name: "ALPN name wanted, a web server else", peer: behindHaproxy("mqtts", "", ca, byALPN+" server s WS\n"), in: trusting, want: "tls.alpn_required",
			suggest: `{"tls":{"alpn":["x-amzn-mqtt-ca"]}}`},
		{name: "ALPN name given", peer: behindHaproxy("mqtts", "", ca, byALPN), in: diag.TargetInput{TLS: diag.TLSInput{CAPEM: ca.PEM, ALPN: []string{"x-amzn-mqtt-ca"}}}},
		{name: "dead backend behind TLS", peer: behindHaproxy("mqtts", "", ca, ended+"server s 127.0.0.1:1"), in: trusting, plan: patient, want: "mqtt.closed_without_connack"},
		{name: "raw broker behind TLS, asked wss", peer: behindHaproxy("wss", "/mqtt", ca, ended+"server s RAW"), in: trusting, want: "ws.raw_mqtt_peer", suggest: `{"url":"mqtts://HOST"}`},
		{name: "WebSocket broker behind TLS, asked mqtts", peer: behindHaproxy("mqtts", "", ca, ended+"server s WS"), in: trusting, want: "ws.expected", suggest: "*"},
		{name: "places for one address", peer: behindHaproxy("mqtt", "", nil, raw+"stick-table type ip size 10k expire 10s store conn_cur\n tcp-request connection track-sc0 src\n "+
			"tcp-request connection reject if { sc0_conn_cur gt 12 }\n server s RAW"), plan: diag.PlanInput{Intrusive: true}, want: "mqtt.connection_limit"},
		{name: "raw broker behind HTTP", peer: behindHaproxy("ws", "/mqtt", nil, web+"server s RAW"), want: "ws.bad_gateway", readings: []diag.Code{"ws.upgrade_stripped"}},
		{name: "upgrade taken out", peer: behindHaproxy("ws", "/mqtt", nil, web+"http-request del-header Upgrade\n server s WS"), want: "ws.upgrade_stripped"},
		{name: "upgrade passed", peer: behindHaproxy("ws", "/mqtt", nil, web+"server s WS")},
		{name: "denied", peer: behindHaproxy("ws", "/mqtt", nil, web+"http-request deny deny_status 403\n server s WS"), want: "ws.auth_required"},
		{name: "login wanted", peer: behindHaproxy("ws", "/mqtt", nil, "userlist u\n user a insecure-password b\n"+web+"http-request auth unless { http_auth(u) }\n server s WS"),
			want: "ws.auth_required"},
		{name: "login given", peer: behindHaproxy("ws", "/mqtt", nil, "userlist u\n user a insecure-password b\n"+web+"http-request auth unless { http_auth(u) }\n server s WS"),
			in: diag.TargetInput{WS: diag.WSInput{Headers: map[string]diag.Secret{"Authorization": diag.NewSecret("Basic YTpi")}}}},
		{name: "foreign origin", peer: behindHaproxy("ws", "/mqtt", nil, web+"http-request deny if { req.hdr(origin) -m found } !{ req.hdr(origin) -m sub good.example }\n server s WS"),
			in: foreign, want: "ws.origin_rejected", suggest: `{"ws":{"origin":""}}`},
		{name: "sent to https", peer: behindHaproxy("ws", "/mqtt", nil, web+"http-request redirect scheme https\n server s WS"), want: "ws.redirect"},
	})
}

// webBroker is an nginx that takes the upgrade at /ws alone, with TLS or without.
func webBroker(scheme, path string, ca *diagtest.CA) func(testing.TB) string {
	return func(t testing.TB) string {
		lines := `location = /ws { proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_pass BACKEND; }`
		if ca == nil {
			return as(scheme, path, nginx(lines))(t)
		}
		certFile, keyFile := ca.Issue(t, diagtest.CertOptions{}).Files(t)
		return as(scheme, path, func(t testing.TB) string {
			return startNginx(t, "ssl_certificate "+certFile+"; ssl_certificate_key "+keyFile+"; "+strings.ReplaceAll(lines, "BACKEND", "http://"+hostOf(t, mosquittoWS(t).WS)), "ssl")
		})(t)
	}
}

// TestWebBrokerAskedOtherwise asks a broker behind a web server, at a path of its own, in every wrong way.
func TestWebBrokerAskedOtherwise(t *testing.T) {
	t.Parallel()
	ca := diagtest.NewCA(t, "Root")
	trusting := diag.TargetInput{TLS: diag.TLSInput{CAPEM: ca.PEM}}
	const secure, plain = `{"url":"wss://HOST/ws"}`, `{"url":"ws://HOST/ws"}`
	runScenarios(t, []scenario{
		{name: "https healthy", peer: webBroker("wss", "/ws", ca), in: trusting},
		{name: "https asked mqtts", peer: webBroker("mqtts", "", ca), in: trusting, want: "ws.expected", suggest: secure},
		{name: "https asked mqtt", peer: webBroker("mqtt", "", ca), in: trusting, want: "tls.required", suggest: secure},
		{name: "https asked ws at another path", peer: webBroker("ws", "/mqtt", ca), in: trusting, want: "tls.required", suggest: secure},
		{name: "https asked wss at another path", peer: webBroker("wss", "/mqtt", ca), in: trusting, want: "ws.wrong_path", suggest: secure},
		{name: "http healthy", peer: webBroker("ws", "/ws", nil)},
		{name: "http asked mqtts", peer: webBroker("mqtts", "", nil), want: "tls.plaintext_peer", variant: "websocket", suggest: plain},
		{name: "http asked mqtt", peer: webBroker("mqtt", "", nil), want: "ws.expected", suggest: plain},
		{name: "http asked wss at another path", peer: webBroker("wss", "/mqtt", nil), want: "tls.plaintext_peer", variant: "websocket", suggest: plain},
		{name: "echo", peer: peerAs("mqtt", func(conn net.Conn) { _, _ = io.Copy(conn, conn) }), want: "mqtt.not_mqtt", check: arg("protocol", "Echo")},
		{name: "echo asked mqtts", peer: peerAs("mqtts", func(conn net.Conn) { _, _ = io.Copy(conn, conn) }), want: "mqtt.not_mqtt", check: arg("protocol", "Echo")},
		{name: "echo asked ws", peer: peerAs("ws", func(conn net.Conn) { _, _ = io.Copy(conn, conn) }), want: "mqtt.not_mqtt", check: arg("protocol", "Echo")},
	})
}
