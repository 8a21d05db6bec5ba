package rule

import (
	"bytes"
	"strconv"
	"strings"

	"mqttdoctor/diag"
)

var wsRules = []diag.Rule{
	{Code: "ws.expected", Severity: diag.SeverityCritical,
		Sources:      []string{"MQTT 5.0 6", "RFC 6455 4"},
		OverturnedBy: []diag.Code{"net.captive_portal", "tls.required", "tls.alpn_required", "dns.ipv6_broken", "tcp.partial_addresses"},
		LookAlikes:   []diag.Code{"mqtt.not_mqtt", "mqtt.no_connack", "tcp.wrong_port", "tls.required"},
		Hides:        []diag.Code{"mqtt.not_mqtt", "mqtt.no_connack", "mqtt.closed_without_connack", "tcp.wrong_port"},
		When:         wsExpected},
	{Code: "ws.raw_mqtt_peer", Severity: diag.SeverityCritical,
		Sources:      []string{"MQTT 5.0 6"},
		OverturnedBy: []diag.Code{"dns.ipv6_broken", "tcp.partial_addresses"},
		LookAlikes:   []diag.Code{"ws.not_websocket", "ws.wrong_path", "tls.plaintext_peer", "tcp.wrong_port"},
		Hides:        []diag.Code{"tcp.wrong_port", "mqtt.not_mqtt"},
		When:         wsRawPeer},
	{Code: "ws.redirect", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 9110 15.4"},
		Awaits:     []diag.ProbeID{checkWS, "ws.paths", "ws.redirect"},
		LookAlikes: []diag.Code{"ws.wrong_path", "ws.auth_required", "ws.not_websocket"},
		When:       wsRedirect},
	{Code: "ws.bad_gateway", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 9110 15.6"},
		Awaits:     []diag.ProbeID{checkWS, checkBehind, "ws.paths", "tcp.ports"},
		LookAlikes: []diag.Code{"ws.wrong_path", "ws.upgrade_stripped", "ws.not_websocket"},
		Hides:      []diag.Code{"tcp.wrong_port"},
		When:       wsBadGateway},
	{Code: "ws.origin_rejected", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 6455 10.2"},
		Awaits:     []diag.ProbeID{checkWS, "ws.origin"},
		LookAlikes: []diag.Code{"ws.auth_required", "ws.wrong_path", "ws.not_websocket"},
		When:       wsOriginRejected},
	{Code: "ws.wrong_path", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 6455 4.1"},
		Awaits:     []diag.ProbeID{checkWS, "ws.paths", "ws.origin", "ws.redirect"},
		MayHide:    []diag.Code{"ws.subprotocol_rejected", "mqtt.not_mqtt", "mqtt.no_connack", "mqtt.closed_without_connack"},
		LookAlikes: []diag.Code{"ws.not_websocket", "ws.upgrade_stripped", "ws.bad_gateway", "ws.origin_rejected", "ws.auth_required"},
		When:       wsWrongPath},
	{Code: "ws.auth_required", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 9110 15.5.2", "RFC 9110 15.5.4"},
		Awaits:     []diag.ProbeID{checkWS, "ws.origin", "ws.paths", "ws.subprotocols"},
		LookAlikes: []diag.Code{"ws.origin_rejected", "ws.wrong_path", "ws.not_websocket"},
		Hides:      []diag.Code{"tcp.wrong_port"},
		When:       wsAuthRequired},
	{Code: "ws.subprotocol_rejected", Severity: diag.SeverityCritical,
		Sources:    []string{"[MQTT-6.0.0-3]", "[MQTT-6.0.0-4]", "RFC 6455 4.2.2"},
		Awaits:     []diag.ProbeID{checkWS, "ws.subprotocols", "ws.paths"},
		LookAlikes: []diag.Code{"ws.wrong_path", "ws.not_websocket", "ws.origin_rejected"},
		Hides:      []diag.Code{"tcp.wrong_port"},
		Causes:     []diag.Code{"mqtt.no_connack", "mqtt.closed_without_connack", "mqtt.not_mqtt"},
		When:       wsSubprotocolRejected},
	{Code: "ws.upgrade_stripped", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 6455 4.1", "RFC 9110 7.8"},
		Awaits:     []diag.ProbeID{checkWS, "ws.paths", "ws.origin", "ws.subprotocols", checkBehind, "tcp.ports", checkMQTT, checkVersions, checkPeerMQTT, checkPeerPaths},
		LookAlikes: []diag.Code{"ws.wrong_path", "ws.not_websocket", "ws.bad_gateway", "ws.subprotocol_rejected"},
		Hides:      []diag.Code{"tcp.wrong_port"},
		When:       wsUpgradeStripped},
	{Code: "ws.not_websocket", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 6455 4.1"},
		Awaits:     []diag.ProbeID{checkWS, "ws.paths", "ws.origin", "ws.subprotocols", checkBehind, "tcp.ports", checkMQTT, checkOlder, checkVersions, checkPeerMQTT, checkPeerPaths},
		LookAlikes: []diag.Code{"ws.wrong_path", "ws.upgrade_stripped", "ws.origin_rejected", "ws.auth_required"},
		When:       wsNotWebSocket},
	{Code: "ws.text_frames", Severity: diag.SeverityCritical,
		Sources:    []string{"[MQTT-6.0.0-1]", "RFC 6455 5.6"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder},
		LookAlikes: []diag.Code{"mqtt.not_mqtt", "mqtt.no_connack"},
		Hides:      []diag.Code{"mqtt.not_mqtt", "mqtt.no_connack", "mqtt.closed_without_connack"},
		When:       wsTextFrames},
	{Code: "ws.mixed_content", Severity: diag.SeverityWarning,
		Sources:    []string{"https://www.w3.org/TR/mixed-content/"},
		Awaits:     []diag.ProbeID{checkWS, checkMQTT, checkOlder},
		LookAlikes: []diag.Code{"ws.origin_rejected"},
		When:       mixedContent},
}

