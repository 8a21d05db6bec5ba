package rule

import (
	"slices"
	"strconv"

	"mqttdoctor/diag"
)

const (
	checkSession diag.ProbeID = "msg.session"
	checkWill    diag.ProbeID = "msg.will"
)

// keptRules are about sessions that are to outlast their connection.
var keptRules = []diag.Rule{
	{Code: "mqtt.session_not_kept", Severity: diag.SeverityWarning,
		Sources:    []string{"[MQTT-3.1.2-4]", "MQTT 5.0 3.1.2.11.2", "MQTT 5.0 3.2.2.1.1"},
		Awaits:     []diag.ProbeID{checkSession},
		LookAlikes: []diag.Code{"msg.offline_lost"},
		When:       sessionNotKept},
}

// awayRules are about what a broker does for clients that are gone.
var awayRules = []diag.Rule{
	{Code: "msg.offline_lost", Severity: diag.SeverityWarning,
		Sources:    []string{"MQTT 5.0 4.1", "MQTT 5.0 4.4", "MQTT 3.1.1 3.1.2.4"},
		Awaits:     []diag.ProbeID{checkSession},
		LookAlikes: []diag.Code{"mqtt.session_not_kept", "msg.lost"},
		When:       offlineLost},
	{Code: "msg.will_not_delivered", Severity: diag.SeverityWarning,
		Sources:    []string{"MQTT 5.0 3.1.2.5", "MQTT 5.0 3.14.2.1", "[MQTT-3.1.2-8]"},
		Awaits:     []diag.ProbeID{checkWill},
		LookAlikes: []diag.Code{"msg.publish_denied", "msg.publish_dropped"},
		When:       willNotDelivered},
}

func keptSession(v *diag.View) (diag.Sight[*diag.KeptSession], bool) {
	return first(diag.SeenBy[*diag.KeptSession](v, checkSession), func(o *diag.KeptSession) bool { return len(o.Returns) > 0 })
}

func sessionNotKept(v *diag.View) diag.Verdict {
	s, ok := keptSession(v)
	if !ok {
		return diag.Open()
	}
	o := s.Seen
	lost, after := 0, diag.Leave("")
	forgotten := false
	for _, r := range o.Returns {
		if !r.Kept() {
			lost, after, forgotten = lost+1, r.Left, forgotten || r.Forgotten()
		}
	}
	if lost > 0 && !o.Wanted {
		return diag.Open() // nobody has asked for one, and a broker may know none
	}
	f := diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{"value": strconv.FormatUint(uint64(o.ExpiryS), 10) + " s"}}
	if o.Announced != nil {
		f.Args["suggested"] = strconv.FormatUint(uint64(*o.Announced), 10) + " s"
	}
	switch {
	case lost == 0 && o.Wanted && o.Announced != nil && *o.Announced < o.ExpiryS:
		f.Severity, f.Variant = diag.SeverityInfo, "shorter"
		return diag.Holds(f)
	case lost == 0 && o.Wanted && o.Unflagged():
		f.Variant = "unflagged"
	case lost == 0:
		return diag.Excluded(diag.N("because.session_kept"))
	case o.Announced != nil && *o.Announced == 0:
		f.Variant = "expiry_zero"
	case lost == len(o.Returns) && forgotten:
		f.Variant = "subscriptions"
	case lost < len(o.Returns):
		f.Variant = string(after)
	}
	if len(o.Returns) == 1 {
		f.Confidence = diag.Likely
	}
	return diag.Holds(f)
}

func offlineLost(v *diag.View) diag.Verdict {
	s, ok := keptSession(v)
	if !ok {
		return diag.Open()
	}
	o := s.Seen
	var bad []diag.KeptReturn
	kept := 0
	for _, r := range o.Returns {
		switch {
		case r.Search || !r.Kept():
			continue
		case r.Part() != diag.PartAll && !cameWhenRepeated(o.Returns, r):
			bad = append(bad, r)
		}
		kept++
	}
	switch {
	case kept == 0:
		return diag.Excluded(diag.N("because.no_session_kept"))
	case len(bad) == 0:
		return diag.Excluded(diag.N("because.offline_arrived", "count", strconv.Itoa(o.Returns[0].Arrived)))
	}
	f := diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{
		"count": strconv.Itoa(bad[0].Arrived), "total": strconv.Itoa(bad[0].Sent)}}
	limit, part, limited := o.Limit()
	others := 0
	for _, r := range bad {
		others += r.Others
	}
	limited = limited && others == 0
	switch {
	case limited:
		f.Variant = string(part)
		f.Args["limit"] = strconv.Itoa(limit)
	case o.Live != nil && o.Live.Arrived < o.Live.Sent:
		return diag.Excluded(diag.N("because.lost_while_there", "count", strconv.Itoa(o.Live.Arrived), "total", strconv.Itoa(o.Live.Sent)))
	case bad[0].Arrived > 0:
		f.Variant = string(diag.PartSome)
	}
	switch {
	case o.Live != nil && o.Live.Arrived < o.Live.Sent: // a short queue loses those too, and so does a limit on the rate
		f.Confidence, f.Readings = diag.Likely, []diag.Code{"msg.lost"}
	case len(bad) == 1, others > 0:
		f.Confidence = diag.Likely
	}
	return diag.Holds(f)
}

// cameWhenRepeated tells whether as many messages all arrived after another absence that ended in the same way: then the broker
// keeps them, and was late with those of the first time (NATS sends what is not acknowledged in time half a minute later).
func cameWhenRepeated(returns []diag.KeptReturn, short diag.KeptReturn) bool {
	return slices.ContainsFunc(returns, func(r diag.KeptReturn) bool {
		return r.Left == short.Left && r.Kept() && r.Sent >= short.Sent && r.Part() == diag.PartAll
	})
}

// willNotDelivered needs the will gone twice although a plain message of the same client to the same topic arrived.
func willNotDelivered(v *diag.View) diag.Verdict {
	s, ok := first(diag.SeenBy[*diag.WillWatch](v, checkWill), func(o *diag.WillWatch) bool { return len(o.Tries) > 0 })
	if !ok {
		return diag.Open()
	}
	missing, otherwise := 0, false
	for _, t := range s.Seen.Tries {
		switch {
		case t.End == diag.WillCut && t.DelayS == 0 && t.Arrived:
			return diag.Excluded(diag.N("because.will_arrived", "duration", diag.FormatMS(t.Took)+" ms"))
		case t.End == diag.WillCut && t.DelayS == 0:
			missing++
		case t.End == diag.WillDisconnect:
			otherwise = otherwise || t.Arrived
		}
	}
	f := diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{
		"topic": s.Seen.Topic, "duration": diag.FormatMS(s.Seen.Tries[0].Waited) + " ms"}}
	switch {
	case missing == 0:
		return diag.Open()
	case otherwise:
		f.Variant = "unnoticed"
	}
	if missing == 1 {
		f.Confidence = diag.Likely
	}
	return diag.Holds(f)
}
