package rule

import (
	"slices"
	"strconv"
	"strings"

	"mqttdoctor/diag"
)

const (
	checkFilter    diag.ProbeID = "msg.filter"
	checkSubscribe diag.ProbeID = "msg.subscribe"
	checkAlone     diag.ProbeID = "msg.alone"
	checkRoundTrip diag.ProbeID = "msg.roundtrip"
	checkQoS2      diag.ProbeID = "msg.roundtrip_qos2"
	checkPublish   diag.ProbeID = "msg.publish"
	checkLower     diag.ProbeID = "msg.publish_lower"
)

var msgRules = []diag.Rule{
	{Code: "msg.filter_mismatch", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 4.7", "MQTT 3.1.1 4.7"},
		Awaits:     []diag.ProbeID{checkFilter},
		LookAlikes: []diag.Code{"msg.publish_dropped", "msg.subscribe_denied", "msg.not_routed"},
		When:       filterMismatch},
	{Code: "msg.subscribe_denied", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.9.3", "MQTT 3.1.1 3.9.3"},
		Awaits:     []diag.ProbeID{checkSubscribe, checkAlone},
		LookAlikes: []diag.Code{"msg.publish_dropped", "msg.publish_denied", "msg.filter_mismatch"},
		When:       subscribeDenied},
	{Code: "msg.publish_denied", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.4.2.1", "MQTT 5.0 3.5.2.1", "[MQTT-3.3.5-2]"},
		Awaits:     []diag.ProbeID{checkPublish, checkLower, checkSubscribe, checkRoundTrip},
		MayHide:    []diag.Code{"msg.qos_downgraded"},
		LookAlikes: []diag.Code{"msg.publish_dropped", "msg.subscribe_denied", "msg.not_routed"},
		When:       publishDenied},
	{Code: "msg.publish_dropped", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 4.6", "[MQTT-3.3.5-2]"},
		Awaits:     []diag.ProbeID{checkPublish, checkSubscribe, checkRoundTrip, checkQoS2, checkFilter, checkAccess, checkRecount},
		LookAlikes: []diag.Code{"msg.publish_denied", "msg.subscribe_denied", "msg.filter_mismatch", "msg.not_routed", "msg.lost", "msg.slow"},
		When:       publishDropped},
	{Code: "msg.not_routed", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.3.4"},
		Awaits:     []diag.ProbeID{checkPublish, checkSubscribe, checkRoundTrip, checkQoS2, checkFilter, checkAccess, checkRecount},
		LookAlikes: []diag.Code{"msg.publish_dropped", "msg.publish_denied", "msg.filter_mismatch", "msg.lost", "msg.slow"},
		When:       notRouted},
	{Code: "msg.qos_downgraded", Severity: diag.SeverityWarning,
		Sources:    []string{"MQTT 5.0 3.8.4", "MQTT 5.0 4.3"},
		Awaits:     []diag.ProbeID{checkPublish, checkSubscribe, checkRoundTrip, checkQoS2, checkQoSGrid},
		LookAlikes: []diag.Code{"msg.subscribe_denied"},
		When:       qosDowngraded},
}

func ownTopics(v *diag.View) bool {
	return v.Target.Topics.Publish != "" || len(v.Target.Topics.Subscribe) > 0
}

// filterMismatch needs every given filter to miss the publish topic: one that matches is enough to receive it.
func filterMismatch(v *diag.View) diag.Verdict {
	seen := diag.SeenBy[*diag.FilterMatch](v, checkFilter)
	if len(seen) == 0 {
		return diag.Open()
	}
	if s, ok := first(seen, func(m *diag.FilterMatch) bool { return m.Matches }); ok {
		return diag.Excluded(diag.N("because.filter_matches", "filter", s.Seen.Filter))
	}
	m := seen[0]
	for _, s := range seen { // the one that comes nearest tells most
		if s.Seen.Level > m.Seen.Level {
			m = s
		}
	}
	return diag.Holds(diag.Finding{Step: m.Step.ID, Evidence: m.Step.Evidence, Variant: m.Seen.Reason, Args: diag.Args{
		"topic": m.Seen.Topic, "filter": m.Seen.Filter, "count": strconv.Itoa(m.Seen.Level),
		"value": m.Seen.InTopic, "suggested": m.Seen.InFilter,
	}})
}

// subscriptions lists what came of each of the user's filters: where the connection ended under several at once, the try of
// that filter alone counts.
func subscriptions(v *diag.View, scratch bool) []diag.Sight[*diag.Subscription] {
	var out []diag.Sight[*diag.Subscription]
	alone := diag.SeenBy[*diag.Subscription](v, checkAlone)
	for _, s := range diag.SeenBy[*diag.Subscription](v, checkSubscribe) {
		if s.Seen.Scratch != scratch {
			continue
		}
		if again, ok := first(alone, func(o *diag.Subscription) bool { return o.Filter == s.Seen.Filter }); ok && !scratch {
			s = again
		}
		out = append(out, s)
	}
	return out
}

func denied(s *diag.Subscription) bool {
	return s.Outcome == diag.OutcomeRefused || s.Outcome.Ended()
}

