package diag

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// Comparison is what differs between two runs, for "it worked yesterday" and "it works here, not there".
type Comparison struct {
	Findings []FindingChange
	Steps    []StepChange
	Facts    []FactChange
	Timings  []TimingChange
	// Settings are the asked fields that differ, by their JSON path; a comparison of different targets says so first.
	Settings []FactChange
}

// FindingChange is a finding that one run has and the other has not, or has with another severity; nil: not there.
type FindingChange struct {
	Code          Code
	Before, After *Finding
}

// StepChange is a step that came to another end; nil: that run did not have it.
type StepChange struct {
	Check         ProbeID
	Before, After *Step
}

// FactChange is an observed fact, or a setting, with another value; empty: not there.
type FactChange struct {
	Step          string // the check; empty for settings
	Key           EvidenceKey
	Before, After Evidence
}

// TimingChange is a step of the asked way that took clearly longer or shorter.
type TimingChange struct {
	Check         ProbeID
	Before, After time.Duration
}

// volatile are facts that differ from run to run whatever happens: times, ids, and the bytes that hold them.
var volatile = []EvidenceKey{EvDuration, EvWaited, EvRTT, EvClientID, EvConnack, EvFirstBytes, EvDNSTTL, EvErrno, EvError, EvAssignedClientID,
	EvEchoSent, EvEchoAnswered, EvSeriesTries, EvSentAgain, EvAddress, EvTracePath, EvSizeTries, EvSizeConnections, EvFastest, EvSlowest,
	EvSysUptime, EvSysConnected, EvSysConnectedMost, EvSysSessions, EvSysSubscriptions, EvSysRetained, EvSysStored, EvSysDropped, EvSysDroppedRise,
	EvSysMemory, EvSysUtilization}

// What counts as another time: a fifth of it is noise, and so are a few milliseconds.
const (
	timingFactor = 2
	timingLeast  = 20 * time.Millisecond
)

// Compare tells what the later run has otherwise than the earlier one.
func Compare(before, after Report) Comparison {
	var c Comparison
	c.findings(before.Findings, after.Findings)
	pairs := pairSteps(before.Steps, after.Steps)
	for _, p := range pairs {
		c.step(p[0], p[1])
	}
	c.settings(before.Target, after.Target)
	if before.Names != after.Names { // what stands under other names may be the same
		hidden := func(f FactChange) bool { return hiddenValue(f.Before.Value) || hiddenValue(f.After.Value) }
		c.Facts, c.Settings = slices.DeleteFunc(c.Facts, hidden), slices.DeleteFunc(c.Settings, hidden)
	}
	return c
}

// hiddenName is what package mask puts in the place of values.
var hiddenName = regexp.MustCompile(`\b(host|address|user|topic)-[0-9a-f]{4}\b|\[hidden\]`)

func hiddenValue(value string) bool { return hiddenName.MatchString(value) }

// Same tells whether nothing differs but times.
func (c Comparison) Same() bool {
	return len(c.Findings) == 0 && len(c.Steps) == 0 && len(c.Facts) == 0 && len(c.Settings) == 0
}

