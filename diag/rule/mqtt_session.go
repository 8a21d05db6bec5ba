package rule

import (
	"slices"
	"strconv"
	"time"

	"mqttdoctor/diag"
)

const (
	checkStay      = diag.ProbeID("mqtt.stay")
	checkStayOther = diag.ProbeID("mqtt.stay_other")
	checkHoldID    = diag.ProbeID("mqtt.hold_id")
	checkPing      = diag.ProbeID("mqtt.ping")
)

// ofDroppedSessions are the causes that a session which somebody ends makes appear in its messages.
var ofDroppedSessions = []diag.Code{"msg.subscribe_denied", "msg.publish_denied", "msg.publish_dropped", "msg.not_routed", "msg.lost", "mqtt.ping_unanswered"}

// sessionRules are about connections that were accepted.
var sessionRules = []diag.Rule{
	{Code: "mqtt.client_id_conflict", Severity: diag.SeverityCritical,
		Sources:    []string{"[MQTT-3.1.4-3]", "MQTT 3.1.1 3.1.4", "MQTT 5.0 3.14.2.1"},
		Awaits:     []diag.ProbeID{checkStay, checkStayOther, checkHoldID, checkSubscribe, checkRoundTrip, checkPublish},
		LookAlikes: []diag.Code{"mqtt.kicked_after_connect", "mqtt.ping_unanswered", "msg.subscribe_denied", "msg.publish_denied"},
		Hides:      append([]diag.Code{"mqtt.kicked_after_connect"}, ofDroppedSessions...),
		When:       clientIDConflict},
	{Code: "mqtt.kicked_after_connect", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.14", "MQTT 5.0 4.13"},
		Awaits:     []diag.ProbeID{checkStay, checkStayOther},
		LookAlikes: []diag.Code{"mqtt.client_id_conflict", "mqtt.ping_unanswered", "msg.subscribe_denied", "msg.publish_denied"},
		Hides:      ofDroppedSessions,
		When:       kickedAfterConnect},
	{Code: "mqtt.ping_unanswered", Severity: diag.SeverityCritical,
		Sources:    []string{"[MQTT-3.12.4-1]"},
		Awaits:     []diag.ProbeID{checkPing},
		LookAlikes: []diag.Code{"mqtt.kicked_after_connect"},
		When:       pingUnanswered},
	{Code: "mqtt.keepalive_overridden", Severity: diag.SeverityInfo,
		Sources: []string{"MQTT 5.0 3.2.2.3.14", "[MQTT-3.1.2-21]"},
		Awaits:  []diag.ProbeID{checkMQTT, checkOlder},
		When:    keepAliveOverridden},
}

func watched(v *diag.View, check diag.ProbeID, own bool) (diag.Sight[*diag.SessionWatch], bool) {
	return first(diag.SeenBy[*diag.SessionWatch](v, check), func(o *diag.SessionWatch) bool { return o.OwnClientID == own })
}

func sessionFinding(s diag.Sight[*diag.SessionWatch]) diag.Finding {
	f := diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{
		"client_id": s.Seen.ClientID, "duration": diag.FormatMS(s.Seen.Lasted) + " ms", "reason_string": s.Seen.ReasonString,
	}}
	if s.Seen.Code >= 0 {
		f.Args["code"], f.Args["reason"] = diag.CodeText(s.Seen.Code, s.Seen.Version), s.Seen.Reason
	}
	return f
}

