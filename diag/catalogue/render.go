package catalogue

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"mqttdoctor/diag"
)

// Render words a report, finished or under way. It is pure. Codes and keys that this catalogue does not know, such as those
// of a report stored by another version, show as themselves.
func Render(r diag.Report, lang Lang) ReportView { return newWriter(lang, r.Target).report(r) }

// RenderStep words a step of a run against the target.
func RenderStep(s diag.Step, target diag.TargetInput, lang Lang) StepView {
	return newWriter(lang, target).step(s)
}

// RenderFinding words a finding of a run against the target.
func RenderFinding(f diag.Finding, target diag.TargetInput, lang Lang) FindingView {
	return newWriter(lang, target).finding(f)
}

// RenderEvent words an event of a run against the target.
func RenderEvent(e diag.Event, target diag.TargetInput, lang Lang) EventView {
	w := newWriter(lang, target)
	v := EventView{Seq: e.Seq, Type: e.Type, At: e.At, Done: e.Done, Total: e.Total, Unit: e.Unit, Withdrawn: e.Withdrawn}
	if e.Step != nil {
		step := w.step(*e.Step)
		v.Step = &step
	}
	if e.Finding != nil {
		finding := w.finding(*e.Finding)
		v.Finding = &finding
	}
	if e.Report != nil {
		report := Render(*e.Report, lang)
		v.Report = &report
	}
	return v
}

// Text words a note; nothing for a zero one.
func Text(n diag.Note, lang Lang) string { return newWriter(lang, diag.TargetInput{}).note(n) }

// Label is the name of something that has a key, and the sentence that explains it; empty where there is none. Such keys are
// "field.target.url", "evidence.tls.version", "check.tcp.connect", "symptom.drops", "severity.critical", "for.mosquitto".
func Label(key string, lang Lang) (label, help string) {
	w := newWriter(lang, diag.TargetInput{})
	return w.label(key)
}

// FieldErrors words what is wrong with an input, by the path of the field.
func FieldErrors(errs diag.FieldErrors, lang Lang) map[string]string {
	out := make(map[string]string, len(errs))
	for field, note := range errs {
		out[field] = Text(note, lang)
	}
	return out
}

// writer words what belongs to one target.
type writer struct {
	c      *Catalogue
	l      *language
	target map[string]string
	gap    func(what string) // told of every text and fact that is missing; nil: nobody
}

func newWriter(lang Lang, target diag.TargetInput) *writer {
	c := Default()
	l := c.langs[lang]
	if l == nil {
		l = c.langs[English]
	}
	return &writer{c: c, l: l, target: factsOf(target)}
}

