package rule

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
)

const (
	checkClientCert   diag.ProbeID = "tls.client_cert"
	checkNoClientCert diag.ProbeID = "tls.no_client_cert"
	checkTLSVersions  diag.ProbeID = "tls.versions"
	checkCiphers      diag.ProbeID = "tls.ciphers"
	checkTLSAgain     diag.ProbeID = "tls.again"
	checkNoSNI        diag.ProbeID = "tls.without_sni"
	checkNames        diag.ProbeID = "tls.names"
	checkALPN         diag.ProbeID = "tls.alpn"
	checkAIA          diag.ProbeID = "tls.aia"
	checkClock        diag.ProbeID = "tls.clock"
	checkRevocation   diag.ProbeID = "tls.revocation"
	checkInterception diag.ProbeID = "tls.interception"
	checkDevices      diag.ProbeID = "tls.devices"
	checkTransports   diag.ProbeID = "peer.transports"
	checkPeerMQTT     diag.ProbeID = "peer.mqtt"
	checkPeerPaths    diag.ProbeID = "peer.paths"
	checkListen       diag.ProbeID = "peer.listen"
	checkListenOn     diag.ProbeID = "peer.listen_on"
	checkQuestions    diag.ProbeID = "peer.questions"
)

// tlsRules stand in causal order: first what keeps the handshake from beginning, then what is wrong with the certificate
// (the special fault before the general one: what repairs it mostly repairs both), then what the server wants of the
// client, last what has no better name.
var tlsRules = []diag.Rule{
	{Code: "tls.client_key_mismatch", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 5280 4.1.2.7"},
		Awaits:     []diag.ProbeID{checkClientCert},
		LookAlikes: []diag.Code{"tls.client_cert_rejected", "tls.client_cert_required"},
		Hides:      []diag.Code{"tls.client_cert_required"}, // none could be sent
		When:       clientKeyMismatch},
	{Code: "tls.plaintext_peer", Severity: diag.SeverityCritical,
		Sources:      []string{"RFC 8446 5.1", "MQTT 5.0 4.2"},
		Awaits:       []diag.ProbeID{checkTLS}, // the first answer in the clear tells
		OverturnedBy: []diag.Code{"net.captive_portal", "dns.ipv6_broken", "tcp.partial_addresses"},
		LookAlikes:   []diag.Code{"tls.handshake_closed", "tls.handshake_timeout", "mqtt.not_mqtt", "tcp.closed_on_accept", "tls.version_unsupported"},
		Hides: []diag.Code{"tls.handshake_closed", "tls.handshake_timeout", "tls.version_unsupported", "tls.no_shared_cipher",
			"tls.sni_required", "tcp.closed_on_accept", "tcp.wrong_port", "mqtt.not_mqtt", "net.mtu_blackhole"},
		When: plaintextPeer},
	{Code: "tls.required", Severity: diag.SeverityCritical,
		Sources:      []string{"RFC 8446 4.1.3", "MQTT 5.0 4.2"},
		Awaits:       []diag.ProbeID{checkMQTT, checkVersions, checkWS}, // the first ServerHello tells, with what is awaited in tlsRequired
		OverturnedBy: []diag.Code{"net.captive_portal", "mqtt.not_mqtt", "dns.ipv6_broken", "tcp.partial_addresses"},
		LookAlikes:   []diag.Code{"mqtt.not_mqtt", "mqtt.no_connack", "mqtt.closed_without_connack", "tcp.closed_on_accept", "ws.expected"},
		Hides: []diag.Code{"mqtt.not_mqtt", "mqtt.no_connack", "mqtt.closed_without_connack", "tcp.closed_on_accept", "tcp.wrong_port",
			"ws.not_websocket", "ws.upgrade_stripped", "ws.bad_gateway", "ws.auth_required", "ws.expected", "ws.redirect"},
		When: tlsRequired},
	{Code: "tls.intercepted", Severity: diag.SeverityWarning,
		Awaits:     []diag.ProbeID{checkTLS, checkInterception},
		LookAlikes: []diag.Code{"tls.unknown_ca", "tls.wrong_ca", "tls.self_signed"},
		Causes:     []diag.Code{"tls.unknown_ca", "tls.wrong_ca", "tls.self_signed", "tls.incomplete_chain", "tls.hostname_mismatch"},
		When:       intercepted},
	{Code: "tls.clock_skew", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 5280 6.1.3", "RFC 9110 5.6.7"},
		Awaits:     []diag.ProbeID{checkTLS, checkClock, checkWS},
		LookAlikes: []diag.Code{"tls.cert_expired", "tls.cert_not_yet_valid", "tls.intermediate_expired"},
		When:       clockSkew},
	{Code: "tls.cert_expired", Severity: diag.SeverityCritical,
		Sources:      []string{"RFC 5280 4.1.2.5"},
		Awaits:       []diag.ProbeID{checkTLS},
		OverturnedBy: []diag.Code{"tls.clock_skew"},
		LookAlikes:   []diag.Code{"tls.clock_skew", "tls.intermediate_expired", "tls.cert_not_yet_valid", "tls.unknown_ca"},
		When:         certExpired},
	{Code: "tls.intermediate_expired", Severity: diag.SeverityCritical,
		Sources:      []string{"RFC 5280 6.1.3"},
		Awaits:       []diag.ProbeID{checkTLS},
		OverturnedBy: []diag.Code{"tls.clock_skew"},
		LookAlikes:   []diag.Code{"tls.cert_expired", "tls.unknown_ca", "tls.clock_skew", "tls.incomplete_chain"},
		When:         intermediateExpired},
	{Code: "tls.cert_not_yet_valid", Severity: diag.SeverityCritical,
		Sources:      []string{"RFC 5280 4.1.2.5"},
		Awaits:       []diag.ProbeID{checkTLS},
		OverturnedBy: []diag.Code{"tls.clock_skew"},
		LookAlikes:   []diag.Code{"tls.clock_skew", "tls.cert_expired"},
		When:         certNotYetValid},
	{Code: "tls.hostname_mismatch", Severity: diag.SeverityCritical,
		Sources:      []string{"RFC 9525 6", "RFC 5280 4.2.1.6"},
		Awaits:       []diag.ProbeID{checkTLS},
		OverturnedBy: []diag.Code{"net.captive_portal", "tls.intercepted", "tls.sni_required"},
		LookAlikes:   []diag.Code{"tls.cn_only", "tls.intercepted", "tls.self_signed", "tls.sni_required"},
		When:         hostnameMismatch},
	{Code: "tls.cn_only", Severity: diag.SeverityCritical,
		Sources:      []string{"RFC 9525 6.3", "RFC 2818 3.1"},
		Awaits:       []diag.ProbeID{checkTLS},
		OverturnedBy: []diag.Code{"tls.sni_required"},
		LookAlikes:   []diag.Code{"tls.hostname_mismatch"},
		When:         cnOnly},
	{Code: "tls.self_signed", Severity: diag.SeverityCritical,
		Sources:      []string{"RFC 5280 3.2", "RFC 5280 6.1"},
		Awaits:       []diag.ProbeID{checkTLS},
		OverturnedBy: []diag.Code{"net.captive_portal", "tls.intercepted", "tls.sni_required"},
		LookAlikes:   []diag.Code{"tls.unknown_ca", "tls.wrong_ca", "tls.incomplete_chain", "tls.intercepted"},
		When:         selfSigned},
	{Code: "tls.wrong_ca", Severity: diag.SeverityCritical,
		Sources:      []string{"RFC 5280 6.1"},
		Awaits:       []diag.ProbeID{checkTLS, checkAIA},
		OverturnedBy: []diag.Code{"tls.intercepted", "tls.sni_required"},
		LookAlikes:   []diag.Code{"tls.unknown_ca", "tls.incomplete_chain", "tls.self_signed", "tls.intercepted"},
		When:         wrongCA},
	{Code: "tls.incomplete_chain", Severity: diag.SeverityCritical,
		Sources:      []string{"RFC 8446 4.4.2", "RFC 5246 7.4.2", "RFC 5280 4.2.2.1"},
		Awaits:       []diag.ProbeID{checkTLS, checkAIA},
		OverturnedBy: []diag.Code{"tls.intercepted"},
		LookAlikes:   []diag.Code{"tls.unknown_ca", "tls.wrong_ca", "tls.self_signed", "tls.intermediate_expired"},
		When:         incompleteChain},
	{Code: "tls.unknown_ca", Severity: diag.SeverityCritical,
		Sources:      []string{"RFC 5280 6.1"},
		Awaits:       []diag.ProbeID{checkTLS, checkAIA},
		OverturnedBy: []diag.Code{"net.captive_portal", "tls.intercepted", "tls.sni_required"},
		LookAlikes:   []diag.Code{"tls.self_signed", "tls.wrong_ca", "tls.incomplete_chain", "tls.intercepted"},
		When:         unknownCA},
	{Code: "tls.key_usage", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 5280 4.2.1.12"},
		Awaits:     []diag.ProbeID{checkTLS},
		LookAlikes: []diag.Code{"tls.unknown_ca", "tls.hostname_mismatch"},
		When:       keyUsage},
	{Code: "tls.revoked", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 6960 2.2", "RFC 5280 5", "RFC 6066 8"},
		Awaits:     []diag.ProbeID{checkTLS, checkRevocation},
		LookAlikes: []diag.Code{"tls.cert_expired", "tls.unknown_ca"},
		When:       revoked},
	{Code: "tls.client_cert_required", Severity: diag.SeverityCritical,
		Sources: []string{"RFC 8446 4.4.2.4", "RFC 8446 6.2", "RFC 5246 7.4.6"},
		Awaits:  []diag.ProbeID{checkTLS, checkMQTT, checkOlder, checkWS, "ws.origin", "ws.paths", "ws.subprotocols"},
		LookAlikes: []diag.Code{"mqtt.closed_without_connack", "tls.handshake_closed", "tls.client_cert_rejected", "mqtt.auth_required",
			"tls.version_unsupported"},
		Hides: clientCertHides,
		When:  clientCertRequired},
	{Code: "tls.client_cert_rejected", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 8446 4.4.2.4", "RFC 8446 6.2", "RFC 5246 7.2.2"},
		Awaits:     []diag.ProbeID{checkTLS, checkMQTT, checkOlder, checkWS, checkClientCert, checkNoClientCert},
		LookAlikes: []diag.Code{"tls.client_cert_required", "tls.client_key_mismatch", "mqtt.closed_without_connack", "tls.handshake_closed"},
		Hides:      clientCertHides,
		When:       clientCertRejected},
	{Code: "tls.version_unsupported", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 8996", "RFC 8446 4.2.1", "RFC 8446 6.2"},
		Awaits:     []diag.ProbeID{checkTLS, checkTLSAgain, checkTLSVersions},
		LookAlikes: []diag.Code{"tls.no_shared_cipher", "tls.handshake_closed", "tls.plaintext_peer"},
		Hides:      []diag.Code{"tls.handshake_closed", "tls.no_shared_cipher", "tcp.closed_on_accept", "tcp.wrong_port"},
		When:       versionUnsupportedTLS},
	{Code: "tls.no_shared_cipher", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 8446 4.1.1", "RFC 5246 7.2.2"},
		Awaits:     []diag.ProbeID{checkTLS, checkTLSAgain, checkTLSVersions, checkCiphers, checkNoSNI, checkNames},
		LookAlikes: []diag.Code{"tls.version_unsupported", "tls.handshake_closed", "tls.sni_required"},
		Hides:      []diag.Code{"tls.handshake_closed", "tcp.closed_on_accept", "tcp.wrong_port"},
		When:       noSharedCipher},
	{Code: "tls.sni_required", Severity: diag.SeverityInfo,
		Sources:    []string{"RFC 6066 3"},
		Awaits:     []diag.ProbeID{checkTLS, checkTLSAgain, checkNoSNI, checkNames},
		MayHide:    []diag.Code{"tls.handshake_closed", "tls.no_shared_cipher", "tls.version_unsupported", "tcp.wrong_port", "tcp.closed_on_accept", "tls.hostname_mismatch", "tls.cn_only", "tls.self_signed", "tls.unknown_ca", "tls.wrong_ca"},
		LookAlikes: []diag.Code{"tls.hostname_mismatch", "tls.no_shared_cipher", "tls.handshake_closed"},
		When:       sniRequired},
	{Code: "tls.alpn_required", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 7301 3.2"},
		Awaits:     []diag.ProbeID{checkTLS, checkTLSAgain, checkALPN, checkMQTT},
		LookAlikes: []diag.Code{"mqtt.no_connack", "mqtt.closed_without_connack", "ws.expected", "mqtt.not_mqtt", "tls.handshake_closed"},
		Hides: []diag.Code{"tls.handshake_closed", "tls.no_shared_cipher", "mqtt.no_connack", "mqtt.closed_without_connack", "mqtt.not_mqtt",
			"ws.expected", "tcp.wrong_port", "tcp.closed_on_accept"},
		When: alpnRequired},
	{Code: "tls.handshake_timeout", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 8446 4"},
		Awaits:     []diag.ProbeID{checkTLS, checkTLSAgain, checkTransports, checkListen, "net.mtu", "tcp.absurd_port"},
		LookAlikes: []diag.Code{"net.mtu_blackhole", "tls.plaintext_peer", "tcp.accepts_everything", "mqtt.not_mqtt", "tls.handshake_closed"},
		When:       handshakeTimeout},
	{Code: "tls.handshake_closed", Severity: diag.SeverityCritical,
		Sources: []string{"RFC 8446 6"},
		Awaits: []diag.ProbeID{checkTLS, checkTLSAgain, checkTransports, checkListen, checkQuestions, checkTLSVersions, checkCiphers, checkNoSNI, checkNames, checkALPN,
			checkNoClientCert},
		LookAlikes: []diag.Code{"tls.plaintext_peer", "tls.client_cert_required", "tls.version_unsupported", "tls.no_shared_cipher",
			"tls.sni_required", "tls.handshake_timeout", "tcp.closed_on_accept", "mqtt.not_mqtt"},
		When: handshakeClosed},
	{Code: "tls.cert_expiring", Severity: diag.SeverityWarning,
		Sources:    []string{"RFC 5280 4.1.2.5"},
		Awaits:     []diag.ProbeID{checkTLS},
		LookAlikes: []diag.Code{"tls.cert_expired"},
		When:       certExpiring},
	{Code: "tls.weak_key", Severity: diag.SeverityWarning,
		Sources:    []string{"NIST SP 800-131A", "CA/Browser Forum BR 6.1.5"},
		Awaits:     []diag.ProbeID{checkTLS},
		LookAlikes: []diag.Code{"tls.weak_signature"},
		When:       weakKey},
	{Code: "tls.weak_signature", Severity: diag.SeverityWarning,
		Sources:    []string{"RFC 9155", "CA/Browser Forum BR 7.1.3.2"},
		Awaits:     []diag.ProbeID{checkTLS},
		LookAlikes: []diag.Code{"tls.weak_key"},
		When:       weakSignature},
	{Code: "tls.legacy_versions_enabled", Severity: diag.SeverityWarning,
		Sources:    []string{"RFC 8996"},
		Awaits:     []diag.ProbeID{checkTLS, checkTLSVersions},
		LookAlikes: []diag.Code{"tls.version_unsupported"},
		When:       legacyVersions},
	{Code: "tls.device_incompatible", Severity: diag.SeverityInfo,
		Awaits:     []diag.ProbeID{checkTLS, checkDevices},
		LookAlikes: []diag.Code{"tls.version_unsupported", "tls.no_shared_cipher", "tls.sni_required"},
		When:       deviceIncompatible},
}

