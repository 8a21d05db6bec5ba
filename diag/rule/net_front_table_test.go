package rule

import (
	"testing"

	"mqttdoctor/diag"
)

func TestFrontLookAlikes(t *testing.T) { testRecorded(t, frontLookAlikes()) }

// frontLookAlikes are runs in which something on the way, or before the host, answers in the broker's place or swallows what is
// sent to it.
func frontLookAlikes() []recorded {
	tcp, ws, tls := broker(diag.SchemeMQTT), broker(diag.SchemeWS), broker(diag.SchemeMQTTS)
	accepts := seen(checkTCP, at, dialled(diag.OutcomeOK))
	silent := seen(checkTCP, at, dialled(diag.OutcomeSilent))
	connect := func(o *diag.MQTTConnect) diag.Step { return seen(checkMQTT, at, o) }
	web := func(check diag.ProbeID, p diag.Purpose, address string, status int, change ...func(*diag.WSUpgrade)) diag.Step {
		w := &diag.WSUpgrade{Address: address, Path: "/", Outcome: diag.OutcomeRefused, Status: status}
		for _, f := range change {
			f(w)
		}
		return seen(check, address, &diag.Attempt{Purpose: p, Label: "ws", Address: address, Transport: diag.SchemeWS, TCP: &diag.TCPConnect{Outcome: diag.OutcomeOK}, WS: w})
	}
	to := func(location string) func(*diag.WSUpgrade) {
		return func(w *diag.WSUpgrade) { w.Location = location }
	}
	login := to("http://login.hotel.example/")
	nowhere := func(change ...func(*diag.WSUpgrade)) diag.Step {
		return web(checkCaptive, diag.PurposePort, "198.51.100.99:80", 302, change...)
	}
	silence := seen(checkCaptive, "198.51.100.99:80", &diag.Attempt{Purpose: diag.PurposePort, Address: "198.51.100.99:80", Transport: diag.SchemeWS,
		TCP: &diag.TCPConnect{Outcome: diag.OutcomeSilent}})
	body := func(address string, check diag.ProbeID, text string) diag.Step {
		return web(check, diag.PurposeWebSocket, address, 200, func(w *diag.WSUpgrade) { w.BodyStart = text })
	}
	page := web(checkTransports, diag.PurposeWebSocket, at, 302, login)
	http := connect(unanswered(diag.OutcomeOther, saying("http")))
	absurd := seen("tcp.absurd_port", "192.0.2.1:57", dialled(diag.OutcomeOK, address("192.0.2.1:57"), func(o *diag.TCPConnect) { o.Purpose = diag.PurposeAbsurdPort }))
	absurdClosed := seen("tcp.absurd_port", "192.0.2.1:57", dialled(diag.OutcomeRefused, address("192.0.2.1:57")))

	cdn := func(status int) diag.Step {
		return web("tcp.ports", diag.PurposePort, "192.0.2.1:80", status, func(w *diag.WSUpgrade) { w.Server = "cloudflare" })
	}

	hung := func(tcp *diag.TCPInfoFact) diag.Step {
		return seen(checkTLS, at, &diag.TLSHandshake{Purpose: diag.PurposeAsked, Address: at, Outcome: diag.OutcomeSilent, TCP: tcp})
	}
	small := func(how diag.Outcome) diag.Step {
		return seen("net.mtu", "536", &diag.Attempt{Purpose: diag.PurposeSmallSegments, Label: "536", Address: at, Transport: diag.SchemeMQTTS,
			TCP: &diag.TCPConnect{Outcome: diag.OutcomeOK}, TLS: &diag.TLSHandshake{Address: at, Outcome: how, ServerHello: how == diag.OutcomeOK}})
	}
	usual := seen("net.mtu", "again", &diag.Attempt{Purpose: diag.PurposeRetry, Address: at, Transport: diag.SchemeMQTTS,
		TCP: &diag.TCPConnect{Outcome: diag.OutcomeOK}, TLS: &diag.TLSHandshake{Address: at, Outcome: diag.OutcomeOK, ServerHello: true}})
	smallConnect := func(m *diag.MQTTConnect) diag.Step {
		return seen("net.mtu", "536", tried(diag.PurposeSmallSegments, diag.SchemeMQTT, m))
	}
	whole := seen("net.loss", "", &diag.ConnectSeries{Address: at, Ends: []string{diag.EndOK, diag.EndOK, diag.EndOK, diag.EndOK}})
	lossy := seen("net.loss", "", &diag.ConnectSeries{Address: at, Ends: []string{diag.EndOK, diag.EndRepeated, diag.EndOK, diag.EndRepeated, diag.EndOK}})
	return []recorded{
		{name: "a login page where nobody can answer", target: tcp, steps: []diag.Step{accepts, http, page, nowhere(login)}, want: "net.captive_portal",
			because: map[diag.Code]string{"tcp.filtered": "because.port_accepts", "ws.expected": "because.no_upgrade_there"}},
		{name: "a login page of the host alone", target: tcp, steps: []diag.Step{accepts, http, page, silence}, want: "mqtt.not_mqtt"},
		{name: "one page on every port of the host", target: tcp, steps: []diag.Step{accepts, http, body(at, checkTransports, "<html>Log in"), body("192.0.2.1:57", checkCaptive, "<html>Log in")},
			want: "net.captive_portal", variant: "port"},
		{name: "other pages on other ports of the host", target: tcp, steps: []diag.Step{accepts, http, body(at, checkTransports, "<html>Log in"), body("192.0.2.1:57", checkCaptive, "<html>News")},
			want: "mqtt.not_mqtt"},
		{name: "a redirect where nobody can answer", target: ws, steps: []diag.Step{accepts, upgrade(302, login), nowhere(login)}, want: "net.captive_portal"},
		{name: "a redirect of the host alone", target: ws, steps: []diag.Step{accepts, upgrade(302, login), silence}, want: "ws.redirect"},
		{name: "no certificate, but a page everywhere", target: tls, steps: []diag.Step{accepts, seen(checkTLS, at, &diag.TLSHandshake{Address: at, Outcome: diag.OutcomeOther, Speaks: "http"}),
			page, nowhere(login)}, want: "net.captive_portal", because: map[diag.Code]string{"tls.intercepted": "because.no_certificate_seen"}},

		{name: "a CDN that drops the port", target: tcp, steps: []diag.Step{silent, cdn(403)}, want: "net.cdn_in_front",
			because: map[diag.Code]string{"tcp.refused": "because.no_reset", "mqtt.not_mqtt": "because.nothing_said"}},
		{name: "the port dropped, and a web server of no CDN", target: tcp, steps: []diag.Step{silent, web("tcp.ports", diag.PurposePort, "192.0.2.1:80", 403)},
			want: "tcp.filtered", variant: "port_alone"},
		{name: "a CDN that takes the port and says nothing", target: tcp, steps: []diag.Step{accepts, connect(unanswered(diag.OutcomeSilent)), cdn(403), absurdClosed},
			want: "net.cdn_in_front", because: map[diag.Code]string{"tcp.filtered": "because.port_accepts", "tcp.accepts_everything": "because.absurd_port_closed"}},
		{name: "a CDN that answers the upgrade", target: ws, steps: []diag.Step{accepts, upgrade(400, server("cloudflare")), cdn(400)}, want: "ws.upgrade_stripped"},
		{name: "a CDN that ends the upgrade", target: ws, steps: []diag.Step{accepts, upgrade(0, func(w *diag.WSUpgrade) { w.Outcome = diag.OutcomeClosed }), cdn(403)},
			want: "net.cdn_in_front", because: map[diag.Code]string{"ws.upgrade_stripped": "because.no_http_answer"}},

		{name: "a handshake that hangs and passes in small segments", target: tls, steps: []diag.Step{accepts, hung(nil), small(diag.OutcomeOK), absurdClosed, whole},
			want: "net.mtu_blackhole", because: map[diag.Code]string{"tls.handshake_timeout": "because.small_packets_pass", "tls.handshake_closed": "because.connection_stayed_open",
				"tcp.accepts_everything": "because.absurd_port_closed", "net.packet_loss": "because.little_loss"}},
		{name: "the kernel saw a gap that was never filled", target: tls, steps: []diag.Step{accepts, hung(&diag.TCPInfoFact{OutOfOrder: 2}), small(diag.OutcomeOK)},
			want: "net.mtu_blackhole", variant: "towards_us"},
		{name: "the kernel sent again, unacknowledged", target: tls, steps: []diag.Step{accepts, hung(&diag.TCPInfoFact{Retransmits: 3, Unacked: 1}), small(diag.OutcomeOK)},
			want: "net.mtu_blackhole", variant: "towards_peer"},
		{name: "a handshake that hangs in small segments too", target: tls, steps: []diag.Step{accepts, hung(nil), small(diag.OutcomeSilent), absurdClosed, nothingOver("mqtt")},
			want: "tls.handshake_timeout", because: map[diag.Code]string{"net.mtu_blackhole": "because.small_packets_hang", "tcp.accepts_everything": "because.absurd_port_closed",
				"tls.plaintext_peer": "because.no_connack_in_the_clear"}},
		{name: "a handshake that passes when it is repeated as it was", target: tls, steps: []diag.Step{accepts, hung(nil), small(diag.OutcomeOK), usual}, want: "tls.handshake_timeout", variant: "once",
			because: map[diag.Code]string{"net.mtu_blackhole": "because.passed_the_second_time"}},
		{name: "a CONNECT that is answered when it is repeated as it was", target: tcp, steps: []diag.Step{accepts, connect(unanswered(diag.OutcomeSilent)), smallConnect(answered(0)),
			seen("net.mtu", "again", tried(diag.PurposeRetry, diag.SchemeMQTT, answered(0)))}, want: "mqtt.no_connack", variant: "once",
			because: map[diag.Code]string{"net.mtu_blackhole": "because.passed_the_second_time"}},
		{name: "a handshake that hung by a lost packet", target: tls, steps: []diag.Step{accepts, hung(nil), small(diag.OutcomeOK), usual, lossy}, want: "net.packet_loss"},
		{name: "a CONNECT that hangs and passes in small segments", target: tcp, steps: []diag.Step{accepts, connect(unanswered(diag.OutcomeSilent)), smallConnect(answered(0))},
			want: "net.mtu_blackhole", because: map[diag.Code]string{"mqtt.no_connack": "because.variation_works"}},
		{name: "a CONNECT that hangs in small segments too", target: tcp, steps: []diag.Step{accepts, connect(unanswered(diag.OutcomeSilent)), smallConnect(unanswered(diag.OutcomeSilent)), absurdClosed},
			want: "mqtt.no_connack", because: map[diag.Code]string{"net.mtu_blackhole": "because.small_packets_hang", "tcp.accepts_everything": "because.absurd_port_closed"}},
		{name: "a CONNECT that hangs where everything is accepted", target: tcp, steps: []diag.Step{accepts, connect(unanswered(diag.OutcomeSilent)), smallConnect(unanswered(diag.OutcomeSilent)), absurd},
			want: "tcp.accepts_everything"},
	}
}
