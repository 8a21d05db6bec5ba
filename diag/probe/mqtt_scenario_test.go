package probe_test

import (
	"encoding/json"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/probe"
	"mqttdoctor/diag/rule"
)

// scenario is a peer, what is asked of it, and what the run has to conclude. Whatever else is critical or a warning must
// follow from the root cause; a scenario without one has to be silent.
type scenario struct {
	name string
	// peer starts the peer and returns its URL.
	peer func(testing.TB) string
	in   diag.TargetInput // without the URL, unless peer returns ""
	plan diag.PlanInput
	env  func(*diag.Env)

	want    diag.Code // of the root cause; empty: healthy
	variant string    // of the root cause; "*": any
	// suggest is the wanted suggestion as JSON, with HOST for the peer's host and port. It is then tried.
	suggest string
	// info lists findings of that severity that must be there.
	info []diag.Code
	// beside are warnings that must be there as well: they explain the root cause and are none of their own.
	beside []diag.Code
	// attention allows the root cause to be a warning.
	attention bool
	// readings that must remain.
	readings []diag.Code
	check    func(*testing.T, diag.Report)
}

// seconds is a plan's time-out for peers that stay silent.
func seconds(s float64) *float64 { return &s }

// diagnose runs every probe and rule, as the program does.
func diagnose(t testing.TB, in diag.TargetInput, pin diag.PlanInput, change func(*diag.Env)) diag.Report {
	t.Helper()
	return diagnoseHearing(t, in, pin, change, func(diag.Event) {})
}

// diagnoseHearing is diagnose, heard while it runs.
func diagnoseHearing(t testing.TB, in diag.TargetInput, pin diag.PlanInput, change func(*diag.Env), emit func(diag.Event)) diag.Report {
	t.Helper()
	target, err := diag.ParseTarget(in)
	if err != nil {
		t.Fatal(err)
	}
	if pin.TimeoutS == nil {
		pin.TimeoutS = seconds(2)
	}
	if pin.WatchS == nil {
		pin.WatchS = new(int) // no test waits half a minute that does not mean to
	}
	opts, err := diag.ParsePlan(pin, probe.IDs())
	if err != nil {
		t.Fatal(err)
	}
	var dialer net.Dialer
	env := diag.Env{Dial: dialer.DialContext, RunID: "scenario"}
	if change != nil {
		change(&env)
	}
	plan := diag.MakePlan(target, opts, probe.StandIns())
	report := (&diag.Runner{Rules: rule.All}).Run(t.Context(), plan, env, diag.Report{ID: "scenario"}, emit)
	inOtherOrders(t, plan, report)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(describe(report))
		}
	})
	return report
}

// describe writes a report for whom a test fails.
func describe(r diag.Report) string {
	var b strings.Builder
	b.WriteString(string(r.Verdict) + " in " + r.Duration.String() + "\n")
	for _, s := range r.Steps {
		because := ""
		if s.SkippedBecause != nil {
			because = s.SkippedBecause.Key
		}
		b.WriteString("  " + s.ID + " " + string(s.Status) + " " + s.Duration.String() + " " + s.Summary.Key + because)
		for _, e := range s.Evidence {
			b.WriteString(" " + string(e.Key) + "=" + e.Value)
		}
		b.WriteString("\n")
	}
	for _, f := range r.Findings {
		data, _ := json.Marshal(f)
		b.WriteString("  FINDING " + string(data) + "\n")
	}
	for _, x := range r.RuledOut {
		b.WriteString("  ruled out " + string(x.Code) + " " + x.Because.Key + "\n")
	}
	return b.String()
}

func runScenarios(t *testing.T, all []scenario) {
	t.Helper()
	for _, s := range all {
		t.Run(strings.ReplaceAll(s.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s.run(t)
		})
	}
}

func (s scenario) run(t *testing.T) {
	in := s.in
	if u := s.peer(t); u != "" {
		in.URL = u
	}
	report := diagnose(t, in, s.plan, s.env)
	s.judge(t, in, report)
	for _, gap := range catalogue.Gaps(report) {
		if ourTexts.MatchString(gap) {
			t.Errorf("a text lacks: %s", gap)
		}
	}
	if s.check != nil {
		s.check(t, report)
	}
	if s.suggest != "" && !t.Failed() {
		again := diagnose(t, follow(in, report.RootCause.Suggestion), s.plan, s.env)
		if again.RootCause != nil && again.RootCause.Severity == diag.SeverityCritical {
			t.Errorf("with the suggestion the run still concludes %s", again.RootCause.Code)
		}
	}
}

