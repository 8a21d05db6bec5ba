package probe_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// program starts a proxy with a configuration file and waits until it listens.
func program(t testing.TB, name string, port int, config string, args func(dir, file string) []string) {
	t.Helper()
	path := diagtest.Require(t, name)
	dir := t.TempDir()
	file := filepath.Join(dir, name+".conf")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(config, "DIR", dir)), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args(dir, file)...)
	diagtest.Run(t, cmd)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v", name, err)
		}
	}
}

// nginx starts an nginx whose server has the given lines and returns its URL; BACKEND stands for a mosquitto's WebSocket
// listener.
func nginx(lines string) func(testing.TB) string { return nginxBefore(mosquittoWS, lines) }

func mosquittoWS(t testing.TB) *diagtest.Broker {
	// With a ws listener alone, 2.0.11 does not start.
	return diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt", "ws"}})
}

func mochiWS(t testing.TB) *diagtest.Broker { return diagtest.Mochi(t, diagtest.MochiOptions{}) }

func nginxBefore(backend func(testing.TB) *diagtest.Broker, lines string) func(testing.TB) string {
	return func(t testing.TB) string {
		if !strings.Contains(lines, "BACKEND") {
			return startNginx(t, lines)
		}
		u, _ := url.Parse(backend(t).WS)
		return startNginx(t, strings.ReplaceAll(lines, "BACKEND", "http://"+u.Host))
	}
}

// startNginx starts an nginx whose server has the given lines; further words go behind its listen address.
func startNginx(t testing.TB, lines string, listen ...string) string {
	port := diagtest.FreePort(t)
	program(t, "nginx", port, fmt.Sprintf(`daemon off; master_process off; pid DIR/pid; error_log DIR/error.log;
events {}
http {
  access_log off; client_body_temp_path DIR/a; proxy_temp_path DIR/b; fastcgi_temp_path DIR/c; uwsgi_temp_path DIR/d; scgi_temp_path DIR/e;
  server { listen 127.0.0.1:%d %s; %s }
}`, port, strings.Join(listen, " "), lines), func(dir, file string) []string {
		return []string{"-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log")}
	})
	return fmt.Sprintf("ws://127.0.0.1:%d/mqtt", port)
}

func haproxy(t testing.TB) string {
	u, _ := url.Parse(mosquittoWS(t).WS)
	port := diagtest.FreePort(t)
	program(t, "haproxy", port, fmt.Sprintf(`defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend f
  bind 127.0.0.1:%d
  default_backend b
backend b
  server s %s
`, port, u.Host), func(_, file string) []string { return []string{"-db", "-f", file} })
	return fmt.Sprintf("ws://127.0.0.1:%d/mqtt", port)
}

