package rule_test

import (
	"slices"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/rule"
)

// pair is a cause and one that it could be mistaken for.
type pair struct{ cause, mistaken diag.Code }

// TestEveryLookAlikeIsToldApart keeps the tables whole. Each cause has a recorded run in which it is concluded, and for each of
// its look-alikes there is one whose observations exclude the other cause, show that it is nothing but this one seen from
// elsewhere, or leave it among the readings that remain.
func TestEveryLookAlikeIsToldApart(t *testing.T) {
	t.Parallel()
	views := rule.RecordedRuns()
	for _, c := range tlsRuleCases {
		views = append(views, c.view(t))
	}
	rules := map[diag.Code]diag.Rule{}
	for _, r := range rule.All {
		rules[r.Code] = r
	}
	concluded, apart := map[diag.Code]bool{}, map[pair]bool{}
	for _, v := range views {
		c := diag.Conclude(v, rule.All)
		for _, f := range c.Findings {
			if f.Severity != diag.SeverityInfo && (c.RootCause == nil || f.Code != c.RootCause.Code) {
				continue // it stands in another's shadow
			}
			concluded[f.Code] = true
			for _, other := range rules[f.Code].LookAlikes {
				verdict := rules[other].When(v)
				because := verdict.Because()
				_, holds := verdict.Concluded()
				hidden := holds && !slices.ContainsFunc(c.Findings, func(x diag.Finding) bool { return x.Code == other })
				if !because.IsZero() || hidden || slices.Contains(f.Readings, other) {
					apart[pair{f.Code, other}] = true
				}
			}
		}
	}
	for _, r := range rule.All {
		if !concluded[r.Code] {
			t.Errorf("%s: no recorded run concludes it", r.Code)
			continue
		}
		for _, other := range r.LookAlikes {
			if !apart[pair{r.Code, other}] {
				t.Errorf("%s: no recorded run tells it from %s", r.Code, other)
			}
		}
	}
}
