package live

import (
	"slices"

	"mqttdoctor/diag"
)

// Fold makes a report of events: the whole one where the run has ended, else what is known so far, with the steps that
// are still running. Events are those of one run, in order, from the first.
func Fold(events []diag.Event) diag.Report {
	var r diag.Report
	open := map[string]int{} // place in steps of what has not ended
	for _, e := range events {
		switch e.Type {
		case diag.EventRunStarted:
			if e.Report != nil {
				r = *e.Report
				r.Steps = slices.Clone(r.Steps)
				r.Findings = slices.Clone(r.Findings)
			}
		case diag.EventStepStarted:
			if e.Step != nil {
				open[e.Step.ID] = len(r.Steps)
				r.Steps = append(r.Steps, *e.Step)
			}
		case diag.EventStepFinished:
			if e.Step == nil {
				break
			}
			if i, started := open[e.Step.ID]; started {
				r.Steps[i] = *e.Step
				delete(open, e.Step.ID)
				break
			}
			r.Steps = append(r.Steps, *e.Step)
		case diag.EventFinding:
			if e.Finding != nil {
				r.Findings = foldFinding(r.Findings, *e.Finding, e.Withdrawn)
			}
		case diag.EventRunFinished:
			if e.Report != nil {
				r = *e.Report
			}
		}
	}
	return r
}

func foldFinding(findings []diag.Finding, f diag.Finding, withdrawn bool) []diag.Finding {
	i := slices.IndexFunc(findings, func(have diag.Finding) bool { return have.Code == f.Code })
	switch {
	case withdrawn && i >= 0:
		return slices.Delete(findings, i, i+1)
	case withdrawn:
	case i >= 0:
		findings[i] = f
	default:
		return append(findings, f)
	}
	return findings
}
