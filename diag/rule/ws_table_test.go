package rule

import (
	"testing"

	"mqttdoctor/diag"
)

// upgrade is an asked opening handshake.
func upgrade(status int, change ...func(*diag.WSUpgrade)) diag.Step {
	o := &diag.WSUpgrade{Purpose: diag.PurposeAsked, Address: at, Path: "/mqtt", Offered: []string{"mqtt"}, UpgradeSent: true, Outcome: diag.OutcomeRefused, Status: status}
	if status == 101 {
		o.Outcome, o.Subprotocol = diag.OutcomeOK, "mqtt"
	}
	if status == 0 {
		o.Outcome = diag.OutcomeSilent
	}
	for _, f := range change {
		f(o)
	}
	return seen(checkWS, at, o)
}

// upgradeTry is another opening handshake; status 101 goes on to a CONNACK that accepts.
func upgradeTry(check diag.ProbeID, p diag.Purpose, label string, status int, change ...func(*diag.Attempt)) diag.Step {
	a := &diag.Attempt{Purpose: p, Label: label, Address: at, Transport: diag.SchemeWS,
		WS: &diag.WSUpgrade{Path: "/mqtt", Offered: []string{"mqtt"}, Outcome: diag.OutcomeRefused, Status: status}}
	if status == 101 {
		a.WS.Outcome, a.WS.Subprotocol = diag.OutcomeOK, "mqtt"
		a.MQTT = answered(0)
	}
	if p == diag.PurposePath {
		a.WS.Path = label
	}
	for _, f := range change {
		f(a)
	}
	return seen(check, label, a)
}

func server(name string) func(*diag.WSUpgrade) { return func(o *diag.WSUpgrade) { o.Server = name } }
func says(body string) func(*diag.WSUpgrade)   { return func(o *diag.WSUpgrade) { o.BodyStart = body } }

func TestUpgradeLookAlikes(t *testing.T) { testRecorded(t, upgradeLookAlikes()) }

