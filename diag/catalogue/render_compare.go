package catalogue

import "mqttdoctor/diag"

// ComparisonView is what differs between two runs, in words.
type ComparisonView struct {
	// Same: nothing but times differs, in what both runs looked at.
	Same     bool                `json:"same"`
	Findings []FindingChangeView `json:"findings"`
	Steps    []StepChangeView    `json:"steps"`
	Facts    []FactChangeView    `json:"facts"`
	Settings []FactChangeView    `json:"settings"`
	Timings  []TimingChangeView  `json:"timings"`
	// Unseen is what one of the runs did not get to look at, so that nothing can be said of it.
	Unseen UnseenView `json:"unseen"`
}

// UnseenView is what only one of two runs has seen, and what it found there.
type UnseenView struct {
	Steps    []StepChangeView    `json:"steps"`
	Findings []FindingChangeView `json:"findings"`
}

// FindingChangeView is a finding that came, went, or weighs otherwise; nil: not there.
type FindingChangeView struct {
	Before *FindingView `json:"before"`
	After  *FindingView `json:"after"`
}

// StepChangeView is a step that came to another end; nil: it did not run.
type StepChangeView struct {
	Title  string    `json:"title"`
	Before *StepView `json:"before"`
	After  *StepView `json:"after"`
}

// FactChangeView is a fact or setting with another value; empty: not there.
type FactChangeView struct {
	Step   string           `json:"step,omitempty"` // the check's title; empty: a setting
	Key    diag.EvidenceKey `json:"key"`            // of a setting its path in the run's input
	Label  string           `json:"label"`
	Before string           `json:"before"`
	After  string           `json:"after"`
}

// TimingChangeView is a step that took clearly longer or shorter.
type TimingChangeView struct {
	Title    string  `json:"title"`
	BeforeMS float64 `json:"before_ms"`
	AfterMS  float64 `json:"after_ms"`
}

// RenderComparison words what changed from one run to another.
func RenderComparison(before, after diag.Report, lang Lang) ComparisonView {
	c := diag.Compare(before, after)
	was, is := newWriter(lang, before.Target), newWriter(lang, after.Target)
	v := ComparisonView{Same: c.Same(), Findings: []FindingChangeView{}, Steps: stepChanges(c.Steps, was, is), Facts: []FactChangeView{},
		Settings: []FactChangeView{}, Timings: []TimingChangeView{},
		Unseen: UnseenView{Steps: stepChanges(c.Unseen, was, is), Findings: []FindingChangeView{}}}
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
		if f.Unseen {
			v.Unseen.Findings = append(v.Unseen.Findings, fv)
		} else {
			v.Findings = append(v.Findings, fv)
		}
	}
	for _, f := range c.Facts {
		fv := FactChangeView{Key: f.Key, Before: was.factText(f.Key, f.Before), After: is.factText(f.Key, f.After)}
		fv.Step, _ = is.label("check." + f.Step)
		fv.Label, _ = is.label("evidence." + string(f.Key))
		v.Facts = append(v.Facts, fv)
	}
	for _, f := range c.Settings {
		fv := FactChangeView{Key: f.Key, Before: was.settingText(f.Key, f.Before.Value), After: is.settingText(f.Key, f.After.Value)}
		fv.Label, _ = is.label("field." + string(f.Key))
		v.Settings = append(v.Settings, fv)
	}
	for _, t := range c.Timings {
		title, _ := is.label("check." + string(t.Check))
		v.Timings = append(v.Timings, TimingChangeView{title, milliseconds(t.Before.Seconds()), milliseconds(t.After.Seconds())})
	}
	return v
}

func stepChanges(list []diag.StepChange, was, is *writer) []StepChangeView {
	out := make([]StepChangeView, 0, len(list))
	for _, s := range list {
		var sv StepChangeView
		if s.Before != nil {
			view := was.step(*s.Before)
			sv.Before, sv.Title = &view, view.Title
		}
		if s.After != nil {
			view := is.step(*s.After)
			sv.After, sv.Title = &view, view.Title
		}
		out = append(out, sv)
	}
	return out
}

func (w *writer) factText(key diag.EvidenceKey, e diag.Evidence) string {
	text := w.value(key, e.Value)
	if e.Unit != "" && text != "" {
		text += " " + w.word("unit."+e.Unit, e.Unit)
	}
	return text
}

// settingText is what was asked for, in words where it has some.
func (w *writer) settingText(key diag.EvidenceKey, value string) string {
	switch key {
	case "plan.depth":
		return w.word("depth."+value, value)
	case "plan.symptom":
		return w.word("symptom."+value, value)
	}
	return w.word("value.yesno."+value, clean(value))
}
