package rule

import (
	"slices"
	"strconv"
	"strings"

	"mqttdoctor/diag"
)

// retainUnavailable needs a retained message that was refused where the same without the flag was taken, or one that was
// taken and did not come to a subscription that works; or the broker's own word.
func retainUnavailable(v *diag.View) diag.Verdict {
	for _, s := range diag.SeenBy[*diag.RetainedCheck](v, checkRetained) {
		r := s.Seen
		f := diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{"topic": r.Topic, "reason_string": r.ReasonString}}
		if r.Code >= 0x80 {
			f.Args["code"], f.Args["reason"] = diag.CodeText(r.Code, r.Version), r.Reason
		}
		switch {
		case r.Announced != nil && !*r.Announced:
			f.Variant = "announced"
			return diag.Holds(f)
		case r.Set == diag.OutcomeRefused && (r.Plain == diag.OutcomeOK || r.Code == 0x9A): // Retain not supported
			f.Variant = "refused"
			return diag.Holds(f)
		case r.Set.Ended() && r.Plain == diag.OutcomeOK:
			f.Variant = "closed"
			return diag.Holds(f)
		case r.Set == diag.OutcomeOK && r.Exact.Withheld():
			f.Variant, f.Confidence = "not_kept", diag.Likely // a cluster may have it on another node
			f.Args["duration"] = diag.FormatMS(r.Exact.Waited) + " ms"
			return diag.Holds(f)
		case r.Exact.Came:
			return diag.Excluded(diag.N("because.retained_came", "topic", r.Topic))
		}
	}
	// What the broker says of itself, in a run that is about something else: nobody was seen to need it.
	if c, ok := askedConnect(v); ok && c.Seen.Accepted() && c.Seen.Props != nil && c.Seen.Props.RetainAvailable != nil && !*c.Seen.Props.RetainAvailable {
		return diag.Holds(diag.Finding{Severity: diag.SeverityInfo, Variant: "announced", Step: c.Step.ID, Evidence: c.Step.Evidence})
	}
	return diag.Open()
}

// retainedWildcard needs the message to come by its exact topic, and not by a filter with a wildcard that brings other
// messages. RabbitMQ and AWS IoT Core are known for it and say so in their documentation: that is no fault by itself, but it
// is the answer for a user who receives nothing by a wildcard.
func retainedWildcard(v *diag.View) diag.Verdict {
	for _, s := range diag.SeenBy[*diag.RetainedCheck](v, checkRetained) {
		r := s.Seen
		if !r.Exact.Came {
			continue
		}
		for _, read := range []*diag.RetainedRead{&r.Plus, &r.Hash} {
			if !read.Withheld() || !read.ByName {
				continue
			}
			f := diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{"topic": r.Topic, "filter": read.Filter,
				"duration": diag.FormatMS(read.Waited) + " ms"}}
			if own := ownWildcard(v); own != "" {
				f.Args["suggested"] = own
			}
			if !matters(v) {
				f.Severity = diag.SeverityInfo
			}
			return diag.Holds(f)
		}
		if r.Plus.Came && r.Hash.Came {
			return diag.Excluded(diag.N("because.retained_by_wildcard", "filter", r.Plus.Filter))
		}
	}
	return diag.Open()
}

// matters tells whether retained messages by wildcards are what the user needs, as far as is known.
func matters(v *diag.View) bool {
	own := ownWildcard(v)
	switch {
	case own != "" && v.Options.Symptom == diag.SymptomNotReceiving:
		return true
	case withoutQoS2(v): // documented
		return false
	}
	return own != "" || len(v.Target.Topics.Subscribe) == 0
}

// ownWildcard is the first of the user's filters that has a wildcard.
func ownWildcard(v *diag.View) string {
	i := slices.IndexFunc(v.Target.Topics.Subscribe, func(f string) bool { return strings.ContainsAny(f, "+#") })
	if i < 0 {
		return ""
	}
	return v.Target.Topics.Subscribe[i]
}

// withoutQoS2 tells a broker that lowers QoS 2 to 1 or announces that it has none, as RabbitMQ and AWS IoT Core do.
func withoutQoS2(v *diag.View) bool {
	if c, ok := askedConnect(v); ok && c.Seen.Props != nil && c.Seen.Props.MaximumQoS != nil && *c.Seen.Props.MaximumQoS < 2 {
		return true
	}
	for _, s := range subscriptions(v, true) {
		if granted, ok := s.Seen.Granted(); ok && s.Seen.QoS == 2 && granted < 2 {
			return true
		}
	}
	return false
}

// staleRetained tells of retained messages on the user's topics. Nothing shows their age: whether they are stale, the user
// knows.
func staleRetained(v *diag.View) diag.Verdict {
	for _, s := range diag.SeenBy[*diag.RetainedSeen](v, checkRetainedOwn) {
		if s.Seen.Total == 0 {
			continue
		}
		m := s.Seen.Messages[0]
		f := diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{
			"topic": m.Topic, "length": strconv.Itoa(m.Bytes), "count": strconv.Itoa(s.Seen.Total)}}
		if s.Seen.Total > 1 {
			f.Variant = "several"
		}
		return diag.Holds(f)
	}
	return diag.Open()
}
