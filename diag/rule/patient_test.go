package rule_test

import (
	"slices"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/rule"
)

// TestRulesWaitForWhatTakesTheirPlace: what has been told stays, unless the rule itself names what may overturn it.
func TestRulesWaitForWhatTakesTheirPlace(t *testing.T) {
	t.Parallel()
	for _, r := range rule.All {
		for _, other := range rule.All {
			over := slices.Concat(other.Hides, other.MayHide, other.Causes)
			if !slices.Contains(over, r.Code) || slices.Contains(r.OverturnedBy, other.Code) {
				continue
			}
			for _, id := range other.Awaits {
				if !slices.Contains(r.Awaits, id) {
					t.Errorf("%s is told before %s has ended, and %s takes its place then", r.Code, id, other.Code)
				}
			}
		}
		for _, code := range r.OverturnedBy {
			if !slices.ContainsFunc(rule.All, func(other diag.Rule) bool { return other.Code == code }) {
				t.Errorf("%s is overturned by %s, which no rule concludes", r.Code, code)
			}
		}
	}
}

// TestAWebSocketIsNotDeniedBeforeTLSIsExcluded: behind a listener that answers 400 to plain HTTP may be TLS, which peer.paths finds.
func TestAWebSocketIsNotDeniedBeforeTLSIsExcluded(t *testing.T) {
	t.Parallel()
	for _, code := range []diag.Code{"ws.not_websocket", "ws.upgrade_stripped"} {
		i := slices.IndexFunc(rule.All, func(r diag.Rule) bool { return r.Code == code })
		for _, id := range []diag.ProbeID{"peer.mqtt", "peer.paths", "mqtt.versions"} {
			if !slices.Contains(rule.All[i].Awaits, id) {
				t.Errorf("%s does not wait for %s", code, id)
			}
		}
	}
}
