package rule

import (
	"slices"
	"strconv"
	"strings"

	"mqttdoctor/diag"
)

func clientIDRejected(v *diag.View) diag.Verdict {
	c, no, ok := refusal(v)
	if !ok {
		return no
	}
	o := c.Seen
	if other, works := acceptedOtherID(v); !idRefused(o) && !(unnamed(o) && works && other.Seen.MQTT.Version == o.Version) {
		return excludedByCode(o)
	}
	if s, ok := first(attempts(v, diag.PurposeKeepAlive), func(a *diag.Attempt) bool {
		return a.Accepted() && a.MQTT.KeepAliveS != o.KeepAliveS
	}); ok {
		if _, byKeepAlive := keepAliveRejected(v).Concluded(); byKeepAlive {
			return diag.Excluded(diag.N("because.keepalive_matters", "suggested", strconv.Itoa(s.Seen.MQTT.KeepAliveS)))
		}
	}
	f := connectFinding(c)
	f.Args["length"] = strconv.Itoa(len([]rune(o.ClientID)))
	other := slices.Concat(attempts(v, diag.PurposeOtherClientID), plainID(v), attempts(v, diag.PurposeVersion, diag.PurposeOtherAddress))
	if s, ok := first(other, func(a *diag.Attempt) bool { return a.Accepted() && a.MQTT.ClientID != o.ClientID }); ok {
		id := s.Seen.MQTT.ClientID
		if sameVersion := s.Seen.MQTT.Version == o.Version; sameVersion && s.Seen.Purpose != diag.PurposeVersion && s.Seen.Purpose != diag.PurposeOtherAddress {
			f.Suggestion = &diag.Suggestion{ClientID: &id}
		}
		f.Args["suggested"] = id
	}
	var control diag.Sight[*diag.Attempt]
	f.Variant, control = mindedOfID(v, o)
	f.Evidence = append(slices.Clone(f.Evidence), control.Step.Evidence...)
	if f.Variant == "kept" {
		f.Suggestion = nil // the user's own id is as good as the other, with a clean start
		delete(f.Args, "suggested")
	}
	return diag.Holds(f)
}

// mindedOfID is what of the client id the broker minds, as a variant, with the connection that showed it: one that shared just
// that with the user's and was refused as well. It is empty where nothing but this id is known to be refused.
func mindedOfID(v *diag.View, o *diag.MQTTConnect) (variant string, control diag.Sight[*diag.Attempt]) {
	if !o.OwnClientID {
		return "temporary", control // the broker wants ids of its own form
	}
	for _, s := range attempts(v, diag.PurposeClientIDForm) {
		refused := s.Seen.MQTT != nil && !s.Seen.Accepted() && s.Seen.MQTT.Version == o.Version &&
			(s.Seen.MQTT.Code == o.Code && s.Seen.MQTT.Outcome == o.Outcome || withoutAnswer(s.Seen.MQTT) && withoutAnswer(o))
		switch {
		case s.Seen.Label == diag.FormPlain && s.Seen.Accepted():
			switch {
			case len(o.ClientID) <= len(s.Seen.MQTT.ClientID):
				return "characters", s
			case strings.IndexFunc(o.ClientID, notLetterOrDigit) < 0:
				return "long", s
			}
		case refused && s.Seen.Label == diag.FormKept:
			return "kept", s
		case refused && s.Seen.Label == diag.FormCharacters:
			return "characters", s
		case refused && s.Seen.Label == diag.FormLength:
			return "long", s
		}
	}
	if len(attempts(v, diag.PurposeClientIDForm)) == 0 && o.Version == diag.Version31 && len([]rune(o.ClientID)) > 23 {
		return "long", control // more than the specification allows (MQTT 3.1 3.1)
	}
	return "", control
}

// plainID are the connections under a temporary client id of letters and digits alone.
func plainID(v *diag.View) []diag.Sight[*diag.Attempt] {
	return slices.DeleteFunc(slices.Clone(attempts(v, diag.PurposeClientIDForm)),
		func(s diag.Sight[*diag.Attempt]) bool { return s.Seen.Label != diag.FormPlain })
}

// notLetterOrDigit tells characters that a server need not accept in a client id (MQTT 3.1.1 3.1.3.1).
func notLetterOrDigit(r rune) bool {
	return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
}
