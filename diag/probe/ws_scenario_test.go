package probe_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// overWS is a scripted broker behind a WebSocket upgrade.
func overWS(ws diagtest.WSScript, options ...diagtest.PeerOption) func(testing.TB) string {
	return func(t testing.TB) string {
		return diagtest.ScriptedBroker(t, diagtest.Script{WS: &ws}, options...).Target()
	}
}

// secured starts a scripted broker with TLS and returns its target's input with the CA.
func secured(t testing.TB, script diagtest.Script) diag.TargetInput {
	ca := diagtest.NewCA(t, "scenario CA")
	b := diagtest.ScriptedBroker(t, script, diagtest.WithTLS(ca.Issue(t, diagtest.CertOptions{}).Server()))
	return diag.TargetInput{URL: b.Target(), TLS: diag.TLSInput{CAPEM: ca.PEM}}
}

// securedAs is a scenario whose peer has TLS; change may alter the URL's scheme and path.
func securedAs(s scenario, script diagtest.Script, scheme, path string) func(*testing.T) {
	return func(t *testing.T) {
		t.Parallel()
		in := secured(t, script)
		s.in.TLS = in.TLS
		s.peer = func(testing.TB) string { return in.URL }
		if scheme != "" {
			s.peer = as(scheme, path, s.peer)
		}
		s.run(t)
	}
}

func TestWrongPath(t *testing.T) {
	t.Parallel()
	at := func(path string) func(testing.TB) string {
		return as("ws", "/broker", overWS(diagtest.WSScript{Path: path}))
	}
	var all []scenario
	for _, path := range []string{"/mqtt", "/ws", "/", "/mqtt/", "/websocket"} {
		all = append(all, scenario{name: "works at " + strings.ReplaceAll(path, "/", "_"), peer: at(path), want: "ws.wrong_path",
			suggest: `{"url":"ws://HOST` + path + `"}`})
	}
	all = append(all, inVersions(scenario{name: "version", peer: at("/mqtt"), want: "ws.wrong_path", suggest: `{"url":"ws://HOST/mqtt"}`}, everyVersion...)...)
	all = append(all, inVersions(scenario{name: "right path", peer: overWS(diagtest.WSScript{Path: "/mqtt"})}, everyVersion...)...)
	all = append(all,
		scenario{name: "own path", peer: as("ws", "/broker", overWS(diagtest.WSScript{Path: "/broker"}))},
		scenario{name: "own path with query", peer: func(t testing.TB) string { return overWS(diagtest.WSScript{Path: "/broker"})(t) + "?token=1" }},
		// The broker behind the other path refuses the login: two faults, the first one first.
		scenario{name: "wrong path and login", peer: func(t testing.TB) string {
			return as("ws", "/x", scripted(diagtest.Script{OnConnect: diagtest.OnlyUser("doctor", "right"), WS: &diagtest.WSScript{Path: "/mqtt"}}))(t)
		}, want: "ws.wrong_path"},
	)
	runScenarios(t, all)
	t.Run("over TLS", securedAs(scenario{want: "ws.wrong_path", suggest: `{"url":"wss://HOST/mqtt"}`}, diagtest.Script{WS: &diagtest.WSScript{Path: "/mqtt"}}, "wss", "/broker"))
	t.Run("over TLS, healthy", securedAs(scenario{}, diagtest.Script{WS: &diagtest.WSScript{Path: "/mqtt"}}, "", ""))
}

