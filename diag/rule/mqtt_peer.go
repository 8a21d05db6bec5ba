package rule

import (
	"strings"

	"mqttdoctor/diag"
)

// askedUpgraded tells that the asked upgrade succeeded: what the port says outside of it is HTTP, as it should be.
func askedUpgraded(v *diag.View) bool {
	up, ok := askedUpgrade(v)
	return ok && up.Seen.Outcome == diag.OutcomeOK
}

// foreign is a protocol other than MQTT that the peer was heard to speak on the asked port, the most direct answer first.
func foreign(v *diag.View) (protocol, banner, step string, evidence []diag.Evidence) {
	known := func(p string) bool { return p != "" && p != "mqtt" }
	// Where TLS was asked for, TLS is what the port should speak to those who come without.
	outside := func(p string) bool { return known(p) && !(p == "tls" && v.Target.Scheme.UsesTLS()) }
	for _, s := range diag.SeenBy[*diag.PeerAnswer](v, "peer.listen") {
		if outside(s.Seen.Speaks) && !askedUpgraded(v) {
			return s.Seen.Speaks, s.Seen.Banner, s.Step.ID, s.Step.Evidence
		}
	}
	for _, s := range askedConnects(v) {
		if known(s.Seen.Speaks) && s.Seen.Outcome == diag.OutcomeOther {
			return s.Seen.Speaks, s.Seen.Banner, s.Step.ID, s.Step.Evidence
		}
	}
	if askedUpgraded(v) {
		return "", "", "", nil
	}
	for _, s := range diag.SeenBy[*diag.PeerAnswer](v, checkQuestions) {
		if outside(s.Seen.Speaks) {
			return s.Seen.Speaks, "", s.Step.ID, s.Step.Evidence
		}
	}
	for _, s := range diag.SeenBy[*diag.TLSHandshake](v, checkTLS) {
		if outside(s.Seen.Speaks) && !s.Seen.ServerHello {
			return s.Seen.Speaks, "", s.Step.ID, s.Step.Evidence
		}
	}
	for _, s := range diag.SeenBy[*diag.WSUpgrade](v, checkWS) {
		if known(s.Seen.Speaks) && s.Seen.Outcome == diag.OutcomeOther {
			return s.Seen.Speaks, "", s.Step.ID, s.Step.Evidence
		}
	}
	for _, s := range attempts(v, diag.PurposePlain, diag.PurposeTLS, diag.PurposeWebSocket, diag.PurposeRaw) {
		a := s.Seen
		switch {
		case a.MQTT != nil && a.MQTT.Speaks == "http" && v.Target.Scheme == diag.SchemeWSS: // as a web server says to who comes without TLS
		case a.MQTT != nil && a.MQTT.Outcome == diag.OutcomeOther && outside(a.MQTT.Speaks):
			return a.MQTT.Speaks, a.MQTT.Banner, s.Step.ID, s.Step.Evidence
		case a.WS != nil && a.WS.HTTP() && a.Transport.UsesTLS() == v.Target.Scheme.UsesTLS() && !v.Target.Scheme.IsWebSocket():
			return "http", a.WS.Server, s.Step.ID, s.Step.Evidence
		case a.WS != nil && a.WS.Outcome == diag.OutcomeOther && outside(a.WS.Speaks):
			return a.WS.Speaks, "", s.Step.ID, s.Step.Evidence
		case a.TLS != nil && !a.TLS.ServerHello && outside(a.TLS.Speaks):
			return a.TLS.Speaks, "", s.Step.ID, s.Step.Evidence
		}
	}
	for _, s := range attempts(v, diag.PurposeWebSocket) {
		// An HTTPS server where TLS was not asked for: whatever it is, it is no broker; tls.required leaves it to us.
		if a := s.Seen; a.WS != nil && a.WS.HTTP() && !v.Target.Scheme.IsWebSocket() {
			return "http", a.WS.Server, s.Step.ID, s.Step.Evidence
		}
	}
	return "", "", "", nil
}

