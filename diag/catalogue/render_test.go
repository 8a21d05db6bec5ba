package catalogue

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sampleReport is a run that ends at a refused login, with what a report can hold.
func sampleReport() diag.Report {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	because := diag.N("skip.not_connected")
	keepalive, clean, qos := 60, true, 1
	connect := diag.Step{ID: "mqtt.connect@192.0.2.10:8083", Check: "mqtt.connect", Layer: diag.LayerMQTT, Subject: "192.0.2.10:8083",
		Status: diag.StatusFailed, StartedAt: at, Duration: 12345 * time.Microsecond,
		Summary: diag.N("step.mqtt.connect.refused", "address", "192.0.2.10:8083", "version", "3.1.1", "reason", "Not authorized", "code", "5"),
		Evidence: []diag.Evidence{{Key: diag.EvAddress, Value: "192.0.2.10:8083"}, {Key: diag.EvOutcome, Value: "refused"},
			{Key: diag.EvReasonCode, Value: "5 Not authorized"}, diag.MS(diag.EvDuration, 12345*time.Microsecond)},
		Failure: &diag.Failure{Op: "mqtt.connect", Code: "refused"}}
	finding := diag.Finding{Code: "mqtt.bad_credentials", Layer: diag.LayerMQTT, Severity: diag.SeverityCritical, Confidence: diag.Likely,
		Step: connect.ID, Evidence: connect.Evidence, Variant: "not_authorized_code", Readings: []diag.Code{"mqtt.not_authorized"},
		Args: diag.Args{"code": "5", "reason": "Not authorized", "reason_string": "", "version": "3.1.1", "client_id": "mqttdoctor-1", "keepalive": "60"}}
	return diag.Report{Schema: diag.Schema, ID: "sample", State: diag.StateFinished, CreatedAt: at, FinishedAt: at.Add(time.Second),
		ExpiresAt: at.Add(24 * time.Hour), Duration: time.Second, Lang: "en", Verdict: diag.OverallBroken, RootCause: &finding,
		Findings: []diag.Finding{finding, {Code: "tcp.partial_addresses", Layer: diag.LayerTCP, Severity: diag.SeverityWarning,
			Confidence: diag.Certain, Args: diag.Args{"bad": "192.0.2.11:8083", "good": "192.0.2.10:8083"}}},
		RuledOut: []diag.RuledOut{{Code: "mqtt.auth_required", Because: diag.N("because.credentials_were_sent")},
			{Code: "mqtt.client_id_rejected", Because: diag.N("because.connack_code", "code", "5", "reason", "Not authorized")}},
		Steps: []diag.Step{connect,
			{ID: "msg.subscribe", Check: "msg.subscribe", Layer: diag.LayerMsg, Status: diag.StatusSkipped, StartedAt: at, SkippedBecause: &because}},
		Target: diag.TargetInput{URL: "ws://broker.example.com:8083/mqtt", Protocol: "auto", Username: "o'neil; rm -rf ~",
			Password: diag.NewSecret("hunter2"), KeepaliveS: &keepalive, CleanStart: &clean, Topics: diag.TopicsInput{QoS: &qos},
			WS: diag.WSInput{Path: "/mqtt"}},
		Plan:     diag.PlanOptions{Symptom: diag.SymptomAuth, Depth: diag.DepthStandard, Burst: diag.Burst{Count: 100, QoS: 1, PayloadBytes: 256}},
		TimeoutS: 5, Checks: []diag.ProbeID{"mqtt.connect", "msg.subscribe"}, Vantage: diag.Vantage{Name: "test", OS: "linux", Version: "0"},
		Connections: 3}
}

func TestGoldenReport(t *testing.T) {
	for _, lang := range Langs {
		var got bytes.Buffer
		enc := json.NewEncoder(&got)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(Render(sampleReport(), lang)); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(got.String(), "hunter2") {
			t.Fatal("the password is in the report")
		}
		file := filepath.Join("testdata", "report_"+string(lang)+".json")
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s differs; if it is meant, run go test -update and read the change. Got:\n%s", file, got.String())
		}
	}
	if gaps := Gaps(sampleReport()); len(gaps) > 0 {
		t.Errorf("gaps: %q", gaps)
	}
}

func TestNothingIsNull(t *testing.T) {
	data, err := json.Marshal(Render(diag.Report{State: diag.StateRunning}, English))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"findings", "ruled_out", "steps", "measurements", "sent"} {
		if string(fields[name]) == "null" || fields[name] == nil {
			t.Errorf("%s is %s", name, fields[name])
		}
	}
	for _, part := range []string{`"checks":[]`, `"resolvers":[]`, `"include":[]`, `"alpn":[]`, `"subscribe":[]`, `"nodes":[]`, `"headers":{}`} {
		if !bytes.Contains(data, []byte(part)) {
			t.Errorf("no %s in %s", part, data)
		}
	}
}

