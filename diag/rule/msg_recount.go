package rule

import (
	"slices"
	"strconv"
	"strings"

	"mqttdoctor/diag"
)

const checkRecount diag.ProbeID = "msg.recount"

// recounts lists the recounts, that of the user's own topic first.
func recounts(v *diag.View) []diag.Sight[*diag.Recount] {
	seen := diag.SeenBy[*diag.Recount](v, checkRecount)
	slices.SortStableFunc(seen, func(a, b diag.Sight[*diag.Recount]) int { return asked(!a.Seen.Scratch) - asked(!b.Seen.Scratch) })
	return seen
}

// cameLater tells whether any message to the user's topic, or to ours, came in the end: late, or one of those sent again.
func cameLater(v *diag.View, scratch bool) bool {
	return slices.ContainsFunc(recounts(v), func(s diag.Sight[*diag.Recount]) bool { return s.Seen.Scratch == scratch && s.Seen.Arrived() > 0 })
}

// qosVanishes tells whether no message of that QoS came back from our topic, though others did.
func qosVanishes(v *diag.View, qos byte) bool {
	for _, s := range recounts(v) {
		if !s.Seen.Scratch || s.Seen.Arrived() == 0 {
			continue
		}
		tried, came := false, false
		for _, m := range s.Seen.Messages {
			if m.QoS == qos {
				tried, came = true, came || m.Delivered
			}
		}
		return tried && !came
	}
	return false
}

func recountFinding(s diag.Sight[*diag.Recount]) diag.Finding {
	return diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{"topic": s.Seen.Topic}}
}

// someLost needs messages to one topic of which some come and some do not. Those that count as lost have no more QoS than was
// asked for: a server need not have more. The first ones were on their way side by side, which a server with a small window may
// not bear (mosquitto 2.0.11 with max_inflight_messages 1 drops one), so one of those sent again must be lost too.
func someLost(v *diag.View) (diag.Finding, bool) {
	for _, s := range recounts(v) {
		lost, arrived, again := 0, s.Seen.Arrived(), false
		var qos []string
		for _, m := range s.Seen.Messages {
			if m.Delivered || m.QoS > v.Target.Topics.QoS {
				continue
			}
			lost++
			again = again || m.Again
			if q := strconv.Itoa(int(m.QoS)); !slices.Contains(qos, q) {
				qos = append(qos, q)
			}
		}
		if !again || arrived == 0 {
			continue
		}
		f := recountFinding(s)
		f.Variant, f.Confidence, f.Readings = "single", diag.Likely, []diag.Code{"msg.rate_limited"}
		f.Args["lost"], f.Args["total"], f.Args["count"], f.Args["qos"] = strconv.Itoa(lost), strconv.Itoa(lost+arrived), strconv.Itoa(arrived), strings.Join(qos, ", ")
		return f, true
	}
	return diag.Finding{}, false
}

// noSingleLost excludes a loss now and then where no burst was measured: by single messages that all came, or of which none did,
// and by those to a client that was there.
func noSingleLost(v *diag.View) diag.Verdict {
	for _, s := range recounts(v) {
		switch total := len(s.Seen.Messages); {
		case total > 0 && s.Seen.Arrived() == 0:
			return diag.Excluded(diag.N("because.none_arrived", "total", strconv.Itoa(total)))
		case total > 0 && s.Seen.Arrived() == total:
			return diag.Excluded(diag.N("because.all_singles_arrived", "total", strconv.Itoa(total)))
		}
	}
	if s, ok := keptSession(v); ok && s.Seen.Live != nil && s.Seen.Live.Sent > 0 && s.Seen.Live.Arrived >= s.Seen.Live.Sent {
		return diag.Excluded(diag.N("because.live_arrived", "count", strconv.Itoa(s.Seen.Live.Arrived)))
	}
	return diag.Open()
}

// someDoubled needs copies of a message that one subscription alone matches, or that the user's own filters match together.
func someDoubled(v *diag.View) (diag.Finding, bool) {
	for _, s := range recounts(v) {
		m, _, ok := s.Seen.Doubled()
		if !ok || s.Seen.Filters > 1 && s.Seen.Scratch {
			continue
		}
		f := recountFinding(s)
		f.Variant, f.Args["count"], f.Args["qos"] = "own", strconv.Itoa(m.Copies), strconv.Itoa(int(m.QoS))
		switch filters := matchingFilters(v); {
		case s.Seen.Filters > 1:
			f.Variant, f.Args["names"] = "overlap", strings.Join(filters, ", ")
		case m.Dup > 0 && m.Dup == m.Copies-1:
			f.Variant = "again"
		}
		return f, true
	}
	return diag.Finding{}, false
}

// allSlow judges single messages where no pair of clients measured any.
func allSlow(v *diag.View) diag.Verdict {
	seen := recounts(v)
	if len(seen) == 0 {
		return diag.Open()
	}
	for _, s := range seen {
		fastest, slow := s.Seen.Slow()
		if !slow {
			continue
		}
		f := recountFinding(s)
		f.Args["duration"], f.Args["rtt"] = diag.FormatMS(fastest)+" ms", diag.FormatMS(s.Seen.Path)+" ms"
		f.Args["count"], f.Variant = strconv.Itoa(s.Seen.Arrived()), "single"
		if p, ok := first(diag.Seen[*diag.MQTTPing](v), func(p *diag.MQTTPing) bool { return p.RTT > diag.SlowDelivery(s.Seen.Path)/2 }); ok {
			f.Variant = "everything"
			f.Evidence = append(slices.Clone(f.Evidence), p.Step.Evidence...)
		}
		return diag.Holds(f)
	}
	if s, ok := first(seen, func(r *diag.Recount) bool { return r.Arrived() > 0 }); ok {
		fastest, _ := s.Seen.Slow()
		return diag.Excluded(diag.N("because.single_soon", "duration", diag.FormatMS(fastest)+" ms"))
	}
	return diag.Excluded(diag.N("because.none_arrived", "total", strconv.Itoa(len(seen[0].Seen.Messages))))
}
