package rule

import (
	"slices"
	"strconv"

	"mqttdoctor/diag"
)

const (
	checkSize        diag.ProbeID = "msg.size"
	checkLarge       diag.ProbeID = "net.large"
	checkRetained    diag.ProbeID = "msg.retained"
	checkRetainedOwn diag.ProbeID = "msg.retained_own"
	checkFilterKinds diag.ProbeID = "msg.filters"
)

const (
	// surprisingBytes: no usual broker or service has a limit below it, so somebody has set this one, or the clients at this
	// broker have to know of it. The smallest documented one is Tencent's IoT Hub with 16 KB.
	surprisingBytes = 16 << 10
	// notableBytes: AWS IoT Core ends at 128 KB and Azure IoT Hub at 256 KB, by design.
	notableBytes = 256 << 10
)

// limitRules are about what the broker allows.
var limitRules = []diag.Rule{
	{Code: "msg.too_large", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.2.2.3.6", "[MQTT-3.2.2-15]", "MQTT 5.0 4.13"},
		Awaits:     append([]diag.ProbeID{checkMQTT, checkOlder, checkSize, checkPublish, checkStay, checkStayOther}, afterRecount...),
		MayHide:    []diag.Code{"msg.lost", "msg.rate_limited", "msg.duplicated", "msg.out_of_order", "msg.slow"},
		LookAlikes: []diag.Code{"net.mtu_blackhole", "msg.publish_denied", "msg.publish_dropped", "msg.lost"},
		When:       tooLarge},
	{Code: "msg.retain_unavailable", Severity: diag.SeverityWarning,
		Sources:    []string{"MQTT 5.0 3.2.2.3.5", "[MQTT-3.2.2-14]", "MQTT 5.0 3.3.1.3"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkRetained},
		LookAlikes: []diag.Code{"msg.retained_wildcard", "msg.publish_denied"},
		When:       retainUnavailable},
	{Code: "msg.retained_wildcard", Severity: diag.SeverityWarning,
		Sources:    []string{"[MQTT-3.3.1-9]", "MQTT 5.0 3.8.4"},
		Awaits:     []diag.ProbeID{checkRetained, checkSubscribe, checkQoS2},
		LookAlikes: []diag.Code{"msg.retain_unavailable", "msg.subscribe_denied"},
		When:       retainedWildcard},
	{Code: "msg.stale_retained", Severity: diag.SeverityInfo,
		Sources: []string{"MQTT 5.0 3.3.1.3"},
		Awaits:  []diag.ProbeID{checkRetainedOwn},
		When:    staleRetained},
	{Code: "msg.wildcard_unavailable", Severity: diag.SeverityInfo,
		Sources: []string{"MQTT 5.0 3.2.2.3.11", "MQTT 5.0 3.9.3"},
		Awaits:  []diag.ProbeID{checkMQTT, checkOlder, checkFilterKinds},
		When:    wildcardUnavailable},
	{Code: "msg.shared_unavailable", Severity: diag.SeverityInfo,
		Sources: []string{"MQTT 5.0 3.2.2.3.13", "MQTT 5.0 4.8.2", "MQTT 5.0 3.9.3"},
		Awaits:  []diag.ProbeID{checkMQTT, checkOlder, checkFilterKinds},
		When:    sharedUnavailable},
}

