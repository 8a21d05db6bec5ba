package rule

import "mqttdoctor/diag"

// Reason codes that decline a filter for what kind it is (MQTT 5.0 3.9.3).
const (
	codeSharedUnsupported   = 0x9E
	codeWildcardUnsupported = 0xA2
	codeNotAuthorized       = 0x87
)

// wildcardUnavailable needs the broker's own word, or both kinds of wildcards declined where a plain subscription to the same
// topics is granted.
func wildcardUnavailable(v *diag.View) diag.Verdict {
	for _, s := range diag.SeenBy[*diag.FilterKinds](v, checkFilterKinds) {
		plus, hash := &s.Seen.Plus, &s.Seen.Hash
		switch {
		case plus.Forbidden():
			return diag.Holds(filterFinding(s, plus, "announced"))
		case declinedKind(plus) && declinedKind(hash):
			return diag.Holds(filterFinding(s, hash, "refused"))
		case hash.Works || plus.Works:
			return diag.Excluded(diag.N("because.wildcard_works", "filter", hash.Filter))
		}
	}
	if c, ok := askedConnect(v); ok && c.Seen.Accepted() && c.Seen.Props != nil && c.Seen.Props.WildcardAvailable != nil && !*c.Seen.Props.WildcardAvailable {
		return diag.Holds(diag.Finding{Variant: "announced", Step: c.Step.ID, Evidence: c.Step.Evidence})
	}
	return diag.Open()
}

// sharedUnavailable also takes a subscription that was granted and brings nothing: before MQTT 5 a broker that knows none
// takes it for a plain filter that begins with $share.
func sharedUnavailable(v *diag.View) diag.Verdict {
	for _, s := range diag.SeenBy[*diag.FilterKinds](v, checkFilterKinds) {
		shared := &s.Seen.Shared
		switch {
		case shared.Forbidden():
			return diag.Holds(filterFinding(s, shared, "announced"))
		case declinedKind(shared):
			return diag.Holds(filterFinding(s, shared, "refused"))
		case shared.Dead():
			return diag.Holds(filterFinding(s, shared, "plain"))
		case shared.Works:
			return diag.Excluded(diag.N("because.shared_works"))
		}
	}
	if c, ok := askedConnect(v); ok && c.Seen.Accepted() && c.Seen.Props != nil && c.Seen.Props.SharedAvailable != nil && !*c.Seen.Props.SharedAvailable {
		return diag.Holds(diag.Finding{Variant: "announced", Step: c.Step.ID, Evidence: c.Step.Evidence})
	}
	return diag.Open()
}

// declinedKind tells a filter that was refused for its kind, as far as the code tells, or at which the connection ended. Not
// authorized is an access rule's word.
func declinedKind(k *diag.FilterKind) bool {
	return k.Outcome.Ended() || k.Outcome == diag.OutcomeRefused && k.Code >= 0x80 && k.Code != codeNotAuthorized
}

func filterFinding(s diag.Sight[*diag.FilterKinds], k *diag.FilterKind, variant string) diag.Finding {
	f := diag.Finding{Variant: variant, Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{"filter": k.Filter}}
	if k.Code >= 0x80 {
		f.Args["code"], f.Args["reason"] = diag.CodeText(k.Code, diag.Version5), k.Reason
	}
	if variant != "announced" && k.Code != codeSharedUnsupported && k.Code != codeWildcardUnsupported {
		f.Confidence = diag.Likely // an access rule may deny it too
	}
	return f
}