func (c *Comparison) findings(before, after []Finding) {
	find := func(list []Finding, code Code) *Finding {
		if i := slices.IndexFunc(list, func(f Finding) bool { return f.Code == code }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	for i := range before {
		f := find(after, before[i].Code)
		if f == nil || f.Severity != before[i].Severity || f.Variant != before[i].Variant {
			c.Findings = append(c.Findings, FindingChange{before[i].Code, &before[i], f})
		}
	}
	for i := range after {
		if find(before, after[i].Code) == nil {
			c.Findings = append(c.Findings, FindingChange{after[i].Code, nil, &after[i]})
		}
	}
}

// pairSteps puts the same steps side by side: by check and subject, and where a check has one step in each run by the check
// alone, since an address may be another one today.
func pairSteps(before, after []Step) [][2]*Step {
	var out [][2]*Step
	taken := map[string]bool{}
	count := func(list []Step, check ProbeID) (n int, last *Step) {
		for i := range list {
			if list[i].Check == check {
				n, last = n+1, &list[i]
			}
		}
		return n, last
	}
	for i := range before {
		b := &before[i]
		j := slices.IndexFunc(after, func(s Step) bool { return s.Check == b.Check && s.Subject == b.Subject })
		var a *Step
		if j >= 0 {
			a = &after[j]
		} else if mine, _ := count(before, b.Check); mine == 1 {
			if theirs, one := count(after, b.Check); theirs == 1 {
				a = one
			}
		}
		if a != nil {
			taken[a.ID] = true
		}
		out = append(out, [2]*Step{b, a})
	}
	for i := range after {
		if !taken[after[i].ID] {
			out = append(out, [2]*Step{nil, &after[i]})
		}
	}
	return out
}

// ran tells whether a step says something: one that was skipped says as much as one that is not there.
func ran(s *Step) bool { return s != nil && s.Status != StatusSkipped && s.Status != StatusCanceled }

func (c *Comparison) step(b, a *Step) {
	switch {
	case !ran(b) && !ran(a):
		return
	case !ran(b):
		c.Steps = append(c.Steps, StepChange{a.Check, nil, a})
		return
	case !ran(a):
		c.Steps = append(c.Steps, StepChange{b.Check, b, nil})
		return
	}
	if b.Status != a.Status || b.Summary.Key != a.Summary.Key {
		c.Steps = append(c.Steps, StepChange{b.Check, b, a})
	}
	c.facts(b, a)
	if longer, shorter := max(a.Duration, b.Duration), min(a.Duration, b.Duration); longer-shorter > timingLeast && longer > timingFactor*shorter &&
		b.Status == a.Status && (b.Status == StatusPassed || b.Status == StatusWarned) {
		c.Timings = append(c.Timings, TimingChange{b.Check, b.Duration, a.Duration})
	}
}

func (c *Comparison) facts(b, a *Step) {
	find := func(list []Evidence, key EvidenceKey) Evidence {
		for _, e := range list {
			if e.Key == key {
				return e
			}
		}
		return Evidence{}
	}
	seen := map[EvidenceKey]bool{}
	for _, e := range slices.Concat(b.Evidence, a.Evidence) {
		if seen[e.Key] || slices.Contains(volatile, e.Key) || e.Unit == "ms" {
			continue
		}
		seen[e.Key] = true
		was, is := find(b.Evidence, e.Key), find(a.Evidence, e.Key)
		if was.Value != is.Value && !(ours(was.Value) && ours(is.Value)) {
			c.Facts = append(c.Facts, FactChange{string(b.Check), e.Key, was, is})
		}
	}
}

// ours tells a value that names one run, such as a scratch topic.
func ours(value string) bool { return strings.HasPrefix(value, "mqttdoctor") }

func (c *Comparison) settings(b, a TargetInput) {
	add := func(key, before, after string) {
		if before != after {
			c.Settings = append(c.Settings, FactChange{Key: EvidenceKey(key), Before: Evidence{Value: before}, After: Evidence{Value: after}})
		}
	}
	add("target.url", b.URL, a.URL)
	add("target.protocol", b.Protocol, a.Protocol)
	add("target.client_id", b.ClientID, a.ClientID)
	add("target.username", b.Username, a.Username)
	add("target.tls.server_name", b.TLS.ServerName, a.TLS.ServerName)
	add("target.tls.alpn", strings.Join(b.TLS.ALPN, ", "), strings.Join(a.TLS.ALPN, ", "))
	add("target.ws.origin", b.WS.Origin, a.WS.Origin)
	add("target.topics.publish", b.Topics.Publish, a.Topics.Publish)
	add("target.topics.subscribe", strings.Join(b.Topics.Subscribe, ", "), strings.Join(a.Topics.Subscribe, ", "))
	given := func(v bool) string {
		if v {
			return "yes"
		}
		return "no"
	}
	add("target.password", given(b.Password.Given()), given(a.Password.Given()))
	add("target.tls.ca_pem", given(b.TLS.CAPEM != ""), given(a.TLS.CAPEM != ""))
	add("target.tls.cert_pem", given(b.TLS.CertPEM != ""), given(a.TLS.CertPEM != ""))
	add("target.tls.insecure", given(b.TLS.Insecure), given(a.TLS.Insecure))
}
