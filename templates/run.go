package templates

import (
	"math"
	"net"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/trace"
)

// RunPage is a run: live, then its report.
type RunPage struct {
	Page
	Report catalogue.ReportView
	// After is the number of the newest event that the report holds, from which the stream goes on.
	After int
	// Progress of running steps, by step id.
	Progress map[string]Progress
	Rights   Rights
	// Trace is what was attached from the console, in the page's language; nil: nothing.
	Trace *trace.Attached
	// Share is how the run is shared; nil: the reader is not the owner.
	Share *Share
	// History is what became of the target before; nil: the reader is not the owner, or there was nothing before.
	History *History
	// Preview is what messengers may show of the link.
	Preview Preview
	// Link is the shareable address; empty: not known (a sample).
	Link string
	// Problem is why a rerun was refused; Fields what is missing for it, by field.
	Problem string
	Fields  map[string]string
	// Request is what the run was made for, where the reader made it or asked for it; nil: nothing.
	Request *RequestPage
}

// Progress of a step that counts.
type Progress struct {
	Done, Total int
	Unit        string
}

// Rights are what the reader may do with the run.
type Rights struct {
	Owner, Cancel, Delete, Rerun bool
	// Missing are the secret fields to be typed again for a rerun.
	Missing []string
	// Helper asked for the run, and did not make it. Rerun is then with what its maker typed; without, he is asked for it.
	Helper bool
	// Request is what the run was made for; empty: nothing, or nothing of this reader's.
	Request string
}

// Share is what the link shows, and how often it did.
type Share struct {
	Hide        []diag.Hide
	PreviewHost bool // previews of the link may name the host
	ExpiresAt   time.Time
	Views       int
	ViewedAt    time.Time // zero: never
	Saved       bool      // it was just changed
}

// Preview is what messengers may show of a link.
type Preview struct {
	Title string // of the root cause where it names nothing of the target; empty: it does, or there is none
	Host  bool   // the target may be named
}

func (s Share) shows(what diag.Hide) bool { return !slices.Contains(s.Hide, what) }

// keeps are the days for which a report can be kept, from now on.
var keeps = []int{1, 7, 30, 90, 365}

// NewRunPage makes a run page of its plain inputs.
func NewRunPage(p Page, r catalogue.ReportView) RunPage {
	rp := RunPage{Page: p, Report: r}
	rp.NoIndex = true
	rp.State = rp.tone()
	rp.Title = rp.headline()
	return rp
}

func (r RunPage) running() bool { return r.Report.State == diag.StateRunning }

// tone is the state that colours the page: running, healthy, attention, broken or inconclusive.
func (r RunPage) tone() string {
	switch {
	case r.running():
		return "running"
	case r.Report.Verdict == "":
		return string(diag.OverallInconclusive)
	}
	return string(r.Report.Verdict)
}

// headline is the tab's title: the state first, since tabs are narrow.
func (r RunPage) headline() string {
	if r.running() {
		return r.T("run.tab.running", "percent", strconv.Itoa(r.percent()), "host", r.host())
	}
	return r.T("run.tab", "verdict", r.toneWord(), "host", r.host())
}

// toneWord is the verdict, or that there is none yet.
func (r RunPage) toneWord() string {
	if r.running() {
		return r.W("state.running")
	}
	return r.W("verdict." + r.tone())
}

// Headline is the tab's title, and Tone its icon.
func (r RunPage) Headline() string { return r.headline() }

// Tone names the icon of the tab.
func (r RunPage) Tone() string { return r.tone() }

func (r RunPage) host() string {
	if u, err := url.Parse(r.Report.Target.URL); err == nil && u.Host != "" {
		return u.Host
	}
	return r.Report.Target.URL
}

// literal tells whether the target's host is an address, so that no name is looked up.
func (r RunPage) literal() bool {
	u, err := url.Parse(r.Report.Target.URL)
	return err == nil && net.ParseIP(u.Hostname()) != nil
}

func (r RunPage) scheme() diag.Scheme {
	scheme, _, _ := strings.Cut(r.Report.Target.URL, "://")
	return diag.Scheme(scheme)
}

// Count of planned checks that have ended, and of all.
func (r RunPage) counted() (done, total int) {
	open := map[diag.ProbeID]bool{}
	ended := map[diag.ProbeID]bool{}
	for _, s := range r.Report.Steps {
		if s.Status == diag.StatusRunning {
			open[s.Check] = true
		} else {
			ended[s.Check] = true
		}
	}
	for check := range ended {
		if !open[check] {
			done++
		}
	}
	return done, max(len(r.Report.Plan.Checks), done)
}

// percent is how far the run is, as its bar has it: in checks, or in the time of a watch.
func (r RunPage) percent() int {
	done, total := r.counted()
	if p, ok := r.timed(); ok {
		done, total = p.Done, p.Total
	}
	if total == 0 {
		return 0
	}
	return 100 * done / total
}

