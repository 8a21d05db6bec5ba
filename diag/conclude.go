package diag

import "slices"

// RuledOut is a look-alike of the root cause and the observation that excluded it.
type RuledOut struct {
	Code    Code `json:"code"`
	Because Note `json:"because"`
}

// Overall is the verdict of a whole run.
type Overall string

// The overall verdicts.
const (
	OverallHealthy      Overall = "healthy"
	OverallAttention    Overall = "attention"
	OverallBroken       Overall = "broken"
	OverallInconclusive Overall = "inconclusive"
)

// Overalls lists the verdicts, the best first.
var Overalls = []Overall{OverallHealthy, OverallAttention, OverallBroken, OverallInconclusive}

// Conclusion is what the rules make of a view.
type Conclusion struct {
	Verdict   Overall
	RootCause *Finding // points into Findings
	Findings  []Finding
	RuledOut  []RuledOut
}

// Conclude asks every rule, in causal order. It is pure: the same steps and rules yield the same conclusion.
func Conclude(v *View, rules []Rule) Conclusion {
	verdicts := map[Code]Verdict{}
	held := map[Code]bool{}
	for _, r := range rules {
		if !v.Over && slices.ContainsFunc(r.Awaits, func(id ProbeID) bool { return !v.Ended(id) }) {
			continue
		}
		verdict := r.When(v)
		verdicts[r.Code] = verdict
		held[r.Code] = verdict.holds
	}
	hidden, causedBy := relations(rules, verdicts)
	var c Conclusion
	for _, r := range rules {
		if !held[r.Code] || hidden[r.Code] {
			continue
		}
		f := verdicts[r.Code].finding
		f.hides, f.causes = nil, nil
		f.Code, f.Layer, f.CausedBy = r.Code, r.Code.Layer(), causedBy[r.Code]
		if f.Severity == "" {
			f.Severity = r.Severity
		}
		if f.Confidence == "" {
			f.Confidence = Certain
		}
		c.Findings = append(c.Findings, f)
	}
	for _, severity := range []Severity{SeverityCritical, SeverityWarning} {
		for i := range c.Findings {
			if c.RootCause == nil && c.Findings[i].Severity == severity && c.Findings[i].CausedBy == "" {
				c.RootCause = &c.Findings[i]
			}
		}
	}
	if c.RootCause != nil {
		i := slices.IndexFunc(rules, func(r Rule) bool { return r.Code == c.RootCause.Code })
		for _, code := range rules[i].LookAlikes {
			if verdict, asked := verdicts[code]; asked && !verdict.holds && !verdict.because.IsZero() {
				c.RuledOut = append(c.RuledOut, RuledOut{Code: code, Because: verdict.because})
			}
		}
	}
	c.Verdict = overall(v, c)
	return c
}

// relations works out which held causes are hidden by another held one, and which follow from another.
func relations(rules []Rule, verdicts map[Code]Verdict) (hidden map[Code]bool, causedBy map[Code]Code) {
	hidden, causedBy = map[Code]bool{}, map[Code]Code{}
	for _, r := range rules {
		if !verdicts[r.Code].holds || hidden[r.Code] {
			continue
		}
		for _, code := range slices.Concat(r.Hides, verdicts[r.Code].finding.hides) {
			hidden[code] = true
		}
		for _, code := range slices.Concat(r.Causes, verdicts[r.Code].finding.causes) {
			if _, known := causedBy[code]; !known && verdicts[code].holds {
				causedBy[code] = r.Code
			}
		}
	}
	return hidden, causedBy
}

// overall is healthy only where the connection was seen to work: silence of the rules alone proves nothing.
func overall(v *View, c Conclusion) Overall {
	worst := SeverityInfo
	for _, f := range c.Findings {
		if f.Severity == SeverityCritical || (f.Severity == SeverityWarning && worst == SeverityInfo) {
			worst = f.Severity
		}
	}
	connected := slices.ContainsFunc(Seen[*MQTTConnect](v), func(s Sight[*MQTTConnect]) bool { return s.Seen.Accepted() })
	switch {
	case worst == SeverityCritical:
		return OverallBroken
	case worst == SeverityWarning && !connected && worksElsewhere(v):
		return OverallAttention
	case !connected || unexplained(v, c) || !exchanged(v, c):
		return OverallInconclusive
	case worst == SeverityWarning:
		return OverallAttention
	}
	return OverallHealthy
}

// worksElsewhere tells whether the asked CONNECT was accepted at another address of the name.
func worksElsewhere(v *View) bool {
	return slices.ContainsFunc(Seen[*Attempt](v), func(s Sight[*Attempt]) bool { return s.Seen.Purpose == PurposeOtherAddress && s.Seen.Accepted() })
}

// unexplained tells whether a step failed in a layer of which no finding speaks: something is wrong, and we do not know what.
// An address that cannot be reached beside one that can is judged by the rules alone: it may be this machine that has no IPv6.
func unexplained(v *View, c Conclusion) bool {
	return slices.ContainsFunc(v.Steps, func(s Step) bool {
		_, address := s.Observation.(*TCPConnect)
		return s.Status == StatusFailed && !address && !slices.ContainsFunc(c.Findings, func(f Finding) bool { return f.Layer == s.Layer })
	})
}

// exchanged tells whether a message was seen to go through, where the run tried; or a finding says why none could.
func exchanged(v *View, c Conclusion) bool {
	tried := slices.ContainsFunc(v.Steps, func(s Step) bool {
		_, pure := s.Observation.(*FilterMatch)
		return s.Layer == LayerMsg && !pure
	})
	delivered := slices.ContainsFunc(Seen[*Delivery](v), func(s Sight[*Delivery]) bool { return s.Seen.Delivered })
	return !tried || delivered || granted(v) || slices.ContainsFunc(c.Findings, func(f Finding) bool { return f.Layer == LayerMsg })
}

// granted tells whether the broker took everything that the user named: each filter granted, each message acknowledged that no
// subscription awaits. A client that may only read, or only write, is then as well as it can be seen to be.
func granted(v *View) bool {
	named := false
	for _, s := range Seen[*Subscription](v) {
		if s.Seen.Scratch {
			continue
		}
		if _, ok := s.Seen.Granted(); !ok {
			return false
		}
		named = true
	}
	for _, s := range Seen[*Delivery](v) {
		switch {
		case s.Seen.Scratch:
			continue
		case s.Seen.Published == OutcomeOK && !s.Seen.Expected && vouched(v): // QoS 0 has no answer of its own
		case s.Seen.Published != OutcomeOK || s.Seen.QoS == 0 || s.Seen.Expected:
			return false // refused, not answered, or lost
		}
		named = true
	}
	return named
}

// vouched tells whether the broker acknowledged a message on the user's topic in MQTT 5, where it could have declined it.
func vouched(v *View) bool {
	return slices.ContainsFunc(Seen[*AccessCheck](v), func(s Sight[*AccessCheck]) bool { return s.Seen.Own.Outcome == OutcomeOK })
}
