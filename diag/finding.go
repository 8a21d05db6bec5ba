package diag

// Code names a cause of the catalogue, such as "tls.cert_expired". A code is a promise: it never changes its meaning.
type Code string

// Severity is what a finding means for the reader.
type Severity string

// The severities.
const (
	SeverityInfo     Severity = "info"     // worth knowing; nothing to repair
	SeverityWarning  Severity = "warning"  // it works, with harm or risk
	SeverityCritical Severity = "critical" // what was asked for does not work
)

// Confidence says how far the evidence carries.
type Confidence string

// The confidences.
const (
	Certain  Confidence = "certain"  // the deciding observation was made
	Likely   Confidence = "likely"   // the observations fit this cause better than any other
	Possible Confidence = "possible" // they fit several causes; the finding says which, and what would decide
)

// Finding is a cause with its evidence in one run. It carries no sentence; the catalogue words it.
type Finding struct {
	Code       Code       `json:"code"`
	Layer      Layer      `json:"layer"`
	Severity   Severity   `json:"severity"`
	Confidence Confidence `json:"confidence"`
	Step       string     `json:"step"` // id of the step that shows it best
	Evidence   []Evidence `json:"evidence,omitempty"`
	Args       Args       `json:"args,omitempty"` // facts for the catalogue's texts
	// Variant picks a more fitting text of the same cause, such as "port_alive"; empty: the plain one.
	Variant    string      `json:"variant,omitempty"`
	Suggestion *Suggestion `json:"suggestion,omitempty"`
	CausedBy   Code        `json:"caused_by,omitempty"`
	// Readings are the causes that remain possible where nothing observable decides.
	Readings []Code `json:"readings,omitempty"`

	hides  []Code
	causes []Code
}

// Hiding returns the finding with further causes that are nothing but this one seen from elsewhere; they add to what the
// rule hides always.
func (f Finding) Hiding(codes ...Code) Finding {
	f.hides = append(f.hides, codes...)
	return f
}

// Causing returns the finding with further faults that follow from it here; they add to what the rule causes always.
func (f Finding) Causing(codes ...Code) Finding {
	f.causes = append(f.causes, codes...)
	return f
}

// Suggestion is a change to the target that was tried and works, as a JSON merge patch (RFC 7396) of the target's input.
type Suggestion struct {
	URL       string            `json:"url,omitempty"`
	Protocol  Version           `json:"protocol,omitempty"`
	ClientID  *string           `json:"client_id,omitempty"`
	KeepAlive *int              `json:"keepalive_s,omitempty"`
	TLS       *TLSSuggestion    `json:"tls,omitempty"`
	WS        *WSSuggestion     `json:"ws,omitempty"`
	Topics    *TopicsSuggestion `json:"topics,omitempty"`
}

// TLSSuggestion is the tls part of a [Suggestion].
type TLSSuggestion struct {
	ServerName string   `json:"server_name,omitempty"`
	ALPN       []string `json:"alpn,omitempty"`
	// CAPEM nil: as it is; empty: none, trust the system's.
	CAPEM *string `json:"ca_pem,omitempty"`
}

// WSSuggestion is the ws part of a [Suggestion].
type WSSuggestion struct {
	Path   string  `json:"path,omitempty"`
	Origin *string `json:"origin,omitempty"`
}

// TopicsSuggestion is the topics part of a [Suggestion].
type TopicsSuggestion struct {
	Publish   string   `json:"publish,omitempty"`
	Subscribe []string `json:"subscribe,omitempty"`
	QoS       *int     `json:"qos,omitempty"`
}

// Rule concludes one cause from observations. Rules stand in causal order.
type Rule struct {
	Code     Code
	Severity Severity // where the verdict does not say otherwise
	// Sources are specification sections and the like that the rule follows.
	Sources []string
	// Awaits are the checks whose result could still change the verdict: the rule is not asked before they have ended.
	Awaits []ProbeID
	// OverturnedBy are the causes that may still take this one's place once it has been told: it is told at once, and nobody waits
	// for what shows them. What is told stays otherwise; so keep this short.
	OverturnedBy []Code
	// LookAlikes are the causes that a reader could mistake this one for; where this is the root cause, the report says
	// for each which observation excluded it.
	LookAlikes []Code
	// Hides are causes that are nothing but this one seen from elsewhere: they are not listed beside it.
	Hides []Code
	// MayHide are causes that its findings hide or cause only where the circumstances are such ([Finding.Hiding], [Finding.Causing]).
	MayHide []Code
	// Causes are faults of their own that follow from this one: they are listed with caused_by.
	Causes []Code
	// When is pure.
	When func(*View) Verdict
}

// Layer is the part of the code before the dot.
func (c Code) Layer() Layer {
	for i := range c {
		if c[i] == '.' {
			return Layer(c[:i])
		}
	}
	return ""
}

// Verdict is what a rule says of the observations.
type Verdict struct {
	holds   bool
	finding Finding
	because Note
}

// Holds concludes the cause. Code, Layer and (where empty) Severity are filled in from the rule; an empty Confidence
// means certain.
func Holds(f Finding) Verdict { return Verdict{holds: true, finding: f} }

// Excluded tells the observation that excludes the cause; its text is in the catalogue under "because.".
func Excluded(because Note) Verdict { return Verdict{because: because} }

// Open says that nothing seen speaks for the cause, and nothing excludes it.
func Open() Verdict { return Verdict{} }

// Concluded tells whether the cause was concluded, and the finding.
func (v Verdict) Concluded() (Finding, bool) { return v.finding, v.holds }

// Because is the excluding observation; zero where the verdict is open or holds.
func (v Verdict) Because() Note { return v.because }
