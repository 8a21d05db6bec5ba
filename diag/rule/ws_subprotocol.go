package rule

import (
	"net/http"
	"slices"
	"strings"

	"mqttdoctor/diag"
)

func wsSubprotocolRejected(v *diag.View) diag.Verdict {
	up, ok := askedUpgrade(v)
	if !ok {
		return diag.Open()
	}
	o := up.Seen
	taken := subprotocolsTaken(v)
	switch {
	case o.Outcome == diag.OutcomeOK && slices.Contains(o.Offered, o.Subprotocol):
		return diag.Excluded(diag.N("because.subprotocol_chosen", "subprotocol", o.Subprotocol))
	case o.Outcome == diag.OutcomeOK && o.Subprotocol != "" && len(o.Offered) > 0:
		// Programs that compare without regard to case let it pass, browsers do not.
		f := wsFinding(up)
		f.Variant = "other_chosen"
		f.Args["subprotocol"] = strings.Join(o.Offered, ", ")
		f.Args["value"] = o.Subprotocol
		return diag.Holds(f)
	case o.Outcome == diag.OutcomeOK && len(o.Offered) > 0:
		f := wsFinding(up)
		f.Variant = "not_chosen"
		f.Args["versions"] = strings.Join(taken, ", ")
		f.Args["subprotocol"] = strings.Join(o.Offered, ", ")
		f.Suggestion = suggestSubprotocol(v)
		return diag.Holds(f)
	case o.Outcome == diag.OutcomeMalformed && o.Status == http.StatusSwitchingProtocols && o.Subprotocol != "" &&
		!slices.Contains(o.Offered, o.Subprotocol):
		f := wsFinding(up)
		f.Variant = "other_chosen"
		f.Args["subprotocol"] = strings.Join(o.Offered, ", ")
		f.Args["value"] = o.Subprotocol
		f.Suggestion = suggestSubprotocol(v)
		return diag.Holds(f)
	case o.HTTP() && o.Outcome == diag.OutcomeRefused && len(taken) > 0 && !upgradesWithAskedSubprotocol(v):
		f := wsFinding(up)
		f.Variant = "refused"
		f.Args["subprotocol"] = strings.Join(o.Offered, ", ")
		f.Args["value"] = strings.Join(taken, ", ")
		f.Suggestion = suggestSubprotocol(v)
		return diag.Holds(f)
	case !o.HTTP():
		return diag.Excluded(diag.N("because.no_http_answer"))
	}
	return diag.Excluded(diag.N("because.http_status", "status", statusOf(o)))
}

// subprotocolsTaken lists the subprotocol names with which the asked path upgrades.
func subprotocolsTaken(v *diag.View) []string {
	var out []string
	for _, s := range attempts(v, diag.PurposeSubprotocol) {
		if upgraded(s.Seen) && (s.Seen.WS.Subprotocol != "" || len(s.Seen.WS.Offered) == 0) {
			name := s.Seen.WS.Subprotocol
			if name == "" {
				name = "-"
			}
			out = append(out, name)
		}
	}
	return out
}

func upgradesWithAskedSubprotocol(v *diag.View) bool {
	_, ok := upgradedElsewhere(v)
	return ok
}

func suggestSubprotocol(v *diag.View) *diag.Suggestion {
	_, ok := first(attempts(v, diag.PurposeSubprotocol), func(a *diag.Attempt) bool {
		return a.Accepted() && a.MQTT.Version == diag.Version31 && a.WS.Subprotocol == "mqttv3.1"
	})
	if !ok || v.Target.Protocol == diag.Version31 {
		return nil
	}
	return &diag.Suggestion{Protocol: diag.Version31}
}
