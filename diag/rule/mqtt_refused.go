package rule

import (
	"slices"
	"strconv"

	"mqttdoctor/diag"
)

// unaccepted is the asked CONNECT where one was sent and not accepted.
func unaccepted(v *diag.View) (diag.Sight[*diag.MQTTConnect], diag.Verdict, bool) {
	c, ok := askedConnect(v)
	switch {
	case !ok:
		return c, diag.Open(), false
	case c.Seen.Accepted():
		return c, diag.Excluded(diag.N("because.connack_accepted")), false
	}
	return c, diag.Verdict{}, true
}

// refusal is the asked CONNECT where the broker answered and declined.
func refusal(v *diag.View) (diag.Sight[*diag.MQTTConnect], diag.Verdict, bool) {
	c, no, ok := unaccepted(v)
	if ok && c.Seen.Outcome != diag.OutcomeRefused {
		return c, diag.Excluded(diag.N("because.no_connack_came")), false
	}
	return c, no, ok
}

func connectFinding(c diag.Sight[*diag.MQTTConnect]) diag.Finding {
	f := diag.Finding{Step: c.Step.ID, Evidence: c.Step.Evidence, Args: diag.Args{
		"reason": c.Seen.Reason, "reason_string": c.Seen.ReasonString,
		"version": string(c.Seen.Version), "client_id": c.Seen.ClientID, "keepalive": strconv.Itoa(c.Seen.KeepAliveS),
		"duration": diag.FormatMS(c.Seen.Took) + " ms",
	}}
	if c.Seen.Code >= 0 {
		f.Args["code"] = diag.CodeText(c.Seen.Code, c.Seen.Version)
	}
	return f
}

// codeRule concludes a cause from the CONNACK's code alone.
func codeRule(v3, v5 []int) func(*diag.View) diag.Verdict {
	return func(v *diag.View) diag.Verdict {
		c, no, ok := refusal(v)
		if !ok {
			return no
		}
		if !isCode(c.Seen, v3, v5) {
			return excludedByCode(c.Seen)
		}
		return diag.Holds(connectFinding(c))
	}
}

// serverUnavailable is what the broker says; and what remains where it refuses with a code that names no reason (0x80, 0x83, or
// one that is none for a CONNECT), or finds fault with a CONNECT that is in order, and nothing that was varied helps.
func serverUnavailable(v *diag.View) diag.Verdict {
	if f, some := refusedNowAndThen(v, []int{v3Unavailable}, []int{v5Unavailable}); some {
		return diag.Holds(f)
	}
	c, no, ok := refusal(v)
	if !ok {
		return no
	}
	f := connectFinding(c)
	switch {
	case isCode(c.Seen, []int{v3Unavailable}, []int{v5Unavailable}):
		if c.Seen.Code == v3Unavailable {
			// MQTT 3.1.1 has no code for a limit: EMQX says this at one (emqx_reason_codes:compat/2), where MQTT 5 has 0x97.
			f.Readings = []diag.Code{"mqtt.connection_limit"}
		}
		return diag.Holds(f)
	case !unnamed(c.Seen):
		return excludedByCode(c.Seen)
	case slices.ContainsFunc([]diag.ProbeID{checkVersions, checkOtherID, checkNoCreds, checkKeepAlive, checkShortConnect, checkLongConnect},
		func(id diag.ProbeID) bool { return !v.Ended(id) }):
		return diag.Open()
	}
	for _, better := range []func(*diag.View) diag.Verdict{versionUnsupported, connectTooLarge, keepAliveRejected, clientIDRejected, badCredentials} {
		if held(v, better) {
			return diag.Excluded(diag.N("because.other_reason_found"))
		}
	}
	f.Variant, f.Confidence = "unnamed", diag.Possible
	f.Readings = []diag.Code{"mqtt.not_authorized", "mqtt.client_id_rejected", "mqtt.version_unsupported"}
	if c.Seen.Credentials {
		f.Readings = append(f.Readings, "mqtt.bad_credentials")
	}
	return diag.Holds(f)
}

func useAnotherServer(v *diag.View) diag.Verdict {
	c, no, ok := refusal(v)
	if !ok {
		return no
	}
	if !isCode(c.Seen, nil, []int{v5UseAnother, v5ServerMoved}) {
		return excludedByCode(c.Seen)
	}
	f := connectFinding(c)
	if c.Seen.Code == v5ServerMoved {
		f.Variant = "moved"
	}
	if p := c.Seen.Props; p != nil && p.ServerReference != "" {
		f.Args["reference"] = p.ServerReference
		if s, ok := first(attempts(v), func(a *diag.Attempt) bool { return a.Label == "server_reference" && a.Accepted() }); ok {
			f.Suggestion = &diag.Suggestion{URL: urlOf(v, s.Seen)}
		}
	}
	return diag.Holds(f)
}

