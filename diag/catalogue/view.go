package catalogue

import (
	"time"

	"mqttdoctor/diag"
)

// Lang is a language of the texts.
type Lang string

// The languages, each complete.
const (
	English Lang = "en"
	Chinese Lang = "zh" // 简体中文
)

// ReportView is a report in the reader's language: what the API returns and what every page and export shows. Its JSON is
// the report of the interface (schema mqttdoctor.report/1).
type ReportView struct {
	Schema       string               `json:"schema"`
	ID           string               `json:"id"`
	State        diag.State           `json:"state"`
	CreatedAt    time.Time            `json:"created_at"`
	FinishedAt   *time.Time           `json:"finished_at"`
	ImportedAt   *time.Time           `json:"imported_at,omitempty"` // it was made elsewhere and came as a file
	ExpiresAt    time.Time            `json:"expires_at"`
	DurationMS   float64              `json:"duration_ms"`
	Lang         Lang                 `json:"lang"`
	Verdict      diag.Overall         `json:"verdict,omitempty"`
	Summary      string               `json:"summary"`
	RootCause    *FindingView         `json:"root_cause"`
	Findings     []FindingView        `json:"findings"`
	RuledOut     []RuledOutView       `json:"ruled_out"`
	Steps        []StepView           `json:"steps"`
	Target       diag.TargetInput     `json:"target"`
	Plan         PlanView             `json:"plan"`
	Vantage      diag.Vantage         `json:"vantage"`
	Measurements map[string]TableView `json:"measurements"` // for plots, by name
	// Advice are settings for the client; absent where the connection does not work.
	Advice      *AdviceView        `json:"advice,omitempty"`
	Connections int                `json:"connections"`
	Sent        []diag.SentMessage `json:"sent"`
	// Hidden is what the owner keeps from this reader.
	Hidden []diag.Hide `json:"hidden,omitempty"`
}

// PlanView is a plan as it was carried out.
type PlanView struct {
	diag.PlanOptions
	TimeoutS float64        `json:"timeout_s"`
	WatchS   int            `json:"watch_s"`
	Checks   []diag.ProbeID `json:"checks"`
}

// FindingView is a finding in words.
type FindingView struct {
	Code        diag.Code        `json:"code"`
	Layer       diag.Layer       `json:"layer"`
	Severity    diag.Severity    `json:"severity"`
	Confidence  diag.Confidence  `json:"confidence"`
	Title       string           `json:"title"`
	Explanation string           `json:"explanation"`
	ToldApartBy string           `json:"told_apart_by"`
	Step        string           `json:"step"`
	Evidence    []EvidenceView   `json:"evidence"`
	Fixes       []FixView        `json:"fixes"`
	Suggestion  *diag.Suggestion `json:"suggestion"`
	CausedBy    *diag.Code       `json:"caused_by"`
	// Readings are causes that remain possible; Decide are commands that would tell, filled in for this target.
	Readings []diag.Code `json:"readings,omitempty"`
	Decide   []FixView   `json:"decide,omitempty"`
	Sources  []string    `json:"sources,omitempty"`
}

// FixView is advice for one kind of broker or reader ("any", "mosquitto", "linux", …).
type FixView struct {
	For      string   `json:"for"`
	Text     string   `json:"text"`
	Commands []string `json:"commands"`
}

// EvidenceView is a fact with its label.
type EvidenceView struct {
	Key   diag.EvidenceKey `json:"key"`
	Value string           `json:"value"`
	Unit  string           `json:"unit"`
	Text  string           `json:"text"` // value and unit in the reader's words
	Label string           `json:"label"`
	Help  string           `json:"help,omitempty"`
}

// RuledOutView is a look-alike and the observation that excluded it.
type RuledOutView struct {
	Code    diag.Code `json:"code"`
	Title   string    `json:"title"`
	Because string    `json:"because"`
}

// StepView is a step in words.
type StepView struct {
	ID             string         `json:"id"`
	Check          diag.ProbeID   `json:"check"`
	Title          string         `json:"title"` // the check's name
	Layer          diag.Layer     `json:"layer"`
	Subject        string         `json:"subject"`
	Status         diag.Status    `json:"status"`
	StartedAt      time.Time      `json:"started_at"`
	DurationMS     float64        `json:"duration_ms"`
	Summary        string         `json:"summary"`
	Evidence       []EvidenceView `json:"evidence"`
	SkippedBecause string         `json:"skipped_because,omitempty"`
	Failure        *diag.Failure  `json:"failure,omitempty"`
	// Certificates are what a TLS handshake was served, leaf first.
	Certificates []CertificateView `json:"certificates,omitempty"`
}

// EventView is an event of the stream in words.
type EventView struct {
	Seq       int            `json:"seq"`
	Type      diag.EventType `json:"type"`
	At        time.Time      `json:"at"`
	Step      *StepView      `json:"step,omitempty"`
	Done      int            `json:"done,omitempty"`
	Total     int            `json:"total,omitempty"`
	Unit      string         `json:"unit,omitempty"`
	Finding   *FindingView   `json:"finding,omitempty"`
	Withdrawn bool           `json:"withdrawn,omitempty"`
	Report    *ReportView    `json:"report,omitempty"`
}
