package web

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
	"mqttdoctor/handlers"
)

type openedConsole struct {
	ID          string
	RelayURL    string    `json:"relay_url"`
	TraceURL    string    `json:"trace_url"`
	ExpiresAt   time.Time `json:"expires_at"`
	IdleS       int       `json:"idle_s"`
	DeleteToken string    `json:"delete_token"`
}

// consoleServer is a server whose engine dials, under a policy.
func consoleServer(t *testing.T, policy string, change ...func(*Config)) *testServer {
	c := testConfig(t)
	for _, f := range change {
		f(&c)
	}
	return startServer(t, c, NewEngine(guard.Policy{Name: policy}, "test", nil))
}

func (s *testServer) open(body string) openedConsole {
	s.t.Helper()
	var o openedConsole
	s.do("POST", "/api/v1/console", body).want(http.StatusCreated).json(&o)
	return o
}

// relay opens a WebSocket to a console as an MQTT library would.
func (s *testServer) relay(url string, subprotocols ...string) *websocket.Conn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: s.client2(), Subprotocols: subprotocols})
	if err != nil {
		s.t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func wantClose(t *testing.T, conn *websocket.Conn, want websocket.StatusCode) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		_, _, err := conn.Read(ctx)
		if err == nil {
			continue
		}
		var closed websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != want || want >= 4000 && closed.Reason == "" {
			t.Errorf("closed with %v, want %d", err, want)
		}
		return
	}
}

// connectV311 is a CONNECT of MQTT 3.1.1 with the client id "a".
var connectV311 = []byte{0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 1, 'a'}

func exchangeConnect(t *testing.T, conn *websocket.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageBinary, connectV311); err != nil {
		t.Fatal(err)
	}
	if kind, data, err := conn.Read(ctx); err != nil || kind != websocket.MessageBinary || len(data) < 2 || data[0] != 0x20 {
		t.Fatalf("%v %x %v", kind, data, err)
	}
}

func TestConsoleRelaysUntilItIsDeleted(t *testing.T) {
	t.Parallel()
	b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}})
	s := consoleServer(t, guard.Laptop)
	o := s.open(`{"target":{"url":"` + b.MQTT + `"}}`)
	if !strings.HasPrefix(o.RelayURL, "ws://127.0.0.1:") || !strings.HasSuffix(o.RelayURL, "/api/v1/console/"+o.ID+"/mqtt") ||
		!strings.HasSuffix(o.TraceURL, "/api/v1/console/"+o.ID+"/trace") || o.IdleS != 1800 || time.Until(o.ExpiresAt) < 23*time.Hour {
		t.Errorf("%+v", o)
	}
	conn := s.relay(o.RelayURL, "mqtt")
	exchangeConnect(t, conn)
	at := "/api/v1/console/" + o.ID
	s.do("DELETE", at, "").wantError(http.StatusUnauthorized, "token_missing")
	s.do("DELETE", at, "", "Authorization", "Bearer AAAA").wantError(http.StatusForbidden, "token_wrong")
	s.do("DELETE", at, "", "Authorization", "Bearer "+o.DeleteToken).want(http.StatusNoContent)
	wantClose(t, conn, 4012)
	s.do("DELETE", at, "", "Authorization", "Bearer "+o.DeleteToken).wantError(http.StatusNotFound, "console_not_found")
	wantClose(t, s.relay(o.RelayURL, "mqtt"), 4012)
	s.do("GET", at+"/mqtt", "").wantError(http.StatusUpgradeRequired, "websocket_only")
	if log := s.log.String(); strings.Contains(log, o.ID) || strings.Contains(log, o.DeleteToken) {
		t.Error("the log holds what opens the console")
	}
	for _, want := range []string{"mqttdoctor_consoles 0", "mqttdoctor_relays_open 0", `mqttdoctor_relay_bytes_total{direction="out"} 15`,
		`mqttdoctor_relays_total{by="relay",why="ended"} 1`} {
		await(t, want+" in the metrics", func() bool { // the client hears of the end before it is counted
			return strings.Contains(string(s.do("GET", "/metrics", "").want(http.StatusOK).body), want)
		})
	}
}

