package rule

import (
	"slices"
	"strconv"

	"mqttdoctor/diag"
)

// upgradeUnanswered is the asked upgrade where nothing at all came back to it, and nothing that is known came back to anything
// else: no CONNECT could be sent in it.
func upgradeUnanswered(v *diag.View) (diag.Sight[*diag.WSUpgrade], bool) {
	up, ok := askedUpgrade(v)
	if _, sent := askedConnect(v); sent || !ok || up.Seen.HTTP() || len(up.Seen.First) > 0 {
		return up, false
	}
	if _, ok := alertIn(up.Seen.Error); ok {
		return up, false
	}
	if _, ok := otherTransport(v); ok {
		return up, false
	}
	protocol, _, _, _ := foreign(v)
	return up, protocol == ""
}

func unansweredFinding(up diag.Sight[*diag.WSUpgrade]) diag.Finding {
	f := wsFinding(up)
	delete(f.Args, "status")
	f.Variant, f.Args["duration"] = "upgrade", diag.FormatMS(up.Seen.Took)+" ms"
	return f
}

func noConnack(v *diag.View) diag.Verdict {
	if up, mute := upgradeUnanswered(v); mute && up.Seen.Outcome == diag.OutcomeSilent {
		f := unansweredFinding(up)
		f.Args["limit"] = seconds(v.Options.Timeout)
		return diag.Holds(f)
	}
	if s, ok := swallowedConnect(v); ok {
		f := swallowedFinding(v, s)
		f.Args["limit"] = seconds(v.Options.Timeout)
		return diag.Holds(f)
	}
	if f, some := nowAndThen(v, func(o *diag.SessionSeries) int { return o.Silent }); some {
		return diag.Holds(f)
	}
	c, ok := askedConnect(v)
	switch {
	case !ok:
		return diag.Open()
	case c.Seen.Answered():
		return diag.Excluded(diag.N("because.connack_came"))
	case c.Seen.Outcome.Ended():
		return diag.Excluded(diag.N("because.connection_ended"))
	case c.Seen.Outcome != diag.OutcomeSilent:
		return diag.Excluded(diag.N("because.not_that_answer"))
	}
	if s, ok := otherTransport(v); ok {
		return diag.Excluded(diag.N("because.broker_in_other_transport", "transport", string(s.Seen.Transport)))
	}
	again, passes := passedAgain(v, checkMQTT)
	if s, ok := first(attempts(v, diag.PurposeVersion, diag.PurposeALPN, diag.PurposeSmallSegments), (*diag.Attempt).Accepted); ok && !passes {
		return diag.Excluded(diag.N("because.variation_works", "value", s.Seen.Label))
	}
	if s, ok := first(attempts(v, diag.PurposeVersion), (*diag.Attempt).SpeaksMQTT); ok && !passes && held(v, versionUnsupported) {
		return diag.Excluded(diag.N("because.variation_works", "value", s.Seen.Label))
	}
	f := connectFinding(c)
	f.Args["limit"] = seconds(v.Options.Timeout)
	if passes {
		return hungOnce(v, f, again)
	}
	return diag.Holds(f)
}

// swallowedConnect is the asked CONNECT where the network lost it and each of its repeats, and that of another attempt in the same
// transport as well: an older version is no help against what drops packets by what they hold, though one may be spelled otherwise.
func swallowedConnect(v *diag.View) (diag.Sight[*diag.MQTTConnect], bool) {
	s, ok := first(askedConnects(v), (*diag.MQTTConnect).Swallowed)
	if !ok {
		return s, false
	}
	_, again := first(attempts(v), func(a *diag.Attempt) bool {
		return a.Transport == s.Seen.Transport && a.Address == s.Seen.Address && a.MQTT != nil && a.MQTT.Swallowed()
	})
	return s, again
}