// factsOf are the facts of the target as it was parsed and made public: its URL is canonical.
func factsOf(in diag.TargetInput) map[string]string {
	facts := map[string]string{"url": in.URL, "client_id": in.ClientID, "username": in.Username, "server_name": in.TLS.ServerName}
	u, err := url.Parse(in.URL)
	if err != nil || u.Host == "" {
		return facts
	}
	facts["scheme"], facts["host"], facts["port"], facts["path"] = u.Scheme, u.Hostname(), u.Port(), u.RequestURI()
	if !diag.Scheme(u.Scheme).IsWebSocket() {
		facts["path"] = ""
	}
	if facts["port"] != "" {
		facts["hostport"] = net.JoinHostPort(facts["host"], facts["port"])
	}
	asHTTP := url.URL{Scheme: "http", Host: u.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
	if in.WS.Query.Given() {
		asHTTP.RawQuery = yourQuery
	}
	if diag.Scheme(u.Scheme).UsesTLS() {
		asHTTP.Scheme = "https"
	}
	facts["http_url"] = asHTTP.String()
	if facts["server_name"] == "" {
		facts["server_name"] = facts["host"]
	}
	return facts
}

func (w *writer) missing(what string) {
	if w.gap != nil {
		w.gap(what)
	}
}

// fact finds an argument: the note's or finding's own, else the target's. Codes of closed lists are shown in words.
func (w *writer) fact(args diag.Args) func(string) string {
	return func(name string) string {
		value := args[diag.Arg(name)]
		if value == "" {
			return w.target[name]
		}
		switch name {
		case "symbol":
			return w.word("value.outcome."+value, value)
		case "check":
			return w.word("check."+value, value)
		case "field":
			return w.word("field."+value, value)
		}
		return inSeconds(value)
	}
}

// word is the text of a key, or the given one where there is none.
func (w *writer) word(key, otherwise string) string {
	e, ok := w.l.texts[key]
	if !ok {
		return otherwise
	}
	text, _ := e.text.expand(func(string) string { return "" })
	return text
}

func (w *writer) label(key string) (label, help string) {
	e, ok := w.l.texts[key]
	if !ok {
		return "", ""
	}
	none := func(string) string { return "" }
	label, _ = e.text.expand(none)
	help, _ = e.help.expand(none)
	return label, help
}

func (w *writer) note(n diag.Note) string {
	if n.IsZero() {
		return ""
	}
	e, ok := w.l.texts[n.Key]
	if !ok {
		w.missing(n.Key + ": no such text")
		return n.Key
	}
	fact := w.fact(n.Args)
	return w.expand(n.Key, e.text, func(name string) string {
		// Only sentences: in the commands of a fix such a number has to stay as programs read it.
		value := fact(name)
		if name == "length" || strings.HasPrefix(n.Key, "step.msg.size.") {
			return groupThousands(value)
		}
		return value
	})
}

func (w *writer) expand(key string, t template, fact func(string) string) string {
	text, missing := t.expand(fact)
	for _, name := range missing {
		w.missing(key + ": no {" + name + "}")
	}
	return text
}

// words finds a text of a cause: the variant's where it has one.
func (w *writer) words(code diag.Code, c cause, variant, name string, fact func(string) string) string {
	key := string(code)
	t, ok := c.variants[variant].words[name]
	if ok {
		key += "/" + variant
	} else {
		t = c.words[name]
	}
	return w.expand(key+"."+name, t, fact)
}

func (w *writer) finding(f diag.Finding) FindingView {
	v := FindingView{Code: f.Code, Layer: f.Layer, Severity: f.Severity, Confidence: f.Confidence, Step: f.Step,
		Title: string(f.Code), Evidence: w.evidence(f.Evidence), Fixes: []FixView{}, Suggestion: f.Suggestion, Readings: f.Readings,
		Sources: w.c.facts[f.Code].Sources}
	if f.CausedBy != "" {
		by := f.CausedBy
		v.CausedBy = &by
	}
	c, ok := w.l.causes[f.Code]
	if !ok {
		w.missing(string(f.Code) + ": no such cause")
		return v
	}
	variant, known := c.variants[f.Variant]
	if f.Variant != "" && !known {
		w.missing(string(f.Code) + ": no variant " + f.Variant)
	}
	fact := w.fact(f.Args)
	v.Title = w.words(f.Code, c, f.Variant, wordTitle, fact)
	v.Explanation = w.words(f.Code, c, f.Variant, wordExplanation, fact)
	v.ToldApartBy = w.words(f.Code, c, f.Variant, wordToldApartBy, fact)
	fixes, decide := c.fixes, c.decide
	if len(variant.fixes) > 0 {
		fixes = variant.fixes
	}
	if len(variant.decide) > 0 {
		decide = variant.decide
	}
	v.Fixes = append(v.Fixes, w.fixes(f.Code, fixes, fact)...)
	v.Decide = w.fixes(f.Code, decide, fact)
	return v
}

func (w *writer) fixes(code diag.Code, in []fix, fact func(string) string) []FixView {
	var out []FixView
	for _, f := range in {
		quote := quotePOSIX
		if f.reader == "windows" {
			quote = quoteWindows
		}
		v := FixView{For: f.reader, Text: w.expand(string(code)+" for "+f.reader, f.text, fact), Commands: []string{}}
		for _, command := range f.commands {
			if line, ok := command.command(fact, quote); ok {
				v.Commands = append(v.Commands, line)
			}
		}
		out = append(out, v)
	}
	return out
}

// summary is the sentence of a finding that a helpdesk can read out.
func (w *writer) summary(f diag.Finding) string {
	c, ok := w.l.causes[f.Code]
	if !ok {
		return string(f.Code)
	}
	return w.words(f.Code, c, f.Variant, wordSummary, w.fact(f.Args))
}

func (w *writer) evidence(in []diag.Evidence) []EvidenceView {
	out := make([]EvidenceView, 0, len(in))
	for _, e := range in {
		key := "evidence." + string(e.Key)
		v := EvidenceView{Key: e.Key, Value: e.Value, Unit: e.Unit, Text: w.value(e.Key, e.Value)}
		v.Label, v.Help = w.label(key)
		if v.Label == "" {
			w.missing(key + ": no label")
			v.Label = string(e.Key)
		}
		if e.Unit != "" {
			v.Text += " " + w.word("unit."+e.Unit, e.Unit)
		}
		out = append(out, v)
	}
	return out
}

func (w *writer) step(s diag.Step) StepView {
	title, _ := w.label("check." + string(s.Check))
	if title == "" {
		w.missing("check." + string(s.Check) + ": no title")
		title = string(s.Check)
	}
	v := StepView{ID: s.ID, Check: s.Check, Title: title, Layer: s.Layer, Subject: s.Subject, Status: s.Status,
		StartedAt: s.StartedAt, DurationMS: milliseconds(s.Duration.Seconds()), Summary: w.note(s.Summary),
		Evidence: w.evidence(s.Evidence), Failure: s.Failure, Certificates: certificates(s)}
	if s.SkippedBecause != nil {
		v.SkippedBecause = w.note(*s.SkippedBecause)
	}
	return v
}

// milliseconds keeps microseconds and drops the noise behind them.
func milliseconds(seconds float64) float64 {
	ms, _ := strconv.ParseFloat(strconv.FormatFloat(seconds*1000, 'f', 3, 64), 64)
	return ms
}

func (w *writer) report(r diag.Report) ReportView {
	v := ReportView{Schema: r.Schema, ID: r.ID, State: r.State, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt,
		DurationMS: milliseconds(r.Duration.Seconds()), Lang: Lang(r.Lang), Verdict: r.Verdict, Summary: w.overall(r),
		Findings: []FindingView{}, RuledOut: []RuledOutView{}, Steps: []StepView{}, Target: r.Target,
		Plan:    PlanView{PlanOptions: r.Plan, TimeoutS: r.TimeoutS, WatchS: r.WatchS, Checks: r.Checks},
		Vantage: r.Vantage, Measurements: w.tables(r.Steps), Advice: w.advice(r), Connections: r.Connections, Sent: r.Sent, Hidden: r.Hidden}
	for _, lang := range Langs {
		if w.c.langs[lang] == w.l {
			v.Lang = lang
		}
	}
	if !r.FinishedAt.IsZero() {
		at := r.FinishedAt
		v.FinishedAt = &at
	}
	if !r.ImportedAt.IsZero() {
		at := r.ImportedAt
		v.ImportedAt = &at
	}
	if r.RootCause != nil {
		root := w.finding(*r.RootCause)
		v.RootCause = &root
	}
	for _, f := range r.Findings {
		v.Findings = append(v.Findings, w.finding(f))
	}
	for _, x := range r.RuledOut {
		var facts diag.Args
		if r.RootCause != nil {
			facts = r.RootCause.Args // the same topic, address or code is what the look-alike would be about
		}
		v.RuledOut = append(v.RuledOut, RuledOutView{Code: x.Code, Title: w.titleOf(x.Code, facts), Because: w.note(x.Because)})
	}
	for _, s := range r.Steps {
		v.Steps = append(v.Steps, w.step(s))
	}
	v.fillEmpty()
	return v
}

// fillEmpty makes empty lists of absent ones, for readers of the JSON.
func (v *ReportView) fillEmpty() {
	if v.Sent == nil {
		v.Sent = []diag.SentMessage{}
	}
	for _, list := range []*[]diag.ProbeID{&v.Plan.Include, &v.Plan.Exclude, &v.Plan.Checks} {
		if *list == nil {
			*list = []diag.ProbeID{}
		}
	}
	for _, list := range []*[]string{&v.Plan.Resolvers, &v.Target.TLS.ALPN, &v.Target.Topics.Subscribe, &v.Target.Nodes} {
		if *list == nil {
			*list = []string{}
		}
	}
	if v.Target.WS.Headers == nil {
		v.Target.WS.Headers = map[string]diag.Secret{}
	}
}

// overall is the report in one sentence: what the root cause means, or what became of the run.
func (w *writer) overall(r diag.Report) string {
	var passed int
	for _, s := range r.Steps {
		if s.Status == diag.StatusPassed {
			passed++
		}
	}
	args := diag.Args{"count": strconv.Itoa(passed), "total": strconv.Itoa(len(r.Steps))}
	say := func(key string) string { return w.note(diag.Note{Key: "summary." + key, Args: args}) }
	cause := ""
	if r.RootCause != nil {
		cause = w.summary(*r.RootCause)
	}
	switch {
	case r.State == diag.StateRunning && cause == "":
		return say("running")
	case r.State == diag.StateCanceled && r.Verdict != diag.OverallBroken:
		return w.join(say("canceled"), cause)
	case r.State == diag.StateInterrupted && r.Verdict != diag.OverallBroken:
		return w.join(say("interrupted"), cause)
	case r.Plan.Only != "" && cause == "" && !slices.ContainsFunc(r.Steps, func(s diag.Step) bool { return s.Status == diag.StatusFailed }):
		args["name"], _ = w.label("check." + string(r.Plan.Only))
		return say("repeated")
	case r.Verdict == diag.OverallInconclusive:
		if failed := w.failedAfterConnect(r); failed != "" {
			return w.join(say("inconclusive_step"), failed, say("inconclusive_next"), cause)
		}
		return w.join(say("inconclusive"), cause)
	case cause != "":
		return cause
	case r.Verdict == diag.OverallHealthy, r.Verdict == diag.OverallAttention, r.Verdict == diag.OverallBroken:
		return say(string(r.Verdict))
	}
	return say("inconclusive")
}

// failedAfterConnect is what the first step says that failed although the broker had accepted the connection; "" where that is
// not how the run went.
func (w *writer) failedAfterConnect(r diag.Report) string {
	accepted := slices.ContainsFunc(r.Steps, func(s diag.Step) bool {
		o, ok := s.Observation.(*diag.MQTTConnect)
		return ok && o.Accepted()
	})
	failed := slices.IndexFunc(r.Steps, func(s diag.Step) bool { return s.Layer == diag.LayerMsg && s.Status == diag.StatusFailed })
	if !accepted || failed < 0 {
		return ""
	}
	return w.note(r.Steps[failed].Summary)
}

// join puts sentences in a row, as the language does.
func (w *writer) join(sentences ...string) string {
	sentences = slices.DeleteFunc(sentences, func(s string) bool { return s == "" })
	between := " "
	if w.l == w.c.langs[Chinese] {
		between = ""
	}
	return strings.Join(sentences, between)
}

// titleOf is the title of a cause that was not concluded, with what facts there are.
func (w *writer) titleOf(code diag.Code, facts diag.Args) string {
	c, ok := w.l.causes[code]
	if !ok {
		w.missing(string(code) + ": no such cause")
		return string(code)
	}
	text, _ := c.words[wordTitle].expandOr("…", w.fact(facts))
	return text
}