// clientIDConflict: the broker says that the session was taken over; or the user's id was ended and a temporary one beside it
// lasted, with nothing of ours on either that the broker could have minded.
func clientIDConflict(v *diag.View) diag.Verdict {
	all := diag.Seen[*diag.SessionWatch](v)
	if s, ok := first(all, func(o *diag.SessionWatch) bool { return o.OnePerLogin }); ok {
		f := sessionFinding(s) // nothing is wrong: it was our own connections, one beside the other, that the broker did not admit
		f.Variant, f.Severity = "one_per_login", diag.SeverityInfo
		return diag.Holds(f)
	}
	if s, ok := first(all, func(o *diag.SessionWatch) bool { return o.OwnClientID && o.Code == v5TakenOver }); ok {
		f := sessionFinding(s)
		f.Variant = "taken_over"
		return diag.Holds(f)
	}
	if s, r, ok := watchedFor(v); ok && len(r.TakenOver) > 0 {
		return diag.Holds(takenOverInWatch(s, r.TakenOver))
	}
	held, wasHeld := watched(v, checkHoldID, true)
	control, controlled := watched(v, checkHoldID, false)
	main, seen := watched(v, checkStay, true)
	switch {
	case wasHeld && held.Seen.Ended() && controlled && !control.Seen.Ended():
		f := sessionFinding(held)
		if !seen || !main.Seen.Ended() { // once may be chance
			f.Confidence = diag.Likely
		}
		return diag.Holds(f)
	case wasHeld && held.Seen.Ended() && controlled:
		return diag.Excluded(diag.N("because.other_id_ends_too"))
	case wasHeld:
		return diag.Excluded(diag.N("because.held_id_lasts", "duration", diag.FormatMS(held.Seen.Lasted)+" ms"))
	case !seen:
		return heldWithout(v, diag.N("because.no_session_taken"))
	case !main.Seen.Ended():
		return diag.Excluded(diag.N("because.session_lasts", "duration", diag.FormatMS(main.Seen.Lasted)+" ms"))
	}
	other, ok := watched(v, checkStayOther, false)
	switch {
	case !ok:
		return diag.Open()
	case other.Seen.Ended():
		return diag.Excluded(diag.N("because.other_id_ends_too"))
	case endedByUs(v):
		return diag.Excluded(diag.N("because.ended_at_a_message"))
	}
	f := sessionFinding(main)
	f.Confidence = diag.Likely
	f.Readings = []diag.Code{"mqtt.kicked_after_connect"}
	return diag.Holds(f)
}

// takenOverInWatch: the connection with the user's id ended, and those beside it did not.
func takenOverInWatch(s diag.Sight[*diag.ConnectionWatch], drops []int) diag.Finding {
	f := watchFinding(s)
	d := s.Seen.Drops[drops[0]]
	f.Args["duration"] = diag.FormatSpan(d.Age)
	if d.Code >= 0 {
		f.Args["code"], f.Args["reason"] = diag.CodeText(d.Code, s.Seen.Version), d.Reason
		f.Variant = "taken_over"
	} else {
		f.Confidence = diag.Likely
	}
	return f
}

// heldWithout excludes a cause by a watch whose connections ended for other reasons; where none was made, nothing is known.
func heldWithout(v *diag.View, because diag.Note) diag.Verdict {
	if s, _, ok := watchedFor(v); !ok || s.Seen.DropCount == 0 {
		return diag.Open()
	}
	return diag.Excluded(because)
}

// longestLived is the age that the oldest of the watched connections came to.
func longestLived(v *diag.View) time.Duration {
	var longest time.Duration
	if s, _, ok := watchedFor(v); ok {
		for _, l := range s.Seen.Lanes {
			longest = max(longest, l.Longest)
		}
	}
	return longest
}

// endedByUs tells whether a connection ended while it had a SUBSCRIBE or PUBLISH of ours, which the broker may have minded. A
// SUBSCRIBE for our own topic that another session was granted meanwhile was in the way of something else.
func endedByUs(v *diag.View) bool {
	if _, pinged := first(diag.SeenBy[*diag.MQTTPing](v, checkPing), func(p *diag.MQTTPing) bool { return p.Ends > 0 }); pinged {
		return true
	}
	subscribed := subscriptions(v, false)
	if !slices.ContainsFunc(deliveries(v, true), func(s diag.Sight[*diag.Delivery]) bool { return s.Seen.Delivered }) {
		subscribed = slices.Concat(subscribed, subscriptions(v, true))
	}
	return slices.ContainsFunc(subscribed, func(s diag.Sight[*diag.Subscription]) bool { return denied(s.Seen) }) ||
		slices.ContainsFunc(diag.Seen[*diag.Delivery](v), func(s diag.Sight[*diag.Delivery]) bool { return publishRefused(s.Seen) })
}