func TestProxies(t *testing.T) {
	t.Parallel()
	const upgrade = `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; `
	const bare = `proxy_set_header Sec-WebSocket-Protocol ""; `
	runScenarios(t, []scenario{
		{name: "nginx with the upgrade headers", peer: nginx(`location / { ` + upgrade + `proxy_pass BACKEND; }`)},
		{name: "haproxy", peer: haproxy},
		// mosquitto ends the connection at a request without Upgrade, so that nginx says 502, and answers one that is no GET.
		{name: "nginx without the upgrade headers before mosquitto", peer: nginx(`location / { proxy_pass BACKEND; }`), want: "ws.upgrade_stripped",
			variant: "behind", readings: []diag.Code{"ws.bad_gateway"}},
		{name: "nginx without the upgrade headers before mochi", peer: nginxBefore(mochiWS, `location / { proxy_pass BACKEND; }`), want: "ws.upgrade_stripped"},
		{name: "nginx without the upgrade headers before aedes", peer: nginxBefore(diagtest.Aedes, `location / { proxy_pass BACKEND; }`), want: "ws.not_websocket",
			variant: "silent", readings: []diag.Code{"ws.upgrade_stripped"}}, // node leaves the request without an answer
		{name: "nginx without the upgrade headers before nats", peer: nginxBefore(diagtest.NATS, `location / { proxy_pass BACKEND; }`), want: "ws.upgrade_stripped"},
		{name: "nginx without the upgrade headers before rabbitmq", peer: as("ws", "/ws", nginxBefore(diagtest.RabbitMQ, `location / { proxy_pass BACKEND; }`)), want: "ws.upgrade_stripped"},
		{name: "nginx with HTTP 1.1 alone", peer: nginxBefore(mochiWS, `location / { proxy_http_version 1.1; proxy_pass BACKEND; }`), want: "ws.upgrade_stripped"},
		{name: "nginx without the subprotocol before mosquitto", peer: nginx(`location / { ` + upgrade + bare + `proxy_pass BACKEND; }`), want: "ws.subprotocol_rejected", variant: "*"},
		{name: "nginx without the subprotocol before mochi", peer: nginxBefore(mochiWS, `location / { `+upgrade+bare+`proxy_pass BACKEND; }`), want: "ws.subprotocol_rejected", variant: "*"},
		{name: "nginx without the subprotocol before aedes", peer: nginxBefore(diagtest.Aedes, `location / { `+upgrade+bare+`proxy_pass BACKEND; }`), want: "ws.subprotocol_rejected", variant: "*"},
		{name: "nginx without the subprotocol before nats", peer: nginxBefore(diagtest.NATS, `location / { `+upgrade+bare+`proxy_pass BACKEND; }`)}, // which answers it at /mqtt whatever is asked
		{name: "nginx without the subprotocol before rabbitmq", peer: as("ws", "/ws", nginxBefore(diagtest.RabbitMQ, `location / { `+upgrade+bare+`proxy_pass BACKEND; }`)), want: "ws.subprotocol_rejected", variant: "*"},
		{name: "nginx at another path", peer: as("ws", "/broker", nginx(`location = /mqtt { `+upgrade+`proxy_pass BACKEND; } location / { return 404; }`)), want: "ws.wrong_path",
			suggest: `{"url":"ws://HOST/mqtt"}`},
		{name: "nginx sends to the login of another application", peer: as("ws", "/broker", nginx(`location = /mqtt { `+upgrade+`proxy_pass BACKEND; } location / { return 302 /login; }`)), want: "ws.wrong_path",
			suggest: `{"url":"ws://HOST/mqtt"}`},
		{name: "nginx returns 404", peer: nginx(`location / { return 404; }`), want: "ws.not_websocket"},
		{name: "nginx returns 400", peer: nginx(`location / { return 400; }`), want: "ws.upgrade_stripped", variant: "*"},
		{name: "nginx returns a page", peer: nginx(`location / { default_type text/html; return 200 "<html>Welcome</html>"; }`), want: "ws.not_websocket"},
		{name: "nginx with nothing behind", peer: nginx(`location / { ` + upgrade + `proxy_pass http://127.0.0.1:1; }`), want: "ws.bad_gateway",
			readings: []diag.Code{"ws.upgrade_stripped"}},
		{name: "nginx asks for a login", peer: nginx(`location / { auth_basic "mqtt"; auth_basic_user_file /dev/null; ` + upgrade + `proxy_pass BACKEND; }`), want: "ws.auth_required"},
		{name: "nginx denies", peer: nginx(`location / { deny all; }`), want: "ws.auth_required"},
		{name: "nginx denies foreign origins", peer: nginx(`location / { if ($http_origin = "https://console.example") { return 403; } ` + upgrade + `proxy_pass BACKEND; }`),
			in: diag.TargetInput{WS: diag.WSInput{Origin: "https://console.example"}}, want: "ws.origin_rejected", suggest: `{"ws":{"origin":""}}`},
		{name: "nginx redirects", peer: nginx(`location = /mqtt { return 301 /broker/; } location /broker/ { ` + upgrade + `proxy_pass BACKEND; }`), want: "ws.redirect",
			suggest: `{"url":"ws://HOST/broker/"}`},
		{name: "mqtt asked of nginx", peer: as("mqtt", "", nginx(`location / { `+upgrade+`proxy_pass BACKEND; }`)), want: "ws.expected", suggest: `{"url":"ws://HOST/mqtt"}`},
		{name: "mqtt asked of a page", peer: as("mqtt", "", nginx(`location / { return 200 "Welcome"; }`)), want: "mqtt.not_mqtt"},
	})
}
