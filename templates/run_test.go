package templates

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

func english() Page { return Page{Lang: catalogue.English, Path: "/"} }

func states(r RunPage) string {
	var out []string
	for _, n := range r.pathNodes() {
		out = append(out, n.id+":"+n.state)
	}
	return strings.Join(out, " ")
}

func TestPathShowsWhatWasSeenAndNothingElse(t *testing.T) {
	step := func(check string, status diag.Status, code string) catalogue.StepView {
		s := catalogue.StepView{ID: check, Check: diag.ProbeID(check), Layer: diag.Code(check).Layer(), Status: status, DurationMS: 5}
		if code != "" {
			s.Failure = &diag.Failure{Code: code}
		}
		return s
	}
	critical := func(code string) catalogue.FindingView {
		return catalogue.FindingView{Code: diag.Code(code), Layer: diag.Code(code).Layer(), Severity: diag.SeverityCritical}
	}
	for _, test := range []struct {
		name     string
		url      string
		running  bool
		steps    []catalogue.StepView
		findings []catalogue.FindingView
		want     string
	}{
		{name: "nothing yet", url: "mqtt://h:1883", running: true,
			want: "you:passed dns:waiting net:waiting tcp:waiting mqtt:waiting msg:waiting"},
		{name: "no name", url: "mqtt://h:1883", steps: []catalogue.StepView{step("dns.resolve", diag.StatusFailed, "nxdomain")},
			want: "you:passed dns:failed net:unreached tcp:unreached mqtt:unreached msg:unreached"},
		{name: "a refusal has crossed the network", url: "mqtt://h:1883",
			steps: []catalogue.StepView{step("dns.resolve", diag.StatusPassed, ""), step("tcp.connect", diag.StatusFailed, "refused")},
			want:  "you:passed dns:passed net:passed tcp:failed mqtt:unreached msg:unreached"},
		{name: "silence says nothing of the network", url: "mqtt://h:1883",
			steps: []catalogue.StepView{step("dns.resolve", diag.StatusPassed, ""), step("tcp.connect", diag.StatusFailed, "timeout")},
			want:  "you:passed dns:passed net:unknown tcp:failed mqtt:unreached msg:unreached"},
		{name: "a failing variation is no failure of the path", url: "ws://h:80/mqtt",
			steps: []catalogue.StepView{step("tcp.connect", diag.StatusPassed, ""), step("ws.upgrade", diag.StatusPassed, ""),
				step("ws.paths", diag.StatusFailed, ""), step("mqtt.connect", diag.StatusRunning, "")}, running: true,
			want: "you:passed dns:waiting net:passed tcp:passed ws:passed mqtt:running msg:waiting"},
		{name: "a finding decides", url: "mqtts://h:8883",
			steps: []catalogue.StepView{step("tcp.connect", diag.StatusPassed, ""), step("tls.handshake", diag.StatusPassed, ""),
				step("mqtt.connect", diag.StatusPassed, "")}, findings: []catalogue.FindingView{critical("tls.cert_expired")},
			want: "you:passed dns:unknown net:passed tcp:passed tls:failed mqtt:passed msg:unreached"},
	} {
		report := catalogue.ReportView{State: diag.StateFinished, Target: diag.TargetInput{URL: test.url}, Steps: test.steps, Findings: test.findings}
		if test.running {
			report.State = diag.StateRunning
		}
		if got := states(NewRunPage(english(), report)); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

// The stream's page and the stored report's page are the same in the end, and each event changes what it should.
func TestEventsMakeTheSamePageAsTheReport(t *testing.T) {
	final := sampleBroken(english())
	begun := final
	begun.Steps, begun.Findings, begun.RootCause, begun.RuledOut = nil, nil, nil, nil
	begun.State, begun.Verdict, begun.Summary = diag.StateRunning, "", ""
	page := NewRunPage(english(), begun)
	seq := 0
	apply := func(e catalogue.EventView) string {
		seq++
		e.Seq = seq
		return page.Apply(e)
	}
	apply(catalogue.EventView{Type: diag.EventRunStarted, Report: &begun})
	var said []string
	for i := range final.Steps {
		s := final.Steps[i]
		open := s
		open.Status, open.Evidence, open.DurationMS = diag.StatusRunning, nil, 0
		if s.Status != diag.StatusSkipped {
			apply(catalogue.EventView{Type: diag.EventStepStarted, Step: &open})
			if page.now() == nil || page.now().ID != s.ID {
				t.Errorf("%s runs, and the page does not say so", s.ID)
			}
			apply(catalogue.EventView{Type: diag.EventStepProgress, Step: &open, Done: 1, Total: 2})
			if page.Progress[s.ID].Done != 1 {
				t.Errorf("%s: no progress", s.ID)
			}
		}
		if words := apply(catalogue.EventView{Type: diag.EventStepFinished, Step: &s}); words != "" {
			said = append(said, words)
		}
		if _, left := page.Progress[s.ID]; left {
			t.Errorf("%s: progress stayed", s.ID)
		}
	}
	for i := range final.Findings {
		apply(catalogue.EventView{Type: diag.EventFinding, Finding: &final.Findings[i]})
	}
	extra := catalogue.FindingView{Code: "tcp.refused", Layer: "tcp", Severity: diag.SeverityCritical}
	apply(catalogue.EventView{Type: diag.EventFinding, Finding: &extra})
	if page.soFar() == nil || page.soFar().Code != "tcp.refused" {
		t.Errorf("the first in causal order is shown while the run goes on, not %v", page.soFar())
	}
	apply(catalogue.EventView{Type: diag.EventFinding, Finding: &extra, Withdrawn: true})
	if !reflect.DeepEqual(page.Report.Steps, final.Steps) || len(page.Report.Findings) != len(final.Findings) {
		t.Error("the events did not make the report's steps and findings")
	}
	if words := apply(catalogue.EventView{Type: diag.EventRunFinished, Report: &final}); !strings.Contains(words, final.Summary) {
		t.Errorf("the end is told as %q", words)
	}
	if got, want := render(t, RunBody(page)), render(t, RunBody(NewRunPage(english(), final))); got != want {
		t.Error("live and stored page differ")
	}
	if len(said) == 0 || len(said) >= len(final.Steps) {
		t.Errorf("told while it ran: %q", said)
	}
	if page.State != "broken" || !strings.HasPrefix(page.Title, "Does not work") {
		t.Errorf("tab shows %q %q", page.State, page.Title)
	}
}

func TestApplyLeavesOtherPagesAlone(t *testing.T) {
	page := NewRunPage(english(), sampleRunning(english()))
	other := page
	before, _ := json.Marshal(other.Report.Steps)
	s := page.Report.Steps[0]
	s.Summary = "changed"
	page.Apply(catalogue.EventView{Type: diag.EventStepFinished, Step: &s})
	if after, _ := json.Marshal(other.Report.Steps); string(after) != string(before) {
		t.Error("a copy of the page changed with it")
	}
}

func TestBarsStayInsideTheirRow(t *testing.T) {
	for _, s := range Samples(english()) {
		for _, step := range s.Page.Report.Steps {
			x, width := s.Page.bar(step)
			var from, long float64
			if err := json.Unmarshal([]byte("["+x+","+width+"]"), &[]any{&from, &long}); err != nil {
				t.Fatal(err)
			}
			if from < 0 || long < 0.9 || from+long > 100.2 {
				t.Errorf("%s, %s: from %v, %v long", s.Name, step.ID, from, long)
			}
		}
	}
}

func TestFixesForEveryoneComeFirst(t *testing.T) {
	groups := fixGroups([]catalogue.FixView{{For: "emqx", Text: "1"}, {For: "any", Text: "2"}, {For: "emqx", Text: "3"}})
	if len(groups) != 2 || groups[0].For != "any" || len(groups[1].Fixes) != 2 {
		t.Errorf("%+v", groups)
	}
}

func TestMarkdownShowsWhatPeersSentAsText(t *testing.T) {
	r := NewRunPage(english(), sampleBroken(english()))
	r.Report.Steps[0].Summary = "<img src=x> *b* | [x](javascript:y) `c`\n# h"
	r.Report.Target.URL = "mqtts://`x`|y"
	md := r.Markdown()
	for _, bad := range []string{"<img", "\n# h", "[x](", "| [x]", "*b*"} {
		if strings.Contains(md, bad) {
			t.Errorf("%q is in the Markdown", bad)
		}
	}
	for _, want := range []string{"Root cause", "certbot renew", "sudo systemctl restart mosquitto", "ruled out"} {
		if !strings.Contains(md, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(md, "given") && strings.Contains(md, "secret") {
		t.Error("a secret is named")
	}
}

func TestIDsAreSafeInSelectorsAndAddresses(t *testing.T) {
	for _, s := range []string{"tcp.connect@[2001:db8::1]:8883", "a b", "é\"'<>#"} {
		id := domID("step", s)
		if strings.ContainsAny(id, " \"'<>#[]:@") {
			t.Errorf("%q becomes %q", s, id)
		}
	}
	if domID("a", "b c") == domID("a", "b_c") {
		t.Error("two texts share an id")
	}
}

func TestFileNeedsNothingElse(t *testing.T) {
	p := Page{Lang: catalogue.Chinese, Standalone: true}
	r := NewRunPage(p, sampleBroken(p))
	r.Link = "https://helpdesk.example.com/runs/x"
	page := render(t, RunFile(r, "a{}", "<svg></svg>", "default-src 'none'"))
	for _, bad := range []string{"<script", "/static/", "<form", "data-copy", "src="} {
		if strings.Contains(page, bad) {
			t.Errorf("the file has %q", bad)
		}
	}
	if !strings.Contains(page, `lang="zh-Hans"`) || !strings.Contains(page, r.Link) {
		t.Error("no language or no link")
	}
}

func TestTimesAreWrittenForMachinesToo(t *testing.T) {
	page := render(t, moment(english(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("x", 3600))))
	if !strings.Contains(page, `datetime="2026-01-02T02:04:05Z"`) {
		t.Error(page)
	}
}
