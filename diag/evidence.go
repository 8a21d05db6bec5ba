package diag

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// The evidence keys, each with a label and one sentence of help in the catalogue (diag/catalogue/*/evidence.yaml).
const (
	EvAddress  EvidenceKey = "address"
	EvOutcome  EvidenceKey = "outcome"
	EvDuration EvidenceKey = "duration"
	EvWaited   EvidenceKey = "waited"
	EvRTT      EvidenceKey = "rtt"
	EvError    EvidenceKey = "error"
	EvErrno    EvidenceKey = "errno"
	EvSent     EvidenceKey = "sent"
	EvSpeaks   EvidenceKey = "speaks"
	EvBanner   EvidenceKey = "banner"
	EvVaried   EvidenceKey = "varied"

	EvFirstBytes EvidenceKey = "first_bytes"
	EvTransport  EvidenceKey = "transport"

	EvDNSName       EvidenceKey = "dns.name"
	EvDNSResolver   EvidenceKey = "dns.resolver"
	EvDNSRCode      EvidenceKey = "dns.rcode"
	EvDNSA          EvidenceKey = "dns.a"
	EvDNSAAAA       EvidenceKey = "dns.aaaa"
	EvDNSChain      EvidenceKey = "dns.chain"
	EvDNSChainRCode EvidenceKey = "dns.chain_rcode"
	EvDNSTTL        EvidenceKey = "dns.ttl"
	EvDNSAddresses  EvidenceKey = "dns.addresses"
	EvDNSSource     EvidenceKey = "dns.source"
	EvDNSHosts      EvidenceKey = "dns.hosts"
	EvDNSNear       EvidenceKey = "dns.near"
	EvDNSDropped    EvidenceKey = "dns.dropped"

	EvICMP         EvidenceKey = "net.icmp"
	EvICMPOffender EvidenceKey = "net.icmp_offender"
	EvLastHop      EvidenceKey = "net.last_hop"
	EvTracePath    EvidenceKey = "net.path"
	EvCDN          EvidenceKey = "net.cdn"
	EvEchoSent     EvidenceKey = "net.echo_sent"
	EvEchoAnswered EvidenceKey = "net.echo_answered"

	EvSeriesTries      EvidenceKey = "net.series_tries"
	EvSeriesRepeated   EvidenceKey = "net.series_repeated"
	EvMessageBytes     EvidenceKey = "net.message_bytes"
	EvSegment          EvidenceKey = "net.segment"
	EvSmallOutcome     EvidenceKey = "net.small_outcome"
	EvSentAgain        EvidenceKey = "net.sent_again"
	EvSeriesSilent     EvidenceKey = "net.series_silent"
	EvSeriesPings      EvidenceKey = "net.series_pings"
	EvSeriesPingsAgain EvidenceKey = "net.series_pings_again"

	EvTLSServerName    EvidenceKey = "tls.server_name"
	EvTLSOfferedALPN   EvidenceKey = "tls.offered_alpn"
	EvTLSAlert         EvidenceKey = "tls.alert"
	EvTLSAlertAfter    EvidenceKey = "tls.alert_after"
	EvTLSVersion       EvidenceKey = "tls.version"
	EvTLSSuite         EvidenceKey = "tls.suite"
	EvTLSSuites        EvidenceKey = "tls.suites"
	EvDeviceOK         EvidenceKey = "tls.device_ok"
	EvDeviceFails      EvidenceKey = "tls.device_fails"
	EvTLSCurve         EvidenceKey = "tls.curve"
	EvTLSALPN          EvidenceKey = "tls.alpn"
	EvTLSCertRequested EvidenceKey = "tls.cert_requested"
	EvTLSAcceptableCAs EvidenceKey = "tls.acceptable_cas"
	EvCertSubject      EvidenceKey = "cert.subject"
	EvCertIssuer       EvidenceKey = "cert.issuer"
	EvCertNames        EvidenceKey = "cert.names"
	EvCertNotBefore    EvidenceKey = "cert.not_before"
	EvCertNotAfter     EvidenceKey = "cert.not_after"
	EvCertSHA256       EvidenceKey = "cert.sha256"
	EvCertKey          EvidenceKey = "cert.key"
	EvCertSignature    EvidenceKey = "cert.signature"
	EvCertChain        EvidenceKey = "cert.chain"
	EvTrustError       EvidenceKey = "cert.trust_error"
	EvOCSP             EvidenceKey = "cert.ocsp"
	EvIssuerURL        EvidenceKey = "cert.issuer_url"
	EvRevokedAt        EvidenceKey = "cert.revoked_at"
	EvClientAuth       EvidenceKey = "cert.client_auth"
	EvKeyMatches       EvidenceKey = "cert.key_matches"
	EvLocalClock       EvidenceKey = "local_clock"

	EvWSPath        EvidenceKey = "ws.path"
	EvWSOrigin      EvidenceKey = "ws.origin"
	EvWSOffered     EvidenceKey = "ws.offered"
	EvWSSubprotocol EvidenceKey = "ws.subprotocol"
	EvWSClose       EvidenceKey = "ws.close"
	EvWSFrame       EvidenceKey = "ws.frame"
	EvBusyLasted    EvidenceKey = "mqtt.busy_lasted"
	EvOnePerLogin   EvidenceKey = "mqtt.one_per_login"
	EvHTTPStatus    EvidenceKey = "http.status"
	EvHTTPServer    EvidenceKey = "http.server"
	EvHTTPVia       EvidenceKey = "http.via"
	EvHTTPLocation  EvidenceKey = "http.location"
	EvHTTPAuth      EvidenceKey = "http.www_authenticate"
	EvHTTPRetry     EvidenceKey = "http.retry_after"
	EvHTTPDate      EvidenceKey = "http.date"
	EvHTTPProxy     EvidenceKey = "http.proxy_signs"
	EvHTTPBody      EvidenceKey = "http.body"

	EvMQTTVersion       EvidenceKey = "mqtt.version"
	EvClientID          EvidenceKey = "mqtt.client_id"
	EvReasonCode        EvidenceKey = "mqtt.reason_code"
	EvReasonString      EvidenceKey = "mqtt.reason_string"
	EvReceiveMaximum    EvidenceKey = "mqtt.receive_maximum"
	EvMaximumQoS        EvidenceKey = "mqtt.maximum_qos"
	EvMaximumPacket     EvidenceKey = "mqtt.maximum_packet"
	EvServerKeepAlive   EvidenceKey = "mqtt.server_keepalive"
	EvRetainAvailable   EvidenceKey = "mqtt.retain_available"
	EvWildcardAvailable EvidenceKey = "mqtt.wildcard_available"
	EvSharedAvailable   EvidenceKey = "mqtt.shared_available"
	EvTopicAliasMaximum EvidenceKey = "mqtt.topic_alias_maximum"
	EvAssignedClientID  EvidenceKey = "mqtt.assigned_client_id"
	EvServerReference   EvidenceKey = "mqtt.server_reference"
	EvAuthMethod        EvidenceKey = "mqtt.auth_method"
	EvConnack           EvidenceKey = "mqtt.connack"
	EvKeepAlive         EvidenceKey = "mqtt.keepalive"
	EvHeld              EvidenceKey = "mqtt.held"
	EvFurtherRefused    EvidenceKey = "mqtt.further_refused"
	EvRetryWorked       EvidenceKey = "mqtt.retry_worked"
	EvConnectTries      EvidenceKey = "mqtt.series_tries"
	EvConnectAccepted   EvidenceKey = "mqtt.series_accepted"
	EvConnectSilent     EvidenceKey = "mqtt.series_silent"
	EvConnectEnded      EvidenceKey = "mqtt.series_ended"
	EvTCPUnacked        EvidenceKey = "mqtt.tcp_unacked"
	EvTCPRepeated       EvidenceKey = "mqtt.tcp_repeated"

	EvTopic        EvidenceKey = "msg.topic"
	EvFilter       EvidenceKey = "msg.filter"
	EvMatches      EvidenceKey = "msg.matches"
	EvMismatch     EvidenceKey = "msg.mismatch"
	EvQoSAsked     EvidenceKey = "msg.qos_asked"
	EvQoSGranted   EvidenceKey = "msg.qos_granted"
	EvQoSDelivered EvidenceKey = "msg.qos_delivered"
	EvAltered      EvidenceKey = "msg.altered"
	EvPublished    EvidenceKey = "msg.published"
	EvDelivered    EvidenceKey = "msg.delivered"
)