func TestWebSocketExpected(t *testing.T) {
	t.Parallel()
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "mqtt to a ws listener", peer: as("mqtt", "", overWS(diagtest.WSScript{})), want: "ws.expected",
			suggest: `{"url":"ws://HOST/mqtt"}`}, everyVersion...),
		[]scenario{
			{name: "at another path", peer: as("mqtt", "", overWS(diagtest.WSScript{Path: "/ws"})), want: "ws.expected", suggest: `{"url":"ws://HOST/ws"}`},
			{name: "at the root", peer: as("mqtt", "", overWS(diagtest.WSScript{Path: "/"})), want: "ws.expected", suggest: `{"url":"ws://HOST/"}`},
			{name: "login refused there", peer: as("mqtt", "", scripted(diagtest.Script{OnConnect: diagtest.OnlyUser("doctor", "right"),
				WS: &diagtest.WSScript{}})), want: "ws.expected", variant: "answered"},
			{name: "a web server that answers 400", peer: func(t testing.TB) string {
				return diagtest.HTTPPeer(t, diagtest.HTTPStatus(404)).URL("mqtt")
			}, want: "mqtt.not_mqtt"},
			{name: "a web server that waits", peer: func(t testing.TB) string {
				return diagtest.PatientHTTPPeer(t, diagtest.HTTPStatus(404)).URL("mqtt")
			}, want: "mqtt.not_mqtt", plan: diag.PlanInput{TimeoutS: seconds(1)}},
			{name: "raw asked of a raw broker", peer: scripted(diagtest.Script{})},
			{name: "ws asked of a raw broker", peer: as("ws", "/mqtt", scripted(diagtest.Script{})), want: "ws.raw_mqtt_peer",
				suggest: `{"url":"mqtt://HOST"}`},
			{name: "ws asked of a raw broker that refuses", peer: as("ws", "/mqtt", scripted(diagtest.Script{OnConnect: diagtest.OnlyUser("a", "b")})),
				want: "ws.raw_mqtt_peer"},
			{name: "ws asked of a raw broker that knows 3.1.1 only", peer: as("ws", "/mqtt", scripted(diagtest.Script{OnConnect: diagtest.OnlyLevelsElseClose(4)})),
				want: "ws.raw_mqtt_peer", suggest: `{"url":"mqtt://HOST"}`},
		}))
	t.Run("mqtts to a wss listener", securedAs(scenario{want: "ws.expected", suggest: `{"url":"wss://HOST/mqtt"}`},
		diagtest.Script{WS: &diagtest.WSScript{}}, "mqtts", ""))
	t.Run("wss to an mqtts listener", securedAs(scenario{want: "ws.raw_mqtt_peer", suggest: `{"url":"mqtts://HOST"}`},
		diagtest.Script{}, "wss", "/mqtt"))
}

func TestSubprotocol(t *testing.T) {
	t.Parallel()
	none := overWS(diagtest.WSScript{Subprotocol: diagtest.NoSubprotocol})
	only31 := overWS(diagtest.WSScript{Subprotocol: func(offered []string) string {
		if slices.Contains(offered, "mqttv3.1") {
			return "mqttv3.1"
		}
		return ""
	}})
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "none chosen", peer: none, want: "ws.subprotocol_rejected", variant: "not_chosen"}, everyVersion...),
		inVersions(scenario{name: "another chosen", peer: overWS(diagtest.WSScript{Subprotocol: diagtest.AlwaysSubprotocol("chat")}),
			want: "ws.subprotocol_rejected", variant: "other_chosen"}, "auto", "3.1.1", "5"),
		inVersions(scenario{name: "only mqttv3.1", peer: only31, want: "ws.subprotocol_rejected", variant: "not_chosen",
			suggest: `{"protocol":"3.1"}`}, "auto", "3.1.1", "5"),
		inVersions(scenario{name: "mqtt refused", peer: overWSRefusing("mqtt"), want: "ws.subprotocol_rejected", variant: "refused",
			suggest: `{"protocol":"3.1"}`}, "auto", "3.1.1", "5"),
		inVersions(scenario{name: "only mqttv3.1 asked so", peer: only31}, "3.1"),
		inVersions(scenario{name: "chosen", peer: overWS(diagtest.WSScript{})}, everyVersion...),
	))
}

// overWSRefusing answers 400 where one subprotocol is offered.
func overWSRefusing(name string) func(testing.TB) string {
	return func(t testing.TB) string {
		b := diagtest.ScriptedBroker(t, diagtest.Script{WS: &diagtest.WSScript{}})
		return reverse(t, b.Addr, func(r *http.Request) int {
			if slices.Contains(strings.Split(r.Header.Get("Sec-WebSocket-Protocol"), ", "), name) {
				return http.StatusBadRequest
			}
			return 0
		}).URL("ws", "/mqtt")
	}
}

// reverse is a WebSocket proxy before another listener. Judge may return a status to answer instead.
func reverse(t testing.TB, to string, judge func(*http.Request) int) *diagtest.PeerServer {
	return diagtest.HTTPPeer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := judge(r); status != 0 {
			http.Error(w, http.StatusText(status), status)
			return
		}
		up, err := net.Dial("tcp", to)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer up.Close()
		_ = r.Write(up)
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		go func() {
			_, _ = io.Copy(up, buffered)
			_ = up.Close()
		}()
		_, _ = io.Copy(conn, up)
	}))
}

