package rule_test

import (
	"cmp"
	"net/http"
	"slices"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/rule"
)

// at is the moment of the recorded runs.
var at = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

const (
	broker  = "192.0.2.1:8883"
	broker2 = "192.0.2.2:8883"
)

// tlsTarget is what the user entered.
func tlsTarget(t *testing.T, url string, change func(*diag.TargetInput)) diag.Target {
	t.Helper()
	in := diag.TargetInput{URL: url}
	if change != nil {
		change(&in)
	}
	target, err := diag.ParseTarget(in)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func step(check diag.ProbeID, subject string, o diag.Observation) diag.Step {
	return diag.Step{ID: string(check) + "@" + subject, Check: check, Layer: diag.Code(check).Layer(), Subject: subject,
		Status: diag.StatusPassed, StartedAt: at, Duration: time.Millisecond, Observation: o, Evidence: o.Facts()}
}

// handshake is a completed one with a certificate without faults, changed as the case wants it.
func handshake(address string, change func(*diag.TLSHandshake)) diag.Step {
	leaf := diag.CertFact{Subject: "CN=broker.example.com", Issuer: "CN=Root", CommonName: "broker.example.com",
		DNSNames: []string{"broker.example.com"}, NotBefore: at.AddDate(0, 0, -30), NotAfter: at.AddDate(0, 0, 60), SHA256: "leaf",
		KeyAlgorithm: "ECDSA", KeyBits: 256, Signature: "ECDSA-SHA256", ServerAuth: true}
	h := &diag.TLSHandshake{Purpose: diag.PurposeAsked, Address: address, ServerName: "broker.example.com", Outcome: diag.OutcomeOK,
		ServerHello: true, Version: "TLS 1.3", Suite: "TLS_AES_128_GCM_SHA256", Chain: []diag.CertFact{leaf},
		Trust: &diag.TrustFact{Now: at, Name: "broker.example.com", NameOK: true, HasSAN: true, SystemOK: true, PathNow: true, Path: []string{"leaf"}}}
	if change != nil {
		change(h)
	}
	return step("tls.handshake", address, h)
}

// failed is a handshake that came to nothing.
func failed(outcome diag.Outcome, change func(*diag.TLSHandshake)) diag.Step {
	h := &diag.TLSHandshake{Purpose: diag.PurposeAsked, Address: broker, ServerName: "broker.example.com", Outcome: outcome,
		OfferedSuites: []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}}
	if change != nil {
		change(h)
	}
	return step("tls.handshake", broker, h)
}

func connect(change func(*diag.MQTTConnect)) diag.Step {
	c := &diag.MQTTConnect{Purpose: diag.PurposeAsked, Address: broker, Transport: diag.SchemeMQTTS, Version: diag.Version5, Outcome: diag.OutcomeOK}
	if change != nil {
		change(c)
	}
	return step("mqtt.connect", broker, c)
}

func connack(transport diag.Scheme, purpose diag.Purpose, check diag.ProbeID, label string, change func(*diag.Attempt)) diag.Step {
	a := &diag.Attempt{Purpose: purpose, Label: label, Address: broker, Transport: transport,
		TCP:  &diag.TCPConnect{Outcome: diag.OutcomeOK, Address: broker},
		MQTT: &diag.MQTTConnect{Address: broker, Transport: transport, Outcome: diag.OutcomeOK}}
	if transport.UsesTLS() {
		a.TLS = handshake(broker, nil).Observation.(*diag.TLSHandshake)
	}
	if change != nil {
		change(a)
	}
	return step(check, label, a)
}

func taken(version string, ok bool) diag.Step {
	o := &diag.TLSHello{Label: version, Address: broker, Outcome: diag.OutcomeRefused, Alert: &diag.TLSAlert{Number: 70, Name: "protocol_version"}}
	if ok {
		o = &diag.TLSHello{Label: version, Address: broker, Outcome: diag.OutcomeOK, Version: version}
	}
	return step("tls.versions", version, o)
}

// again is the failed handshake made once more.
func again(outcome diag.Outcome) diag.Step {
	return step("tls.again", "again", &diag.Attempt{Purpose: diag.PurposeRetry, Label: "again", Address: broker, Transport: diag.SchemeMQTTS,
		TLS: &diag.TLSHandshake{Address: broker, Outcome: outcome}})
}

// bare is a handshake without a server name that was completed.
var bare = step("tls.without_sni", "", &diag.Attempt{Purpose: diag.PurposeNoSNI, Address: broker, Transport: diag.SchemeMQTTS,
	TLS: &diag.TLSHandshake{Address: broker, Outcome: diag.OutcomeOK}})

func alert(number uint8, name string) *diag.TLSAlert {
	return &diag.TLSAlert{Number: number, Name: name}
}

// givenCA stands for a CA file: rules read what was observed with it, and not the file.
func givenCA(in *diag.TargetInput) { in.TLS.CAPEM = "given" }

