package probe

import (
	"slices"

	"mqttdoctor/diag"
)

// What the TLS checks beside the asked path ask about it before they decide to run. All of it is pure.

func handshakesOf(v *diag.View) []*diag.TLSHandshake {
	var out []*diag.TLSHandshake
	for _, s := range diag.SeenBy[*diag.TLSHandshake](v, checkTLS) {
		out = append(out, s.Seen)
	}
	return out
}

// shookHands is the first asked handshake that was completed.
func shookHands(v *diag.View) (*diag.TLSHandshake, bool) {
	return firstHandshake(v, func(h *diag.TLSHandshake) bool { return h.Outcome == diag.OutcomeOK })
}

func firstHandshake(v *diag.View, fulfils func(*diag.TLSHandshake) bool) (*diag.TLSHandshake, bool) {
	seen := handshakesOf(v)
	if i := slices.IndexFunc(seen, fulfils); i >= 0 {
		return seen[i], true
	}
	return nil, false
}

// judgedHandshake is the first asked handshake whose certificate was looked at and fulfils the condition.
func judgedHandshake(v *diag.View, fulfils func(*diag.TLSHandshake) bool) (*diag.TLSHandshake, bool) {
	return firstHandshake(v, func(h *diag.TLSHandshake) bool { return h.Trust != nil && h.Leaf() != nil && fulfils(h) })
}

// failedHandshake is the asked handshake where all of them failed.
func failedHandshake(v *diag.View) (*diag.TLSHandshake, bool) {
	if _, ok := shookHands(v); ok || !v.Ended(checkTLS) {
		return nil, false
	}
	return firstHandshake(v, func(*diag.TLSHandshake) bool { return true })
}

// afterHandshake decides for a check that needs to know what came of the asked handshakes: skip where there was none.
func afterHandshake(v *diag.View, decide func() diag.Decision) diag.Decision {
	switch {
	case !v.Ended(checkTLS):
		return diag.Wait()
	case len(handshakesOf(v)) == 0:
		return notReachedBy(v, checkTLS)
	}
	return decide()
}

func alertIs(h *diag.TLSHandshake, numbers ...uint8) bool {
	return h.Alert != nil && slices.Contains(numbers, h.Alert.Number)
}

// spokeOtherwise tells whether the look-alikes have shown what the listener speaks in place of TLS, and whether they have
// all been asked.
func spokeOtherwise(v *diag.View) (answered, known bool) {
	for _, s := range diag.SeenBy[*diag.Attempt](v, checkTransports) {
		if a := s.Seen; !a.Transport.UsesTLS() && (a.SpeaksMQTT() || a.WS != nil && a.WS.HTTP()) {
			return true, true
		}
	}
	return false, v.Ended(checkTransports)
}

// doubtsOffer decides for a check that varies the ClientHello of a failed handshake: run where what failed can come from
// what was offered. A handshake that the server ended over the client's certificate, or that no TLS server took part in,
// is another matter.
func doubtsOffer(v *diag.View) diag.Decision {
	h, failed := failedHandshake(v)
	if !failed {
		return diag.Skip(diag.N("skip.handshake_worked"))
	}
	switch {
	case h.CertRequested, h.Outcome == diag.OutcomeOther:
		return diag.Skip(diag.N("skip.already_clear"))
	case h.Outcome == diag.OutcomeSilent && !h.ServerHello:
		return diag.Skip(diag.N("skip.not_the_question"))
	case h.ServerHello:
		return diag.Run()
	}
	switch answered, known := spokeOtherwise(v); {
	case answered:
		return diag.Skip(diag.N("skip.already_clear"))
	case !known:
		return diag.Wait()
	}
	return diag.Run()
}

// where is the address that a TLS check beside the asked path goes to.
func where(v *diag.View) (string, bool) {
	if h, ok := shookHands(v); ok {
		return h.Address, true
	}
	return reachable(v)
}

func ifTLS(t diag.Target, _ diag.PlanOptions) bool { return t.Scheme.UsesTLS() }