func TestSummary(t *testing.T) {
	critical := diag.Finding{Code: "tcp.refused", Severity: diag.SeverityCritical}
	warning := diag.Finding{Code: "tcp.partial_addresses", Severity: diag.SeverityWarning}
	for _, tt := range []struct {
		name    string
		state   diag.State
		verdict diag.Overall
		root    *diag.Finding
		want    []string // parts, in order
		not     string
	}{
		{"running", diag.StateRunning, "", nil, []string{"still running"}, "{"},
		{"running, cause known", diag.StateRunning, "", &critical, []string{"nothing listens on port 1883"}, "running"},
		{"healthy", diag.StateFinished, diag.OverallHealthy, nil, []string{"mqtt://b.example:1883 works"}, "?"},
		{"broken", diag.StateFinished, diag.OverallBroken, &critical, []string{"nothing listens on port 1883"}, "?"},
		{"attention", diag.StateFinished, diag.OverallAttention, &warning, []string{"several addresses"}, "?"},
		{"inconclusive", diag.StateFinished, diag.OverallInconclusive, nil, []string{"was not seen to work"}, "?"},
		{"inconclusive with a warning", diag.StateFinished, diag.OverallInconclusive, &warning, []string{"was not seen to work", "several addresses"}, "?"},
		{"canceled", diag.StateCanceled, diag.OverallInconclusive, nil, []string{"canceled"}, "?"},
		{"canceled, cause known", diag.StateCanceled, diag.OverallBroken, &critical, []string{"nothing listens"}, "canceled"},
		{"interrupted", diag.StateInterrupted, diag.OverallInconclusive, &warning, []string{"interrupted", "several addresses"}, "?"},
	} {
		r := diag.Report{State: tt.state, Verdict: tt.verdict, RootCause: tt.root, Target: diag.TargetInput{URL: "mqtt://b.example:1883"}}
		got := Render(r, English).Summary
		rest := got
		for _, part := range tt.want {
			i := strings.Index(rest, part)
			if i < 0 {
				t.Errorf("%s: no %q in %q", tt.name, part, got)
				break
			}
			rest = rest[i:]
		}
		if strings.Contains(got, tt.not) {
			t.Errorf("%s: %q in %q", tt.name, tt.not, got)
		}
	}
}

// TestSummaryNamesTheStep: where a run cannot name a cause, its one sentence says at least what did not succeed.
func TestSummaryNamesTheStep(t *testing.T) {
	accepted := diag.Step{Layer: diag.LayerMQTT, Status: diag.StatusPassed, Observation: &diag.MQTTConnect{Outcome: diag.OutcomeOK}}
	unheard := diag.Step{Layer: diag.LayerMsg, Status: diag.StatusFailed, Summary: diag.N("step.msg.subscribe.failed", "filter", "plant/#", "symbol", "silent")}
	r := diag.Report{State: diag.StateFinished, Verdict: diag.OverallInconclusive, Target: diag.TargetInput{URL: "mqtt://b.example:1883"}, Steps: []diag.Step{accepted, unheard}}
	if got := Render(r, English).Summary; !strings.Contains(got, "accepts the connection") || !strings.Contains(got, "plant/#") || strings.Contains(got, "?") {
		t.Errorf("summary: %q", got)
	}
	r.Steps = r.Steps[1:]
	if got := Render(r, English).Summary; strings.Contains(got, "accepts the connection") {
		t.Errorf("summary of a run without CONNACK: %q", got)
	}
}

// TestUnknownShowsAsItself: a report stored by another version must still be readable.
func TestUnknownShowsAsItself(t *testing.T) {
	f := diag.Finding{Code: "future.cause", Layer: "future", Evidence: []diag.Evidence{{Key: "future.key", Value: "1"}}}
	r := diag.Report{State: diag.StateFinished, Verdict: diag.OverallBroken, RootCause: &f, Findings: []diag.Finding{f},
		RuledOut: []diag.RuledOut{{Code: "future.other", Because: diag.N("because.future")}},
		Steps:    []diag.Step{{ID: "future.check", Check: "future.check", Summary: diag.N("step.future.ok")}}}
	v := Render(r, Chinese)
	if v.Findings[0].Title != "future.cause" || v.Summary != "future.cause" || v.RuledOut[0].Because != "because.future" ||
		v.Steps[0].Title != "future.check" || v.Steps[0].Summary != "step.future.ok" || v.Findings[0].Evidence[0].Label != "future.key" {
		t.Errorf("%+v", v)
	}
	if gaps := Gaps(r); len(gaps) < 12 { // six in each language
		t.Errorf("gaps: %q", gaps)
	}
}

func TestGapsNameMissingFactsAndVariants(t *testing.T) {
	f := diag.Finding{Code: "mqtt.version_unsupported", Variant: "none"}
	r := diag.Report{Findings: []diag.Finding{f}, State: diag.StateRunning, Target: diag.TargetInput{URL: "mqtt://b.example:1883"}}
	gaps := strings.Join(Gaps(r), "\n")
	for _, want := range []string{"en: mqtt.version_unsupported: no variant none", "zh: mqtt.version_unsupported.title: no {version}"} {
		if !strings.Contains(gaps, want) {
			t.Errorf("no %q in\n%s", want, gaps)
		}
	}
}