type tlsRuleCase struct {
	name   string
	url    string // empty: mqtts
	target func(*diag.TargetInput)
	steps  []diag.Step
	root   diag.Code
	// look at the finding that is the root cause.
	severity   diag.Severity
	confidence diag.Confidence
	also       []diag.Code
	ruledOut   []diag.Code // at least these
}

// view is what the rules see of the case.
func (c tlsRuleCase) view(t *testing.T) *diag.View {
	t.Helper()
	target := tlsTarget(t, cmp.Or(c.url, "mqtts://broker.example.com"), nil)
	if c.target != nil {
		in := diag.TargetInput{}
		c.target(&in)
		target.TLS.CAPEM, target.TLS.Insecure, target.TLS.ServerName = in.TLS.CAPEM, in.TLS.Insecure, in.TLS.ServerName
		target.TLS.CertPEM = in.TLS.CertPEM
	}
	options, err := diag.ParsePlan(diag.PlanInput{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return diag.NewView(target, options, c.steps)
}

func TestTLSLookAlikes(t *testing.T) {
	for _, c := range tlsRuleCases {
		t.Run(c.name, func(t *testing.T) {
			got := diag.Conclude(c.view(t), rule.All)
			root := diag.Code("")
			if got.RootCause != nil {
				root = got.RootCause.Code
				if c.severity != "" && got.RootCause.Severity != c.severity {
					t.Errorf("severity %s, want %s", got.RootCause.Severity, c.severity)
				}
				if c.confidence != "" && got.RootCause.Confidence != c.confidence {
					t.Errorf("confidence %s, want %s", got.RootCause.Confidence, c.confidence)
				}
			}
			if root != c.root {
				t.Errorf("root cause %q, want %q", root, c.root)
			}
			for _, f := range got.Findings {
				if f.Code != c.root && f.Code.Layer() == diag.LayerTLS && !slices.Contains(c.also, f.Code) {
					t.Errorf("also %s", f.Code)
				}
			}
			for _, code := range c.also {
				if !slices.ContainsFunc(got.Findings, func(f diag.Finding) bool { return f.Code == code }) {
					t.Errorf("%s was not concluded", code)
				}
			}
			for _, code := range c.ruledOut {
				if !slices.ContainsFunc(got.RuledOut, func(r diag.RuledOut) bool { return r.Code == code }) {
					t.Errorf("%s was not ruled out: %+v", code, got.RuledOut)
				}
			}
		})
	}
}

func expiredLeaf(h *diag.TLSHandshake) {
	h.Chain[0].NotAfter = at.Add(-48 * time.Hour)
	h.Trust.PathNow = false
}

func upgradeSaying(date time.Time) diag.Step {
	return step("ws.upgrade", broker, &diag.WSUpgrade{Address: broker, TLS: true, Outcome: diag.OutcomeOK, Status: 101, Subprotocol: "mqtt",
		Offered: []string{"mqtt"}, Date: date.Format(http.TimeFormat)})
}

var tlsRuleCases = []tlsRuleCase{
	{name: "nothing wrong", steps: []diag.Step{handshake(broker, nil), connect(nil)}},
	{name: "expired, no other clock", root: "tls.cert_expired", confidence: diag.Certain,
		steps:    []diag.Step{handshake(broker, expiredLeaf), connect(nil)},
		ruledOut: []diag.Code{"tls.clock_skew", "tls.intermediate_expired", "tls.cert_not_yet_valid", "tls.unknown_ca"}},
	{name: "expired, and another clock agrees", root: "tls.cert_expired",
		steps: []diag.Step{handshake(broker, expiredLeaf), upgradeSaying(at.Add(3 * time.Minute)), connect(nil)}, ruledOut: []diag.Code{"tls.clock_skew"}},
	{name: "expired by a clock that another one contradicts", root: "tls.clock_skew", confidence: diag.Likely,
		steps: []diag.Step{handshake(broker, expiredLeaf), upgradeSaying(at.AddDate(0, 0, -10)), connect(nil)}, ruledOut: []diag.Code{"tls.cert_expired"}},
	{name: "expired, and the peer's clock stands at 1970", root: "tls.cert_expired",
		steps: []diag.Step{handshake(broker, expiredLeaf), upgradeSaying(time.Unix(1000, 0)), connect(nil)}},
	{name: "expired, and a stapled status is newer than our clock", root: "tls.clock_skew", confidence: diag.Certain,
		steps: []diag.Step{handshake(broker, func(h *diag.TLSHandshake) {
			h.Chain[0].NotBefore, h.Trust.PathNow = at.AddDate(0, 0, 1), false
			h.StapleAt = at.AddDate(0, 0, 5)
		}), connect(nil)}},
	{name: "intermediate expired, leaf current", root: "tls.intermediate_expired",
		steps: []diag.Step{handshake(broker, func(h *diag.TLSHandshake) {
			h.Chain = append(h.Chain, diag.CertFact{Subject: "CN=Middle", SHA256: "middle", NotBefore: at.AddDate(-2, 0, 0), NotAfter: at.AddDate(0, 0, -1), IsCA: true})
			h.Trust.Path, h.Trust.PathNow = []string{"leaf", "middle"}, false
		}), connect(nil)}, ruledOut: []diag.Code{"tls.cert_expired"}},
	{name: "intermediate not yet valid, leaf current", root: "tls.cert_not_yet_valid",
		steps: []diag.Step{handshake(broker, func(h *diag.TLSHandshake) {
			h.Chain = append(h.Chain, diag.CertFact{Subject: "CN=Middle", SHA256: "middle", NotBefore: at.AddDate(0, 0, 2), NotAfter: at.AddDate(2, 0, 0), IsCA: true})
			h.Trust.Path, h.Trust.PathNow = []string{"leaf", "middle"}, false
		}), connect(nil)}, ruledOut: []diag.Code{"tls.cert_expired"}},
	{name: "a cross certificate to come beside the path that holds", root: "",
		steps: []diag.Step{handshake(broker, func(h *diag.TLSHandshake) {
			h.Chain = append(h.Chain, diag.CertFact{Subject: "CN=Cross", SHA256: "cross", NotBefore: at.AddDate(0, 0, 2), NotAfter: at.AddDate(2, 0, 0), IsCA: true})
		}), connect(nil)}},
	{name: "an old cross certificate beside the path that holds", root: "",
		steps: []diag.Step{handshake(broker, func(h *diag.TLSHandshake) {
			h.Chain = append(h.Chain, diag.CertFact{Subject: "CN=Cross", SHA256: "cross", NotAfter: at.AddDate(0, 0, -1), IsCA: true})
		}), connect(nil)}},
	{name: "one address of two serves an old certificate", root: "tls.cert_expired", severity: diag.SeverityWarning,
		steps: []diag.Step{handshake(broker, nil), handshake(broker2, expiredLeaf), connect(nil)}},
	{name: "a client that does not verify", root: "tls.cert_expired", severity: diag.SeverityWarning,
		target: func(in *diag.TargetInput) { in.TLS.Insecure = true },
		steps:  []diag.Step{handshake(broker, expiredLeaf), connect(nil)}},
	{name: "self-signed", root: "tls.self_signed",
		steps: []diag.Step{handshake(broker, func(h *diag.TLSHandshake) {
			h.Chain[0].SelfSigned, h.Trust.SystemOK = true, false
		}), connect(nil)}, ruledOut: []diag.Code{"tls.unknown_ca", "tls.wrong_ca", "tls.intercepted"}},
	{name: "self-signed, and another CA file given", root: "tls.self_signed", target: givenCA,
		steps: []diag.Step{handshake(broker, func(h *diag.TLSHandshake) {
			h.Chain[0].SelfSigned, h.Trust.SystemOK, h.Trust.GivenCA = true, false, true
		}), connect(nil)}, ruledOut: []diag.Code{"tls.wrong_ca", "tls.unknown_ca"}},
	{name: "self-signed, expired and for another name: the special before the general", root: "tls.cert_expired",
		also: []diag.Code{"tls.self_signed", "tls.hostname_mismatch"},
		steps: []diag.Step{handshake(broker, func(h *diag.TLSHandshake) {
			expiredLeaf(h)
			h.Chain[0].SelfSigned, h.Trust.SystemOK, h.Trust.NameOK = true, false, false
		}), connect(nil)}},
	{name: "private CA, nothing given", root: "tls.unknown_ca", confidence: diag.Certain,
		steps:    []diag.Step{handshake(broker, privateCA), connect(nil)},
		ruledOut: []diag.Code{"tls.self_signed", "tls.wrong_ca", "tls.intercepted", "tls.incomplete_chain"}},
	{name: "private CA, another given", root: "tls.wrong_ca", confidence: diag.Certain, target: givenCA,
		steps: []diag.Step{handshake(broker, func(h *diag.TLSHandshake) {
			privateCA(h)
			h.Trust.GivenCA, h.Trust.GivenSubjects = true, []string{"CN=Other"}
		}), connect(nil)}, ruledOut: []diag.Code{"tls.unknown_ca", "tls.incomplete_chain", "tls.self_signed"}},
	{name: "leaf alone, issuer unknown and nowhere to be found", root: "tls.unknown_ca", confidence: diag.Likely,
		steps: []diag.Step{handshake(broker, leafAlone), connect(nil)}},
	{name: "leaf alone, the issuer fetched completes the chain", root: "tls.incomplete_chain", confidence: diag.Certain,
		steps: []diag.Step{handshake(broker, leafAlone), step("tls.aia", "", &diag.IssuerFetch{Address: broker, Outcome: diag.OutcomeOK, SystemOK: true,
			Found: []diag.CertFact{{Subject: "CN=Middle", Issuer: "CN=Root"}}}), connect(nil)}, ruledOut: []diag.Code{"tls.unknown_ca"}},
	{name: "leaf alone, the issuer fetched leads nowhere", root: "tls.unknown_ca",
		steps: []diag.Step{handshake(broker, leafAlone), step("tls.aia", "", &diag.IssuerFetch{Address: broker, Outcome: diag.OutcomeOK,
			Found: []diag.CertFact{{Subject: "CN=Middle", Issuer: "CN=Private"}}}), connect(nil)}, ruledOut: []diag.Code{"tls.incomplete_chain"}},
	{name: "an inspecting firewall comes before what follows from it", root: "tls.intercepted", severity: diag.SeverityCritical,
		also: []diag.Code{"tls.unknown_ca"},
		steps: []diag.Step{handshake(broker, func(h *diag.TLSHandshake) {
			privateCA(h)
			h.Chain[0].Issuer = "CN=FG100E,O=Fortinet,C=US"
		}), connect(nil)}},
	{name: "name in no SAN", root: "tls.hostname_mismatch",
		steps:    []diag.Step{handshake(broker, func(h *diag.TLSHandshake) { h.Trust.NameOK, h.Trust.NameInCN = false, true }), connect(nil)},
		ruledOut: []diag.Code{"tls.cn_only", "tls.self_signed"}},
	{name: "name in the CN, no SAN", root: "tls.cn_only",
		steps: []diag.Step{handshake(broker, func(h *diag.TLSHandshake) {
			h.Trust.NameOK, h.Trust.NameInCN, h.Trust.HasSAN, h.Chain[0].DNSNames = false, true, false, nil
		}), connect(nil)}, ruledOut: []diag.Code{"tls.hostname_mismatch"}},
	{name: "29 days left", root: "tls.cert_expiring", severity: diag.SeverityWarning,
		steps: []diag.Step{handshake(broker, func(h *diag.TLSHandshake) { h.Chain[0].NotAfter = at.AddDate(0, 0, 29) }), connect(nil)}},
	{name: "31 days left", root: "",
		steps: []diag.Step{handshake(broker, func(h *diag.TLSHandshake) { h.Chain[0].NotAfter = at.AddDate(0, 0, 31) }), connect(nil)}},
	{name: "client certificate wanted: alert after the handshake", root: "tls.client_cert_required", confidence: diag.Certain,
		steps: []diag.Step{handshake(broker, wantsCert), connect(func(c *diag.MQTTConnect) {
			c.Outcome, c.Code, c.Alert = diag.OutcomeClosed, -1, alert(116, "certificate_required")
		})}, ruledOut: []diag.Code{"mqtt.closed_without_connack", "tls.client_cert_rejected"}},
	{name: "client certificate wanted: closed without a word", root: "tls.client_cert_required", confidence: diag.Likely,
		steps: []diag.Step{handshake(broker, wantsCert), connect(func(c *diag.MQTTConnect) { c.Outcome, c.Code = diag.OutcomeClosed, -1 })}},
	{name: "client certificate asked for and not needed", root: "",
		steps: []diag.Step{handshake(broker, wantsCert), connect(nil)}},
	{name: "client certificate asked for, and closed over the version", root: "mqtt.version_unsupported",
		steps: []diag.Step{handshake(broker, wantsCert), connect(func(c *diag.MQTTConnect) { c.Outcome, c.Code = diag.OutcomeClosed, -1 }),
			connack(diag.SchemeMQTTS, diag.PurposeVersion, "mqtt.versions", "MQTT 3.1.1", func(a *diag.Attempt) { a.MQTT.Version = diag.Version311 })}},
	{name: "nobody asked for a client certificate: the close is MQTT's", root: "mqtt.closed_without_connack",
		steps: []diag.Step{handshake(broker, nil), connect(func(c *diag.MQTTConnect) { c.Outcome, c.Code = diag.OutcomeClosed, -1 })}},
	{name: "client certificate refused inside the handshake", root: "tls.client_cert_rejected",
		steps: []diag.Step{failed(diag.OutcomeRefused, func(h *diag.TLSHandshake) {
			h.CertRequested, h.ClientCertSent, h.ServerHello, h.Alert = true, true, true, alert(48, "unknown_ca")
		})}, ruledOut: []diag.Code{"tls.client_cert_required", "tls.handshake_closed"}},
	{name: "client certificate sent, and CONNECT closed without an alert", root: "mqtt.closed_without_connack",
		steps: []diag.Step{handshake(broker, func(h *diag.TLSHandshake) { h.CertRequested, h.ClientCertSent = true, true }),
			connect(func(c *diag.MQTTConnect) { c.Outcome, c.Code = diag.OutcomeClosed, -1 })}},
	{name: "key and certificate of two devices", root: "tls.client_key_mismatch",
		steps: []diag.Step{step("tls.client_cert", "", &diag.ClientCert{Now: at, Chain: []diag.CertFact{{Subject: "CN=device", NotAfter: at.AddDate(1, 0, 0)}}}),
			handshake(broker, wantsCert), connect(func(c *diag.MQTTConnect) {
				c.Outcome, c.Code, c.Alert = diag.OutcomeClosed, -1, alert(116, "certificate_required")
			})}},
	{name: "plain broker on the TLS port", root: "tls.plaintext_peer",
		steps:    []diag.Step{failed(diag.OutcomeReset, nil), connack(diag.SchemeMQTT, diag.PurposePlain, "peer.transports", "mqtt", nil)},
		ruledOut: []diag.Code{"tls.handshake_closed", "mqtt.not_mqtt"}},
	{name: "reset on hello, and nothing answers in the clear", root: "tls.handshake_closed", confidence: diag.Likely,
		steps: []diag.Step{failed(diag.OutcomeReset, nil), connack(diag.SchemeMQTT, diag.PurposePlain, "peer.transports", "mqtt",
			func(a *diag.Attempt) { a.MQTT.Outcome, a.MQTT.Code = diag.OutcomeSilent, -1 }), taken("TLS 1.0", false), taken("TLS 1.2", false)},
		ruledOut: []diag.Code{"tls.plaintext_peer", "tls.version_unsupported", "tls.handshake_timeout"}},
	{name: "old versions alone", root: "tls.version_unsupported", confidence: diag.Certain,
		steps: []diag.Step{failed(diag.OutcomeRefused, func(h *diag.TLSHandshake) { h.ServerHello, h.Alert = true, alert(70, "protocol_version") }),
			taken("TLS 1.0", true), taken("TLS 1.1", false), taken("TLS 1.2", false), taken("TLS 1.3", false)},
		ruledOut: []diag.Code{"tls.plaintext_peer"}},
	{name: "a new version, and no suite in common", root: "tls.no_shared_cipher", confidence: diag.Certain,
		steps: []diag.Step{failed(diag.OutcomeRefused, func(h *diag.TLSHandshake) { h.ServerHello, h.Alert = true, alert(40, "handshake_failure") }),
			taken("TLS 1.2", true), taken("TLS 1.3", false),
			step("tls.ciphers", "DHE", &diag.TLSHello{Label: "DHE", Outcome: diag.OutcomeOK, Suites: []string{"TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"}})},
		ruledOut: []diag.Code{"tls.version_unsupported", "tls.handshake_closed"}},
	{name: "handshake failure although a suite is shared", root: "tls.no_shared_cipher", confidence: diag.Likely,
		steps: []diag.Step{failed(diag.OutcomeRefused, func(h *diag.TLSHandshake) { h.ServerHello, h.Alert = true, alert(40, "handshake_failure") }),
			taken("TLS 1.2", true),
			step("tls.ciphers", "ECDHE", &diag.TLSHello{Label: "ECDHE", Outcome: diag.OutcomeOK, Suites: []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}})}},
	{name: "handshake failure for want of a group of key exchange", root: "tls.no_shared_cipher", confidence: diag.Certain,
		steps: []diag.Step{failed(diag.OutcomeRefused, func(h *diag.TLSHandshake) {
			h.ServerHello, h.Alert, h.OfferedSuites = true, alert(40, "handshake_failure"), []string{"TLS_AES_128_GCM_SHA256"}
		}), step("tls.versions", "TLS 1.3", &diag.TLSHello{Label: "TLS 1.3", Address: broker, Outcome: diag.OutcomeOK, Version: "TLS 1.3", Group: "x448"}),
			step("tls.ciphers", "TLS 1.3", &diag.TLSHello{Label: "TLS 1.3", Outcome: diag.OutcomeOK, Suites: []string{"TLS_AES_128_GCM_SHA256"}})}},
	{name: "ended once, and completed when repeated", root: "tls.handshake_closed", confidence: diag.Certain,
		steps:    []diag.Step{failed(diag.OutcomeReset, nil), again(diag.OutcomeOK), bare, taken("TLS 1.0", true), taken("TLS 1.2", false)},
		ruledOut: []diag.Code{"tls.sni_required", "tls.version_unsupported"}},
	{name: "ended each time, and completed without a name", root: "tls.sni_required", severity: diag.SeverityCritical, confidence: diag.Likely,
		steps: []diag.Step{failed(diag.OutcomeReset, nil), again(diag.OutcomeReset), bare}},
	{name: "unrecognized name", root: "tls.sni_required", severity: diag.SeverityCritical,
		steps: []diag.Step{failed(diag.OutcomeRefused, func(h *diag.TLSHandshake) { h.ServerHello, h.Alert = true, alert(112, "unrecognized_name") })}},
	{name: "silent in the handshake", root: "tls.handshake_timeout",
		steps: []diag.Step{failed(diag.OutcomeSilent, nil)}, ruledOut: []diag.Code{"tls.handshake_closed"}},
	{name: "silent midway, and completed when repeated after it was without a name", root: "tls.handshake_timeout", confidence: diag.Likely,
		steps:    []diag.Step{failed(diag.OutcomeSilent, func(h *diag.TLSHandshake) { h.ServerHello = true }), bare, again(diag.OutcomeOK)},
		ruledOut: []diag.Code{"tls.handshake_closed"}},
	{name: "silent midway each time, and completed without a name", root: "tls.sni_required", severity: diag.SeverityCritical, confidence: diag.Likely,
		steps: []diag.Step{failed(diag.OutcomeSilent, func(h *diag.TLSHandshake) { h.ServerHello = true }), bare, again(diag.OutcomeSilent)}},
	{name: "silent in the handshake, and an alert to what comes without TLS", root: "tls.handshake_timeout",
		steps: []diag.Step{failed(diag.OutcomeSilent, nil), connack(diag.SchemeMQTT, diag.PurposePlain, "peer.transports", "mqtt", func(a *diag.Attempt) {
			a.MQTT.Outcome, a.MQTT.Code, a.MQTT.Speaks = diag.OutcomeOther, -1, "tls"
		})}},
	{name: "plain to a TLS broker", url: "mqtt://broker.example.com:8883", root: "tls.required",
		steps: []diag.Step{connect(func(c *diag.MQTTConnect) { c.Transport, c.Outcome, c.Code = diag.SchemeMQTT, diag.OutcomeClosed, -1 }),
			connack(diag.SchemeMQTTS, diag.PurposeTLS, "peer.transports", "mqtts", nil)},
		ruledOut: []diag.Code{"mqtt.not_mqtt"}},
	{name: "plain to a web server with TLS", url: "mqtt://broker.example.com:443", root: "mqtt.not_mqtt",
		steps: []diag.Step{connect(func(c *diag.MQTTConnect) { c.Transport, c.Outcome, c.Code = diag.SchemeMQTT, diag.OutcomeClosed, -1 }),
			connack(diag.SchemeMQTTS, diag.PurposeTLS, "peer.transports", "mqtts", func(a *diag.Attempt) {
				a.MQTT.Outcome, a.MQTT.Code = diag.OutcomeClosed, -1
			}),
			connack(diag.SchemeWSS, diag.PurposeWebSocket, "peer.transports", "wss", func(a *diag.Attempt) {
				a.MQTT, a.WS = nil, &diag.WSUpgrade{Outcome: diag.OutcomeRefused, Status: 404}
			})}},
	{name: "MQTT under an ALPN name alone", root: "tls.alpn_required",
		steps: []diag.Step{handshake(broker, nil), connect(func(c *diag.MQTTConnect) { c.Outcome, c.Code = diag.OutcomeSilent, -1 }),
			connack(diag.SchemeMQTTS, diag.PurposeALPN, "tls.alpn", "mqtt", nil)}, ruledOut: []diag.Code{"mqtt.no_connack"}},
	{name: "MQTT under an ALPN name alone, and no web server", root: "tls.alpn_required",
		steps: []diag.Step{handshake(broker, nil), connect(func(c *diag.MQTTConnect) { c.Outcome, c.Code = diag.OutcomeClosed, -1 }),
			connack(diag.SchemeMQTTS, diag.PurposeALPN, "tls.alpn", "mqtt", nil),
			connack(diag.SchemeWSS, diag.PurposeWebSocket, "peer.transports", "wss", func(a *diag.Attempt) {
				a.MQTT, a.WS = nil, &diag.WSUpgrade{Outcome: diag.OutcomeClosed}
			})}, ruledOut: []diag.Code{"ws.expected", "mqtt.closed_without_connack"}},
	{name: "plain broker on the TLS port that waits for the client", root: "tls.plaintext_peer",
		steps:    []diag.Step{failed(diag.OutcomeClosed, nil), connack(diag.SchemeMQTT, diag.PurposePlain, "peer.transports", "mqtt", nil), listened(diag.OutcomeSilent)},
		ruledOut: []diag.Code{"tcp.closed_on_accept"}},
	{name: "plain to a TLS broker that is no web server", url: "mqtt://broker.example.com:8883", root: "tls.required",
		steps: []diag.Step{connect(func(c *diag.MQTTConnect) { c.Transport, c.Outcome, c.Code = diag.SchemeMQTT, diag.OutcomeClosed, -1 }),
			connack(diag.SchemeMQTTS, diag.PurposeTLS, "peer.transports", "mqtts", nil), listened(diag.OutcomeSilent),
			connack(diag.SchemeWS, diag.PurposeWebSocket, "peer.transports", "ws", func(a *diag.Attempt) { a.MQTT, a.WS = nil, &diag.WSUpgrade{Outcome: diag.OutcomeClosed} })},
		ruledOut: []diag.Code{"tcp.closed_on_accept", "ws.expected"}},
	{name: "an inspecting firewall whose authority this machine trusts", root: "tls.intercepted", severity: diag.SeverityWarning,
		steps:    []diag.Step{handshake(broker, func(h *diag.TLSHandshake) { h.Chain[0].Issuer = "CN=FG100E,O=Fortinet,C=US" }), connect(nil)},
		ruledOut: []diag.Code{"tls.unknown_ca", "tls.wrong_ca", "tls.self_signed"}},
	{name: "not yet valid", root: "tls.cert_not_yet_valid", confidence: diag.Certain,
		steps: []diag.Step{handshake(broker, notYet), connect(nil)}, ruledOut: []diag.Code{"tls.clock_skew", "tls.cert_expired"}},
	{name: "not yet valid by a clock that another one contradicts", root: "tls.clock_skew", confidence: diag.Likely,
		steps: []diag.Step{handshake(broker, notYet), upgradeSaying(at.AddDate(0, 0, 10)), connect(nil)}, ruledOut: []diag.Code{"tls.cert_not_yet_valid"}},
	{name: "the wrong name, and the same certificate without one", root: "tls.hostname_mismatch",
		steps: []diag.Step{handshake(broker, func(h *diag.TLSHandshake) { h.Trust.NameOK = false }), connect(nil),
			connack(diag.SchemeMQTTS, diag.PurposeNoSNI, "tls.without_sni", "", nil)}, ruledOut: []diag.Code{"tls.sni_required"}},
	{name: "for clients alone", root: "tls.key_usage",
		steps:    []diag.Step{handshake(broker, func(h *diag.TLSHandshake) { h.Chain[0].HasEKU, h.Chain[0].ServerAuth = true, false }), connect(nil)},
		ruledOut: []diag.Code{"tls.unknown_ca", "tls.hostname_mismatch"}},
	{name: "revoked", root: "tls.revoked", steps: []diag.Step{handshake(broker, nil), asked("revoked"), connect(nil)},
		ruledOut: []diag.Code{"tls.cert_expired", "tls.unknown_ca"}},
	{name: "not revoked", root: "", steps: []diag.Step{handshake(broker, nil), asked("good"), connect(nil)}},
	{name: "the issuer does not know", root: "", steps: []diag.Step{handshake(broker, nil), asked("unknown"), connect(nil)}},
	{name: "revoked by a stapled status", root: "tls.revoked",
		steps: []diag.Step{handshake(broker, func(h *diag.TLSHandshake) { h.OCSPStaple = "revoked" }), connect(nil)}},
	{name: "client certificate refused after the handshake", root: "tls.client_cert_rejected", confidence: diag.Certain,
		steps: []diag.Step{deviceCert(true), handshake(broker, func(h *diag.TLSHandshake) { h.CertRequested, h.ClientCertSent = true, true }),
			connect(func(c *diag.MQTTConnect) {
				c.Outcome, c.Code, c.Alert = diag.OutcomeClosed, -1, alert(48, "unknown_ca")
			})},
		ruledOut: []diag.Code{"tls.client_cert_required", "tls.client_key_mismatch", "mqtt.closed_without_connack"}},
	{name: "a key of 1024 bits", root: "tls.weak_key", severity: diag.SeverityWarning,
		steps:    []diag.Step{handshake(broker, func(h *diag.TLSHandshake) { h.Chain[0].KeyAlgorithm, h.Chain[0].KeyBits = "RSA", 1024 }), connect(nil)},
		ruledOut: []diag.Code{"tls.weak_signature"}},
	{name: "a signature with SHA-1", root: "tls.weak_signature", severity: diag.SeverityCritical,
		steps:    []diag.Step{handshake(broker, func(h *diag.TLSHandshake) { h.Chain[0].Signature = "SHA1-RSA" }), connect(nil)},
		ruledOut: []diag.Code{"tls.weak_key"}},
	{name: "TLS 1.0 beside TLS 1.3", root: "tls.legacy_versions_enabled", severity: diag.SeverityWarning,
		steps:    []diag.Step{handshake(broker, nil), taken("TLS 1.0", true), taken("TLS 1.2", true), taken("TLS 1.3", true), connect(nil)},
		ruledOut: []diag.Code{"tls.version_unsupported"}},
	{name: "TLS 1.2 beside TLS 1.3", root: "", steps: []diag.Step{handshake(broker, nil), taken("TLS 1.0", false), taken("TLS 1.2", true), taken("TLS 1.3", true), connect(nil)}},
	{name: "a device that is too old for it", root: "", also: []diag.Code{"tls.device_incompatible"},
		steps: []diag.Step{handshake(broker, nil), connack(diag.SchemeMQTTS, diag.PurposeNoSNI, "tls.without_sni", "", nil), connect(nil),
			step("tls.devices", broker, &diag.DeviceSimulation{Address: broker, Results: []diag.DeviceResult{{Device: "Android 4", Why: "version", Newest: "TLS 1.0"}, {Device: "Node 20", OK: true}}})}},
	{name: "no answer under any ALPN name", root: "mqtt.no_connack",
		steps: []diag.Step{handshake(broker, nil), connect(func(c *diag.MQTTConnect) { c.Outcome, c.Code = diag.OutcomeSilent, -1 }),
			connack(diag.SchemeMQTTS, diag.PurposeALPN, "tls.alpn", "mqtt", func(a *diag.Attempt) { a.MQTT.Outcome, a.MQTT.Code = diag.OutcomeSilent, -1 })}},
}

func notYet(h *diag.TLSHandshake) {
	h.Chain[0].NotBefore = at.AddDate(0, 0, 5)
	h.Trust.PathNow = false
}

// listened is a connection to the asked port on which nothing was sent.
func listened(how diag.Outcome) diag.Step {
	return step("peer.listen", "", &diag.PeerAnswer{Purpose: diag.PurposeListen, Address: broker, Sent: "nothing", Outcome: how})
}

// asked is what the issuer says of the served certificate.
func asked(status string) diag.Step {
	return step("tls.revocation", broker, &diag.Revocation{Address: broker, Method: "ocsp", Outcome: diag.OutcomeOK, Status: status})
}

// deviceCert is the user's own certificate, without fault.
func deviceCert(matches bool) diag.Step {
	return step("tls.client_cert", "", &diag.ClientCert{Now: at, KeyMatches: matches, ClientAuth: true,
		Chain: []diag.CertFact{{Subject: "CN=device", NotBefore: at.AddDate(-1, 0, 0), NotAfter: at.AddDate(1, 0, 0)}}})
}

func privateCA(h *diag.TLSHandshake) {
	h.Chain = append(h.Chain, diag.CertFact{Subject: "CN=Root", Issuer: "CN=Root", SHA256: "root", SelfIssued: true, IsCA: true,
		NotBefore: at.AddDate(-1, 0, 0), NotAfter: at.AddDate(9, 0, 0)})
	h.Trust.SystemOK, h.Trust.PathNow, h.Trust.Path = false, false, []string{"leaf", "root"}
}

func leafAlone(h *diag.TLSHandshake) {
	h.Chain[0].Issuer, h.Chain[0].AIA = "CN=Middle", []string{"http://ca.example.com/middle.cer"}
	h.Trust.SystemOK, h.Trust.PathNow, h.Trust.MissingName = false, false, "CN=Middle"
}

func wantsCert(h *diag.TLSHandshake) { h.CertRequested = true }

// A handshake that hangs and gets through in small segments is a matter of the path.
func TestHandshakeTimeoutLeavesBlackHolesToThePath(t *testing.T) {
	options, err := diag.ParsePlan(diag.PlanInput{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := diag.Conclude(diag.NewView(tlsTarget(t, "mqtts://broker.example.com", nil), options, []diag.Step{failed(diag.OutcomeSilent, nil),
		connack(diag.SchemeMQTTS, diag.PurposeSmallSegments, "net.mtu", "1100", nil)}), rule.All)
	if slices.ContainsFunc(got.Findings, func(f diag.Finding) bool { return f.Code == "tls.handshake_timeout" }) {
		t.Errorf("%+v", got.Findings)
	}
}

// A code is a promise: each of the catalogue's TLS causes has its rule, once, and what rules refer to exists.
func TestTLSRulesAreWhole(t *testing.T) {
	seen := map[diag.Code]bool{}
	for _, r := range rule.All {
		if seen[r.Code] {
			t.Errorf("%s has two rules", r.Code)
		}
		seen[r.Code] = true
	}
	for _, code := range []diag.Code{"tls.plaintext_peer", "tls.required", "tls.cert_expired", "tls.intermediate_expired", "tls.cert_not_yet_valid",
		"tls.clock_skew", "tls.hostname_mismatch", "tls.cn_only", "tls.self_signed", "tls.unknown_ca", "tls.wrong_ca", "tls.incomplete_chain",
		"tls.client_cert_required", "tls.client_cert_rejected", "tls.client_key_mismatch", "tls.version_unsupported", "tls.no_shared_cipher",
		"tls.sni_required", "tls.alpn_required", "tls.key_usage", "tls.revoked", "tls.handshake_timeout", "tls.handshake_closed",
		"tls.cert_expiring", "tls.weak_key", "tls.weak_signature", "tls.legacy_versions_enabled", "tls.device_incompatible", "tls.intercepted"} {
		if !seen[code] {
			t.Errorf("%s has no rule", code)
		}
	}
}
