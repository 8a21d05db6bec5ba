package rule

import (
	"slices"

	"mqttdoctor/diag"
)

// All lists every rule in causal order: the layers' order, and inside a layer the cause that explains another first.
var All = patient(dnsRules, netRules, tcpRules, tlsRules, wsRules, mqttRules, msgRules, limitRules, trafficRules, awayRules, brokerRules)

// patient lets every rule wait for what the rules await that hide or cause it, and for what those wait for in their turn: whoever
// has read a finding is not to see it go. What a rule names as overturning it, it does not wait for.
func patient(lists ...[]diag.Rule) []diag.Rule {
	rules := slices.Concat(lists...)
	for changed := true; changed; {
		changed = false
		for i := range rules {
			awaits := slices.Clone(rules[i].Awaits)
			for _, r := range rules {
				if over := slices.Concat(r.Hides, r.MayHide, r.Causes); slices.Contains(over, rules[i].Code) && !slices.Contains(rules[i].OverturnedBy, r.Code) {
					awaits = append(awaits, r.Awaits...)
				}
			}
			slices.Sort(awaits)
			if awaits = slices.Compact(awaits); len(awaits) != len(rules[i].Awaits) {
				rules[i].Awaits, changed = awaits, true
			}
		}
	}
	return rules
}
