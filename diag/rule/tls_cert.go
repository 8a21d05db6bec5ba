package rule

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

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
	f.Args["days"] = wholeDays(s.Seen.Trust.Now.Sub(s.Seen.Leaf().NotAfter))
	clocksAgree(v, &f)
	return diag.Holds(f)
}

func certNotYetValid(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	s, severity, ok := faulty(v, notYetValid)
	if !ok {
		return pathNotYetValid(v)
	}
	if note, skewed := otherClock(v, s); skewed {
		return diag.Excluded(note)
	}
	f := certFinding(v, s, severity)
	f.Args["interval"] = spanText(s.Seen.Leaf().NotBefore.Sub(s.Seen.Trust.Now))
	clocksAgree(v, &f)
	return diag.Holds(f)
}

// pathNotYetValid is the same of an authority between the leaf and the root, where no other path holds today.
func pathNotYetValid(v *diag.View) diag.Verdict {
	s, severity, ok := faulty(v, func(h *diag.TLSHandshake) bool {
		_, early := pathEarly(h)
		return early && !h.Trust.PathNow && !expired(h)
	})
	if !ok {
		return diag.Excluded(inDate(v))
	}
	if note, skewed := otherClock(v, s); skewed {
		return diag.Excluded(note)
	}
	early, _ := pathEarly(s.Seen)
	f := certFinding(v, s, severity)
	f.Variant = "authority"
	f.Args["subject"], f.Args["not_before"], f.Args["fingerprint"] = early.Subject, dateText(early.NotBefore), early.SHA256
	f.Args["interval"] = spanText(early.NotBefore.Sub(s.Seen.Trust.Now))
	return diag.Holds(f)
}