func upgradeLookAlikes() []recorded {
	ws := broker(diag.SchemeWS)
	path := func(label string, status int, change ...func(*diag.Attempt)) diag.Step {
		return upgradeTry("ws.paths", diag.PurposePath, label, status, change...)
	}
	origin := func(label string, status int) diag.Step {
		return upgradeTry("ws.origin", diag.PurposeOrigin, label, status)
	}
	sub := func(label string, status int, change ...func(*diag.Attempt)) diag.Step {
		return upgradeTry("ws.subprotocols", diag.PurposeSubprotocol, label, status, change...)
	}
	port := upgradeTry("tcp.ports", diag.PurposePort, "9001", 101)
	over := func(m *diag.MQTTConnect) diag.Step {
		return seen("peer.transports", "wss", &diag.Attempt{Purpose: diag.PurposeTLS, Address: at, Transport: diag.SchemeWSS, TCP: &diag.TCPConnect{Outcome: diag.OutcomeOK},
			TLS: &diag.TLSHandshake{Outcome: diag.OutcomeOther, Speaks: m.Speaks, First: m.First}})
	}
	raw := func(m *diag.MQTTConnect) diag.Step {
		return seen("peer.transports", "mqtt", tried(diag.PurposeRaw, diag.SchemeMQTT, m))
	}
	connect := func(o *diag.MQTTConnect) diag.Step { o.Transport = diag.SchemeWS; return seen(checkMQTT, at, o) }
	bare := func(o *diag.WSUpgrade) { o.Subprotocol = "" }
	page := ws
	page.WS.Origin = "https://app.example.com"
	plainPage := ws
	plainPage.WS.Origin = "http://app.example.com"
	local, localName, localAddress := page, page, page
	local.Host, localName.Host, localAddress.Host = "localhost", "broker.localhost", "::1"
	return []recorded{
		{name: "a page over https", target: page, steps: []diag.Step{upgrade(101), connect(answered(0))}, want: "ws.mixed_content"},
		{name: "a page over http", target: plainPage, steps: []diag.Step{upgrade(101), connect(answered(0))}},
		{name: "no page", target: ws, steps: []diag.Step{upgrade(101), connect(answered(0))}},
		{name: "a page over https, to the machine itself", target: local, steps: []diag.Step{upgrade(101), connect(answered(0))}},
		{name: "a page over https, to a name of the machine itself", target: localName, steps: []diag.Step{upgrade(101), connect(answered(0))}},
		{name: "a page over https, to its address", target: localAddress, steps: []diag.Step{upgrade(101), connect(answered(0))}},
		{name: "404 here, 101 there", target: ws, steps: []diag.Step{upgrade(404), path("/ws", 101)}, want: "ws.wrong_path",
			because: map[diag.Code]string{"ws.not_websocket": "because.other_path_upgrades", "ws.bad_gateway": "because.http_status"}},
		{name: "404 everywhere", target: ws, steps: []diag.Step{upgrade(404), path("/ws", 404)}, want: "ws.not_websocket",
			because: map[diag.Code]string{"ws.wrong_path": "because.no_usual_path_upgrades", "ws.upgrade_stripped": "because.no_sign_of_stripping"}},
		{name: "426 everywhere", target: ws, steps: []diag.Step{upgrade(426), path("/ws", 426)}, want: "ws.upgrade_stripped"},
		{name: "400 of a proxy", target: ws, steps: []diag.Step{upgrade(400, server("nginx")), path("/ws", 400)}, want: "ws.upgrade_stripped"},
		{name: "400 of a server that misses Upgrade", target: ws, steps: []diag.Step{upgrade(400, says("Bad Request: missing upgrade header")), path("/ws", 400)}, want: "ws.upgrade_stripped"},
		{name: "400 of nobody known", target: ws, steps: []diag.Step{upgrade(400), path("/ws", 400)}, want: "ws.not_websocket"},
		{name: "200 of a proxy, and the broker's own port", target: ws, steps: []diag.Step{upgrade(200, server("nginx")), path("/ws", 200), port}, want: "ws.upgrade_stripped", variant: "own_port"},
		{name: "502", target: ws, steps: []diag.Step{upgrade(502, server("nginx")), path("/ws", 502)}, want: "ws.bad_gateway"},
		{name: "502, and the broker's own port", target: ws, steps: []diag.Step{upgrade(502, server("nginx")), path("/ws", 502), port}, want: "ws.upgrade_stripped", variant: "own_port",
			because: map[diag.Code]string{"ws.bad_gateway": "because.own_port_upgrades"}},
		{name: "403 for every Origin", target: ws, steps: []diag.Step{upgrade(403), origin("-", 403), path("/ws", 403)}, want: "ws.auth_required",
			because: map[diag.Code]string{"ws.origin_rejected": "because.origin_does_not_matter"}},
		{name: "403 for this Origin", target: ws, steps: []diag.Step{upgrade(403), origin("-", 101), path("/ws", 403)}, want: "ws.origin_rejected", variant: "missing",
			because: map[diag.Code]string{"ws.auth_required": "because.origin_matters", "ws.wrong_path": "because.origin_matters"}},
		{name: "403 at this path", target: ws, steps: []diag.Step{upgrade(403), path("/ws", 101)}, want: "ws.wrong_path",
			because: map[diag.Code]string{"ws.auth_required": "because.other_path_upgrades"}},
		{name: "403 for this subprotocol", target: ws, steps: []diag.Step{upgrade(403), path("/ws", 403), sub("mqttv3.1", 101, func(a *diag.Attempt) { a.WS.Subprotocol = "mqttv3.1" })},
			want: "ws.subprotocol_rejected", variant: "refused"},
		{name: "a redirect", target: ws, steps: []diag.Step{upgrade(301), path("/ws", 301)}, want: "ws.redirect"},
		{name: "no subprotocol, and MQTT answers", target: ws, steps: []diag.Step{upgrade(101, bare), connect(answered(0))}, want: "ws.subprotocol_rejected", variant: "not_chosen"},
		{name: "no subprotocol, no MQTT, and MQTT elsewhere", target: ws, steps: []diag.Step{upgrade(101, bare), connect(unanswered(diag.OutcomeOther, saying("nats"))), path("/mqtt2", 101)},
			want: "ws.wrong_path", variant: "something_else"},
		{name: "subprotocol chosen", target: ws, steps: []diag.Step{upgrade(101), connect(answered(0))}, want: ""},
		{name: "text frames", target: ws, steps: []diag.Step{upgrade(101), connect(answered(0, func(o *diag.MQTTConnect) { o.WSText = true }))}, want: "ws.text_frames"},
		{name: "no HTTP, and a CONNACK", target: ws, steps: []diag.Step{upgrade(0), raw(answered(0))}, want: "ws.raw_mqtt_peer",
			because: map[diag.Code]string{"ws.not_websocket": "because.no_http_answer"}},
		{name: "no answer, and HTTP to other bytes", target: ws, steps: []diag.Step{upgrade(0), raw(unanswered(diag.OutcomeOther, saying("http")))}, want: "ws.not_websocket", variant: "silent"},
		{name: "no answer to anything", target: ws, steps: []diag.Step{upgrade(0), raw(unanswered(diag.OutcomeSilent))}, want: "mqtt.no_connack", variant: "upgrade"},
		{name: "a close at the upgrade", target: ws, steps: []diag.Step{upgrade(0, func(o *diag.WSUpgrade) { o.Outcome = diag.OutcomeClosed }), raw(unanswered(diag.OutcomeClosed))},
			want: "mqtt.closed_without_connack", variant: "upgrade"},
		{name: "a reset at the upgrade, and a CONNACK", target: ws, steps: []diag.Step{upgrade(0, func(o *diag.WSUpgrade) { o.Outcome = diag.OutcomeReset }), raw(answered(0))},
			want: "ws.raw_mqtt_peer"},
		{name: "upgraded, then silence", target: ws, steps: []diag.Step{upgrade(101), connect(unanswered(diag.OutcomeSilent)), over(unanswered(diag.OutcomeOther, saying("http")))},
			want: "mqtt.no_connack", because: map[diag.Code]string{"mqtt.not_mqtt": "because.nothing_said"}},
		{name: "upgraded, then another protocol", target: ws, steps: []diag.Step{upgrade(101), connect(unanswered(diag.OutcomeOther, saying("nats")))}, want: "mqtt.not_mqtt"},
		{name: "Cloudflare's own status", target: ws, steps: []diag.Step{upgrade(521, server("cloudflare")), path("/ws", 521)}, want: "ws.bad_gateway"},
		{name: "the same status of another", target: ws, steps: []diag.Step{upgrade(521, server("Apache")), path("/ws", 521)}, want: "ws.not_websocket", variant: "failed"},
		{name: "another protocol", target: ws, steps: []diag.Step{upgrade(0, func(o *diag.WSUpgrade) { o.Outcome, o.Speaks = diag.OutcomeOther, "ssh" })}, want: "mqtt.not_mqtt"},
	}
}
