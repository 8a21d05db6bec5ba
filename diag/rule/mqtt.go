package rule

import (
	"slices"

	"mqttdoctor/diag"
)

var mqttRules = slices.Concat(connectRules, sessionRules, watchRules, keptRules)

// connectRules are about the CONNECT and its answer.
var connectRules = []diag.Rule{
	{Code: "mqtt.provider_rule", Severity: diag.SeverityCritical,
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkOtherID, checkNoCreds, "tls.alpn"},
		MayHide:    []diag.Code{"tcp.refused", "tcp.filtered", "tcp.wrong_port", "mqtt.not_mqtt"},
		LookAlikes: []diag.Code{"mqtt.bad_credentials", "mqtt.client_id_rejected", "mqtt.closed_without_connack"},
		Hides: []diag.Code{"mqtt.bad_credentials", "mqtt.auth_required", "mqtt.client_id_rejected", "mqtt.not_authorized",
			"mqtt.closed_without_connack", "mqtt.no_connack", "mqtt.version_unsupported"},
		When: providerRule},
	{Code: "mqtt.version_unsupported", Severity: diag.SeverityCritical,
		Sources:    []string{"[MQTT-3.1.2-2]", "MQTT 5.0 3.1.2.2", "MQTT 3.1.1 3.1.2.2"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkVersions, checkOtherID, "net.mtu"},
		LookAlikes: []diag.Code{"mqtt.closed_without_connack", "mqtt.no_connack", "mqtt.not_mqtt", "mqtt.client_id_rejected", "mqtt.bad_credentials"},
		Hides:      []diag.Code{"mqtt.closed_without_connack", "mqtt.no_connack"},
		When:       versionUnsupported},
	{Code: "mqtt.use_another_server", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 4.11", "MQTT 5.0 3.2.2.3.16"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, "mqtt.server_reference"},
		LookAlikes: []diag.Code{"mqtt.server_unavailable", "mqtt.server_busy"},
		When:       useAnotherServer},
	{Code: "mqtt.banned", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.2.2.2"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder},
		LookAlikes: []diag.Code{"mqtt.not_authorized", "mqtt.bad_credentials", "mqtt.server_busy"},
		When:       codeRule([]int{}, []int{v5Banned})},
	{Code: "mqtt.auth_method", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 4.12"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder},
		LookAlikes: []diag.Code{"mqtt.bad_credentials", "mqtt.auth_required", "mqtt.not_authorized"},
		When:       authMethod},
	{Code: "mqtt.connection_limit", Severity: diag.SeverityCritical,
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkHeld, checkRoom},
		LookAlikes: []diag.Code{"mqtt.server_unavailable", "mqtt.server_busy", "mqtt.closed_without_connack"},
		Hides:      []diag.Code{"mqtt.server_unavailable", "mqtt.server_busy"},
		When:       connectionLimit},
	{Code: "mqtt.server_unavailable", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 3.1.1 3.2.2.3", "MQTT 5.0 3.2.2.2"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkAgain}, // a code that names no reason waits for more, below
		LookAlikes: []diag.Code{"mqtt.server_busy", "mqtt.connection_limit", "mqtt.not_authorized", "mqtt.version_unsupported", "mqtt.connect_too_large"},
		When:       serverUnavailable},
	{Code: "mqtt.server_busy", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.2.2.2"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkAgain},
		LookAlikes: []diag.Code{"mqtt.server_unavailable", "mqtt.banned"},
		When:       serverBusy},
	{Code: "mqtt.connect_too_large", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.1.2.11.4", "MQTT 5.0 3.2.2.2"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkShortConnect, checkLongConnect},
		LookAlikes: []diag.Code{"mqtt.closed_without_connack", "mqtt.bad_credentials", "net.mtu_blackhole", "mqtt.no_connack"},
		Hides:      []diag.Code{"mqtt.closed_without_connack", "mqtt.no_connack", "mqtt.auth_required"},
		When:       connectTooLarge},
	{Code: "mqtt.keepalive_rejected", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.1.2.10"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkKeepAlive},
		LookAlikes: []diag.Code{"mqtt.client_id_rejected", "mqtt.closed_without_connack"},
		Hides: []diag.Code{"mqtt.client_id_rejected", "mqtt.closed_without_connack", "mqtt.server_unavailable", "mqtt.auth_required",
			"mqtt.not_authorized", "mqtt.bad_credentials"},
		When: keepAliveRejected},
	{Code: "mqtt.client_id_rejected", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.1.3.1", "MQTT 3.1.1 3.1.3.1", "[MQTT-3.1.3-8]"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkOtherID, checkIDForm, checkKeepAlive},
		LookAlikes: []diag.Code{"mqtt.keepalive_rejected", "mqtt.not_authorized", "mqtt.bad_credentials", "mqtt.version_unsupported"},
		When:       clientIDRejected},
	{Code: "mqtt.auth_required", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 3.1.1 3.2.2.3", "MQTT 5.0 3.2.2.2"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkOtherID, checkAgain},
		LookAlikes: []diag.Code{"mqtt.bad_credentials", "mqtt.not_authorized", "tls.client_cert_required"},
		When:       authRequired},
	{Code: "mqtt.not_authorized", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 3.1.1 3.2.2.3", "MQTT 5.0 3.2.2.2"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkOtherID, checkNoCreds},
		LookAlikes: []diag.Code{"mqtt.bad_credentials", "mqtt.auth_required", "mqtt.client_id_rejected"},
		When:       notAuthorized},
	{Code: "mqtt.bad_credentials", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 3.1.1 3.2.2.3", "MQTT 5.0 3.2.2.2"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkOtherID, checkNoCreds, checkAgain},
		LookAlikes: []diag.Code{"mqtt.auth_required", "mqtt.not_authorized", "mqtt.client_id_rejected"},
		When:       badCredentials},
	{Code: "mqtt.not_mqtt", Severity: diag.SeverityCritical,
		Awaits:     notMQTTAwaits,
		LookAlikes: []diag.Code{"ws.expected", "tls.required", "tls.plaintext_peer", "mqtt.no_connack", "tcp.wrong_port"},
		Hides:      []diag.Code{"mqtt.no_connack", "mqtt.closed_without_connack", "tcp.closed_on_accept", "tls.handshake_closed", "tls.handshake_timeout"},
		When:       notMQTT},
	{Code: "mqtt.no_connack", Severity: diag.SeverityCritical,
		Sources:    []string{"[MQTT-3.1.4-5]", "MQTT 5.0 3.1.4"},
		Awaits:     []diag.ProbeID{checkWS, checkMQTT, checkOlder, checkPeerMQTT, "peer.paths", "peer.listen", checkVersions, "tcp.absurd_port", "tcp.ports", "net.mtu", "tls.alpn", checkAgain},
		LookAlikes: []diag.Code{"mqtt.closed_without_connack", "mqtt.not_mqtt", "tls.required", "ws.expected", "tcp.accepts_everything", "net.mtu_blackhole"},
		When:       noConnack},
	{Code: "mqtt.closed_without_connack", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.1.4", "MQTT 5.0 4.13"},
		Awaits:     []diag.ProbeID{checkWS, checkMQTT, checkOlder, checkVersions, checkPeerMQTT, "peer.paths", "peer.listen", checkQuestions, "tcp.proxy_header", checkOtherID, checkIDForm, checkNoCreds, checkShortConnect, checkLongConnect, checkKeepAlive, checkAgain},
		LookAlikes: []diag.Code{"tcp.closed_on_accept", "tcp.proxy_protocol_expected", "mqtt.version_unsupported", "mqtt.connect_too_large", "tls.required", "mqtt.no_connack"},
		When:       closedWithoutConnack},
}

// serverBusy is what the broker says, always or now and then.
func serverBusy(v *diag.View) diag.Verdict {
	codes := []int{v5Busy, v5QuotaExceeded, v5RateExceeded}
	if f, some := refusedNowAndThen(v, nil, codes); some {
		return diag.Holds(f)
	}
	return codeRule(nil, codes)(v)
}

// connectComplaints are those that a limit on connections explains.
var connectComplaints = []diag.Symptom{diag.SymptomCannotConnect, diag.SymptomTimeout, diag.SymptomRefused, diag.SymptomDrops}
