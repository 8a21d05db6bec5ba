package diag

import (
	"strings"
	"time"
)

// Schema is the version of the stored and published report.
const Schema = "mqttdoctor.report/1"

// State is where a run is in its life.
type State string

// The states of a run.
const (
	StateRunning     State = "running"
	StateFinished    State = "finished"
	StateCanceled    State = "canceled"    // by a user
	StateInterrupted State = "interrupted" // by the end of the server, or its crash
)

// Report is everything a run knew, in no language: what is stored, and from which every page and export is rendered.
type Report struct {
	Schema     string        `json:"schema"`
	ID         string        `json:"id"`
	State      State         `json:"state"`
	CreatedAt  time.Time     `json:"created_at"`
	FinishedAt time.Time     `json:"finished_at,omitzero"`
	ExpiresAt  time.Time     `json:"expires_at"`
	Duration   time.Duration `json:"duration"`
	Lang       string        `json:"lang"` // in which it was asked for

	Verdict   Overall    `json:"verdict,omitempty"` // empty while running
	RootCause *Finding   `json:"root_cause,omitempty"`
	Findings  []Finding  `json:"findings,omitempty"`
	RuledOut  []RuledOut `json:"ruled_out,omitempty"`
	Steps     []Step     `json:"steps,omitempty"`

	Target      TargetInput `json:"target"` // as given; secrets are marshalled as given flags
	Plan        PlanOptions `json:"plan"`
	TimeoutS    float64     `json:"timeout_s"`
	WatchS      int         `json:"watch_s"`
	Checks      []ProbeID   `json:"checks"`
	Vantage     Vantage     `json:"vantage"`
	Connections int         `json:"connections"` // how many were opened to the target and its resolvers
	// ImportedAt is when the report came from another server, as a file; zero: it was made here.
	ImportedAt time.Time `json:"imported_at,omitzero"`
	// Sent are the test messages that went to the user's own topics.
	Sent []SentMessage `json:"sent,omitempty"`
	// Hidden is what was hidden from this reader; empty: nothing. It is not stored.
	Hidden []Hide `json:"hidden,omitempty"`
	// PreviewHost tells that what messengers show of the link may name the host. It is neither stored nor shown with the report.
	PreviewHost bool `json:"-"`
	// Names tells which names stand for what is hidden: the same in all reports of one owner. It is neither stored nor shown.
	Names string `json:"-"`
}

// Vantage is where the probes ran.
type Vantage struct {
	Name    string `json:"name"`
	OS      string `json:"os"`
	Version string `json:"version"` // of mqttdoctor
}

// SentMessage is a test message, or so many alike, that was published to a topic of the user's.
type SentMessage struct {
	Topic string `json:"topic"`
	QoS   byte   `json:"qos"`
	Bytes int    `json:"bytes"`           // of each payload
	Count int    `json:"count,omitempty"` // 0: one
}

// CountSent adds up how many messages went to the user's topics.
func CountSent(sent []SentMessage) int {
	n := 0
	for _, m := range sent {
		n += max(1, m.Count)
	}
	return n
}

// Public is the target as it may be shown and stored: as parsed, with a canonical URL and no user information in it.
func (t Target) Public() TargetInput {
	keepalive, clean, qos := int(t.KeepAlive/time.Second), t.CleanStart, int(t.Topics.QoS)
	return TargetInput{
		URL: t.URL(), Protocol: string(t.Protocol), ClientID: t.ClientID, Username: t.Username, Password: t.Password,
		KeepaliveS: &keepalive, CleanStart: &clean, SessionExpiryS: int(t.SessionExpiry / time.Second),
		TLS: TLSInput{CAPEM: t.TLS.CAPEM, CertPEM: t.TLS.CertPEM, KeyPEM: t.TLS.KeyPEM,
			ServerName: t.TLS.ServerName, ALPN: t.TLS.ALPN, Insecure: t.TLS.Insecure},
		WS:     WSInput{Path: t.WS.Path, Query: t.WS.Query, Origin: t.WS.Origin, Headers: t.WS.Headers},
		Topics: TopicsInput{Publish: t.Topics.Publish, Subscribe: t.Topics.Subscribe, QoS: &qos},
		Nodes:  t.Nodes, BridgeURL: t.BridgeURL,
	}
}

// Received is the target of a report that came as a file, which anybody may have written: as Public would have made it, with
// nothing in a place that is shown which belongs to the secrets.
func (in TargetInput) Received() (TargetInput, error) {
	t, err := ParseTarget(TargetInput{URL: in.URL})
	if err != nil {
		return in, err
	}
	in.URL = t.URL()
	in.WS.Path, _, _ = strings.Cut(in.WS.Path, "?")
	for _, text := range []*string{&in.TLS.CAPEM, &in.TLS.CertPEM} {
		*text, _ = certificatesIn(*text)
	}
	in.Password, in.TLS.KeyPEM, in.WS.Query = in.Password.Forgotten(), in.TLS.KeyPEM.Forgotten(), in.WS.Query.Forgotten()
	headers := map[string]Secret{}
	for name, value := range in.WS.Headers {
		headers[name] = value.Forgotten()
	}
	in.WS.Headers = headers
	return in, nil
}

// WithoutSecrets returns the input with every secret removed, to be kept in memory beside a finished run.
func (in TargetInput) WithoutSecrets() TargetInput {
	in.Password, in.TLS.KeyPEM, in.WS.Query = Secret{}, Secret{}, Secret{}
	in.WS.Headers = nil
	return in
}

// Report makes the report of the moment from a view; id, expiry and language are the caller's.
func (c Conclusion) fill(r *Report) {
	r.Verdict, r.RootCause, r.Findings, r.RuledOut = c.Verdict, c.RootCause, c.Findings, c.RuledOut
}