// connectionLimit needs several connections held at once by us, the refusal of a further one, and its success after one was
// closed: see mqtt.limit.
func connectionLimit(v *diag.View) diag.Verdict {
	for _, s := range diag.Seen[*diag.HeldConnections](v) {
		if s.Seen.Refused && s.Seen.RetryWorked {
			f := diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{"count": strconv.Itoa(s.Seen.Held)}}
			if s.Seen.Held == 1 {
				f.Variant = "one"
			}
			if s.Step.Check == checkRoom && !slices.Contains(connectComplaints, v.Options.Symptom) {
				f.Severity = diag.SeverityInfo // the client has its place, and nobody complains of another's
			}
			return diag.Holds(f)
		}
		if s.Seen.Refused && !s.Seen.Closed {
			// None of the held ones could be closed for a retry. A quota is the broker's own word for it.
			if s.Seen.Held > 0 && s.Seen.Code == v5QuotaExceeded {
				return diag.Holds(diag.Finding{Variant: "quota", Confidence: diag.Likely, Step: s.Step.ID, Evidence: s.Step.Evidence,
					Args: diag.Args{"count": strconv.Itoa(s.Seen.Held), "code": diag.CodeText(s.Seen.Code, diag.Version5)}})
			}
			return diag.Open()
		}
		if s.Seen.Held > 0 {
			return diag.Excluded(diag.N("because.held_connections", "count", strconv.Itoa(s.Seen.Held)))
		}
	}
	return diag.Open()
}

func connectTooLarge(v *diag.View) diag.Verdict {
	c, no, ok := unaccepted(v)
	if !ok {
		return no
	}
	o := c.Seen
	f := connectFinding(c)
	f.Args["length"] = strconv.Itoa(o.ConnectBytes)
	if isCode(o, nil, []int{v5PacketTooLarge}) {
		return diag.Holds(f)
	}
	if o.Code >= 0 && !isCode(o, nil, []int{v5Unspecified, v5Malformed, v5Protocol, v5Implementation, v5QuotaExceeded}) {
		return excludedByCode(o)
	}
	sights := attempts(v, diag.PurposeShortConnect)
	if s, ok := first(sights, func(a *diag.Attempt) bool { return a.SpeaksMQTT() && a.MQTT.Code != o.Code }); ok {
		f.Confidence = diag.Likely
		if long := attempts(v, diag.PurposeLongConnect); len(long) > 0 && long[0].Seen.MQTT != nil {
			if long[0].Seen.SpeaksMQTT() && long[0].Seen.MQTT.Code != o.Code {
				return diag.Excluded(diag.N("because.long_connect_answered"))
			}
			f.Confidence = diag.Certain
			f.Evidence = append(f.Evidence, long[0].Step.Evidence...)
		}
		f.Evidence = append(f.Evidence, s.Step.Evidence...)
		return diag.Holds(f)
	}
	if len(sights) > 0 {
		return diag.Excluded(diag.N("because.short_connect_same"))
	}
	return diag.Excluded(diag.N("because.connect_is_short", "length", strconv.Itoa(o.ConnectBytes)))
}

func keepAliveRejected(v *diag.View) diag.Verdict {
	c, no, ok := unaccepted(v)
	if !ok {
		return no
	}
	o := c.Seen
	// Brokers answer with whatever code their author thought of: that the control was refused too decides, below.
	if o.Outcome != diag.OutcomeRefused && !withoutAnswer(o) {
		return diag.Excluded(diag.N("because.not_that_answer"))
	}
	sights := attempts(v, diag.PurposeKeepAlive)
	small, works := first(sights, func(a *diag.Attempt) bool { return a.Accepted() && a.MQTT.KeepAliveS != o.KeepAliveS })
	control, controlled := first(sights, func(a *diag.Attempt) bool { return a.MQTT != nil && a.MQTT.KeepAliveS == o.KeepAliveS })
	switch {
	case !works && len(sights) > 0:
		return diag.Excluded(diag.N("because.smaller_keepalive_same"))
	case !works:
		return diag.Excluded(diag.N("because.keepalive_is_usual", "keepalive", strconv.Itoa(o.KeepAliveS)))
	case controlled && control.Seen.Accepted(), !controlled && !idRefused(o) && !withoutAnswer(o):
		return diag.Excluded(diag.N("because.keepalive_passes_with_other_id"))
	}
	f := connectFinding(c)
	f.Args["suggested"] = strconv.Itoa(small.Seen.MQTT.KeepAliveS)
	seconds := small.Seen.MQTT.KeepAliveS
	f.Suggestion = &diag.Suggestion{KeepAlive: &seconds}
	return diag.Holds(f)
}
