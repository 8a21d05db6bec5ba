package probe_test

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/probe"
	"mqttdoctor/diag/rule"
)

// tlsRun diagnoses a target with every probe and rule, as the program does.
func tlsRun(t *testing.T, in diag.TargetInput, pin diag.PlanInput, change func(*diag.Env)) diag.Report {
	t.Helper()
	target, err := diag.ParseTarget(in)
	if err != nil {
		t.Fatal(err)
	}
	opts, err := diag.ParsePlan(pin, probe.IDs())
	if err != nil {
		t.Fatal(err)
	}
	var dialer net.Dialer
	env := diag.Env{Dial: dialer.DialContext, RunID: "test"}
	if change != nil {
		change(&env)
	}
	plan := diag.MakePlan(target, opts, probe.All)
	return (&diag.Runner{Rules: rule.All}).Run(t.Context(), plan, env, diag.Report{ID: "test"}, func(diag.Event) {})
}

// soon is a plan for peers that stay silent: nobody should wait for them longer than the test needs.
func soon() diag.PlanInput {
	timeout := 2.0
	return diag.PlanInput{TimeoutS: &timeout}
}

// tlsCase is a scenario: the root cause that must be named, what else is true, and nothing more.
type tlsCase struct {
	name string
	// broken starts the peer and says what the user enters.
	broken func(t *testing.T) diag.TargetInput
	plan   diag.PlanInput
	env    func(*diag.Env)
	root   diag.Code
	also   []diag.Code // findings of any severity that may stand beside it
	// suggests is checked where it is given.
	suggests func(*diag.Suggestion) bool
	// check looks at the finding that is the root cause.
	check func(*testing.T, diag.Finding)
}

func (c tlsCase) run(t *testing.T) {
	report := tlsRun(t, c.broken(t), c.plan, c.env)
	root := diag.Code("")
	if report.RootCause != nil {
		root = report.RootCause.Code
	}
	if root != c.root {
		t.Errorf("root cause %q, want %q", root, c.root)
	}
	for _, f := range report.Findings {
		// A busy machine is slow, which is worth a remark and no fault.
		slow := f.Severity == diag.SeverityInfo && f.Layer != diag.LayerTLS
		if f.Code != c.root && !slices.Contains(c.also, f.Code) && !slow {
			t.Errorf("also found %s (%s)", f.Code, f.Severity)
		}
	}
	for _, code := range c.also {
		if !slices.ContainsFunc(report.Findings, func(f diag.Finding) bool { return f.Code == code }) && strings.HasPrefix(string(code), "tls.") {
			t.Errorf("%s was not found", code)
		}
	}
	if c.suggests != nil && report.RootCause != nil && (report.RootCause.Suggestion == nil || !c.suggests(report.RootCause.Suggestion)) {
		t.Errorf("suggestion %+v", report.RootCause.Suggestion)
	}
	for _, gap := range catalogue.Gaps(report) {
		if strings.Contains(gap, "tls") || strings.Contains(gap, "cert.") {
			t.Errorf("a text lacks: %s", gap)
		}
	}
	if c.check != nil && report.RootCause != nil {
		c.check(t, *report.RootCause)
	}
	if t.Failed() {
		logReport(t, report)
	}
}

func logReport(t *testing.T, report diag.Report) {
	t.Helper()
	for _, s := range report.Steps {
		because := ""
		if s.SkippedBecause != nil {
			because = s.SkippedBecause.Key
		}
		t.Logf("%-44s %-8s %8s %s %v %s", s.ID, s.Status, s.Duration.Round(10*time.Microsecond), s.Summary.Key, s.Summary.Args, because)
		if s.Failure != nil {
			t.Logf("    %+v", *s.Failure)
		}
	}
	for _, f := range report.Findings {
		t.Logf("FOUND %s %s %s %s by=%s %v suggestion=%+v readings=%v", f.Code, f.Variant, f.Severity, f.Confidence, f.CausedBy, f.Args, f.Suggestion, f.Readings)
	}
	for _, r := range report.RuledOut {
		t.Logf("NOT %s %s %v", r.Code, r.Because.Key, r.Because.Args)
	}
	t.Logf("VERDICT %s, %d connections, %s", report.Verdict, report.Connections, report.Duration)
}

// brokerWith starts a broker that works in everything but its certificate, and a client that has the CA.
func brokerWith(t *testing.T, ca *diagtest.CA, cert *diagtest.Cert, changes ...func(*tls.Config)) diag.TargetInput {
	t.Helper()
	broker := diagtest.ScriptedBroker(t, diagtest.Script{}, diagtest.WithTLS(cert.Server(changes...)))
	in := diag.TargetInput{URL: broker.URL("mqtts")}
	if ca != nil {
		in.TLS.CAPEM = ca.PEM
	}
	return in
}