func TestUpgradeDeclined(t *testing.T) {
	t.Parallel()
	status := func(code int, header ...string) func(testing.TB) string {
		return func(t testing.TB) string {
			return diagtest.HTTPPeer(t, diagtest.HTTPStatus(code, header...)).URL("ws", "/mqtt")
		}
	}
	var all []scenario
	for code, want := range map[int]diag.Code{
		502: "ws.bad_gateway", 503: "ws.bad_gateway", 504: "ws.bad_gateway", 401: "ws.auth_required", 403: "ws.auth_required",
		404: "ws.not_websocket", 200: "ws.not_websocket", 500: "ws.not_websocket", 429: "ws.not_websocket", 405: "ws.not_websocket", 426: "ws.upgrade_stripped",
		301: "ws.redirect", 302: "ws.redirect", 307: "ws.redirect", 308: "ws.redirect", 400: "ws.not_websocket",
	} {
		all = append(all, scenario{name: fmt.Sprint(code), peer: status(code), want: want, variant: "*"})
	}
	pageSays := func(page string) func(testing.TB) string {
		return func(t testing.TB) string {
			return diagtest.HTTPPeer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Error(w, page, http.StatusBadRequest)
			})).URL("ws", "/mqtt")
		}
	}
	origin := diag.TargetInput{WS: diag.WSInput{Origin: "https://console.example"}}
	originOnly := overWS(diagtest.WSScript{Origins: []string{"https://allowed.example"}})
	all = append(all,
		scenario{name: "401 basic", peer: status(401, "WWW-Authenticate", `Basic realm="mqtt"`), want: "ws.auth_required"},
		scenario{name: "400 of nginx", peer: status(400, "Server", "nginx/1.22.1"), want: "ws.upgrade_stripped", variant: "*"},
		scenario{name: "426 of nginx", peer: status(426, "Server", "nginx"), want: "ws.upgrade_stripped", variant: "*"},
		scenario{name: "400 of ws", peer: pageSays("Missing or invalid Upgrade header"), want: "ws.upgrade_stripped", variant: "*"},
		scenario{name: "404 of nginx", peer: status(404, "Server", "nginx"), want: "ws.not_websocket"},
		scenario{name: "redirect elsewhere", peer: status(301, "Location", "https://login.example/"), want: "ws.redirect"},
		scenario{name: "broker at an unusual path", peer: func(t testing.TB) string {
			b := diagtest.ScriptedBroker(t, diagtest.Script{WS: &diagtest.WSScript{Path: "/hidden"}})
			return reverse(t, b.Addr, func(r *http.Request) int { return 0 }).URL("ws", "/mqtt")
		}, want: "ws.not_websocket"},
		scenario{name: "origin refused", peer: originOnly, in: origin, want: "ws.origin_rejected", suggest: `{"ws":{"origin":""}}`},
		scenario{name: "no origin", peer: originOnly},
		scenario{name: "allowed origin", peer: originOnly, in: diag.TargetInput{WS: diag.WSInput{Origin: "https://allowed.example"}}},
		scenario{name: "text frames", peer: overWS(diagtest.WSScript{Text: true}), want: "ws.text_frames"},
		scenario{name: "frames of one byte", peer: overWS(diagtest.WSScript{FrameBytes: 1})},
	)
	runScenarios(t, all)
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	to := func(location string) func(testing.TB) string {
		return func(t testing.TB) string {
			b := diagtest.ScriptedBroker(t, diagtest.Script{WS: &diagtest.WSScript{Path: "/moved/here"}})
			p := diagtest.HTTPPeer(t, diagtest.HTTPStatus(302, "Location", strings.ReplaceAll(location, "BROKER", b.Addr)))
			return p.URL("ws", "/mqtt")
		}
	}
	runScenarios(t, []scenario{
		{name: "to a working listener", peer: to("http://BROKER/moved/here"), want: "ws.redirect", suggest: "*"},
		{name: "to a working listener, as ws", peer: to("ws://BROKER/moved/here"), want: "ws.redirect", suggest: "*"},
		{name: "to a dead path", peer: to("http://BROKER/nothing"), want: "ws.redirect"},
		{name: "in circles", peer: to("/mqtt"), want: "ws.redirect"},
		{name: "without a location", peer: to(""), want: "ws.redirect"},
		{name: "to nonsense", peer: to("::::"), want: "ws.redirect"},
	})
}