func (s scenario) judge(t *testing.T, in diag.TargetInput, r diag.Report) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Severity != diag.SeverityInfo && f.Code != s.want && f.CausedBy == "" && !slices.Contains(s.beside, f.Code) {
			t.Errorf("also concludes %s (%s)", f.Code, f.Severity)
		}
	}
	for _, code := range s.info {
		if !slices.ContainsFunc(r.Findings, func(f diag.Finding) bool { return f.Code == code && f.Severity == diag.SeverityInfo }) {
			t.Errorf("does not conclude %s as info", code)
		}
	}
	for _, code := range twinOf(t, s.name) { // information too
		if slices.ContainsFunc(r.Findings, func(f diag.Finding) bool { return f.Code == code }) {
			t.Errorf("concludes %s of the peer without the fault", code)
		}
	}
	for _, code := range s.beside {
		if !slices.ContainsFunc(r.Findings, func(f diag.Finding) bool { return f.Code == code && f.Severity == diag.SeverityWarning }) {
			t.Errorf("does not conclude %s as a warning", code)
		}
	}
	if s.want == "" {
		if r.Verdict != diag.OverallHealthy {
			t.Errorf("verdict %s, want healthy", r.Verdict)
		}
		return
	}
	f := r.RootCause
	switch {
	case f == nil:
		t.Errorf("concludes nothing, want %s", s.want)
		return
	case f.Code != s.want:
		t.Errorf("concludes %s, want %s", f.Code, s.want)
		return
	}
	if want := map[bool]diag.Severity{false: diag.SeverityCritical, true: diag.SeverityWarning}[s.attention]; f.Severity != want {
		t.Errorf("severity %s, want %s", f.Severity, want)
	}
	if s.variant != "*" && f.Variant != s.variant {
		t.Errorf("variant %q, want %q", f.Variant, s.variant)
	}
	if f.Step == "" || len(f.Evidence) == 0 {
		t.Errorf("the finding has no step or evidence")
	}
	for _, code := range s.readings {
		if !slices.Contains(f.Readings, code) {
			t.Errorf("readings %v lack %s", f.Readings, code)
		}
	}
	got := ""
	if f.Suggestion != nil {
		data, _ := json.Marshal(f.Suggestion)
		u, _ := url.Parse(in.URL)
		got = strings.ReplaceAll(string(data), u.Host, "HOST")
	}
	if s.suggest == "*" && got == "" || s.suggest != "*" && got != s.suggest {
		t.Errorf("suggestion %s, want %s", got, s.suggest)
	}
}

// ourTexts are those of the layers that these tests are about.
var ourTexts = regexp.MustCompile(`: ((check|step)\.)?(ws|peer|mqtt|msg|attempt|broker)\.`)

// follow changes an input as a suggestion says.
func follow(in diag.TargetInput, s *diag.Suggestion) diag.TargetInput {
	if s.URL != "" {
		in.URL, in.WS.Path = s.URL, ""
	}
	if s.Protocol != "" {
		in.Protocol = string(s.Protocol)
	}
	if s.ClientID != nil {
		in.ClientID = *s.ClientID
	}
	if s.KeepAlive != nil {
		in.KeepaliveS = s.KeepAlive
	}
	if s.WS != nil && s.WS.Origin != nil {
		in.WS.Origin = *s.WS.Origin
	}
	if s.TLS != nil {
		if s.TLS.ServerName != "" {
			in.TLS.ServerName = s.TLS.ServerName
		}
		if s.TLS.ALPN != nil {
			in.TLS.ALPN = s.TLS.ALPN
		}
	}
	if s.Topics != nil {
		if s.Topics.QoS != nil {
			in.Topics.QoS = s.Topics.QoS
		}
		if s.Topics.Subscribe != nil {
			in.Topics.Subscribe = s.Topics.Subscribe
		}
	}
	return in
}

// scripted is a scenario's peer that follows a script.
func scripted(script diagtest.Script) func(testing.TB) string {
	return func(t testing.TB) string { return diagtest.ScriptedBroker(t, script).Target() }
}

// peerAs is a scenario's peer that handles bytes, under a scheme.
func peerAs(scheme string, handle diagtest.Handler) func(testing.TB) string {
	return func(t testing.TB) string { return diagtest.Peer(t, handle).URL(scheme) }
}

// as changes the scheme, and where given the path, of a peer's URL.
func as(scheme, path string, peer func(testing.TB) string) func(testing.TB) string {
	return func(t testing.TB) string {
		u, err := url.Parse(peer(t))
		if err != nil {
			t.Fatal(err)
		}
		u.Scheme, u.Path = scheme, path
		return u.String()
	}
}

// real is a scenario's peer that is one listener of a real broker.
func real(listener string, start func(testing.TB) *diagtest.Broker) func(testing.TB) string {
	return func(t testing.TB) string {
		b := start(t)
		for _, u := range b.URLs() {
			if strings.HasPrefix(u, listener+"://") {
				return u
			}
		}
		t.Fatalf("%s has no listener for %s", b.Name, listener)
		return ""
	}
}

// inVersions repeats a scenario for versions that are asked for.
func inVersions(s scenario, versions ...string) []scenario {
	var out []scenario
	for _, version := range versions {
		one := s
		one.name += " " + version
		one.in.Protocol = version
		out = append(out, one)
	}
	return out
}

func integer(n int) *int { return &n }