func TestEvent(t *testing.T) {
	target := diag.TargetInput{URL: "mqtts://[2001:db8::1]:8883"}
	f := diag.Finding{Code: "tls.required"}
	v := RenderEvent(diag.Event{Seq: 3, Type: diag.EventFinding, Finding: &f, Withdrawn: true}, target, English)
	if v.Finding.Title != "Port 8883 wants TLS" || !v.Withdrawn || v.Seq != 3 {
		t.Errorf("%+v", v)
	}
	if got := v.Finding.Decide[0].Commands[0]; !strings.Contains(got, "-connect '[2001:db8::1]:8883' -servername 2001:db8::1 ") {
		t.Errorf("command %s", got)
	}
	s := diag.Step{Check: "mqtt.ping", Summary: diag.N("step.mqtt.ping.failed", "symbol", "silent")}
	if got := RenderEvent(diag.Event{Type: diag.EventStepFinished, Step: &s}, target, Chinese).Step.Summary; got != "服务器没有应答心跳：没有响应。" {
		t.Errorf("summary %s", got)
	}
}

func TestFieldErrors(t *testing.T) {
	_, err := diag.ParseTarget(diag.TargetInput{URL: "http://broker.example.com"})
	errs, ok := err.(diag.FieldErrors)
	if !ok {
		t.Fatal(err)
	}
	if got := FieldErrors(errs, Chinese)["target.url"]; !strings.Contains(got, "“http://”不是 MQTT 地址") {
		t.Error(got)
	}
}

func TestLists(t *testing.T) {
	for _, lang := range Langs {
		causes := Causes(lang)
		if len(causes) != len(Codes()) {
			t.Errorf("%s: %d causes of %d", lang, len(causes), len(Codes()))
		}
		rank := -1
		for _, c := range causes {
			if c.Layer.Rank() < rank {
				t.Errorf("%s stands after a later layer", c.Code)
			}
			rank = c.Layer.Rank()
			if strings.Contains(c.Title+c.Explanation, "[[") || c.Severity == "" || c.Fixes == nil || c.Sources == nil {
				t.Errorf("%s: %+v", c.Code, c)
			}
			if c.Severity != diag.SeverityInfo && len(c.Fixes) == 0 {
				t.Errorf("%s has no fix", c.Code)
			}
		}
		table := DiagnosisTable(lang)
		for _, code := range Codes() {
			if !strings.Contains(table, "| `"+string(code)+"` | ") {
				t.Errorf("%s is not in the table", code)
			}
		}
		for i, line := range strings.Split(table, "\n") {
			if strings.HasPrefix(line, "|") && strings.Count(line, "|")-strings.Count(line, `\|`) != 5 {
				t.Errorf("line %d of the table: %s", i, line)
			}
		}
	}
	probes := []diag.Probe{{ID: "mqtt.ping", Layer: diag.LayerMQTT, Depth: diag.DepthQuick, Needs: []diag.ProbeID{"mqtt.connect"}}}
	if got := Checks(probes, English)[0]; got.Title != "MQTT ping" || got.About == "" || got.Symptoms == nil || len(got.Needs) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestCheck(t *testing.T) {
	rules := []diag.Rule{{Code: "tcp.refused", Severity: diag.SeverityWarning}, {Code: "tcp.none", Severity: diag.SeverityCritical},
		{Code: "tcp.filtered", Severity: diag.SeverityCritical, Hides: []diag.Code{"tcp.nothing"}}}
	err := Check(rules, []diag.Probe{{ID: "mqtt.ping"}, {ID: "mqtt.none"}})
	for _, want := range []string{"tcp.refused: severity critical, the rule says warning", "tcp.none: a rule without a cause",
		"tcp.filtered: names tcp.nothing", "zh: check.mqtt.none"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if err := Check(nil, []diag.Probe{{ID: "mqtt.ping"}}); err != nil {
		t.Error(err)
	}
	if err := CheckConcluded(rules, diag.LayerHost); err == nil || !strings.Contains(err.Error(), "tcp.wrong_port: a cause without a rule") ||
		strings.Contains(err.Error(), "tcp.refused:") {
		t.Error(err)
	}
}

// The title of a cause that says nothing of the run can be shown to anybody.
func TestBareTitle(t *testing.T) {
	for _, lang := range Langs {
		if title := BareTitle(diag.Finding{Code: "mqtt.banned"}, lang); title == "" {
			t.Errorf("%s: mqtt.banned has no title of its own", lang)
		}
		for _, f := range []diag.Finding{{Code: "tls.cert_expired"}, {Code: "tls.plaintext_peer"}, {Code: "no.such"}} {
			if title := BareTitle(f, lang); title != "" {
				t.Errorf("%s: %s is %q", lang, f.Code, title)
			}
		}
	}
}
