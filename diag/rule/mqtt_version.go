package rule

import (
	"slices"
	"strings"

	"mqttdoctor/diag"
)

// versionUnsupported needs a refusal of the asked version (by code or by a close) and another version that works. In auto
// no version was asked for: falling back is what a client does then.
func versionUnsupported(v *diag.View) diag.Verdict {
	c, no, ok := unaccepted(v)
	if !ok {
		return no
	}
	o := c.Seen
	if s, ok := swallowedConnect(v); ok {
		return diag.Excluded(diag.N("because.connect_swallowed", "address", s.Seen.Address))
	}
	var works []string
	for _, s := range attempts(v, diag.PurposeVersion) {
		// A login that is refused shows the version understood.
		if s.Seen.MQTT != nil && s.Seen.MQTT.Version != o.Version && s.Seen.SpeaksMQTT() && !versionRefused(s.Seen.MQTT) {
			works = append(works, string(s.Seen.MQTT.Version))
		}
	}
	slices.Sort(works)
	works = slices.Compact(works)
	says := versionRefused(o)
	answered, understood := answeredInVersion(v, o.Version)
	_, accepted := first(attempts(v, diag.PurposeVersion), func(a *diag.Attempt) bool { return a.Accepted() && a.MQTT.Version != o.Version })
	variant := ""
	switch {
	case o.OldForm():
		variant = "old_form"
	case says:
		// The broker itself says that it does not take this version, even where none works.
	case o.Code >= 0 && !(accepted && isCode(o, nil, []int{v5Unspecified, v5Malformed, v5Protocol, v5Implementation})):
		return excludedByCode(o)
	case len(works) == 0:
		return diag.Excluded(diag.N("because.no_version_works"))
	case understood:
		return diag.Excluded(diag.N("because.version_answered", "version", string(o.Version), "check", string(answered.Step.Check)))
	case o.Code >= 0:
		variant = "other_code"
	case withoutAnswer(o):
		variant = "closed"
	case o.Outcome == diag.OutcomeSilent:
		variant = "silent"
	default:
		return diag.Excluded(diag.N("because.connect_stayed_open"))
	}
	f := connectFinding(c)
	f.Args["versions"] = strings.Join(works, ", ")
	f.Variant = variant
	// The other version went with a temporary client id: where the user's own id was sent, that may be the difference.
	if variant == "silent" || variant == "other_code" || variant == "closed" && o.OwnClientID && !otherIDFails(v, o.Version) {
		f.Confidence = diag.Likely
	}
	for _, version := range diag.Versions {
		if s, ok := first(attempts(v, diag.PurposeVersion), func(a *diag.Attempt) bool {
			return a.Accepted() && a.MQTT.Version == version
		}); ok {
			f.Suggestion = &diag.Suggestion{Protocol: s.Seen.MQTT.Version}
			break
		}
	}
	return diag.Holds(f)
}

// answeredInVersion is a variation of the asked CONNECT in the same version that got a proper answer: the version is understood,
// and what was varied is what matters.
func answeredInVersion(v *diag.View, version diag.Version) (diag.Sight[*diag.Attempt], bool) {
	return first(attempts(v, diag.PurposeOtherClientID, diag.PurposeNoCredentials, diag.PurposeKeepAlive, diag.PurposeShortConnect, diag.PurposeLongConnect,
		diag.PurposeRetry),
		func(a *diag.Attempt) bool {
			return a.SpeaksMQTT() && a.MQTT.Version == version && !versionRefused(a.MQTT) && !unnamed(a.MQTT)
		})
}

// otherIDFails tells whether a temporary client id met the same end in the same version: then it is not the id.
func otherIDFails(v *diag.View, version diag.Version) bool {
	_, ok := first(attempts(v, diag.PurposeOtherClientID), func(a *diag.Attempt) bool {
		return a.MQTT != nil && a.MQTT.Version == version && withoutAnswer(a.MQTT)
	})
	return ok
}
