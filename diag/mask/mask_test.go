package mask_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/mask"
)

var target = diag.TargetInput{URL: "wss://Mqtt.Plant-Seven.example:8884/mqtt", Username: "line7", ClientID: "line7-press",
	Nodes: []string{"mqtts://node2.plant-seven.example:8883"}, Topics: diag.TopicsInput{Publish: "plant/line7/press",
		Subscribe: []string{"plant/+/state"}}, TLS: diag.TLSInput{CAPEM: "-----BEGIN CERTIFICATE-----"}}

func report() diag.Report {
	step := func(check diag.ProbeID, subject string, o diag.Observation) diag.Step {
		s := diag.Step{ID: string(check) + "@" + subject, Check: check, Layer: diag.Code(check).Layer(), Subject: subject, Status: diag.StatusPassed,
			StartedAt: time.Now(), Observation: o}
		if o != nil {
			s.Evidence = o.Facts()
		}
		return s
	}
	failed := step("tcp.connect", "[2001:db8::7]:8884", nil)
	failed.Failure = &diag.Failure{Op: "tcp.connect", Code: "refused", Text: "dial tcp [2001:db8::7]:8884: connect: connection refused by gw.plant-seven.example"}
	return diag.Report{Schema: diag.Schema, ID: "x", State: diag.StateFinished, Target: target, Lang: "en",
		Vantage: diag.Vantage{Name: "desk.plant-seven.example"},
		RootCause: &diag.Finding{Code: "mqtt.bad_credentials", Layer: diag.LayerMQTT, Severity: diag.SeverityCritical, Step: "mqtt.connect@198.51.100.7:8884",
			Args: diag.Args{"username": "line7", "address": "198.51.100.7:8884", "reason_string": "user line7 unknown at mqtt.plant-seven.example"}},
		Sent: []diag.SentMessage{{Topic: "plant/line7/press"}},
		Steps: []diag.Step{failed,
			step("dns.resolve", "", &diag.DNSAnswer{Name: "mqtt.plant-seven.example", Resolver: "192.0.2.53:53", A: []string{"198.51.100.7"}}),
			step("tls.handshake", "198.51.100.7:8884", &diag.TLSHandshake{Address: "198.51.100.7:8884", Chain: []diag.CertFact{{
				Subject: "CN=Plant Seven broker", DNSNames: []string{"mqtt.plant-seven.example"}, PEM: "-----BEGIN CERTIFICATE-----", SHA256: "ab12cd34"}}}),
			step("msg.filter", "plant/+/state", &diag.FilterMatch{Topic: "plant/line7/press", Filter: "plant/+/state"}),
		}}
}

// shown is everything that a reader can get of a report, in one text.
func shown(t *testing.T, r diag.Report) string {
	t.Helper()
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	all := string(raw)
	for _, lang := range catalogue.Langs {
		view, err := json.Marshal(catalogue.Render(r, lang))
		if err != nil {
			t.Fatal(err)
		}
		all += string(view)
	}
	return strings.ToLower(all)
}

func TestReportHides(t *testing.T) {
	for _, c := range []struct {
		hide    []diag.Hide
		gone    []string
		visible []string
	}{
		{nil, nil, []string{"plant-seven", "line7", "198.51.100.7", "plant/+/state", "begin certificate"}},
		{[]diag.Hide{diag.HideHost}, []string{"plant-seven", "198.51.100.7", "2001:db8", "192.0.2.53", "begin certificate", "plant seven", "ab12cd34"},
			[]string{"line7", "plant/+/state", "connection refused", "host-", "address-"}},
		{[]diag.Hide{diag.HideUser}, []string{`"username":"line7"`, "user line7"}, []string{"plant-seven", "user-", "plant/+/state"}},
		{[]diag.Hide{diag.HideTopics}, []string{"plant/", "/press"}, []string{"plant-seven", "topic-", "/+/"}},
		{diag.Hides, []string{"plant-seven", "line7-", "198.51.100.7", "plant/"}, []string{"connection refused"}},
	} {
		before := report()
		m := mask.New(c.hide, []byte("key"), before.Target, before.Plan)
		all := shown(t, m.Report(before))
		for _, s := range c.gone {
			if i := strings.Index(all, s); i >= 0 {
				t.Errorf("%v: %q is shown: …%s…", c.hide, s, all[max(0, i-80):min(len(all), i+80)])
			}
		}
		for _, s := range c.visible {
			if !strings.Contains(all, s) {
				t.Errorf("%v: %q is not shown", c.hide, s)
			}
		}
		if again := report(); shown(t, before) == "" || before.Steps[0].Failure.Text != again.Steps[0].Failure.Text {
			t.Errorf("%v: the report itself has changed", c.hide)
		}
	}
}

// A name stands for the same in every text of one owner, and for something else with another one.
func TestNamesAreConsistent(t *testing.T) {
	r := report()
	of := func(key string) diag.Report { return mask.New(diag.Hides, []byte(key), r.Target, r.Plan).Report(r) }
	one := of("one")
	if got, want := one.Steps[2].Subject, one.RootCause.Args["address"]; got != want {
		t.Errorf("the same address is %q and %q", got, want)
	}
	if got, want := one.RootCause.Step, "mqtt.connect@"+one.Steps[2].Subject; got != want {
		t.Errorf("the finding leads to %q, not to %q", got, want)
	}
	if one.Target.URL == of("two").Target.URL {
		t.Errorf("two owners have the same name for a host: %s", one.Target.URL)
	}
}

func TestEventHides(t *testing.T) {
	r := report()
	m := mask.New(diag.Hides, []byte("key"), r.Target, r.Plan)
	e := m.Event(diag.Event{Seq: 1, Type: diag.EventStepFinished, Step: &r.Steps[0], Finding: r.RootCause, Report: &r})
	data, err := json.Marshal(e)
	if err != nil || strings.Contains(strings.ToLower(string(data)), "plant") {
		t.Errorf("%s %v", data, err)
	}
	if r.Steps[0].Subject != "[2001:db8::7]:8884" {
		t.Error("the event itself has changed")
	}
}

// Words that only look like a hidden value stay, and so do our own topics.
func TestTextsThatTellNothingStay(t *testing.T) {
	in := diag.TargetInput{URL: "mqtt://broker.example", Username: "a"}
	m := mask.New(diag.Hides, []byte("k"), in, diag.PlanOptions{})
	f := m.Report(diag.Report{Target: in, Findings: []diag.Finding{{Args: diag.Args{"error": "a path at 12:04:05, version 2.0.18", "topic": "mqttdoctor/abc/x",
		"check": "tcp.connect", "symbol": "timeout", "versions": "3.1.1, 5"}}}}).Findings[0]
	if got := f.Args["error"]; !strings.HasSuffix(got, " path at 12:04:05, version 2.0.18") || strings.HasPrefix(got, "a ") {
		t.Errorf("error: %q", got)
	}
	for name, want := range map[diag.Arg]string{"topic": "mqttdoctor/abc/x", "check": "tcp.connect", "symbol": "timeout", "versions": "3.1.1, 5"} {
		if f.Args[name] != want {
			t.Errorf("%s: %q", name, f.Args[name])
		}
	}
}
