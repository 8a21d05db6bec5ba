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
	// Unseen are the steps of checks that said something in one of the runs alone: not part of the other one, or skipped there.
	// What they saw may have been the same.
	Unseen []StepChange
	// Settings are the asked fields that differ, by their JSON path; a comparison of different targets says so first.
	Settings []FactChange
}

// FindingChange is a finding that one run has and the other has not, or has with another severity; nil: not there.
type FindingChange struct {
	Code          Code
	Before, After *Finding
	// Unseen tells that the run without it did not get to look: it may have been there all the same.
	Unseen bool
}

// StepChange is a step that came to another end; nil: that run did not have it. In a list of what is unseen it may also have
// been skipped.
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
	EvSysMemory, EvSysUtilization, EvBurstSent, EvBurstAcked, EvBurstReceived, EvBurstLate, EvKeptOutOfOrder, EvHTTPDate}

// volatileUnits are those of durations, of rates, and of what is left until a day that has a fact of its own.
var volatileUnits = []string{"ms", "per_s", "days"}

// What counts as another time: less than twice as much is noise, and so are a few tens of milliseconds, which a busy machine
// takes for itself.
const (
	timingFactor = 2
	timingLeast  = 50 * time.Millisecond
)

// Compare tells what the later run has otherwise than the earlier one.
func Compare(before, after Report) Comparison {
	var c Comparison
	saw, sees := checksThatRan(before), checksThatRan(after)
	c.findings(before, after, saw, sees)
	pairs := pairSteps(before.Steps, after.Steps)
	for _, p := range pairs {
		c.step(p[0], p[1], saw, sees)
	}
	c.settings(before.Target, after.Target)
	c.plans(before, after)
	if before.Names != after.Names { // what stands under other names may be the same
		hidden := func(f FactChange) bool { return hiddenValue(f.Before.Value) || hiddenValue(f.After.Value) }
		c.Facts, c.Settings = slices.DeleteFunc(c.Facts, hidden), slices.DeleteFunc(c.Settings, hidden)
	}
	return c
}

// hiddenName is what package mask puts in the place of values.
var hiddenName = regexp.MustCompile(`\b(host|address|user|topic)-[0-9a-f]{4}\b|\[hidden\]`)

func hiddenValue(value string) bool { return hiddenName.MatchString(value) }

// checksThatRan are those of which a step says something.
func checksThatRan(r Report) map[ProbeID]bool {
	out := map[ProbeID]bool{}
	for i := range r.Steps {
		if ran(&r.Steps[i]) {
			out[r.Steps[i].Check] = true
		}
	}
	return out
}

// Same tells whether nothing differs but times, in what both runs looked at.
func (c Comparison) Same() bool {
	seen := func(f FindingChange) bool { return !f.Unseen }
	return !slices.ContainsFunc(c.Findings, seen) && len(c.Steps) == 0 && len(c.Facts) == 0 && len(c.Settings) == 0
}

