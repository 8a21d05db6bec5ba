package diag

import (
	"slices"
	"time"
)

// View is what a run knows at one moment: the plan, the steps that have ended, and what is still going on. Ready
// functions and rules read it; they do no I/O. A view is a snapshot and safe to share.
type View struct {
	Target  Target
	Options PlanOptions
	Now     time.Time
	// Over tells that nothing more will be observed.
	Over bool
	// Clock facts that the run cannot be blamed for are steps too; Steps are in the order in which they ended.
	Steps []Step

	planned []ProbeID
	ended   map[ProbeID]bool
	started map[ProbeID]time.Time
}

// NewView makes the view of a run that is over, from its steps: a stored run, or a test's recorded observations.
func NewView(t Target, opts PlanOptions, steps []Step) *View {
	v := &View{Target: t, Options: opts, Steps: steps, Over: true, ended: map[ProbeID]bool{}}
	for _, s := range steps {
		v.ended[s.Check] = true
		if !slices.Contains(v.planned, s.Check) {
			v.planned = append(v.planned, s.Check)
		}
	}
	if len(steps) > 0 {
		v.Now = steps[len(steps)-1].StartedAt.Add(steps[len(steps)-1].Duration)
	}
	return v
}

// InPlan tells whether the check belongs to the run.
func (v *View) InPlan(id ProbeID) bool { return slices.Contains(v.planned, id) }

// Ended tells whether all steps of the check have ended, or none will come.
func (v *View) Ended(id ProbeID) bool { return v.Over || v.ended[id] || !v.InPlan(id) }

// RunningSince tells when the check began, while it runs.
func (v *View) RunningSince(id ProbeID) (time.Time, bool) {
	at, ok := v.started[id]
	return at, ok && !v.ended[id]
}

// StepsOf lists the ended steps of a check, in the order in which they ended.
func (v *View) StepsOf(id ProbeID) []Step {
	var out []Step
	for _, s := range v.Steps {
		if s.Check == id {
			out = append(out, s)
		}
	}
	return out
}

// Passed tells whether a step of the check passed, with or without a flaw.
func (v *View) Passed(id ProbeID) bool {
	return slices.ContainsFunc(v.Steps, func(s Step) bool {
		return s.Check == id && (s.Status == StatusPassed || s.Status == StatusWarned)
	})
}

// Failed tells whether the check has ended, a step of it failed, and none passed.
func (v *View) Failed(id ProbeID) bool {
	return v.Ended(id) && !v.Passed(id) && slices.ContainsFunc(v.Steps, func(s Step) bool {
		return s.Check == id && s.Status == StatusFailed
	})
}

// Sight is an observation with the step that made it.
type Sight[T Observation] struct {
	Seen T
	Step Step
}

// Seen lists the observations of one type, in the order in which they were made.
func Seen[T Observation](v *View) []Sight[T] {
	var out []Sight[T]
	for _, s := range v.Steps {
		if o, ok := s.Observation.(T); ok {
			out = append(out, Sight[T]{Seen: o, Step: s})
		}
	}
	return out
}

// SeenBy lists the observations of one type that one check made.
func SeenBy[T Observation](v *View, id ProbeID) []Sight[T] {
	return slices.DeleteFunc(Seen[T](v), func(s Sight[T]) bool { return s.Step.Check != id })
}