func TestTLSScenarios(t *testing.T) {
	t.Parallel()
	for _, c := range tlsScenarios {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

var tlsScenarios = []tlsCase{
	{name: "healthy", root: "",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}))
		}},
	{name: "healthy with an intermediate", root: "",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Intermediate(t, "Middle").Issue(t, diagtest.CertOptions{}))
		}},
	{name: "healthy, the self-signed certificate itself given as CA", root: "",
		broken: func(t *testing.T) diag.TargetInput {
			cert := diagtest.SelfSigned(t, diagtest.CertOptions{})
			in := brokerWith(t, nil, cert)
			in.TLS.CAPEM = cert.CertPEM
			return in
		}},
	{name: "expired", root: "tls.cert_expired",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{Expired: true}))
		}},
	{name: "expired and from an unknown CA", root: "tls.cert_expired", also: []diag.Code{"tls.unknown_ca"},
		broken: func(t *testing.T) diag.TargetInput {
			return brokerWith(t, nil, diagtest.NewCA(t, "Root").Issue(t, diagtest.CertOptions{Expired: true}))
		}},
	{name: "not yet valid", root: "tls.cert_not_yet_valid",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{NotYetValid: true}))
		}},
	{name: "wrong name", root: "tls.hostname_mismatch",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{Names: []string{"broker.example.com"}}))
		},
		suggests: func(s *diag.Suggestion) bool { return s.TLS != nil && s.TLS.ServerName == "broker.example.com" }},
	{name: "self-signed", root: "tls.self_signed",
		broken: func(t *testing.T) diag.TargetInput {
			return brokerWith(t, nil, diagtest.SelfSigned(t, diagtest.CertOptions{}))
		}},
	{name: "unknown CA", root: "tls.unknown_ca",
		broken: func(t *testing.T) diag.TargetInput {
			return brokerWith(t, nil, diagtest.NewCA(t, "Root").Issue(t, diagtest.CertOptions{}))
		}},
	{name: "not verified by the client", root: "tls.self_signed",
		broken: func(t *testing.T) diag.TargetInput {
			in := brokerWith(t, nil, diagtest.SelfSigned(t, diagtest.CertOptions{}))
			in.TLS.Insecure = true
			return in
		}},
	{name: "client certificate required, TLS 1.3", root: "tls.client_cert_required",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}), diagtest.ClientCertRequired(ca))
		}},
	{name: "client certificate required, TLS 1.2", root: "tls.client_cert_required",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}), diagtest.ClientCertRequired(ca), diagtest.MaxTLS(tls.VersionTLS12))
		}},
	{name: "client certificate required and given", root: "",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			in := brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}), diagtest.ClientCertRequired(ca))
			client := ca.Issue(t, diagtest.CertOptions{CommonName: "device"})
			in.TLS.CertPEM, in.TLS.KeyPEM = client.CertPEM, diag.NewSecret(client.KeyPEM)
			return in
		}},
	{name: "client certificate required, WebSocket", root: "tls.client_cert_required",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			broker := diagtest.ScriptedBroker(t, diagtest.Script{WS: &diagtest.WSScript{}},
				diagtest.WithTLS(ca.Issue(t, diagtest.CertOptions{}).Server(diagtest.ClientCertRequired(ca))))
			return diag.TargetInput{URL: broker.URL("wss", "/mqtt"), TLS: diag.TLSInput{CAPEM: ca.PEM}}
		}},
	{name: "TLS to a plain port", root: "tls.plaintext_peer",
		broken: func(t *testing.T) diag.TargetInput {
			return diag.TargetInput{URL: diagtest.ScriptedBroker(t, diagtest.Script{}).URL("mqtts")}
		},
		suggests: func(s *diag.Suggestion) bool { return strings.HasPrefix(s.URL, "mqtt://") }},
	{name: "TLS to a plain mosquitto", root: "tls.plaintext_peer",
		broken: func(t *testing.T) diag.TargetInput {
			b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}})
			return diag.TargetInput{URL: strings.Replace(b.MQTT, "mqtt://", "mqtts://", 1)}
		}},
	{name: "wss to a plain WebSocket port", root: "tls.plaintext_peer",
		broken: func(t *testing.T) diag.TargetInput {
			return diag.TargetInput{URL: diagtest.ScriptedBroker(t, diagtest.Script{WS: &diagtest.WSScript{}}).URL("wss", "/mqtt")}
		},
		suggests: func(s *diag.Suggestion) bool { return strings.HasPrefix(s.URL, "ws://") }},
	{name: "plain to a TLS port", root: "tls.required",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			in := brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}))
			in.URL = strings.Replace(in.URL, "mqtts://", "mqtt://", 1)
			return in
		},
		suggests: func(s *diag.Suggestion) bool { return strings.HasPrefix(s.URL, "mqtts://") }},
	{name: "plain to the TLS port of mosquitto, whose CA is not known", root: "tls.required",
		broken: func(t *testing.T) diag.TargetInput {
			b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtts"}})
			return diag.TargetInput{URL: strings.Replace(b.MQTTS, "mqtts://", "mqtt://", 1)}
		}},
	{name: "ws to a wss port", root: "tls.required",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			broker := diagtest.ScriptedBroker(t, diagtest.Script{WS: &diagtest.WSScript{}}, diagtest.WithTLS(ca.Issue(t, diagtest.CertOptions{}).Server()))
			return diag.TargetInput{URL: broker.URL("ws", "/mqtt"), TLS: diag.TLSInput{CAPEM: ca.PEM}}
		},
		suggests: func(s *diag.Suggestion) bool { return strings.HasPrefix(s.URL, "wss://") }},
	{name: "mosquitto wants a client certificate", root: "tls.client_cert_required",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Clients")
			b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt", "mqtts"}, ClientCA: ca})
			return diag.TargetInput{URL: b.MQTTS, TLS: diag.TLSInput{CAPEM: b.CAPEM}}
		}},
	{name: "mosquitto, healthy", root: "",
		broken: func(t *testing.T) diag.TargetInput {
			b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtts"}})
			return diag.TargetInput{URL: b.MQTTS, TLS: diag.TLSInput{CAPEM: b.CAPEM}}
		}},
}
