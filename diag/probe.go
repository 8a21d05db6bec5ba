package diag

import (
	"context"
	"time"
)

// ProbeID is layer and verb, such as "tls.handshake".
type ProbeID string

// Probe is a check as a value: what it needs, when it runs, and the function that observes. It never judges.
type Probe struct {
	ID    ProbeID
	Layer Layer
	Depth Depth // the least depth that includes it
	// Symptoms include it at any depth.
	Symptoms []Symptom
	// Needs must have ended, whatever came of them, before Ready is asked. Needs that are not in the plan count as ended.
	Needs []ProbeID
	// Applies tells whether the check makes sense for this target; nil: always.
	Applies func(Target, PlanOptions) bool
	// Ready decides from what is known so far; nil: run once the needs have ended. It is pure: it is asked again
	// whenever a step ends and whenever a time that it asked for has come.
	Ready func(*View) Decision
	// Subjects are what the check is done on, one step each, side by side; nil: once, on the target.
	Subjects func(*View) []Subject
	// Follows makes one step for each step of another check (the first of those named that is in the plan), with the same subject, as soon as that one has ended and
	// without waiting for its siblings: a dead address holds up no other. Subject.Value is then the [Step] that ended.
	// Ready and Subjects are not asked; Each is, and may not wait.
	Follows []ProbeID
	Each    func(v *View, before Step) Decision
	// Moot tells, while the check runs, that its outcome can no longer tell anything; its running steps are then ended and
	// marked as skipped. nil: never.
	Moot func(*View) bool
	// Budget bounds one step; 0: the plan's time-out plus a little for being canceled in order.
	Budget time.Duration
	// Run observes. It returns soon after its context ends, and every goroutine it started has ended then.
	Run func(context.Context, *Env, Subject) Result
}

// Subject is what one step is about.
type Subject struct {
	Name  string // shown to people, and part of the step's id: an address, a version, a path
	Value any    // what the probe's own Subjects function wants to hand to its Run
}

// Result is what a probe returns for one subject.
type Result struct {
	Status      Status
	Summary     Note // key "step.<check>.<outcome>"
	Observation Observation
	Failure     *Failure
	Skipped     Note // with StatusSkipped: why
}

// Passed, Warned, Failed and Skipped make results.
func Passed(o Observation, summary Note) Result {
	return Result{Status: StatusPassed, Summary: summary, Observation: o}
}

// Warned is a result that works with a flaw.
func Warned(o Observation, summary Note) Result {
	return Result{Status: StatusWarned, Summary: summary, Observation: o}
}

// Failed is a result that did not work.
func Failed(o Observation, summary Note, f *Failure) Result {
	return Result{Status: StatusFailed, Summary: summary, Observation: o, Failure: f}
}

// Skipped is a result that was not measured, and why.
func Skipped(because Note) Result { return Result{Status: StatusSkipped, Skipped: because} }

// Decision is what Ready answers.
type Decision struct {
	kind    decisionKind
	until   time.Time
	because Note
}

type decisionKind int

const (
	decideWait decisionKind = iota
	decideRun
	decideSkip
)

// Run starts the check now.
func Run() Decision { return Decision{kind: decideRun} }

// Skip ends the check without running, and says why.
func Skip(because Note) Decision { return Decision{kind: decideSkip, because: because} }

// Wait asks again when the next step ends.
func Wait() Decision { return Decision{kind: decideWait} }

// WaitUntil asks again when the next step ends, or at that time.
func WaitUntil(t time.Time) Decision { return Decision{kind: decideWait, until: t} }

// Runs, Skips and Waits are for tests of Ready functions.
func (d Decision) Runs() bool { return d.kind == decideRun }

// Skips tells the reason for skipping, if it is skipped.
func (d Decision) Skips() (Note, bool) { return d.because, d.kind == decideSkip }

// Waits tells whether it waits, and until when at most (zero: for the next step).
func (d Decision) Waits() (time.Time, bool) { return d.until, d.kind == decideWait }