func kickedAfterConnect(v *diag.View) diag.Verdict {
	if quiet, soon := onlyQuietEnd(v); soon {
		return diag.Excluded(diag.N("because.busy_session_lasts", "duration", diag.FormatSpan(quiet.Seen.Busy)))
	}
	if s, r, ok := watchedFor(v); ok && r.Lifetime != nil && r.Lifetime.After < diag.SoonAfterConnect {
		f := watchFinding(s, inSeconds(diag.EvDropAge, r.Lifetime.After))
		f.Args["duration"] = diag.FormatSpan(r.Lifetime.After)
		if reason := commonReason(s.Seen, r.Lifetime.Drops); reason != "" {
			f.Args["reason"] = reason
		}
		return diag.Holds(f)
	}
	stay := diag.SeenBy[*diag.SessionWatch](v, checkStay)
	if len(stay) == 0 {
		longest := longestLived(v)
		return heldWithout(v, diag.N("because.connection_lived", "duration", diag.FormatSpan(longest)))
	}
	if !stay[0].Seen.Ended() {
		return diag.Excluded(diag.N("because.session_lasts", "duration", diag.FormatMS(stay[0].Seen.Lasted)+" ms"))
	}
	other := diag.SeenBy[*diag.SessionWatch](v, checkStayOther)
	switch {
	case len(other) == 0:
		return diag.Open()
	case !other[0].Seen.Ended():
		return diag.Excluded(diag.N("because.other_session_lasts", "duration", diag.FormatMS(other[0].Seen.Lasted)+" ms"))
	}
	f := sessionFinding(other[0]) // that one was idle: nothing that we sent is to blame
	f.Evidence = append(slices.Clone(f.Evidence), stay[0].Step.Evidence...)
	return diag.Holds(f)
}

func pingUnanswered(v *diag.View) diag.Verdict {
	pings := diag.SeenBy[*diag.MQTTPing](v, checkPing)
	if s, r, ok := watchedFor(v); ok && len(r.Unanswered) > 0 {
		f := watchFinding(s)
		f.Variant = "later"
		f.Args["count"] = strconv.Itoa(len(r.Unanswered))
		f.Args["duration"] = diag.FormatSpan(s.Seen.Drops[r.Unanswered[0]].Age)
		return diag.Holds(f)
	}
	switch {
	case len(pings) == 0:
		return heldWithout(v, diag.N("because.no_ping_hung"))
	case pings[0].Seen.Ends == 0 && pings[0].Seen.Outcome != diag.OutcomeSilent:
		return diag.Excluded(diag.N("because.ping_answered"))
	}
	f := diag.Finding{Step: pings[0].Step.ID, Evidence: pings[0].Step.Evidence, Args: diag.Args{"limit": seconds(v.Options.Timeout)}}
	if pings[0].Seen.Ends > 0 {
		f.Variant, f.Args["count"] = "closed", strconv.Itoa(pings[0].Seen.Ends)
	}
	return diag.Holds(f.Hiding("mqtt.idle_disconnect", "mqtt.lifetime_limit", "mqtt.unstable")) // a watch holds nothing then
}

func keepAliveOverridden(v *diag.View) diag.Verdict {
	c, ok := askedConnect(v)
	if !ok || !c.Seen.Accepted() || c.Seen.Props == nil || c.Seen.Props.ServerKeepAliveS == nil {
		return diag.Open()
	}
	server := int(*c.Seen.Props.ServerKeepAliveS)
	if server == c.Seen.KeepAliveS {
		return diag.Open()
	}
	return diag.Holds(diag.Finding{Step: c.Step.ID, Evidence: c.Step.Evidence,
		Args: diag.Args{"keepalive": strconv.Itoa(c.Seen.KeepAliveS), "suggested": strconv.Itoa(server)}})
}
