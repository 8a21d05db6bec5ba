package rule

import (
	"slices"
	"strings"

	"mqttdoctor/diag"
)

func expired(h *diag.TLSHandshake) bool { return h.Trust.Now.After(h.Leaf().NotAfter) }

func notYetValid(h *diag.TLSHandshake) bool { return h.Trust.Now.Before(h.Leaf().NotBefore) }

func certExpired(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	s, severity, ok := faulty(v, expired)
	if !ok {
		return diag.Excluded(inDate(v))
	}
	if note, skewed := otherClock(v, s); skewed {
		return diag.Excluded(note)
	}
	f := certFinding(v, s, severity)
	f.Args["days"] = days(s.Seen.Trust.Now.Sub(s.Seen.Leaf().NotAfter))
	clocksAgree(v, s, &f)
	return diag.Holds(f)
}

func certNotYetValid(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	s, severity, ok := faulty(v, notYetValid)
	if !ok {
		return diag.Excluded(inDate(v))
	}
	if note, skewed := otherClock(v, s); skewed {
		return diag.Excluded(note)
	}
	f := certFinding(v, s, severity)
	f.Args["interval"] = spanText(s.Seen.Leaf().NotBefore.Sub(s.Seen.Trust.Now))
	clocksAgree(v, s, &f)
	return diag.Holds(f)
}

// inDate says from when to when the served leaf is valid.
func inDate(v *diag.View) diag.Note {
	leaf := judged(v)[0].Seen.Leaf()
	return diag.N("because.cert_in_date", "not_before", dateText(leaf.NotBefore), "not_after", dateText(leaf.NotAfter))
}

func hostnameMismatch(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	s, severity, ok := faulty(v, func(h *diag.TLSHandshake) bool {
		return !h.Trust.NameOK && (h.Trust.HasSAN || !h.Trust.NameInCN)
	})
	if !ok {
		if h := judged(v)[0].Seen; !h.Trust.NameOK {
			return diag.Excluded(diag.N("because.name_in_cn_alone", "name", h.Trust.Name))
		}
		return diag.Excluded(diag.N("because.name_in_cert", "name", judged(v)[0].Seen.Trust.Name))
	}
	h := s.Seen
	f := certFinding(v, s, severity)
	switch {
	case len(namesOf(h.Leaf())) == 0:
		f.Variant = "no_names"
	case isAddress(h.Trust.Name) && slices.Contains(h.Leaf().DNSNames, h.Trust.Name):
		f.Variant = "address_as_name" // an IP address among the DNS names counts for nothing (RFC 5280 4.2.1.6)
	case isAddress(h.Trust.Name):
		f.Variant = "address"
	case onlyWildcardDepth(h.Leaf().DNSNames, h.Trust.Name):
		f.Variant = "wildcard"
	}
	if name, ok := workingName(v); ok {
		f.Args["suggested"] = name
		f.Suggestion = &diag.Suggestion{TLS: &diag.TLSSuggestion{ServerName: name}}
	}
	return diag.Holds(f)
}

// onlyWildcardDepth tells whether a wildcard would match if it covered more than one label or none (RFC 9525 6.3).
func onlyWildcardDepth(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		domain, wild := strings.CutPrefix(strings.ToLower(n), "*.")
		return wild && (strings.EqualFold(name, domain) || strings.HasSuffix(strings.ToLower(name), "."+domain))
	})
}

// workingName is a name of the certificate with which the whole way works.
func workingName(v *diag.View) (string, bool) {
	s, ok := first(attempts(v, diag.PurposeSNI), func(a *diag.Attempt) bool {
		return trustedFully(a.TLS) && (a.Accepted() || a.SpeaksMQTT() && a.MQTT.CredentialsWithheld)
	})
	if !ok {
		return "", false
	}
	return s.Seen.Label, true
}

// untrusted tells whether the client's settings lead to no root, whatever the dates and the name.
func untrusted(h *diag.TLSHandshake) bool { return !h.Trust.Trusted() }

func selfIssued(h *diag.TLSHandshake) bool { return h.Leaf().SelfIssued }

func selfSigned(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	s, severity, ok := faulty(v, func(h *diag.TLSHandshake) bool { return untrusted(h) && selfIssued(h) })
	if !ok {
		h := judged(v)[0].Seen
		if h.Trust.Trusted() {
			return diag.Excluded(diag.N("because.chain_is_trusted"))
		}
		return diag.Excluded(diag.N("because.issued_by_another", "subject", h.Leaf().Subject, "issuer", h.Leaf().Issuer))
	}
	f := certFinding(v, s, severity)
	if s.Seen.Trust.GivenCA {
		f.Variant = "ca_given"
	}
	return diag.Holds(f)
}

func unknownCA(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	if judged(v)[0].Seen.Trust.GivenCA {
		return diag.Excluded(diag.N("because.ca_was_given"))
	}
	s, severity, ok := faulty(v, func(h *diag.TLSHandshake) bool { return untrusted(h) && !selfIssued(h) })
	if !ok {
		h := judged(v)[0].Seen
		if h.Trust.Trusted() {
			return diag.Excluded(diag.N("because.chain_is_trusted"))
		}
		return diag.Excluded(diag.N("because.own_issuer", "subject", h.Leaf().Subject))
	}
	if note, known := missingFound(v, s); known {
		return diag.Excluded(note)
	}
	f := certFinding(v, s, severity)
	f.Args["issuer"] = rootName(s.Seen)
	if s.Seen.Trust.MissingName != "" {
		// The chain ends below a root, and what is missing may be an intermediate of a known one.
		f.Variant, f.Confidence, f.Readings = "open_end", diag.Likely, []diag.Code{"tls.incomplete_chain"}
	}
	return diag.Holds(f)
}

// rootName is the name of the authority at the upper end of what was served.
func rootName(h *diag.TLSHandshake) string {
	if h.Trust.MissingName != "" {
		return h.Trust.MissingName
	}
	served := h.Trust.Served(h.Chain)
	if len(served) == 0 {
		return h.Leaf().Issuer
	}
	return served[len(served)-1].Subject
}

// missingFound tells whether a missing intermediate was found that leads to a root that the client trusts: then the server
// left it out, and nothing is wrong with its authority.
func missingFound(v *diag.View, s diag.Sight[*diag.TLSHandshake]) (diag.Note, bool) {
	fetched, ok := completing(v, s)
	if !ok {
		return diag.Note{}, false
	}
	return diag.N("because.issuer_found", "subject", fetched.Seen.Found[0].Subject, "url", fetched.Seen.URL), true
}

// completing is the fetched intermediate that completes the chain to a root that the client's settings trust.
func completing(v *diag.View, s diag.Sight[*diag.TLSHandshake]) (diag.Sight[*diag.IssuerFetch], bool) {
	return first(diag.SeenBy[*diag.IssuerFetch](v, checkAIA), func(i *diag.IssuerFetch) bool {
		return i.Address == s.Seen.Address && len(i.Found) > 0 && (i.GivenOK || i.SystemOK && !s.Seen.Trust.GivenCA)
	})
}
