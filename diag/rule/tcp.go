package rule

import (
	"slices"
	"strconv"
	"strings"

	"mqttdoctor/diag"
)

var tcpRules = []diag.Rule{
	{Code: "tcp.proxy_protocol_expected", Severity: diag.SeverityCritical,
		Sources:    []string{"HAProxy proxy-protocol.txt 2"},
		Awaits:     []diag.ProbeID{"tcp.proxy_header"},
		LookAlikes: []diag.Code{"tcp.closed_on_accept", "mqtt.closed_without_connack"},
		Hides: []diag.Code{"tcp.closed_on_accept", "mqtt.closed_without_connack", "mqtt.no_connack", "tls.handshake_closed",
			"tls.handshake_timeout", "tcp.wrong_port"},
		When: proxyProtocolExpected},
	{Code: "tcp.wrong_port", Severity: diag.SeverityCritical,
		Awaits:     []diag.ProbeID{checkTCP, "tcp.ports", checkPeerMQTT, "peer.paths"},
		LookAlikes: []diag.Code{"tcp.refused", "tcp.filtered", "mqtt.not_mqtt", "tls.required", "ws.expected"},
		Hides: []diag.Code{"tcp.refused", "tcp.filtered", "mqtt.not_mqtt", "mqtt.no_connack", "mqtt.closed_without_connack",
			"ws.not_websocket", "tls.handshake_closed", "tls.handshake_timeout", "tcp.closed_on_accept"},
		When: wrongPort},
	{Code: "tcp.refused", Severity: diag.SeverityCritical,
		Sources:      []string{"RFC 9293 3.5.2"},
		Awaits:       []diag.ProbeID{checkTCP},
		OverturnedBy: []diag.Code{"net.captive_portal", "net.cdn_in_front", "tcp.wrong_port", "mqtt.provider_rule"},
		LookAlikes:   []diag.Code{"tcp.filtered", "net.firewall_rejected", "tcp.wrong_port", "net.unreachable"},
		When:         refused},
	{Code: "tcp.filtered", Severity: diag.SeverityCritical,
		Sources:      []string{"RFC 9293 3.10.7.3"},
		Awaits:       []diag.ProbeID{checkTCP, "tcp.ports", "net.trace", "net.echo"},
		OverturnedBy: []diag.Code{"net.captive_portal", "net.cdn_in_front", "net.unreachable", "tcp.wrong_port", "mqtt.provider_rule"},
		LookAlikes:   []diag.Code{"tcp.refused", "net.firewall_rejected", "net.unreachable", "tcp.wrong_port"},
		When:         filtered},
	{Code: "tcp.accepts_everything", Severity: diag.SeverityCritical,
		Awaits:     []diag.ProbeID{"tcp.absurd_port", checkPeerMQTT, "peer.listen", checkMQTT, checkOlder},
		LookAlikes: []diag.Code{"mqtt.no_connack", "tcp.closed_on_accept"},
		Hides: []diag.Code{"mqtt.no_connack", "mqtt.closed_without_connack", "tcp.closed_on_accept", "tls.handshake_timeout",
			"tls.handshake_closed", "tcp.wrong_port"},
		When: acceptsEverything},
	{Code: "tcp.closed_on_accept", Severity: diag.SeverityCritical,
		Awaits:     []diag.ProbeID{"peer.listen", checkListenOn, checkQuestions, checkPeerMQTT, "tcp.proxy_header", checkMQTT, checkOlder, "mqtt.versions", "tcp.absurd_port"},
		LookAlikes: []diag.Code{"mqtt.closed_without_connack", "tcp.proxy_protocol_expected", "tcp.accepts_everything", "tls.required"},
		Hides:      []diag.Code{"mqtt.closed_without_connack", "tls.handshake_closed"},
		When:       closedOnAccept},
	{Code: "tcp.partial_addresses", Severity: diag.SeverityWarning,
		Awaits:     addressAwaits,
		MayHide:    saidOfOneAddress,
		LookAlikes: []diag.Code{"dns.ipv6_broken"},
		When:       partialAddresses},
}

func proxyProtocolExpected(v *diag.View) diag.Verdict {
	sights := attempts(v, diag.PurposeProxyHeader)
	s, ok := first(sights, (*diag.Attempt).SpeaksMQTT)
	if !ok {
		if len(sights) > 0 {
			return diag.Excluded(diag.N("because.proxy_header_same"))
		}
		return diag.Open()
	}
	return diag.Holds(diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{"protocol": s.Seen.Label}})
}