// otherBytes tells whether the peer answered the asked path with bytes that are no known protocol and no MQTT.
func otherBytes(v *diag.View) (step string, evidence []diag.Evidence, ok bool) {
	for _, s := range askedConnects(v) {
		if s.Seen.Outcome == diag.OutcomeOther || s.Seen.Outcome == diag.OutcomeMalformed {
			return s.Step.ID, s.Step.Evidence, true
		}
	}
	if askedUpgraded(v) {
		return "", nil, false
	}
	for _, s := range diag.SeenBy[*diag.TLSHandshake](v, checkTLS) {
		if s.Seen.Outcome == diag.OutcomeOther && !s.Seen.ServerHello {
			return s.Step.ID, s.Step.Evidence, true
		}
	}
	for _, s := range diag.SeenBy[*diag.WSUpgrade](v, checkWS) {
		if s.Seen.Outcome == diag.OutcomeOther {
			return s.Step.ID, s.Step.Evidence, true
		}
	}
	for _, s := range diag.SeenBy[*diag.PeerAnswer](v, "peer.listen") {
		if len(s.Seen.First) > 0 {
			return s.Step.ID, s.Step.Evidence, true
		}
	}
	return "", nil, false
}

// notMQTTAwaits are all that speaks where no broker does; what hides mqtt.not_mqtt is among them.
var notMQTTAwaits = []diag.ProbeID{checkTCP, checkMQTT, checkOlder, checkVersions, checkTransports, checkPeerMQTT, checkPeerPaths, checkListen, checkQuestions,
	"tcp.ports", "tcp.proxy_header", "tcp.absurd_port", "net.mtu", "net.large", "net.loss", checkCaptive, "mqtt.addresses", checkOtherID, checkNoCreds}

func notMQTT(v *diag.View) diag.Verdict {
	if c, ok := askedConnect(v); ok && c.Seen.Answered() {
		return diag.Excluded(diag.N("because.connack_came"))
	}
	if s, ok := otherTransport(v); ok {
		return diag.Excluded(diag.N("because.broker_in_other_transport", "transport", string(s.Seen.Transport)))
	}
	if c, ok := askedConnect(v); ok && textMQTT(c.Seen) {
		return diag.Excluded(diag.N("because.text_frames"))
	}
	if up, ok := askedUpgrade(v); ok && up.Seen.HTTP() && !askedUpgraded(v) {
		return diag.Excluded(diag.N("because.http_answered", "status", statusOf(up.Seen)))
	}
	if s, ok := httpBehindSilence(v); ok {
		return diag.Excluded(diag.N("because.http_answered", "status", s.Seen.MQTT.Banner))
	}
	protocol, banner, step, evidence := foreign(v)
	if protocol == "" {
		var ok bool
		if step, evidence, ok = otherBytes(v); !ok {
			return diag.Excluded(diag.N("because.nothing_said"))
		}
		return diag.Holds(diag.Finding{Variant: "unknown", Step: step, Evidence: evidence, Confidence: diag.Likely})
	}
	if protocol == "tls" && !v.Target.Scheme.UsesTLS() {
		return diag.Excluded(diag.N("because.tls_answered"))
	}
	return diag.Holds(diag.Finding{Step: step, Evidence: evidence, Args: diag.Args{"protocol": protocolName(protocol), "banner": banner}})
}

// protocolName writes a recognised protocol as people know it.
func protocolName(p string) string {
	names := map[string]string{"http": "HTTP", "ssh": "SSH", "smtp": "SMTP", "ftp": "FTP", "pop3": "POP3", "imap": "IMAP",
		"amqp": "AMQP", "redis": "Redis", "kafka": "Kafka", "postgresql": "PostgreSQL", "mysql": "MySQL", "tls": "TLS",
		"opcua": "OPC UA", "coap": "CoAP (TCP)", "mongodb": "MongoDB", "activemq": "ActiveMQ (OpenWire)", "oracle": "Oracle Net", "telnet": "Telnet", "nats": "NATS", "stomp": "STOMP", "vnc": "VNC", "rdp": "RDP", "memcached": "Memcached",
		"echo": "Echo (RFC 862)"}
	if name, ok := names[p]; ok {
		return name
	}
	return strings.ToUpper(p)
}
