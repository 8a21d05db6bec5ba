package templates

import (
	"slices"
	"strings"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// Apply takes an event of the run over into the page and returns what to say of it to those who listen: the end of a layer
// and the end of the run, not every step. Events come in order from the first.
func (r *RunPage) Apply(e catalogue.EventView) (say string) {
	before := r.pathNodes()
	switch e.Type {
	case diag.EventRunStarted, diag.EventRunFinished:
		if e.Report != nil {
			r.Report = *e.Report
			r.Progress = nil
		}
	case diag.EventStepStarted, diag.EventStepFinished:
		if e.Step != nil {
			delete(r.Progress, e.Step.ID)
			r.putStep(*e.Step)
		}
	case diag.EventStepProgress:
		if e.Step != nil {
			if r.Progress == nil {
				r.Progress = map[string]Progress{}
			}
			r.Progress[e.Step.ID] = Progress{Done: e.Done, Total: e.Total, Unit: e.Unit}
		}
	case diag.EventFinding:
		if e.Finding != nil {
			r.putFinding(*e.Finding, e.Withdrawn)
		}
	}
	r.After = e.Seq
	r.State, r.Title = r.tone(), r.headline()
	if e.Type == diag.EventRunFinished {
		return r.toneWord() + ". " + r.Report.Summary
	}
	return r.changes(before, r.pathNodes())
}

func (r *RunPage) putStep(s catalogue.StepView) {
	i := slices.IndexFunc(r.Report.Steps, func(have catalogue.StepView) bool { return have.ID == s.ID })
	if i < 0 {
		r.Report.Steps = append(slices.Clip(r.Report.Steps), s)
		return
	}
	r.Report.Steps = slices.Clone(r.Report.Steps)
	r.Report.Steps[i] = s
}

func (r *RunPage) putFinding(f catalogue.FindingView, withdrawn bool) {
	kept := slices.DeleteFunc(slices.Clone(r.Report.Findings), func(have catalogue.FindingView) bool { return withdrawn && have.Code == f.Code })
	i := slices.IndexFunc(kept, func(have catalogue.FindingView) bool { return have.Code == f.Code })
	switch {
	case withdrawn:
	case i >= 0:
		kept[i] = f
	default:
		kept = append(kept, f)
	}
	r.Report.Findings = kept
}

// changes words the stations that have come to an end.
func (r RunPage) changes(before, after []pathNode) string {
	was := map[string]string{}
	for _, n := range before {
		was[n.id] = n.state
	}
	var said []string
	for _, n := range after {
		if n.state != was[n.id] && (n.state == "passed" || n.state == "warned" || n.state == "failed") && n.id != "you" {
			said = append(said, r.T("run.ended.layer", "layer", r.T("path."+n.id), "state", r.T("path.state."+n.state)))
		}
	}
	return strings.Join(said, " ")
}

// The lists beside those of the layers.
const (
	homeSkipped = "steps-skipped"
	homeTried   = "steps-tried"
)

// StepHome is the id of the list that a step stands in.
func StepHome(s catalogue.StepView) string {
	switch {
	case s.Status == diag.StatusSkipped:
		return homeSkipped
	case isVariation(s):
		return homeTried
	}
	return "steps-" + string(s.Layer)
}
