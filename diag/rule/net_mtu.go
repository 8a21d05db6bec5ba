package rule

import (
	"slices"
	"strconv"

	"mqttdoctor/diag"
)

// mtuBlackhole needs a connection that hung as it was asked for and gets through in small segments. What the kernel knows of
// the one that hung makes it certain, and tells the direction in which large packets vanish.
func mtuBlackhole(v *diag.View) diag.Verdict {
	for _, s := range diag.Seen[*diag.LargeMessage](v) {
		if m := s.Seen; m.Usual.Hung() && m.Small != nil && m.Small.Outcome == diag.OutcomeOK && (m.Again == nil || m.Again.Hung()) {
			return diag.Holds(diag.Finding{Variant: "message", Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{
				"address": m.Address, "length": strconv.Itoa(m.Segment), "total": strconv.Itoa(m.Bytes)}})
		}
	}
	hung, ok := hungStep(v)
	if !ok {
		if s, ok := first(diag.Seen[*diag.LargeMessage](v), func(m *diag.LargeMessage) bool { return m.Usual.Acked || m.Usual.Outcome.Ended() }); ok {
			return diag.Excluded(diag.N("because.large_answered", "length", strconv.Itoa(s.Seen.Bytes)))
		}
		if s, worked := workedLarge(v); worked {
			return diag.Excluded(diag.N("because.large_passed", "check", string(s.Check)))
		}
		if c, ok := askedConnect(v); ok && c.Seen.Outcome.Ended() {
			return diag.Excluded(diag.N("because.connection_ended")) // what is lost leaves the connection as it is
		}
		return diag.Open()
	}
	small := attempts(v, diag.PurposeSmallSegments)
	found, works := largestThatPassed(small, hung.Check)
	if !works {
		if len(small) > 0 {
			return diag.Excluded(diag.N("because.small_packets_hang"))
		}
		return diag.Open()
	}
	if again, passes := passedAgain(v, hung.Check); passes {
		return diag.Excluded(diag.N("because.passed_the_second_time", "address", again.Seen.Address))
	}
	f := diag.Finding{Step: found.Step.ID, Evidence: append(slices.Clone(hung.Evidence), found.Step.Evidence...),
		Args: diag.Args{"address": found.Seen.Address, "length": found.Seen.Label}, Confidence: diag.Likely}
	h, isTLS := hung.Observation.(*diag.TLSHandshake)
	if !isTLS || h.TCP == nil {
		return diag.Holds(f)
	}
	switch t := h.TCP; {
	case t.OutOfOrder > 0:
		// Something came behind a gap that was never filled: the large packet before it was lost, again and again.
		f.Variant, f.Confidence = "towards_us", diag.Certain
	case t.Retransmits > 0 && t.Unacked > 0:
		f.Variant, f.Confidence = "towards_peer", diag.Certain
		f.Args["count"] = strconv.Itoa(t.Retransmits)
	}
	return diag.Holds(f)
}

// largestThatPassed is the connection in the largest of the small packets that got further than the check that hung.
func largestThatPassed(small []diag.Sight[*diag.Attempt], hung diag.ProbeID) (diag.Sight[*diag.Attempt], bool) {
	small = slices.DeleteFunc(slices.Clone(small), func(s diag.Sight[*diag.Attempt]) bool { return !passedBeyond(s.Seen, hung) })
	if len(small) == 0 {
		return diag.Sight[*diag.Attempt]{}, false
	}
	segment := func(s diag.Sight[*diag.Attempt]) int {
		n, _ := strconv.Atoi(s.Seen.Label)
		return n
	}
	return slices.MaxFunc(small, func(a, b diag.Sight[*diag.Attempt]) int { return segment(a) - segment(b) }), true
}

// passedAgain is the same connection once more, in packets of the usual size, where it got further than the check that hung: it
// hung by chance, or because the peer was busy, and not because of its size.
func passedAgain(v *diag.View, check diag.ProbeID) (diag.Sight[*diag.Attempt], bool) {
	return first(diag.SeenBy[*diag.Attempt](v, "net.mtu"), func(a *diag.Attempt) bool {
		return a.Purpose == diag.PurposeRetry && passedBeyond(a, check)
	})
}

// hungOnce is what a check that hung is worth where the same connection got further when it was made again: lost packets, where
// they were measured, else that it hangs now and then.
func hungOnce(v *diag.View, f diag.Finding, again diag.Sight[*diag.Attempt]) diag.Verdict {
	if held(v, packetLoss) {
		return diag.Excluded(diag.N("because.passed_the_second_time", "address", again.Seen.Address))
	}
	f.Variant, f.Confidence, f.Readings = "once", diag.Likely, []diag.Code{"net.packet_loss"}
	f.Evidence = append(slices.Clone(f.Evidence), again.Step.Evidence...)
	return diag.Holds(f)
}

// hungStep is the last step of the asked path, where it got no answer.
func hungStep(v *diag.View) (diag.Step, bool) {
	for _, s := range v.Steps {
		switch o := s.Observation.(type) {
		case *diag.TLSHandshake:
			if s.Check == checkTLS && o.Outcome == diag.OutcomeSilent {
				return s, true
			}
		case *diag.WSUpgrade:
			if s.Check == checkWS && o.Outcome == diag.OutcomeSilent {
				return s, true
			}
		case *diag.MQTTConnect:
			if (s.Check == checkMQTT || s.Check == checkOlder) && o.Outcome == diag.OutcomeSilent {
				return s, true
			}
		}
	}
	return diag.Step{}, false
}

// workedLarge is a handshake that was completed: hello and certificates are larger than a packet, mostly.
func workedLarge(v *diag.View) (diag.Step, bool) {
	s, ok := first(diag.SeenBy[*diag.TLSHandshake](v, checkTLS), func(h *diag.TLSHandshake) bool { return h.Outcome == diag.OutcomeOK })
	return s.Step, ok
}

// passedBeyond tells whether an attempt got further than the check that hung.
func passedBeyond(a *diag.Attempt, check diag.ProbeID) bool {
	switch check {
	case checkTLS:
		return a.TLS != nil && a.TLS.Outcome == diag.OutcomeOK
	case checkWS:
		return a.WS != nil && a.WS.HTTP()
	}
	return a.SpeaksMQTT()
}
