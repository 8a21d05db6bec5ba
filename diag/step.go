package diag

import (
	"encoding/json"
	"fmt"
	"time"
)

// Status is what became of a step. The zero value is invalid on purpose: nothing is passed by default.
type Status string

// The statuses of a step. Running appears only while a run is live.
const (
	StatusRunning  Status = "running"
	StatusPassed   Status = "passed"
	StatusWarned   Status = "warned"
	StatusFailed   Status = "failed"
	StatusSkipped  Status = "skipped"
	StatusCanceled Status = "canceled"
)

// Step is the result of one check on one subject. It carries no sentence: Summary and SkippedBecause are notes, and
// Observation is what the rules read, now or years later.
type Step struct {
	ID             string        `json:"id"` // unique in the run: the check's id, with "@subject" where there are several
	Check          ProbeID       `json:"check"`
	Layer          Layer         `json:"layer"`
	Subject        string        `json:"subject"` // one address, one listener, one version; empty: the target as such
	Status         Status        `json:"status"`
	StartedAt      time.Time     `json:"started_at"`
	Duration       time.Duration `json:"duration"`
	Summary        Note          `json:"summary"`
	Evidence       []Evidence    `json:"evidence,omitempty"`
	SkippedBecause *Note         `json:"skipped_because,omitempty"`
	Failure        *Failure      `json:"failure,omitempty"`
	Observation    Observation   `json:"-"`
}

// Failure is what went wrong in an operation: codes from closed lists and the original text, as evidence.
type Failure struct {
	Op   string `json:"op"`   // such as "tcp.connect", "tls.handshake"
	Code string `json:"code"` // such as "timeout", "refused"
	Text string `json:"text"` // the library's own words
}

// Evidence is one observed fact.
type Evidence struct {
	Key   EvidenceKey `json:"key"`
	Value string      `json:"value"`
	Unit  string      `json:"unit,omitempty"` // "ms", "bytes", "s", "days"; empty for a word or a count
}

// EvidenceKey names a fact. The keys are the constants of evidence.go; each has a label in the catalogue.
type EvidenceKey string

// Observation is what a probe saw: a plain struct of facts, which can list itself for people.
type Observation interface {
	// Kind is the type's name in stored runs.
	Kind() string
	// Facts lists what was seen, the most telling first, without anything that was not observed.
	Facts() []Evidence
}

// observationKinds makes empty observations by kind, to read stored runs.
var observationKinds = map[string]func() Observation{}

// register adds an observation type to the stored format; each observe_*.go does so for its own.
func register[T Observation](make func() T) {
	kind := make().Kind()
	if _, taken := observationKinds[kind]; taken {
		panic("diag: two observations of kind " + kind)
	}
	observationKinds[kind] = func() Observation { return make() }
}

type stepJSON Step // drops the methods, so that the codec below does not call itself

type storedStep struct {
	stepJSON
	ObservationKind string          `json:"observation_kind,omitempty"`
	ObservationData json.RawMessage `json:"observation,omitempty"`
}

// MarshalJSON writes the step with its observation, so that a stored run can be concluded again by better rules.
func (s Step) MarshalJSON() ([]byte, error) {
	out := storedStep{stepJSON: stepJSON(s)}
	if s.Observation != nil {
		data, err := json.Marshal(s.Observation)
		if err != nil {
			return nil, fmt.Errorf("storing observation of %s: %w", s.ID, err)
		}
		out.ObservationKind, out.ObservationData = s.Observation.Kind(), data
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote. An observation of a kind that this version does not know is left out.
func (s *Step) UnmarshalJSON(data []byte) error {
	var in storedStep
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*s = Step(in.stepJSON)
	if newObservation, known := observationKinds[in.ObservationKind]; known {
		o := newObservation()
		if err := json.Unmarshal(in.ObservationData, o); err != nil {
			return fmt.Errorf("reading observation of %s: %w", s.ID, err)
		}
		s.Observation = o
	}
	return nil
}