// wrongPort needs a broker on a usual port, and none on the asked one in whatever transport.
func wrongPort(v *diag.View) diag.Verdict {
	if c, ok := askedConnect(v); ok && c.Seen.Answered() {
		return diag.Excluded(diag.N("because.connack_came"))
	}
	if s, ok := otherTransport(v); ok {
		return diag.Excluded(diag.N("because.broker_in_other_transport", "transport", string(s.Seen.Transport)))
	}
	sights := attempts(v, diag.PurposePort)
	found, ok := first(sights, (*diag.Attempt).Accepted)
	if !ok {
		found, ok = first(sights, (*diag.Attempt).SpeaksMQTT)
	}
	if !ok {
		if len(sights) > 0 {
			return diag.Excluded(diag.N("because.no_broker_on_usual_ports"))
		}
		return diag.Open()
	}
	a := found.Seen
	port, _ := strconv.ParseUint(a.Label, 10, 16)
	f := diag.Finding{Step: found.Step.ID, Evidence: found.Step.Evidence,
		Args: diag.Args{"found": v.Target.URLFor(a.Transport, uint16(port), pathOf(a)), "transport": string(a.Transport)}}
	if a.TLS != nil && !trustedFully(a.TLS) {
		f.Variant = "untrusted"
		f.Confidence = diag.Likely
	} else if a.Accepted() || a.MQTT.CredentialsWithheld {
		f.Suggestion = suggestURL(v, a.Transport, uint16(port), pathOf(a))
	}
	return diag.Holds(f)
}

func refused(v *diag.View) diag.Verdict {
	seen, no, ok := failedTCP(v)
	if !ok {
		return no
	}
	s, ok := first(seen, func(c *diag.TCPConnect) bool { return c.Outcome == diag.OutcomeRefused })
	if !ok {
		return diag.Excluded(diag.N("because.no_reset"))
	}
	f := tcpFinding(v, s)
	if others := openPorts(v); others != "" {
		f.Args["good"] = others
	}
	if _, silent := first(seen, func(c *diag.TCPConnect) bool { return c.Outcome == diag.OutcomeSilent }); silent {
		f.Variant = "mixed"
	}
	return diag.Holds(f)
}

// openPorts lists the usual ports of the host that accept connections.
func openPorts(v *diag.View) string {
	var out []string
	for _, s := range attempts(v, diag.PurposePort) {
		if s.Seen.TCP != nil && s.Seen.TCP.Outcome == diag.OutcomeOK {
			out = append(out, s.Seen.Label)
		}
	}
	return strings.Join(out, ", ")
}

func filtered(v *diag.View) diag.Verdict {
	seen, no, ok := failedTCP(v)
	if !ok {
		return no
	}
	if s, other := first(seen, func(c *diag.TCPConnect) bool {
		return c.Outcome == diag.OutcomeRefused || c.Outcome == diag.OutcomeICMP || c.Outcome == diag.OutcomeUnreachable
	}); other {
		return diag.Excluded(diag.N("because.host_answered", "address", s.Seen.Address, "symbol", string(s.Seen.Outcome)))
	}
	s, ok := first(seen, func(c *diag.TCPConnect) bool { return c.Outcome == diag.OutcomeSilent })
	if !ok {
		return diag.Open()
	}
	f := tcpFinding(v, s)
	f.Args["limit"] = diag.FormatMS(s.Seen.RTT) + " ms"
	if port, answers := hostAnswers(v); answers {
		f.Variant = "port_alone"
		f.Args["good"] = port
		if others := openPorts(v); others != "" {
			f.Args["good"] = others
		}
	}
	return diag.Holds(f)
}