func TestConsoleRefusesBadInput(t *testing.T) {
	s := consoleServer(t, guard.Public, func(c *Config) { c.MaxConsolesPer = 2 })
	s.do("POST", "/api/v1/console", `{"target":{"url":"gopher://a"},"trace":1}`).wantError(http.StatusBadRequest, "invalid_input", "trace")
	s.do("POST", "/api/v1/console", `{"target":{"url":"gopher://a"}}`).wantError(http.StatusBadRequest, "invalid_input", "target.url")
	s.do("POST", "/api/v1/console", `{"target":{"url":"mqtt://10.0.0.1"}}`).wantError(http.StatusForbidden, "target_forbidden", "target.url")
	for range 2 {
		s.open(`{"target":{"url":"mqtt://broker.example.com"}}`)
	}
	a := s.do("POST", "/api/v1/console", `{"target":{"url":"mqtt://broker.example.com"}}`)
	a.wantError(http.StatusTooManyRequests, "too_many_consoles_client")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestRelayRefusesPagesOfOtherSites(t *testing.T) {
	s := consoleServer(t, guard.Laptop)
	o := s.open(`{"target":{"url":"mqtt://127.0.0.1:1"}}`)
	at := "/api/v1/console/" + o.ID + "/mqtt"
	if _, res, err := s.dial(at, "Origin", "https://evil.example"); err == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("%v %v", res, err)
	}
	conn, _, err := s.dial(at, "Origin", s.base)
	if err != nil {
		t.Fatal(err)
	}
	wantClose(t, conn, 4002) // nobody listens on port 1
	s.do("GET", at, "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Key", "short").wantError(http.StatusBadRequest, "bad_upgrade")
}

// A name that resolves to an address that the policy forbids is refused when it is dialled.
func TestRelayAsksThePolicyWhenItDials(t *testing.T) {
	e := NewEngine(guard.Policy{Name: guard.Public}, "test", nil)
	dial := e.Dial
	e.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dial(ctx, network, "127.0.0.1:1883")
	}
	s := startServer(t, testConfig(t), e)
	o := s.open(`{"target":{"url":"mqtt://broker.example.com"}}`)
	wantClose(t, s.relay(o.RelayURL, "mqtt"), 4006)
}

func TestStoppingClosesRelays(t *testing.T) {
	peer := diagtest.Peer(t, func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
	s := consoleServer(t, guard.Laptop)
	o := s.open(`{"target":{"url":"` + peer.URL("mqtt") + `"}}`)
	conn := s.relay(o.RelayURL, "mqtt")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageBinary, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.Read(ctx); err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.stop() }()
	wantClose(t, conn, websocket.StatusGoingAway)
}

// clock is a time that a test moves.
type clock struct{ at time.Time }

func TestConsolesExpire(t *testing.T) {
	now := clock{time.Now()}
	m := NewConsoles(ConsolesConfig{Engine: testEngine(guard.Laptop), MaxConsoles: 3, MaxPerClient: 3, MaxRelays: 1, Idle: 30 * time.Minute,
		Now: func() time.Time { return now.at }})
	o, err := m.Open(t.Context(), actorOf("192.0.2.1"), consoleOf("mqtt://broker.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	c, end := m.enter(o.ID)
	if end != nil {
		t.Fatal(end)
	}
	if _, end := m.enter(o.ID); end == nil || end.Status() != 1013 {
		t.Errorf("a second connection where one is the limit: %v", end)
	}
	now.at = now.at.Add(time.Hour)
	m.Sweep()
	if len(m.open) != 1 {
		t.Error("it ended with a connection")
	}
	m.leave(c)
	m.all.Done()
	now.at = now.at.Add(29 * time.Minute)
	m.Sweep()
	if len(m.open) != 1 {
		t.Error("it ended too early")
	}
	now.at = now.at.Add(time.Minute)
	m.Sweep()
	if len(m.open) != 0 || c.ctx.Err() == nil || m.places.taken != 0 {
		t.Error("it did not end")
	}
	o, _ = m.Open(t.Context(), actorOf("192.0.2.1"), consoleOf("mqtt://broker.example.com"))
	c, _ = m.enter(o.ID)
	now.at = now.at.Add(24 * time.Hour)
	m.Sweep()
	if c.ctx.Err() == nil {
		t.Error("it lasts for ever")
	}
	m.all.Done()
}

func actorOf(addr string) handlers.Actor { return handlers.Actor{Addr: netip.MustParseAddr(addr)} }

func consoleOf(url string) handlers.ConsoleOptions {
	return handlers.ConsoleOptions{Target: diag.TargetInput{URL: url}, Trace: true}
}