// clientCertHides are what a server's objection to the client's certificate looks like from elsewhere.
var clientCertHides = []diag.Code{"tls.handshake_closed", "tls.no_shared_cipher", "mqtt.closed_without_connack", "mqtt.no_connack",
	"tcp.closed_on_accept", "tcp.wrong_port", "ws.not_websocket", "ws.auth_required", "ws.upgrade_stripped"}

// askedHandshakes are the handshakes of the asked path, one for each address that accepted a connection.
func askedHandshakes(v *diag.View) []diag.Sight[*diag.TLSHandshake] {
	return diag.SeenBy[*diag.TLSHandshake](v, checkTLS)
}

// judged are the asked handshakes in which a certificate was served and looked at.
func judged(v *diag.View) []diag.Sight[*diag.TLSHandshake] {
	return slices.DeleteFunc(askedHandshakes(v), func(s diag.Sight[*diag.TLSHandshake]) bool {
		return s.Seen.Trust == nil || s.Seen.Leaf() == nil
	})
}

// faulty finds a handshake whose certificate has a fault. It is critical where every address serves it so and the client
// minds: where only some do, clients fail now and then, and one that does not verify does not fail at all.
func faulty(v *diag.View, has func(*diag.TLSHandshake) bool) (found diag.Sight[*diag.TLSHandshake], severity diag.Severity, ok bool) {
	sights := judged(v)
	bad := slices.DeleteFunc(slices.Clone(sights), func(s diag.Sight[*diag.TLSHandshake]) bool { return !has(s.Seen) })
	if len(bad) == 0 {
		return found, "", false
	}
	if v.Target.TLS.Insecure || len(bad) < len(sights) {
		severity = diag.SeverityWarning
	}
	return bad[0], severity, true
}

