package rule

import (
	"net/netip"
	"strconv"
	"strings"

	"mqttdoctor/diag"
)

var netRules = []diag.Rule{
	{Code: "net.captive_portal", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 8952 2.1", "RFC 6585 6", "RFC 5737 3"},
		Awaits:     []diag.ProbeID{checkCaptive},
		LookAlikes: []diag.Code{"ws.redirect", "mqtt.not_mqtt", "tcp.filtered", "ws.expected", "tls.intercepted"},
		Hides: []diag.Code{"tcp.filtered", "tcp.refused", "tcp.wrong_port", "tcp.accepts_everything", "tcp.closed_on_accept", "net.firewall_rejected",
			"net.unreachable", "net.cdn_in_front", "mqtt.not_mqtt", "mqtt.no_connack", "mqtt.closed_without_connack", "ws.expected", "ws.redirect",
			"ws.not_websocket", "ws.auth_required", "ws.bad_gateway", "ws.upgrade_stripped", "tls.handshake_timeout", "tls.handshake_closed",
			"tls.plaintext_peer", "tls.required", "tls.intercepted", "tls.hostname_mismatch", "tls.self_signed", "tls.unknown_ca"},
		When: captivePortal},
	{Code: "net.cdn_in_front", Severity: diag.SeverityCritical,
		Sources:    []string{"data/cdn_ranges.txt", "https://developers.cloudflare.com/fundamentals/reference/network-ports/"},
		Awaits:     []diag.ProbeID{checkTCP, "tcp.ports", checkPeerMQTT, "peer.paths"},
		LookAlikes: []diag.Code{"tcp.filtered", "tcp.refused", "mqtt.not_mqtt", "tcp.accepts_everything", "ws.upgrade_stripped"},
		Hides: []diag.Code{"tcp.filtered", "tcp.refused", "tcp.wrong_port", "tcp.accepts_everything", "tcp.closed_on_accept", "net.firewall_rejected",
			"mqtt.not_mqtt", "mqtt.no_connack", "mqtt.closed_without_connack", "tls.handshake_timeout", "tls.handshake_closed",
			"ws.not_websocket"},
		When: cdnInFront},
	{Code: "net.firewall_rejected", Severity: diag.SeverityCritical,
		Sources:      []string{"RFC 1812 5.2.7.1", "RFC 4443 3.1"},
		Awaits:       []diag.ProbeID{checkTCP},
		OverturnedBy: []diag.Code{"net.captive_portal", "net.cdn_in_front"},
		LookAlikes:   []diag.Code{"tcp.refused", "tcp.filtered", "net.unreachable"},
		Hides:        []diag.Code{"tcp.refused", "tcp.filtered"},
		When:         firewallRejected},
	{Code: "net.unreachable", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 792", "RFC 4443 3.1"},
		Awaits:     []diag.ProbeID{checkTCP}, // a router that needs longer to say so takes the place of tcp.filtered then
		LookAlikes: []diag.Code{"tcp.filtered", "net.firewall_rejected", "tcp.refused"},
		Hides:      []diag.Code{"tcp.filtered"},
		When:       unreachable},
	{Code: "net.mtu_blackhole", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 2923 2.1", "RFC 4821", "RFC 8899"},
		Awaits:     []diag.ProbeID{"net.mtu", "net.large", checkTLS, checkWS, checkMQTT, checkOlder},
		LookAlikes: []diag.Code{"tls.handshake_timeout", "tcp.accepts_everything", "mqtt.no_connack", "tls.handshake_closed", "net.packet_loss"},
		Hides: []diag.Code{"tls.handshake_timeout", "tls.handshake_closed", "mqtt.no_connack", "mqtt.closed_without_connack",
			"mqtt.connect_too_large", "tcp.wrong_port", "tcp.accepts_everything", "net.packet_loss", "msg.rate_limited", "msg.lost"},
		When: mtuBlackhole},
	{Code: "net.packet_loss", Severity: diag.SeverityWarning,
		Sources:    []string{"RFC 6298 2.1", "RFC 9293 3.8.3"},
		Awaits:     []diag.ProbeID{checkTCP, "net.loss"},
		MayHide:    []diag.Code{"tls.version_unsupported", "tls.no_shared_cipher", "tls.sni_required", "tls.alpn_required", "mqtt.version_unsupported", "mqtt.connect_too_large"},
		LookAlikes: []diag.Code{"net.high_latency", "tcp.partial_addresses"},
		Causes: []diag.Code{"mqtt.ping_unanswered", "mqtt.unstable", "mqtt.idle_disconnect", "msg.not_routed",
			"msg.publish_dropped", "msg.rate_limited", "msg.lost", "msg.slow"},
		When: packetLoss},
	{Code: "net.high_latency", Severity: diag.SeverityInfo,
		Awaits: []diag.ProbeID{checkTCP},
		When:   highLatency},
}

// failedTCP lists the asked connections where none was accepted and all have ended; otherwise the verdict says why not.
func failedTCP(v *diag.View) ([]diag.Sight[*diag.TCPConnect], diag.Verdict, bool) {
	seen := diag.SeenBy[*diag.TCPConnect](v, checkTCP)
	if len(seen) == 0 || !v.Ended(checkTCP) {
		return nil, diag.Open(), false
	}
	if s, ok := first(seen, func(c *diag.TCPConnect) bool { return c.Outcome == diag.OutcomeOK }); ok {
		return nil, diag.Excluded(diag.N("because.port_accepts", "address", s.Seen.Address)), false
	}
	// Trouble of ours says nothing of the target.
	if _, ok := first(seen, func(c *diag.TCPConnect) bool {
		return c.Outcome != diag.OutcomeForbidden && c.Outcome != diag.OutcomeLocal && c.Outcome != diag.OutcomeCanceled
	}); !ok {
		return nil, diag.Open(), false
	}
	return seen, diag.Verdict{}, true
}