// mute tells whether nothing that was sent to the asked port brought a byte back.
func mute(v *diag.View) bool {
	for _, c := range askedConnects(v) {
		if c.Seen.Code >= 0 || len(c.Seen.First) > 0 || c.Seen.Alert != nil {
			return false
		}
	}
	for _, h := range diag.SeenBy[*diag.TLSHandshake](v, checkTLS) {
		if h.Seen.ServerHello || len(h.Seen.First) > 0 {
			return false
		}
	}
	for _, w := range diag.SeenBy[*diag.WSUpgrade](v, checkWS) {
		if w.Seen.HTTP() || len(w.Seen.First) > 0 {
			return false
		}
	}
	for _, s := range attempts(v, diag.PurposePlain, diag.PurposeTLS, diag.PurposeWebSocket, diag.PurposeRaw, diag.PurposeVersion) {
		a := s.Seen
		if a.TLS != nil && (a.TLS.ServerHello || len(a.TLS.First) > 0) || a.WS != nil && (a.WS.HTTP() || len(a.WS.First) > 0) ||
			a.MQTT != nil && (a.MQTT.Code >= 0 || len(a.MQTT.First) > 0) {
			return false
		}
	}
	for _, p := range diag.Seen[*diag.PeerAnswer](v) {
		if len(p.Seen.First) > 0 {
			return false
		}
	}
	return true
}

func acceptsEverything(v *diag.View) diag.Verdict {
	seen := diag.SeenBy[*diag.TCPConnect](v, "tcp.absurd_port")
	if len(seen) == 0 {
		return diag.Open()
	}
	for _, s := range seen {
		if s.Seen.Outcome != diag.OutcomeOK {
			return diag.Excluded(diag.N("because.absurd_port_closed", "address", s.Seen.Address))
		}
	}
	if !mute(v) {
		return diag.Excluded(diag.N("because.something_was_said"))
	}
	return diag.Holds(diag.Finding{Step: seen[0].Step.ID, Evidence: seen[0].Step.Evidence, Args: diag.Args{"address": seen[0].Seen.Address}})
}

// closedOnAccept needs the connection ended unasked, or at the first byte of whatever kind.
func closedOnAccept(v *diag.View) diag.Verdict {
	listened := diag.SeenBy[*diag.PeerAnswer](v, "peer.listen")
	if len(listened) == 0 {
		// Reset so soon that nothing could be sent, at every address.
		connects := diag.SeenBy[*diag.TCPConnect](v, checkTCP)
		_, other := first(connects, func(c *diag.TCPConnect) bool { return c.Outcome != diag.OutcomeReset })
		if len(connects) == 0 || other || !v.Ended(checkTCP) {
			return diag.Open()
		}
		s := connects[0]
		return diag.Holds(diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Confidence: diag.Likely,
			Args: diag.Args{"address": s.Seen.Address, "duration": diag.FormatMS(s.Seen.RTT) + " ms"}})
	}
	if accepted(v) || !mute(v) {
		return diag.Excluded(diag.N("because.something_was_said"))
	}
	l := listened[0]
	for _, longer := range diag.SeenBy[*diag.PeerAnswer](v, checkListenOn) {
		l = longer
	}
	if l.Seen.Outcome.Ended() {
		return diag.Holds(diag.Finding{Step: l.Step.ID, Evidence: l.Step.Evidence,
			Args: diag.Args{"address": l.Seen.Address, "duration": diag.FormatMS(l.Seen.Took) + " ms"}})
	}
	b, ends := first(diag.SeenBy[*diag.PeerAnswer](v, checkQuestions), func(p *diag.PeerAnswer) bool {
		// In order after one byte, and by a reset after many: the others were not read. Who resets after one too has perhaps read
		// all that there was, and does not like it.
		return p.Sent == "first_byte" && p.Outcome == diag.OutcomeClosed
	})
	if !ends || !resetUnread(v) {
		return diag.Excluded(diag.N("because.stays_open_unasked"))
	}
	return diag.Holds(diag.Finding{Variant: "first_byte", Step: b.Step.ID, Evidence: b.Step.Evidence,
		Args: diag.Args{"address": b.Seen.Address, "duration": diag.FormatMS(b.Seen.Took) + " ms"}})
}

// resetUnread tells whether what was asked for first was reset: what a system answers that ends a connection whose bytes nobody
// has read (RFC 2525 2.17). Who has read them ends it in order.
func resetUnread(v *diag.View) bool {
	reset := func(o diag.Outcome) bool { return o == diag.OutcomeReset }
	return slices.ContainsFunc(v.Steps, func(s diag.Step) bool {
		switch o := s.Observation.(type) {
		case *diag.MQTTConnect:
			return s.Check == checkMQTT && reset(o.Outcome)
		case *diag.TLSHandshake:
			return s.Check == checkTLS && reset(o.Outcome)
		case *diag.WSUpgrade:
			return s.Check == checkWS && reset(o.Outcome)
		}
		return false
	})
}