// pathEarly is a served authority on the path whose validity has not begun.
func pathEarly(h *diag.TLSHandshake) (diag.CertFact, bool) {
	for _, c := range h.Trust.Served(h.Chain) {
		if c.SHA256 != h.Leaf().SHA256 && h.Trust.Now.Before(c.NotBefore) {
			return c, true
		}
	}
	return diag.CertFact{}, false
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
	// Where another address has the right name, the wrong one's would only fail there in turn.
	_, right := first(judged(v), func(h *diag.TLSHandshake) bool { return h.Trust.NameOK })
	if name, ok := workingName(v); ok && !right {
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
	s, ok := first(diag.SeenBy[*diag.Attempt](v, checkNames), func(a *diag.Attempt) bool {
		// The login stays at home in these tries; that a broker wants one is no fault of the name.
		return trustedFully(a.TLS) && (a.Accepted() || a.SpeaksMQTT() && v.Target.Credentials())
	})
	if !ok {
		return "", false
	}
	return s.Seen.Label, true
}

// untrusted tells whether the client's settings lead to no root, whatever the dates and the name.
func untrusted(h *diag.TLSHandshake) bool { return !h.Trust.Trusted() }

// selfIssued is about the signature: an authority and a server's certificate may well bear the same name.
func selfIssued(h *diag.TLSHandshake) bool { return h.Leaf().SelfSigned }

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
		f.Args["names"] = strings.Join(s.Seen.Trust.GivenSubjects, "; ")
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
	f.Args["issuer"], f.Args["fingerprint"] = rootName(s.Seen), topServed(s.Seen).SHA256
	switch {
	case s.Seen.Trust.Objection != "":
		f.Variant, f.Args["error"] = "objection", s.Seen.Trust.Objection
	case s.Seen.Trust.MissingName != "":
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
	return topServed(h).Subject
}

// topServed is the certificate at the upper end of what was served.
func topServed(h *diag.TLSHandshake) diag.CertFact {
	served := h.Trust.Served(h.Chain)
	if len(served) == 0 {
		return *h.Leaf()
	}
	return served[len(served)-1]
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

// pathExpired is an intermediate or root on the path that is out of date; served first, then the trusted one.
func pathExpired(h *diag.TLSHandshake) (diag.CertFact, bool) {
	on := h.Trust.Served(h.Chain)
	if h.Trust.Anchor != nil {
		on = append(on, *h.Trust.Anchor)
	}
	for _, c := range on {
		if c.SHA256 != h.Leaf().SHA256 && h.Trust.Now.After(c.NotAfter) {
			return c, true
		}
	}
	return diag.CertFact{}, false
}

// intermediateExpired needs the leaf to be current, and the path that holds to be out of date: where another path holds
// today, an old cross certificate beside it does no harm.
func intermediateExpired(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	s, severity, ok := faulty(v, func(h *diag.TLSHandshake) bool {
		_, old := pathExpired(h)
		return old && !h.Trust.PathNow && !expired(h)
	})
	if !ok {
		h := judged(v)[0].Seen
		if expired(h) {
			return diag.Excluded(diag.N("because.leaf_expired", "not_after", dateText(h.Leaf().NotAfter)))
		}
		return diag.Excluded(diag.N("because.path_in_date"))
	}
	if note, skewed := otherClock(v, s); skewed {
		return diag.Excluded(note)
	}
	old, _ := pathExpired(s.Seen)
	f := certFinding(v, s, severity)
	f.Args["subject"], f.Args["not_after"], f.Args["fingerprint"] = old.Subject, dateText(old.NotAfter), old.SHA256
	f.Args["days"] = wholeDays(s.Seen.Trust.Now.Sub(old.NotAfter))
	if s.Seen.Trust.Anchor != nil && s.Seen.Trust.Anchor.SHA256 == old.SHA256 {
		f.Variant = "anchor" // the client's own copy of the root
	}
	return diag.Holds(f)
}

func clockSkew(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	s, severity, ok := faulty(v, func(h *diag.TLSHandshake) bool {
		_, old := pathExpired(h)
		return expired(h) || notYetValid(h) || old && !h.Trust.PathNow
	})
	if !ok {
		return diag.Excluded(inDate(v))
	}
	found, wrong := clockSays(v, s)
	if !wrong {
		for _, r := range readings(v) {
			if r.other.Sub(r.local).Abs() <= clockMargin {
				return diag.Excluded(diag.N("because.clocks_agree", "server", r.source, "clock", dateText(r.other)))
			}
		}
		return diag.Excluded(diag.N("because.no_clock_disagrees", "clock", dateText(s.Seen.Trust.Now)))
	}
	f := certFinding(v, s, severity)
	f.Args["interval"] = spanText(found.other.Sub(found.local).Abs())
	f.Args["server"], f.Args["value"] = found.source, dateText(found.other)
	f.Variant = "behind"
	if found.local.After(found.other) {
		f.Variant = "ahead"
	}
	if !found.certain {
		f.Confidence = diag.Likely // it may be the other clock that is wrong
		f.Readings = []diag.Code{"tls.cert_expired"}
		if notYetValid(s.Seen) {
			f.Readings = []diag.Code{"tls.cert_not_yet_valid"}
		}
	}
	return diag.Holds(f)
}

func cnOnly(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	s, severity, ok := faulty(v, func(h *diag.TLSHandshake) bool { return !h.Trust.NameOK && h.Trust.NameInCN && !h.Trust.HasSAN })
	if !ok {
		h := judged(v)[0].Seen
		if h.Trust.NameOK {
			return diag.Excluded(diag.N("because.name_in_cert", "name", h.Trust.Name))
		}
		if h.Trust.HasSAN {
			return diag.Excluded(diag.N("because.has_names", "names", strings.Join(namesOf(h.Leaf()), ", ")))
		}
		return diag.Excluded(diag.N("because.name_not_in_cn", "name", h.Trust.Name))
	}
	return diag.Holds(certFinding(v, s, severity))
}

func wrongCA(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	if !judged(v)[0].Seen.Trust.GivenCA {
		return diag.Excluded(diag.N("because.no_ca_given"))
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
	h := s.Seen
	if h.Trust.Unlinked != "" {
		return diag.Excluded(diag.N("because.given_ca_is_served", "subject", h.Trust.Unlinked))
	}
	if namedIntermediate(h) {
		return diag.Excluded(diag.N("because.issuer_named_intermediate", "issuer", h.Trust.MissingName))
	}
	f := certFinding(v, s, severity)
	f.Args["issuer"] = rootName(h)
	f.Args["names"] = strings.Join(h.Trust.GivenSubjects, "; ")
	switch {
	case h.Trust.SystemOK:
		f.Variant = "system"
		if accepted(v) && h.Trust.NameOK && !expired(h) && !notYetValid(h) {
			none := ""
			f.Suggestion = &diag.Suggestion{TLS: &diag.TLSSuggestion{CAPEM: &none}}
		}
	case h.Trust.Objection != "":
		f.Variant, f.Args["error"] = "objection", h.Trust.Objection
	case slices.Contains(h.Trust.GivenSubjects, rootName(h)):
		f.Variant = "other_key" // the same name, another key: an authority that was made anew
	case h.Trust.MissingName != "":
		f.Variant, f.Confidence, f.Readings = "open_end", diag.Likely, []diag.Code{"tls.incomplete_chain"}
	}
	return diag.Holds(f)
}

func incompleteChain(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	gap := func(h *diag.TLSHandshake) bool {
		if h.Trust.Trusted() {
			return h.Trust.CompletedBy != ""
		}
		_, found := completing(v, diag.Sight[*diag.TLSHandshake]{Seen: h})
		return found || h.Trust.Unlinked != "" || namedIntermediate(h)
	}
	s, severity, ok := faulty(v, gap)
	if !ok {
		h := judged(v)[0].Seen
		if h.Trust.MissingName == "" {
			return diag.Excluded(diag.N("because.chain_is_complete"))
		}
		for _, i := range diag.SeenBy[*diag.IssuerFetch](v, checkAIA) {
			if i.Seen.Outcome == diag.OutcomeOK {
				return diag.Excluded(diag.N("because.issuer_leads_nowhere", "subject", i.Seen.Found[0].Subject))
			}
		}
		return diag.Open()
	}
	f := certFinding(v, s, severity)
	f.Args["issuer"], f.Args["subject"] = s.Seen.Trust.MissingName, ""
	if s.Seen.Trust.Trusted() {
		// This client has the missing one from elsewhere; others have not.
		f.Severity, f.Variant = diag.SeverityWarning, s.Seen.Trust.CompletedBy
		return diag.Holds(f)
	}
	fetched, found := completing(v, s)
	if !found && s.Seen.Trust.Unlinked != "" {
		f.Variant, f.Args["subject"] = "gap", s.Seen.Trust.Unlinked
		return diag.Holds(f)
	}
	if !found {
		f.Variant, f.Confidence, f.Readings = "by_name", diag.Likely, []diag.Code{"tls.wrong_ca"}
		f.Args["names"] = strings.Join(s.Seen.Trust.GivenSubjects, "; ")
		return diag.Holds(f)
	}
	f.Args["url"], f.Args["subject"] = fetched.Seen.URL, fetched.Seen.Found[0].Subject
	f.Evidence = append(f.Evidence, fetched.Step.Evidence...)
	return diag.Holds(f)
}

// intermediateName is how operators call an authority that is no root, in its common name.
var intermediateName = regexp.MustCompile(`(?i)\b(intermediate|inter(med)?|sub(ordinate)?|issuing|issuer|signing|mid(dle)?|zwischen\w*|intermédiaire)\b|中间|中級|下级`)

// namedIntermediate tells whether the certificate that is missing calls itself an intermediate, and the client has a root of
// its own for it to lead to: then it is more likely that the server leaves it out than that the CA file is the wrong one.
func namedIntermediate(h *diag.TLSHandshake) bool {
	return h.Trust.GivenCA && untrusted(h) && h.Trust.MissingName != "" && !slices.Contains(h.Trust.GivenSubjects, h.Trust.MissingName) &&
		intermediateName.MatchString(commonNameOf(h.Trust.MissingName))
}

// commonNameOf is the CN of a name as RFC 4514 writes it.
func commonNameOf(name string) string {
	_, rest, _ := strings.Cut(name, "CN=")
	cn, _, _ := strings.Cut(rest, ",")
	return cn
}

func keyUsage(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	s, severity, ok := faulty(v, func(h *diag.TLSHandshake) bool {
		return !h.Leaf().ServerAuth || h.Trust.IssuerUsage || onlyOtherBits(h)
	})
	if !ok {
		return diag.Excluded(diag.N("because.server_auth"))
	}
	f := certFinding(v, s, severity)
	switch {
	case !s.Seen.Leaf().ServerAuth:
	case s.Seen.Trust.IssuerUsage:
		f.Variant = "issuer"
	default:
		f.Variant = "bits"
	}
	return diag.Holds(f)
}

// onlyOtherBits tells a certificate whose key usage allows none of what a handshake does with the key, mostly an authority's own
// in a server's place: OpenSSL refuses that as unsuitable, whoever signed it, and Go does not look. Where it is not trusted
// either, that is the first thing to mend, and the new certificate will be another one.
func onlyOtherBits(h *diag.TLSHandshake) bool {
	return h.Leaf().NoHandshake && (h.Trust.SystemOK || h.Trust.GivenOK)
}

func revoked(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	asked := diag.SeenBy[*diag.Revocation](v, checkRevocation)
	about := func(address string) (diag.Sight[*diag.Revocation], bool) {
		return first(asked, func(r *diag.Revocation) bool { return r.Address == address && r.Status == "revoked" })
	}
	s, severity, ok := faulty(v, func(h *diag.TLSHandshake) bool {
		_, told := about(h.Address)
		return told || h.OCSPStaple == "revoked"
	})
	if !ok {
		if _, good := first(asked, func(r *diag.Revocation) bool { return r.Status == "good" }); good || judged(v)[0].Seen.OCSPStaple == "good" {
			return diag.Excluded(diag.N("because.not_revoked"))
		}
		return diag.Open()
	}
	f := certFinding(v, s, severity)
	f.Variant = "staple"
	if r, told := about(s.Seen.Address); told {
		f.Variant, f.Args["url"] = r.Seen.Method, r.Seen.URL
		f.Evidence = append(f.Evidence, r.Step.Evidence...)
	}
	return diag.Holds(f)
}

// Days left under which a certificate is about to expire, and the lifetimes for which that is no warning: certificates that
// live so shortly are renewed by a machine (Let's Encrypt's for six days, step-ca's for one), and it does so in the last
// third. Beyond two days the exception is for public ones alone, where nobody makes them by hand.
const (
	expiringDays  = 30
	shortLifetime = 7 * 24 * time.Hour
	daysLifetime  = 49 * time.Hour
)

func expiring(h *diag.TLSHandshake) (diag.CertFact, bool) {
	var soonest diag.CertFact
	for _, c := range h.Trust.Served(h.Chain) {
		left, life := c.NotAfter.Sub(h.Trust.Now), c.NotAfter.Sub(c.NotBefore)
		short := life <= daysLifetime || life <= shortLifetime && h.Trust.SystemOK
		switch {
		case left <= 0 || left >= expiringDays*24*time.Hour || short && left > life/3:
		case soonest.SHA256 == "" || c.NotAfter.Before(soonest.NotAfter):
			soonest = c
		}
	}
	return soonest, soonest.SHA256 != ""
}

func certExpiring(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	s, _, ok := faulty(v, func(h *diag.TLSHandshake) bool { _, soon := expiring(h); return soon })
	if !ok {
		return diag.Excluded(inDate(v))
	}
	c, _ := expiring(s.Seen)
	f := certFinding(v, s, diag.SeverityWarning)
	f.Args["days"], f.Args["not_after"], f.Args["subject"] = wholeDays(c.NotAfter.Sub(s.Seen.Trust.Now)), dateText(c.NotAfter), c.Subject
	if c.SHA256 != s.Seen.Leaf().SHA256 {
		f.Variant = "issuer"
	}
	return diag.Holds(f)
}

// weak tells a key below what 112 bits of security need (NIST SP 800-57 1, table 2), or of a kind that nobody takes any more.
func weak(c diag.CertFact) bool {
	switch c.KeyAlgorithm {
	case "RSA":
		return c.KeyBits < 2048
	case "ECDSA":
		return c.KeyBits < 224
	case "DSA":
		return true
	}
	return false
}

func weakKey(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	find := func(h *diag.TLSHandshake) (diag.CertFact, bool) {
		on := h.Trust.Served(h.Chain)
		if i := slices.IndexFunc(on, weak); i >= 0 {
			return on[i], true
		}
		return diag.CertFact{}, false
	}
	s, _, ok := faulty(v, func(h *diag.TLSHandshake) bool { _, found := find(h); return found })
	if !ok {
		return diag.Excluded(diag.N("because.keys_are_strong"))
	}
	c, _ := find(s.Seen)
	f := certFinding(v, s, diag.SeverityWarning)
	f.Args["bits"], f.Args["algorithm"], f.Args["subject"] = strconv.Itoa(c.KeyBits), c.KeyAlgorithm, c.Subject
	return diag.Holds(f)
}

// weakSignature is critical on the path below the root: current clients refuse such a certificate there. One that was only
// served beside it is a warning.
func weakSignature(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	find := func(h *diag.TLSHandshake) (weakest diag.CertFact, onPath, found bool) {
		for _, c := range h.Chain {
			if !c.WeakSignature() || c.SelfIssued {
				continue
			}
			if on := slices.Contains(h.Trust.Path, c.SHA256); !found || on {
				weakest, onPath, found = c, on, true
			}
		}
		return weakest, onPath, found
	}
	s, severity, ok := faulty(v, func(h *diag.TLSHandshake) bool { _, _, found := find(h); return found })
	if !ok {
		return diag.Excluded(diag.N("because.signatures_are_strong"))
	}
	c, onPath, _ := find(s.Seen)
	f := certFinding(v, s, severity)
	f.Args["algorithm"], f.Args["subject"] = c.Signature, c.Subject
	switch {
	case !onPath:
		f.Severity, f.Variant = diag.SeverityWarning, "beside_path"
	case f.Severity == "":
		f.Severity = diag.SeverityCritical
	}
	return diag.Holds(f)
}