// tooLarge needs a size that was seen twice to fail beside one that passed, or the broker's own word. Whether that is a fault
// depends on what is to be sent: many services have a limit by design, and a user whose messages are smaller never meets it.
func tooLarge(v *diag.View) diag.Verdict {
	asked := v.Options.Burst.PayloadBytes
	if f, lossy := lossAtOneSize(v); lossy {
		return diag.Excluded(diag.N("because.same_size_lost", "lost", f.Args["lost"], "total", f.Args["total"]))
	}
	for _, s := range diag.SeenBy[*diag.SizeSearch](v, checkSize) {
		o := s.Seen
		if endsAnyway(v, o) {
			return diag.Excluded(diag.N("because.other_session_ends"))
		}
		if o.Limited() && brokersDoing(o) {
			f := sizeFinding(o.LargestBytes, asked)
			f.Step, f.Evidence, f.Variant = s.Step.ID, s.Step.Evidence, string(o.End)
			f.Args["value"], f.Args["reason_string"] = strconv.Itoa(o.SmallestBytes), o.ReasonString
			if o.Code >= 0 {
				f.Args["code"], f.Args["reason"] = diag.CodeText(o.Code, o.Version), o.Reason
			}
			if o.End == diag.SizeStuck {
				f.Confidence, f.Readings = diag.Likely, []diag.Code{"net.mtu_blackhole"}
			}
			return diag.Holds(f)
		}
	}
	if bad, ok := first(deliveries(v, false), declinedBySize); ok {
		f := publishFinding(bad)
		f.Variant, f.Args["value"] = "even_small", strconv.Itoa(bad.Seen.Bytes)
		return diag.Holds(f)
	}
	if c, ok := askedConnect(v); ok && c.Seen.Accepted() && c.Seen.Props != nil && c.Seen.Props.MaximumPacketBytes != nil {
		limit := *c.Seen.Props.MaximumPacketBytes
		room := max(0, diag.PayloadRoom(int64(limit), c.Seen.Version, v.Target.Topics.Publish, 1))
		if room < asked || room < notableBytes {
			f := sizeFinding(room, asked)
			f.Step, f.Evidence, f.Variant = c.Step.ID, c.Step.Evidence, "announced"
			f.Args["limit"] = strconv.FormatUint(uint64(limit), 10)
			return diag.Holds(f)
		}
	}
	for _, s := range diag.SeenBy[*diag.SizeSearch](v, checkSize) {
		if s.Seen.LargestBytes > 0 && !s.Seen.Limited() {
			return diag.Excluded(diag.N("because.size_passed", "length", strconv.Itoa(s.Seen.LargestBytes)))
		}
	}
	return diag.Open()
}

// endsAnyway tells whether sessions end in the same way whatever their size: one that had sent nothing, or one with small messages
// and with the same reason.
func endsAnyway(v *diag.View, o *diag.SizeSearch) bool {
	if o.End != diag.SizeClosed && o.End != diag.SizeDisconnected || o.Code == codePacketTooLarge {
		return false
	}
	same := func(check diag.ProbeID, least int) bool {
		return slices.ContainsFunc(diag.SeenBy[*diag.SessionWatch](v, check), func(s diag.Sight[*diag.SessionWatch]) bool {
			return s.Seen.Ended() && s.Seen.Code == o.Code && s.Seen.Code >= least
		})
	}
	return same(checkStayOther, -1) || same(checkStay, 0)
}

// codePacketTooLarge is Packet too large (MQTT 5.0 2.4).
const codePacketTooLarge = 0x95

// declinedBySize tells a message that the broker declined for its size, in its own words.
func declinedBySize(d *diag.Delivery) bool {
	return d.Published == diag.OutcomeRefused && d.Code == codePacketTooLarge
}

// lossAtOneSize tells that messages of one size came in part. Then a large one that did not come says nothing about sizes, unless
// the broker said so: it was lost like the others.
func lossAtOneSize(v *diag.View) (diag.Finding, bool) {
	if _, silent := first(diag.SeenBy[*diag.SizeSearch](v, checkSize), func(o *diag.SizeSearch) bool { return o.Limited() && o.End == diag.SizeDropped }); !silent {
		return diag.Finding{}, false
	}
	if f, lost := someLost(v); lost {
		return f, true
	}
	t, ok := trafficOf(v)
	if !ok || t.again == nil || !someOf(t.again.Seen) {
		return diag.Finding{}, false
	}
	s, ok := first(t.bursts, someOf)
	return burstFinding(s), ok
}

// someOf tells that part of a burst came and part did not.
func someOf(b *diag.BurstRun) bool { return b.Lost > 0 && b.Received > 0 }

// sizeFinding is critical where the limit is below what the plan sends, or so low that it surprises.
func sizeFinding(largest, asked int) diag.Finding {
	f := diag.Finding{Severity: diag.SeverityInfo, Args: diag.Args{"length": strconv.Itoa(largest)}}
	if largest < asked || largest < surprisingBytes {
		f.Severity = diag.SeverityCritical
	}
	if largest < asked { // the burst was of messages that do not pass
		if asked != diag.UsualPayloadBytes { // else nobody asked for it
			f.Args["total"] = strconv.Itoa(asked)
		}
		f = f.Causing("msg.lost", "msg.rate_limited", "msg.duplicated", "msg.out_of_order", "msg.slow")
	}
	return f
}

// brokersDoing tells whether it was the broker that stopped a message, and not the path. What got stuck is on the path where
// packets of ours were sent again and stayed unacknowledged.
func brokersDoing(o *diag.SizeSearch) bool {
	return o.End != diag.SizeStuck || o.TCP != nil && (o.TCP.Unacked == 0 || o.TCP.Retransmits == 0)
}
