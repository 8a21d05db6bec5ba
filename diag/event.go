package diag

import "time"

// EventType is the type of an event in a run's stream.
type EventType string

// The event types.
const (
	EventRunStarted   EventType = "run.started"
	EventStepStarted  EventType = "step.started"
	EventStepProgress EventType = "step.progress"
	EventStepFinished EventType = "step.finished"
	EventFinding      EventType = "finding"
	EventRunFinished  EventType = "run.finished"
)

// Event is one thing that happened in a run. Events of a run are numbered from 1 without gaps.
type Event struct {
	Seq  int       `json:"seq"`
	Type EventType `json:"type"`
	At   time.Time `json:"at"`
	// Step is set for step events.
	Step *Step `json:"step,omitempty"`
	// Done, Total and Unit are set for step.progress.
	Done  int    `json:"done,omitempty"`
	Total int    `json:"total,omitempty"`
	Unit  string `json:"unit,omitempty"`
	// Finding is set for finding events. Withdrawn tells that later observations overturned it.
	Finding   *Finding `json:"finding,omitempty"`
	Withdrawn bool     `json:"withdrawn,omitempty"`
	// Report is set for run.started (the plan; no steps yet) and run.finished (all of it).
	Report *Report `json:"report,omitempty"`
}
