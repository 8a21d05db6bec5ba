package rule

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"mqttdoctor/diag"
)

// declined is the asked upgrade where HTTP answered it with anything but 101.
func declined(v *diag.View) (diag.Sight[*diag.WSUpgrade], diag.Verdict, bool) {
	up, ok := askedUpgrade(v)
	switch {
	case !ok:
		return up, diag.Open(), false
	case up.Seen.Outcome == diag.OutcomeOK:
		return up, diag.Excluded(diag.N("because.upgraded")), false
	case !up.Seen.HTTP():
		return up, diag.Excluded(diag.N("because.no_http_answer")), false
	}
	return up, diag.Verdict{}, true
}

func wsRedirect(v *diag.View) diag.Verdict {
	up, no, ok := declined(v)
	if !ok {
		return no
	}
	if up.Seen.Status < 300 || up.Seen.Status > 399 {
		return diag.Excluded(diag.N("because.http_status", "status", statusOf(up.Seen)))
	}
	f := wsFinding(up)
	f.Args["location"] = up.Seen.Location
	found, ok := redirectLeads(v)
	if elsewhere, works := upgradedElsewhere(v); works && !ok {
		return diag.Excluded(diag.N("because.other_path_upgrades", "found_path", elsewhere.Seen.WS.Path))
	}
	if ok {
		f.Suggestion = &diag.Suggestion{URL: urlOf(v, found.Seen)}
		f.Args["found"] = f.Suggestion.URL
	}
	return diag.Holds(f)
}

func wsBadGateway(v *diag.View) diag.Verdict {
	up, no, ok := declined(v)
	if !ok {
		return no
	}
	if !isGateway(up.Seen) {
		return diag.Excluded(diag.N("because.http_status", "status", statusOf(up.Seen)))
	}
	if strippedGateway(v, up.Seen) {
		if s, answers := answersBehind(v); answers {
			return diag.Excluded(diag.N("because.answers_behind", "status", statusOf(s.Seen)))
		}
		return diag.Excluded(diag.N("because.own_port_upgrades"))
	}
	f := wsFinding(up)
	if up.Seen.Status == http.StatusBadGateway {
		// A broker that ends the connection at a request without Upgrade (mosquitto) makes its proxy say 502 too.
		f.Confidence = diag.Likely
		f.Readings = []diag.Code{"ws.upgrade_stripped"}
	}
	return diag.Holds(f)
}

// isGateway tells a status with which a proxy says that what is behind it did not answer well: those of HTTP, and Cloudflare's
// own (https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/).
func isGateway(o *diag.WSUpgrade) bool {
	return o.Status >= http.StatusBadGateway && o.Status <= http.StatusGatewayTimeout ||
		o.Status >= 520 && o.Status <= 526 && serverIs(o, "cloudflare")
}

func wsOriginRejected(v *diag.View) diag.Verdict {
	up, no, ok := declined(v)
	if !ok && up.Seen == nil || ok && up.Seen.Status >= 300 && up.Seen.Status < 400 {
		return no
	}
	if up.Seen.Outcome == diag.OutcomeOK {
		return diag.Excluded(diag.N("because.upgraded"))
	}
	sights := attempts(v, diag.PurposeOrigin)
	slices.SortStableFunc(sights, func(a, b diag.Sight[*diag.Attempt]) int { return cmp.Compare(a.Seen.Label, b.Seen.Label) }) // "-", none, first
	found, works := first(sights, func(a *diag.Attempt) bool { return a.WS != nil && a.WS.Outcome == diag.OutcomeOK })
	if !works {
		if len(sights) > 0 {
			return diag.Excluded(diag.N("because.origin_does_not_matter"))
		}
		return diag.Excluded(diag.N("because.http_status", "status", statusOf(up.Seen)))
	}
	f := wsFinding(up)
	f.Args["origin"] = up.Seen.Origin
	f.Args["suggested"] = found.Seen.WS.Origin
	if up.Seen.Origin == "" {
		f.Variant = "missing"
	}
	if found.Seen.Accepted() {
		origin := found.Seen.WS.Origin
		f.Suggestion = &diag.Suggestion{WS: &diag.WSSuggestion{Origin: &origin}}
	}
	return diag.Holds(f)
}