// now is what the run does at present: the step begun last; nil: nothing.
func (r RunPage) now() *catalogue.StepView {
	for i := len(r.Report.Steps) - 1; i >= 0; i-- {
		if s := &r.Report.Steps[i]; s.Status == diag.StatusRunning {
			return s
		}
	}
	return nil
}

// stepsOf are the steps of a layer that ran or run and go the user's way, in the order in which they began.
func (r RunPage) stepsOf(layer diag.Layer) []catalogue.StepView {
	return r.stepsIn("steps-" + string(layer))
}

// tried are the steps that varied something, and skipped those that did not run.
func (r RunPage) tried() []catalogue.StepView   { return r.stepsIn(homeTried) }
func (r RunPage) skipped() []catalogue.StepView { return r.stepsIn(homeSkipped) }

func (r RunPage) stepsIn(home string) []catalogue.StepView {
	var steps []catalogue.StepView
	for _, s := range r.Report.Steps {
		if StepHome(s) == home {
			steps = append(steps, s)
		}
	}
	sort.SliceStable(steps, func(i, j int) bool { return steps[i].StartedAt.Before(steps[j].StartedAt) })
	return steps
}

// span is how long the run has taken so far, in milliseconds: the scale of the waterfall.
func (r RunPage) span() float64 {
	span := r.Report.DurationMS
	for _, s := range r.Report.Steps {
		span = max(span, r.offset(s)+s.DurationMS)
	}
	return max(span, 1)
}

// offset is when a step began after the run did, in milliseconds.
func (r RunPage) offset(s catalogue.StepView) float64 {
	if s.StartedAt.IsZero() || r.Report.CreatedAt.IsZero() {
		return 0
	}
	return max(0, float64(s.StartedAt.Sub(r.Report.CreatedAt))/float64(time.Millisecond))
}

// bar is a step's place in the waterfall, in hundredths of its width.
func (r RunPage) bar(s catalogue.StepView) (x, width string) {
	span := r.span()
	from := min(99, 100*r.offset(s)/span)
	long := 100 * s.DurationMS / span
	if s.Status == diag.StatusRunning {
		long = 100 - from
	}
	long = max(1, min(long, 100-from))
	return trimFloat(from), trimFloat(long)
}

func trimFloat(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }

// rest are the findings other than the root cause, the gravest first.
func (r RunPage) rest() []catalogue.FindingView {
	var out []catalogue.FindingView
	for _, f := range r.Report.Findings {
		if r.Report.RootCause != nil && f.Code == r.Report.RootCause.Code {
			continue
		}
		out = append(out, f)
	}
	rank := map[diag.Severity]int{diag.SeverityCritical: 0, diag.SeverityWarning: 1, diag.SeverityInfo: 2}
	sort.SliceStable(out, func(i, j int) bool { return rank[out[i].Severity] < rank[out[j].Severity] })
	return out
}

// soFar is the gravest finding of a run under way, the first in causal order; nil: none yet.
func (r RunPage) soFar() *catalogue.FindingView {
	for _, severity := range []diag.Severity{diag.SeverityCritical, diag.SeverityWarning} {
		var first *catalogue.FindingView
		for i := range r.Report.Findings {
			f := &r.Report.Findings[i]
			if f.Severity == severity && f.CausedBy == nil && (first == nil || f.Layer.Rank() < first.Layer.Rank()) {
				first = f
			}
		}
		if first != nil {
			return first
		}
	}
	return nil
}

// fixGroup is advice for one kind of broker or reader.
type fixGroup struct {
	For   string
	Fixes []catalogue.FixView
}

// fixGroups sorts fixes by whom they are for; advice for everyone comes first.
func fixGroups(fixes []catalogue.FixView) []fixGroup {
	var groups []fixGroup
	for _, f := range fixes {
		i := slices.IndexFunc(groups, func(g fixGroup) bool { return g.For == f.For })
		if i < 0 {
			groups = append(groups, fixGroup{For: f.For})
			i = len(groups) - 1
		}
		groups[i].Fixes = append(groups[i].Fixes, f)
	}
	sort.SliceStable(groups, func(i, j int) bool { return groups[i].For == "any" && groups[j].For != "any" })
	return groups
}

// title of a cause that is named by its code alone: from the report's findings and what was ruled out, else the code.
func (r RunPage) causeTitle(code diag.Code) string {
	for _, f := range r.Report.Findings {
		if f.Code == code {
			return f.Title
		}
	}
	for _, c := range r.Report.RuledOut {
		if c.Code == code {
			return c.Title
		}
	}
	return string(code)
}