// noChain is the verdict where no certificate was seen.
func noChain(v *diag.View) (diag.Verdict, bool) {
	switch {
	case !v.Target.Scheme.UsesTLS():
		return diag.Open(), true
	case len(judged(v)) == 0 && v.Ended(checkTLS):
		return diag.Excluded(diag.N("because.no_certificate_seen")), true
	case len(judged(v)) == 0:
		return diag.Open(), true
	}
	return diag.Verdict{}, false
}

// certFinding is a finding about a served certificate, with the facts that its texts use.
func certFinding(v *diag.View, s diag.Sight[*diag.TLSHandshake], severity diag.Severity) diag.Finding {
	leaf, trust := s.Seen.Leaf(), s.Seen.Trust
	return diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Severity: severity, Args: diag.Args{
		"name": trust.Name, "names": strings.Join(namesOf(leaf), ", "), "subject": leaf.Subject, "issuer": leaf.Issuer,
		"serial": leaf.Serial, "fingerprint": leaf.SHA256, "not_before": dateText(leaf.NotBefore), "not_after": dateText(leaf.NotAfter),
		"clock": dateText(trust.Now), "address": s.Seen.Address,
	}}
}

// namesOf lists the names for which a certificate counts.
func namesOf(c *diag.CertFact) []string { return append(slices.Clone(c.DNSNames), c.IPs...) }

// dateText writes a moment for people, in UTC.
func dateText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// held tells whether another rule concluded its cause.
func held(v *diag.View, rule func(*diag.View) diag.Verdict) bool {
	_, ok := rule(v).Concluded()
	return ok
}

// seconds writes a time-out as it was set.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s" }