func subscribeDenied(v *diag.View) diag.Verdict {
	seen := subscriptions(v, false)
	bad, ok := first(seen, denied)
	if !ok {
		if len(seen) == 0 {
			return diag.Open()
		}
		return diag.Excluded(diag.N("because.subscriptions_granted"))
	}
	var names []string
	for _, s := range seen {
		if denied(s.Seen) {
			names = append(names, s.Seen.Filter)
		}
	}
	f := diag.Finding{Step: bad.Step.ID, Evidence: bad.Step.Evidence, Args: diag.Args{
		"filter": bad.Seen.Filter, "names": strings.Join(names, ", "), "reason_string": bad.Seen.ReasonString,
	}}
	switch {
	case bad.Seen.Code >= 0:
		f.Args["code"], f.Args["reason"] = diag.CodeText(bad.Seen.Code, diag.Version5), bad.Seen.Reason
	case bad.Seen.Outcome == diag.OutcomeRefused: // by the CONNACK already
		f.Variant = "unavailable"
		f.Args["reason"] = bad.Seen.Reason
	default:
		f.Variant = "closed"
	}
	return diag.Holds(f)
}

// deliveries lists the test messages to the user's own topic, or to ours.
func deliveries(v *diag.View, scratch bool) []diag.Sight[*diag.Delivery] {
	return slices.DeleteFunc(diag.Seen[*diag.Delivery](v), func(s diag.Sight[*diag.Delivery]) bool { return s.Seen.Scratch != scratch })
}

func publishRefused(d *diag.Delivery) bool {
	return d.Published == diag.OutcomeRefused || d.Published.Ended()
}

func publishDenied(v *diag.View) diag.Verdict {
	own := deliveries(v, false)
	if bad, ok := first(own, publishRefused); ok {
		if declinedBySize(bad.Seen) {
			return diag.Excluded(diag.N("because.declined_by_size"))
		}
		f := publishFinding(bad)
		lower, works := first(own, func(d *diag.Delivery) bool { return d.QoS < bad.Seen.QoS && d.Published == diag.OutcomeOK })
		if works && !publishLost(lower.Seen) {
			// The topic is allowed, this QoS is not taken.
			qos := int(lower.Seen.QoS)
			f.Variant = "qos"
			f.Args["suggested"] = strconv.Itoa(qos)
			f.Suggestion = &diag.Suggestion{Topics: &diag.TopicsSuggestion{QoS: &qos}}
			f = f.Hiding("msg.qos_downgraded")
		}
		return diag.Holds(f)
	}
	if len(own) > 0 {
		return diag.Excluded(diag.N("because.publish_accepted"))
	}
	if ownTopics(v) {
		return diag.Open()
	}
	if _, ok := first(deliveries(v, true), arrived); ok {
		return diag.Excluded(diag.N("because.message_arrived"))
	}
	// Without topics of the user's, a broker that refuses ours is no broken broker: it allows clients their own.
	if bad, ok := first(deliveries(v, true), publishRefused); ok {
		f := publishFinding(bad)
		f.Severity, f.Confidence, f.Variant = diag.SeverityInfo, diag.Possible, "scratch"
		return diag.Holds(f)
	}
	if bad, ok := first(subscriptions(v, true), denied); ok {
		return diag.Holds(diag.Finding{Severity: diag.SeverityInfo, Confidence: diag.Possible, Variant: "scratch",
			Step: bad.Step.ID, Evidence: bad.Step.Evidence, Args: diag.Args{"topic": bad.Seen.Filter}})
	}
	return diag.Open()
}

func publishFinding(s diag.Sight[*diag.Delivery]) diag.Finding {
	f := diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{
		"topic": s.Seen.Topic, "qos": strconv.Itoa(int(s.Seen.QoS)), "reason_string": s.Seen.ReasonString,
	}}
	switch {
	case s.Seen.Code >= 0x80:
		f.Args["code"], f.Args["reason"] = diag.CodeText(s.Seen.Code, s.Seen.Version), s.Seen.Reason
	case s.Seen.Published.Ended():
		f.Variant = "closed"
	}
	return f
}

// publishLost tells a message that should have come back and did not.
func publishLost(d *diag.Delivery) bool { return d.Expected && !d.Delivered }

func vanished(d *diag.Delivery) bool {
	return d.Published == diag.OutcomeOK && d.Expected && !d.Delivered
}
func arrived(d *diag.Delivery) bool { return d.Delivered }