// redirectLeads finds the broker to which the redirect leads.
func redirectLeads(v *diag.View) (diag.Sight[*diag.Attempt], bool) {
	return first(attempts(v), func(a *diag.Attempt) bool { return a.Label == "redirect" && a.Accepted() })
}

const checkBehind diag.ProbeID = "ws.behind"

func wsTextFrames(v *diag.View) diag.Verdict {
	c, ok := askedConnect(v)
	if !ok || !v.Target.Scheme.IsWebSocket() {
		return diag.Open()
	}
	if !textMQTT(c.Seen) {
		return diag.Excluded(diag.N("because.binary_frames"))
	}
	return diag.Holds(diag.Finding{Step: c.Step.ID, Evidence: c.Step.Evidence})
}

// textMQTT tells whether MQTT came in a text frame: a CONNACK, whole or with its later bytes destroyed, or in Base64. Another
// application's greeting comes as text too, and is no MQTT.
func textMQTT(c *diag.MQTTConnect) bool {
	return c.WSText && (c.Answered() || len(c.First) == 0 || c.First[0] == 0x20 || bytes.HasPrefix(c.First, []byte("IA")))
}

func wsFinding(up diag.Sight[*diag.WSUpgrade]) diag.Finding {
	return diag.Finding{Step: up.Step.ID, Evidence: up.Step.Evidence,
		Args: diag.Args{"status": statusOf(up.Seen), "server": up.Seen.Server, "path": up.Seen.Path}}
}

func statusOf(o *diag.WSUpgrade) string {
	return strings.TrimSpace(strconv.Itoa(o.Status) + " " + o.StatusText)
}

// urlOf is the address of an attempt on the target's host.
func urlOf(v *diag.View, a *diag.Attempt) string {
	port := v.Target.Port
	if i := strings.LastIndex(a.Address, ":"); i >= 0 {
		if n, err := strconv.ParseUint(a.Address[i+1:], 10, 16); err == nil {
			port = uint16(n)
		}
	}
	path := ""
	if a.WS != nil {
		path = a.WS.Path
	}
	return v.Target.URLFor(a.Transport, port, path)
}
