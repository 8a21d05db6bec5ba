package rule

import (
	"mqttdoctor/diag"
)

const checkAccess diag.ProbeID = "msg.access"

// accessCheck is what the broker says in MQTT 5, where that was asked.
func accessCheck(v *diag.View) (diag.Sight[*diag.AccessCheck], bool) {
	return first(diag.SeenBy[*diag.AccessCheck](v, checkAccess), func(*diag.AccessCheck) bool { return true })
}

// accessRules tells whether the broker was seen to deny this client anything: then a topic on which nothing arrives is lost to
// a rule rather than to a broker that delivers nothing.
func accessRules(v *diag.View) bool {
	if _, refused := first(deliveries(v, true), publishRefused); refused || anyDenied(subscriptions(v, true)) {
		return true
	}
	a, ok := accessCheck(v)
	return ok && (a.Seen.Own.Denied() || a.Seen.Scratch.Denied())
}

// toldInMQTT5 concludes from a message that was taken, and is declined by the same broker in MQTT 5. Where the user's client id
// is not the one that asked, rules may tell the two apart: then the message must also have failed to arrive.
func toldInMQTT5(v *diag.View, own []diag.Sight[*diag.Delivery]) (diag.Finding, bool) {
	a, ok := accessCheck(v)
	if !ok || !a.Seen.Own.Denied() {
		return diag.Finding{}, false
	}
	taken, ok := first(own, func(d *diag.Delivery) bool { return d.Published == diag.OutcomeOK })
	_, lost := first(own, vanished)
	if !ok || a.Seen.OtherID && !lost {
		return diag.Finding{}, false
	}
	f := publishFinding(taken)
	f.Step, f.Variant = a.Step.ID, "told"
	f.Evidence = append(f.Evidence[:len(f.Evidence):len(f.Evidence)], a.Step.Evidence...)
	f.Args["version"], f.Args["reason_string"] = string(taken.Seen.Version), a.Seen.Own.ReasonString
	if a.Seen.Own.Code >= 0x80 {
		f.Args["code"], f.Args["reason"] = diag.CodeText(a.Seen.Own.Code, diag.Version5), a.Seen.Own.Reason
	}
	if a.Seen.OtherID || a.Seen.Own.Code < 0x80 {
		f.Confidence = diag.Likely
	}
	return f, true
}

// allowedInMQTT5 is the broker's own acknowledgement of the user's message, where that means that writing is allowed: some
// message of ours was refused with a code, so this broker would have said otherwise. Empty: not known.
func allowedInMQTT5(v *diag.View, d *diag.Delivery) string {
	a, asked := accessCheck(v)
	_, refuses := first(deliveries(v, true), func(d *diag.Delivery) bool { return d.Published == diag.OutcomeRefused && d.Version == diag.Version5 })
	switch {
	case asked && a.Seen.Own.Outcome == diag.OutcomeOK && a.Seen.Scratch.Outcome == diag.OutcomeRefused:
		return a.Seen.Own.Reason
	case refuses && d.Version == diag.Version5 && d.QoS > 0 && d.Code >= 0:
		return d.Reason
	}
	return ""
}

// notHeard tells of a message that the user's filters do not cover, and that a client of ours listened for in vain. The broker
// dropped it, or does not let this client read the topic, which nobody asked for.
func notHeard(own []diag.Sight[*diag.Delivery]) (diag.Finding, bool) {
	listened, ok := first(own, vanished)
	if !ok || listened.Step.Check != checkAccess {
		return diag.Finding{}, false
	}
	f := publishFinding(listened)
	f.Severity, f.Confidence, f.Variant = diag.SeverityInfo, diag.Possible, "unheard"
	f.Args["duration"] = diag.FormatMS(listened.Seen.Waited) + " ms"
	return f, true
}