// upgradedElsewhere finds another path at which the upgrade works: best one that a CONNECT went through.
func upgradedElsewhere(v *diag.View) (diag.Sight[*diag.Attempt], bool) {
	sights := attempts(v, diag.PurposePath)
	// Where several work, the plainest; they end in no particular order.
	slices.SortStableFunc(sights, func(a, b diag.Sight[*diag.Attempt]) int {
		return cmp.Or(cmp.Compare(len(a.Seen.Label), len(b.Seen.Label)), strings.Compare(a.Seen.Label, b.Seen.Label))
	})
	for _, good := range []func(*diag.Attempt) bool{
		(*diag.Attempt).Accepted, (*diag.Attempt).SpeaksMQTT,
		func(a *diag.Attempt) bool { return a.WS != nil && a.WS.Outcome == diag.OutcomeOK },
	} {
		if s, ok := first(sights, func(a *diag.Attempt) bool { return a.Label != "redirect" && good(a) }); ok {
			return s, true
		}
	}
	return diag.Sight[*diag.Attempt]{}, false
}

// wsWrongPath also holds where something else upgrades at the asked path (NATS's own protocol, a chat): without the MQTT
// subprotocol and without a CONNACK, while both come at another path.
func wsWrongPath(v *diag.View) diag.Verdict {
	up, ok := askedUpgrade(v)
	upgradedHere := ok && up.Seen.Outcome == diag.OutcomeOK
	if upgradedHere {
		if c, sent := askedConnect(v); up.Seen.Subprotocol != "" || !sent || c.Seen.Answered() {
			return diag.Excluded(diag.N("because.upgraded"))
		}
	} else {
		var no diag.Verdict
		if up, no, ok = declined(v); !ok {
			return no
		}
		if code, more := explained(v, up.Seen); more {
			return diag.Excluded(code)
		}
	}
	found, works := upgradedElsewhere(v)
	if upgradedHere && works && !found.Seen.SpeaksMQTT() {
		works = false
	}
	if !works {
		return diag.Excluded(diag.N("because.no_usual_path_upgrades", "status", statusOf(up.Seen)))
	}
	f := wsFinding(up)
	f.Args["found_path"] = found.Seen.WS.Path
	f.Args["found"] = v.Target.URLFor(v.Target.Scheme, v.Target.Port, found.Seen.WS.Path)
	if found.Seen.Accepted() {
		f.Suggestion = suggestURL(v, v.Target.Scheme, v.Target.Port, found.Seen.WS.Path)
	}
	if upgradedHere {
		f.Variant = "something_else"
		f = f.Hiding("ws.subprotocol_rejected", "mqtt.not_mqtt", "mqtt.no_connack", "mqtt.closed_without_connack")
	}
	return diag.Holds(f)
}

// explained tells whether the declined upgrade has a better reason than its path.
func explained(v *diag.View, up *diag.WSUpgrade) (diag.Note, bool) {
	_, leads := redirectLeads(v)
	_, elsewhere := upgradedElsewhere(v)
	if up.Status >= 300 && up.Status < 400 && (leads || !elsewhere) || isGateway(up) && !strippedGateway(v, up) {
		return diag.N("because.http_status", "status", statusOf(up)), true
	}
	if _, ok := first(attempts(v, diag.PurposeOrigin), upgraded); ok {
		return diag.N("because.origin_matters"), true
	}
	return diag.Note{}, false
}

func upgraded(a *diag.Attempt) bool { return a.WS != nil && a.WS.Outcome == diag.OutcomeOK }

func wsAuthRequired(v *diag.View) diag.Verdict {
	up, no, ok := declined(v)
	if !ok {
		return no
	}
	if up.Seen.Status != http.StatusUnauthorized && up.Seen.Status != http.StatusForbidden &&
		up.Seen.Status != http.StatusProxyAuthRequired {
		return diag.Excluded(diag.N("because.http_status", "status", statusOf(up.Seen)))
	}
	if note, more := explained(v, up.Seen); more {
		return diag.Excluded(note)
	}
	if wantsHTTP2(up.Seen) {
		return diag.Excluded(diag.N("because.http_status", "status", statusOf(up.Seen)))
	}
	if s, works := upgradedElsewhere(v); works {
		return diag.Excluded(diag.N("because.other_path_upgrades", "found_path", s.Seen.WS.Path))
	}
	if _, works := first(attempts(v, diag.PurposeSubprotocol), upgraded); works {
		return diag.Excluded(diag.N("because.other_subprotocol_upgrades"))
	}
	return diag.Holds(wsFinding(up))
}