// swallowedFinding says whether other bytes on the same port were answered: then it is what the packets hold, or how a program
// reads them, that something on the way looks at.
func swallowedFinding(v *diag.View, s diag.Sight[*diag.MQTTConnect]) diag.Finding {
	f := connectFinding(s)
	f.Variant = "swallowed"
	f.Args["address"], f.Args["count"], f.Args["length"] = s.Seen.Address, strconv.Itoa(s.Seen.TCP.Retransmits), strconv.Itoa(s.Seen.ConnectBytes)
	if other, ok := first(attempts(v), func(a *diag.Attempt) bool {
		return a.Address == s.Seen.Address && (a.SpeaksMQTT() || a.TLS != nil && (a.TLS.Outcome.Ended() || a.TLS.Outcome == diag.OutcomeOK) ||
			a.WS != nil && a.WS.Outcome.Ended())
	}); ok {
		f.Variant = "by_content"
		f.Args["check"] = string(other.Step.Check)
		f.Evidence = append(slices.Clone(f.Evidence), other.Step.Evidence...)
	}
	return f.Hiding("mqtt.version_unsupported")
}

func closedWithoutConnack(v *diag.View) diag.Verdict {
	if up, mute := upgradeUnanswered(v); mute && up.Seen.Outcome.Ended() {
		return diag.Holds(unansweredFinding(up))
	}
	if f, some := nowAndThen(v, func(o *diag.SessionSeries) int { return o.Ended }); some {
		return diag.Holds(f)
	}
	c, ok := askedConnect(v)
	switch {
	case !ok:
		return diag.Open()
	case c.Seen.Answered():
		return diag.Excluded(diag.N("because.connack_came"))
	case c.Seen.Alert != nil:
		return diag.Excluded(diag.N("because.tls_alert", "alert", c.Seen.Alert.String()))
	case loginClosed(c.Seen):
		return diag.Excluded(diag.N("because.close_names_login", "reason", c.Seen.WSCloseReason))
	case !c.Seen.Outcome.Ended():
		return diag.Excluded(diag.N("because.connection_stayed_open"))
	}
	if s, ok := otherTransport(v); ok {
		return diag.Excluded(diag.N("because.broker_in_other_transport", "transport", string(s.Seen.Transport)))
	}
	if held(v, connectTooLarge) {
		return diag.Excluded(diag.N("because.variation_works"))
	}
	f := connectFinding(c)
	// The same version with another client id decides before the others, which had another id too.
	if s, ok := first(attempts(v, diag.PurposeOtherClientID), (*diag.Attempt).Accepted); ok && c.Seen.OwnClientID {
		if minded, control := mindedOfID(v, c.Seen); minded == "kept" {
			f.Variant, f.Evidence = minded, append(slices.Clone(f.Evidence), control.Step.Evidence...)
			return diag.Holds(f)
		}
		id := s.Seen.MQTT.ClientID
		f.Variant = "client_id"
		f.Args["suggested"] = id
		f.Suggestion = &diag.Suggestion{ClientID: &id}
		return diag.Holds(f)
	}
	if s, ok := first(attempts(v, diag.PurposeKeepAlive), func(a *diag.Attempt) bool {
		return a.SpeaksMQTT() && a.MQTT.Version == c.Seen.Version && a.MQTT.KeepAliveS == c.Seen.KeepAliveS
	}); ok && !c.Seen.OwnClientID {
		// The very same CONNECT passed later: one of several servers behind the address, or a server at its limit.
		f.Variant, f.Confidence = "sometimes", diag.Likely
		f.Evidence = append(slices.Clone(f.Evidence), s.Step.Evidence...)
		return diag.Holds(f)
	}
	if s, ok := first(attempts(v, diag.PurposeVersion, diag.PurposeProxyHeader, diag.PurposeALPN), (*diag.Attempt).SpeaksMQTT); ok {
		return diag.Excluded(diag.N("because.variation_works", "value", s.Seen.Label))
	}
	if s, ok := first(attempts(v, diag.PurposeNoCredentials), (*diag.Attempt).SpeaksMQTT); ok {
		f.Variant = "credentials"
		f.Evidence = append(f.Evidence, s.Step.Evidence...)
	}
	return diag.Holds(f)
}