// MS makes evidence of a time in milliseconds, with three digits that carry meaning.
func MS(key EvidenceKey, d time.Duration) Evidence {
	return Evidence{Key: key, Value: FormatMS(d), Unit: "ms"}
}

// FormatMS writes a duration as milliseconds: "0.12", "3.4", "108".
func FormatMS(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 1:
		return strconv.FormatFloat(ms, 'f', 2, 64)
	case ms < 10:
		return strconv.FormatFloat(ms, 'f', 1, 64)
	}
	return strconv.FormatFloat(ms, 'f', 0, 64)
}

// facts collects evidence and leaves out what was not observed.
type facts struct {
	items []Evidence
}

func (f *facts) unit(key EvidenceKey, value, unit string) {
	if value != "" {
		f.items = append(f.items, Evidence{Key: key, Value: value, Unit: unit})
	}
}

func (f *facts) add(key EvidenceKey, value string) { f.unit(key, strings.TrimSpace(value), "") }

func (f *facts) list(key EvidenceKey, values []string) {
	f.add(key, strings.Join(values, ", "))
}

func (f *facts) ms(key EvidenceKey, d time.Duration) {
	if d > 0 {
		f.items = append(f.items, MS(key, d))
	}
}

// seconds shows a longer time.
func (f *facts) seconds(key EvidenceKey, d time.Duration) {
	if d > 0 {
		f.unit(key, strconv.FormatFloat(roundS(d), 'f', -1, 64), "s")
	}
}

func (f *facts) time(key EvidenceKey, t time.Time) {
	if !t.IsZero() {
		f.add(key, t.UTC().Format(time.RFC3339))
	}
}

// bytes shows the beginning as hexadecimal digits; the whole is in the observation.
func (f *facts) bytes(key EvidenceKey, b []byte) {
	const shown = 64
	more := ""
	if len(b) > shown {
		b, more = b[:shown], " …"
	}
	var parts []string
	for _, c := range b {
		parts = append(parts, hex.EncodeToString([]byte{c}))
	}
	f.add(key, strings.Join(parts, " ")+more)
}

func (f *facts) yesno(key EvidenceKey, v bool) {
	if v {
		f.add(key, "yes")
		return
	}
	f.add(key, "no")
}

func (f *facts) bool(key EvidenceKey, v *bool) {
	if v != nil {
		f.yesno(key, *v)
	}
}

func (f *facts) uint(key EvidenceKey, v *uint16) {
	if v != nil {
		f.add(key, strconv.Itoa(int(*v)))
	}
}

func (f *facts) uint8(key EvidenceKey, v *byte) {
	if v != nil {
		f.add(key, strconv.Itoa(int(*v)))
	}
}
