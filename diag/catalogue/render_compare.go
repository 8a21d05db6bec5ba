package catalogue

import "mqttdoctor/diag"

// ComparisonView is what differs between two runs, in words.
type ComparisonView struct {
	Findings []FindingChangeView
	Steps    []StepChangeView
	Facts    []FactChangeView
	Settings []FactChangeView
	Timings  []TimingChangeView
	Same     bool // nothing but times
}

// FindingChangeView is a finding that came, went, or weighs otherwise; nil: not there.
type FindingChangeView struct {
	Before, After *FindingView
}

// StepChangeView is a step that came to another end; nil: it did not run.
type StepChangeView struct {
	Title         string
	Before, After *StepView
}

// FactChangeView is a fact or setting with another value; empty: not there.
type FactChangeView struct {
	Step, Label, Before, After string
}

// TimingChangeView is a step that took clearly longer or shorter.
type TimingChangeView struct {
	Title             string
	BeforeMS, AfterMS float64
}

// RenderComparison words what changed from one run to another.
func RenderComparison(before, after diag.Report, lang Lang) ComparisonView {
	c := diag.Compare(before, after)
	was, is := newWriter(lang, before.Target), newWriter(lang, after.Target)
	v := ComparisonView{Same: c.Same()}
	for _, f := range c.Findings {
		var fv FindingChangeView
		if f.Before != nil {
			view := was.finding(*f.Before)
			fv.Before = &view
		}
		if f.After != nil {
			view := is.finding(*f.After)
			fv.After = &view
		}
		v.Findings = append(v.Findings, fv)
	}
	for _, s := range c.Steps {
		var sv StepChangeView
		if s.Before != nil {
			view := was.step(*s.Before)
			sv.Before, sv.Title = &view, view.Title
		}
		if s.After != nil {
			view := is.step(*s.After)
			sv.After, sv.Title = &view, view.Title
		}
		v.Steps = append(v.Steps, sv)
	}
	for _, f := range c.Facts {
		fv := FactChangeView{Before: was.factText(f.Key, f.Before), After: is.factText(f.Key, f.After)}
		fv.Step, _ = is.label("check." + f.Step)
		fv.Label, _ = is.label("evidence." + string(f.Key))
		v.Facts = append(v.Facts, fv)
	}
	for _, f := range c.Settings {
		fv := FactChangeView{Before: was.word("value.yesno."+f.Before.Value, clean(f.Before.Value)), After: is.word("value.yesno."+f.After.Value, clean(f.After.Value))}
		fv.Label, _ = is.label("field." + string(f.Key))
		v.Settings = append(v.Settings, fv)
	}
	for _, t := range c.Timings {
		title, _ := is.label("check." + string(t.Check))
		v.Timings = append(v.Timings, TimingChangeView{title, milliseconds(t.Before.Seconds()), milliseconds(t.After.Seconds())})
	}
	return v
}

func (w *writer) factText(key diag.EvidenceKey, e diag.Evidence) string {
	text := w.value(key, e.Value)
	if e.Unit != "" && text != "" {
		text += " " + w.word("unit."+e.Unit, e.Unit)
	}
	return text
}