// publishDropped needs the message gone though published and subscribed in order, and another topic that works, or access
// rules that are seen to be in force; or the word of the same broker in MQTT 5.
func publishDropped(v *diag.View) diag.Verdict {
	own, scratch := deliveries(v, false), deliveries(v, true)
	if _, ok := first(own, arrived); ok {
		return diag.Excluded(diag.N("because.message_arrived"))
	}
	if cameLater(v, false) {
		return diag.Excluded(diag.N("because.others_arrived"))
	}
	_, scratchWorks := first(scratch, arrived)
	scratchWorks = scratchWorks || cameLater(v, true)
	if f, ok := toldInMQTT5(v, own); ok {
		return diag.Holds(f)
	}
	if f, ok := notHeard(own); ok {
		return diag.Holds(f)
	}
	if lost, ok := first(own, vanished); ok {
		if !scratchWorks && !accessRules(v) {
			return diag.Excluded(diag.N("because.no_topic_works"))
		}
		if qosVanishes(v, lost.Seen.QoS) {
			return diag.Excluded(diag.N("because.qos_vanishes", "qos", strconv.Itoa(int(lost.Seen.QoS))))
		}
		f := publishFinding(lost)
		f.Variant = ""
		f.Args["duration"] = diag.FormatMS(lost.Seen.Waited) + " ms"
		if !scratchWorks { // ours is refused openly: access rules are in force, and this topic is lost to one
			f.Confidence = diag.Likely
			f.Args["reason"] = allowedInMQTT5(v, lost.Seen)
		}
		return diag.Holds(f)
	}
	if len(own) > 0 {
		return diag.Excluded(diag.N("because.not_that_answer"))
	}
	if lost, ok := first(scratch, vanished); ok && !scratchWorks && !ownTopics(v) {
		f := publishFinding(lost)
		f.Severity, f.Confidence, f.Variant = diag.SeverityInfo, diag.Possible, "scratch"
		f.Readings = []diag.Code{"msg.not_routed"}
		return diag.Holds(f)
	}
	if scratchWorks && !ownTopics(v) {
		return diag.Excluded(diag.N("because.message_arrived"))
	}
	return diag.Open()
}

func anyDenied(seen []diag.Sight[*diag.Subscription]) bool {
	_, ok := first(seen, denied)
	return ok
}

// notRouted needs the user's topic and ours to vanish alike.
func notRouted(v *diag.View) diag.Verdict {
	own, scratch := deliveries(v, false), deliveries(v, true)
	if _, ok := first(slices.Concat(own, scratch), arrived); ok {
		return diag.Excluded(diag.N("because.message_arrived"))
	}
	if cameLater(v, false) || cameLater(v, true) {
		return diag.Excluded(diag.N("because.others_arrived"))
	}
	if _, altered := first(slices.Concat(own, scratch), func(d *diag.Delivery) bool { return d.Altered }); altered {
		return diag.Excluded(diag.N("because.message_altered"))
	}
	lost, ok := first(own, vanished)
	if _, listened := notHeard(own); listened { // the user did not ask to read it
		return diag.Open()
	}
	_, oursLost := first(scratch, vanished)
	if !ok || !oursLost {
		return diag.Open()
	}
	if accessRules(v) {
		return diag.Excluded(diag.N("because.access_rules"))
	}
	f := publishFinding(lost)
	f.Variant = ""
	f.Confidence = diag.Likely
	f.Readings = []diag.Code{"msg.publish_dropped"}
	f.Args["duration"] = diag.FormatMS(lost.Seen.Waited) + " ms"
	return diag.Holds(f)
}

// qosDowngraded compares with what was asked for: a broker that has no QoS 2 is no fault to a client that wants QoS 1. Where no
// topic was named, the usual QoS 1 is our choice, and one that has QoS 0 alone is in order.
func qosDowngraded(v *diag.View) diag.Verdict {
	verdict := downgraded(v, v.Target.Topics.QoS)
	f, ok := verdict.Concluded()
	if ok && !ownTopics(v) && v.Target.Topics.QoS == 1 {
		f.Severity = diag.SeverityInfo
		return diag.Holds(f)
	}
	return verdict
}

func downgraded(v *diag.View, asked byte) diag.Verdict {
	for _, scratch := range []bool{false, true} {
		for _, s := range subscriptions(v, scratch) {
			granted, ok := s.Seen.Granted()
			if ok && granted < min(s.Seen.QoS, asked) {
				return diag.Holds(diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Variant: "granted", Args: diag.Args{
					"filter": s.Seen.Filter, "qos": strconv.Itoa(int(min(s.Seen.QoS, asked))), "granted": strconv.Itoa(int(granted)),
				}})
			}
		}
		for _, s := range deliveries(v, scratch) {
			d := s.Seen
			if d.Delivered && d.DeliveredQoS < min(d.QoS, asked) && d.QoS <= asked {
				return diag.Holds(diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Variant: "delivered", Args: diag.Args{
					"topic": d.Topic, "qos": strconv.Itoa(int(d.QoS)), "delivered": strconv.Itoa(int(d.DeliveredQoS)),
				}})
			}
		}
	}
	if f, ok := gridDowngraded(v, asked); ok {
		return diag.Holds(f)
	}
	if c, ok := askedConnect(v); ok && c.Seen.Props != nil && c.Seen.Props.MaximumQoS != nil && *c.Seen.Props.MaximumQoS < asked {
		max := strconv.Itoa(int(*c.Seen.Props.MaximumQoS))
		return diag.Holds(diag.Finding{Step: c.Step.ID, Evidence: c.Step.Evidence, Variant: "maximum",
			Args: diag.Args{"qos": strconv.Itoa(int(asked)), "granted": max}})
	}
	return diag.Open()
}