// stepTitle is the name of a step that a finding points to; empty: it is not in the report.
func (r RunPage) stepByID(id string) *catalogue.StepView {
	for i := range r.Report.Steps {
		if r.Report.Steps[i].ID == id {
			return &r.Report.Steps[i]
		}
	}
	return nil
}

// suggested lists what a suggestion changes, as label and value.
func (p Page) suggested(s *diag.Suggestion) [][2]string {
	var out [][2]string
	add := func(label, value string) { out = append(out, [2]string{p.T(label), value}) }
	text := func(label, value string) {
		if value != "" {
			add(label, value)
		}
	}
	optional := func(label string, value *string) {
		switch {
		case value == nil:
		case *value == "":
			add(label, p.T("suggest.empty"))
		case strings.Contains(*value, "-----BEGIN"):
			add(label, p.T("suggest.found"))
		default:
			add(label, *value)
		}
	}
	text("suggest.url", s.URL)
	text("suggest.protocol", string(s.Protocol))
	optional("suggest.client_id", s.ClientID)
	if s.KeepAlive != nil {
		add("suggest.keepalive", strconv.Itoa(*s.KeepAlive))
	}
	if s.TLS != nil {
		text("suggest.server_name", s.TLS.ServerName)
		text("suggest.alpn", strings.Join(s.TLS.ALPN, ", "))
		optional("suggest.ca", s.TLS.CAPEM)
	}
	if s.WS != nil {
		text("suggest.ws_path", s.WS.Path)
		optional("suggest.ws_origin", s.WS.Origin)
	}
	if s.Topics != nil {
		text("suggest.publish", s.Topics.Publish)
		text("suggest.subscribe", strings.Join(s.Topics.Subscribe, ", "))
		if s.Topics.QoS != nil {
			add("suggest.qos", strconv.Itoa(*s.Topics.QoS))
		}
	}
	return out
}

// settings lists what the run was asked to use, as label and value; secrets only as given.
func (r RunPage) settings() [][2]string {
	t, plan := r.Report.Target, r.Report.Plan
	var out [][2]string
	add := func(label, value string) {
		if value != "" {
			out = append(out, [2]string{r.T(label), value})
		}
	}
	given := func(label string, on bool) {
		if on {
			add(label, r.T("run.given"))
		}
	}
	add("field.protocol", protocolName(t.Protocol, r.T("field.protocol.auto")))
	add("field.client_id", t.ClientID)
	add("field.username", t.Username)
	given("field.password", t.Password.Given())
	given("field.ca", t.TLS.CAPEM != "")
	given("field.cert", t.TLS.CertPEM != "")
	given("field.key", t.TLS.KeyPEM.Given())
	add("field.server_name", t.TLS.ServerName)
	add("field.alpn", strings.Join(t.TLS.ALPN, ", "))
	if t.TLS.Insecure {
		add("field.insecure", r.T("run.yes"))
	}
	add("field.ws_origin", t.WS.Origin)
	given("field.ws_query", t.WS.Query.Given())
	given("field.ws_headers", len(t.WS.Headers) > 0)
	add("field.publish", t.Topics.Publish)
	add("field.subscribe", strings.Join(t.Topics.Subscribe, ", "))
	add("field.nodes", strings.Join(t.Nodes, ", "))
	if plan.Symptom != "" {
		add("home.symptom.label", r.W("symptom."+string(plan.Symptom)))
	}
	if plan.Depth != "" {
		add("field.depth", r.W("depth."+string(plan.Depth)))
	}
	if plan.TimeoutS > 0 {
		add("run.timeout", r.T("unit.s", "n", strconv.FormatFloat(plan.TimeoutS, 'f', -1, 64)))
	}
	if plan.WatchS > 0 {
		add("field.watch", r.Duration(float64(plan.WatchS)*1000))
	}
	add("field.resolvers", strings.Join(plan.Resolvers, ", "))
	if plan.Intrusive {
		add("field.intrusive", r.T("run.yes"))
	}
	return out
}

func protocolName(v, auto string) string {
	switch v {
	case "":
		return ""
	case string(diag.VersionAuto):
		return auto
	}
	return "MQTT " + v
}

// rerunPath is where the run is repeated: whoever was asked for it needs no account for that.
func (r RunPage) rerunPath() string {
	if r.Rights.Request != "" {
		return "/requests/" + r.Rights.Request + "/runs/" + r.Report.ID + "/rerun"
	}
	return "/runs/" + r.Report.ID + "/rerun"
}

func (r RunPage) againWords() string {
	if r.Rights.Helper && !r.Rights.Rerun {
		return r.T("help.wish.run")
	}
	return r.T("run.again")
}

func (r RunPage) againStepWords() string {
	if r.Rights.Helper && !r.Rights.Rerun {
		return r.T("help.wish.step")
	}
	return r.T("run.again.step")
}