func tcpFinding(v *diag.View, s diag.Sight[*diag.TCPConnect]) diag.Finding {
	f := diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{
		"address": s.Seen.Address, "rtt": diag.FormatMS(s.Seen.RTT) + " ms", "errno": s.Seen.Errno,
	}}
	for _, t := range diag.Seen[*diag.Trace](v) {
		if t.Seen.LastHop != "" {
			f.Args["hop"] = t.Seen.LastHop
			f.Evidence = append(append([]diag.Evidence{}, f.Evidence...), t.Step.Evidence...)
		}
	}
	return f
}

// prohibits tells ICMP errors that a firewall sends: administratively prohibited, and port or protocol unreachable in answer to a
// SYN, which every host knows (RFC 792, RFC 1812 5.2.7.1: codes 9, 10, 13; RFC 4443 3.1: codes 1, 4, 5, 6).
func prohibits(c *diag.TCPConnect) bool {
	switch c.ICMPFamily {
	case 4:
		return c.ICMPType == 3 && (c.ICMPCode == 2 || c.ICMPCode == 3 || c.ICMPCode == 9 || c.ICMPCode == 10 || c.ICMPCode == 13)
	case 6:
		return c.ICMPType == 1 && (c.ICMPCode == 1 || c.ICMPCode == 4 || c.ICMPCode == 5 || c.ICMPCode == 6)
	}
	return false
}

func icmpText(c *diag.TCPConnect) string {
	return "ICMP" + map[int]string{6: "v6"}[c.ICMPFamily] + " " + strconv.Itoa(c.ICMPType) + "/" + strconv.Itoa(c.ICMPCode)
}

func firewallRejected(v *diag.View) diag.Verdict {
	seen, no, ok := failedTCP(v)
	if !ok {
		return no
	}
	s, ok := first(seen, prohibits)
	if !ok {
		return diag.Excluded(diag.N("because.no_prohibition"))
	}
	f := tcpFinding(v, s)
	f.Args["hop"], f.Args["icmp"] = s.Seen.ICMPOffender, icmpText(s.Seen)
	if host, err := netip.ParseAddrPort(s.Seen.Address); err == nil && host.Addr().String() == s.Seen.ICMPOffender {
		f.Variant = "own" // the target's own firewall
	}
	return diag.Holds(f)
}

func unreachable(v *diag.View) diag.Verdict {
	seen, no, ok := failedTCP(v)
	if !ok {
		return no
	}
	noWay := func(c *diag.TCPConnect) bool {
		return (c.Outcome == diag.OutcomeUnreachable || c.Outcome == diag.OutcomeICMP) && !prohibits(c)
	}
	s, ok := first(seen, noWay)
	if !ok { // a machine that is off is known as such to its router after some seconds only
		s, ok = first(diag.SeenBy[*diag.TCPConnect](v, checkLate), noWay)
	}
	if !ok {
		return diag.Excluded(diag.N("because.no_unreachable"))
	}
	if _, answers := first(seen, func(c *diag.TCPConnect) bool { return c.Outcome == diag.OutcomeRefused || prohibits(c) }); answers {
		return diag.Excluded(diag.N("because.host_answers"))
	}
	f := tcpFinding(v, s)
	if s.Seen.ICMPFamily != 0 {
		f.Args["hop"], f.Args["icmp"] = s.Seen.ICMPOffender, icmpText(s.Seen)
	} else {
		f.Variant = "no_route"
		if s.Seen.Errno == "EACCES" || s.Seen.Errno == "EPERM" {
			f.Variant = "forbidden_here"
		}
	}
	return diag.Holds(f)
}

// highLatencyMS is where a path is called slow: beyond what a satellite needs, and what small devices' time-outs expect.
const highLatencyMS = 300

func highLatency(v *diag.View) diag.Verdict {
	excluded := diag.Open()
	for _, s := range diag.SeenBy[*diag.TCPConnect](v, checkTCP) {
		// With a lost SYN the time is not the round trip.
		if s.Seen.Outcome == diag.OutcomeOK && s.Seen.Retransmits == 0 && s.Seen.RTT.Milliseconds() > highLatencyMS {
			return diag.Holds(diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence,
				Args: diag.Args{"rtt": diag.FormatMS(s.Seen.RTT) + " ms", "address": s.Seen.Address}})
		}
		if s.Seen.Outcome == diag.OutcomeOK && s.Seen.RTT.Milliseconds() <= highLatencyMS {
			excluded = diag.Excluded(diag.N("because.round_trip_short", "rtt", diag.FormatMS(s.Seen.RTT)+" ms"))
		}
	}
	return excluded
}

// deadPorts lists what the usual ports of a host said, for "answers elsewhere" and "answers nowhere".
func hostAnswers(v *diag.View) (port string, answers bool) {
	for _, s := range attempts(v, diag.PurposePort) {
		if s.Seen.TCP != nil && (s.Seen.TCP.Outcome == diag.OutcomeOK || s.Seen.TCP.Outcome == diag.OutcomeRefused) {
			return s.Seen.Address[strings.LastIndex(s.Seen.Address, ":")+1:], true
		}
	}
	for _, s := range diag.Seen[*diag.Echo](v) {
		if s.Seen.Answered > 0 {
			return "", true
		}
	}
	return "", false
}