// findings compares what was concluded. A finding points to the step that shows it: where the other run has none of that check,
// it is nothing that came or went.
func (c *Comparison) findings(b, a Report, saw, sees map[ProbeID]bool) {
	before, after := b.Findings, a.Findings
	looked := func(f Finding, at map[ProbeID]bool) bool { return f.Step == "" || at[checkOfStep(f.Step)] }
	find := func(list []Finding, code Code) *Finding {
		if i := slices.IndexFunc(list, func(f Finding) bool { return f.Code == code }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	for i := range before {
		f := find(after, before[i].Code)
		if f == nil || f.Severity != before[i].Severity || f.Variant != before[i].Variant {
			c.Findings = append(c.Findings, FindingChange{before[i].Code, &before[i], f, f == nil && !looked(before[i], sees)})
		}
	}
	for i := range after {
		if find(before, after[i].Code) == nil {
			c.Findings = append(c.Findings, FindingChange{after[i].Code, nil, &after[i], !looked(after[i], saw)})
		}
	}
}

// checkOfStep is the check whose step has an id.
func checkOfStep(id string) ProbeID {
	check, _, _ := strings.Cut(id, "@")
	return ProbeID(check)
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

func (c *Comparison) step(b, a *Step, saw, sees map[ProbeID]bool) {
	switch {
	case !ran(b) && !ran(a):
		return
	case !ran(b):
		c.alone(StepChange{a.Check, b, a}, saw)
		return
	case !ran(a):
		c.alone(StepChange{b.Check, b, a}, sees)
		return
	}
	changed := b.Status != a.Status || b.Summary.Key != a.Summary.Key
	if changed {
		c.Steps = append(c.Steps, StepChange{b.Check, b, a})
	}
	was, offered := b.Observation.(*Capabilities)
	is, offers := a.Observation.(*Capabilities)
	if offered && offers {
		c.capabilities(b.Check, was, is)
	} else {
		c.facts(b, a, changed)
	}
	if b.Status == a.Status && arrived(a) && clearlyLonger(b.Duration, a.Duration) {
		c.Timings = append(c.Timings, TimingChange{b.Check, b.Duration, a.Duration})
	}
}

// arrived tells whether a step came where it was to come, so that its duration means something.
func arrived(s *Step) bool { return s != nil && (s.Status == StatusPassed || s.Status == StatusWarned) }

// clearlyLonger tells whether two durations differ beyond what differs from run to run.
func clearlyLonger(b, a time.Duration) bool {
	longer, shorter := max(a, b), min(a, b)
	return longer-shorter > timingLeast && longer > timingFactor*shorter
}

// StepTimes is how long a step took in two runs; negative: it did not arrive there.
type StepTimes struct {
	Check         ProbeID
	Subject       string // of the later run
	Before, After time.Duration
	Differs       bool // clearly
}

// CompareTimes lists the durations of all steps that arrived in one of the runs at least.
func CompareTimes(before, after Report) []StepTimes {
	var out []StepTimes
	for _, p := range pairSteps(before.Steps, after.Steps) {
		b, a := p[0], p[1]
		if !arrived(b) && !arrived(a) {
			continue
		}
		t := StepTimes{Before: -1, After: -1}
		for _, s := range p {
			if s != nil {
				t.Check, t.Subject = s.Check, s.Subject
			}
		}
		if arrived(b) {
			t.Before = b.Duration
		}
		if arrived(a) {
			t.After = a.Duration
		}
		t.Differs = arrived(b) && arrived(a) && clearlyLonger(b.Duration, a.Duration)
		out = append(out, t)
	}
	return out
}

// alone takes a step that says something in one run only. Where the other one made the same check on something else, such as
// another address, that is a change; else nothing is known.
func (c *Comparison) alone(s StepChange, other map[ProbeID]bool) {
	if other[s.Check] {
		c.Steps = append(c.Steps, s)
	} else {
		c.Unseen = append(c.Unseen, s)
	}
}

// facts compares what two steps saw. Where they came to another end, the word for it is said already.
func (c *Comparison) facts(b, a *Step, said bool) {
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
		if seen[e.Key] || slices.Contains(volatile, e.Key) || slices.Contains(volatileUnits, e.Unit) || said && e.Key == EvOutcome {
			continue
		}
		seen[e.Key] = true
		was, is := find(b.Evidence, e.Key), find(a.Evidence, e.Key)
		if was.Value != is.Value && !(ours(was.Value) && ours(is.Value)) {
			c.Facts = append(c.Facts, FactChange{string(b.Check), e.Key, was, is})
		}
	}
}

// capabilities compares what a broker offers row by row: what was measured with what was measured, and what was announced with
// what was announced.
func (c *Comparison) capabilities(check ProbeID, b, a *Capabilities) {
	for _, row := range b.Rows {
		now := a.Row(row.Name)
		if now == nil || !row.Differs(*now, b.Version == a.Version) {
			continue
		}
		f := FactChange{string(check), EvidenceKey("cap." + string(row.Name)), Evidence{Value: row.Measured}, Evidence{Value: now.Measured}}
		if row.Measured == now.Measured || row.Measured == "" || now.Measured == "" {
			f.Before.Value, f.After.Value = row.Announced, now.Announced
		}
		c.Facts = append(c.Facts, f)
	}
}

// Differs tells whether the broker offers something else, or says so. What one run did not measure may be the same; versions of
// MQTT announce in different ways.
func (c Capability) Differs(from Capability, sameVersion bool) bool {
	measured := c.Measured != from.Measured && c.Measured != "" && from.Measured != ""
	return measured || sameVersion && c.Announced != from.Announced
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
	add("target.nodes", strings.Join(b.Nodes, ", "), strings.Join(a.Nodes, ", "))
	add("target.password", given(b.Password.Given()), given(a.Password.Given()))
	add("target.tls.ca_pem", given(b.TLS.CAPEM != ""), given(a.TLS.CAPEM != ""))
	add("target.tls.cert_pem", given(b.TLS.CertPEM != ""), given(a.TLS.CertPEM != ""))
	add("target.tls.insecure", given(b.TLS.Insecure), given(a.TLS.Insecure))
}

// plans compares what the runs were asked to do: one that does more finds more.
func (c *Comparison) plans(b, a Report) {
	add := func(key, before, after string) {
		if before != after && before != "" && after != "" {
			c.Settings = append(c.Settings, FactChange{Key: EvidenceKey(key), Before: Evidence{Value: before}, After: Evidence{Value: after}})
		}
	}
	add("plan.depth", string(b.Plan.Depth), string(a.Plan.Depth))
	add("plan.symptom", string(b.Plan.Symptom), string(a.Plan.Symptom))
}
