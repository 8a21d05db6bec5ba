package rule

import (
	"slices"
	"strconv"
	"strings"

	"mqttdoctor/diag"
)

// failedTLS is the asked handshake where all of them failed inside TLS or at its door, and would again; the verdict says what
// else.
func failedTLS(v *diag.View) (diag.Sight[*diag.TLSHandshake], diag.Verdict, bool) {
	s, no, ok := failedAtFirst(v)
	if ok {
		if again, works := completedAgain(v, diag.PurposeRetry); works {
			return s, diag.Excluded(diag.N("because.passed_the_second_time", "address", again.Seen.Address)), false
		}
	}
	return s, no, ok
}

// completedAgain is a handshake that was completed when it was made once more after one that the peer had ended.
func completedAgain(v *diag.View, purpose diag.Purpose) (diag.Sight[*diag.Attempt], bool) {
	return first(diag.SeenBy[*diag.Attempt](v, checkTLSAgain), func(a *diag.Attempt) bool {
		return a.Purpose == purpose && a.TLS != nil && a.TLS.Outcome == diag.OutcomeOK
	})
}

// failedAtFirst is the asked handshake where all of them failed inside TLS or at its door, as far as they were made once.
func failedAtFirst(v *diag.View) (diag.Sight[*diag.TLSHandshake], diag.Verdict, bool) {
	none := diag.Sight[*diag.TLSHandshake]{}
	seen := askedHandshakes(v)
	if !v.Target.Scheme.UsesTLS() || len(seen) == 0 {
		return none, diag.Open(), false
	}
	if s, ok := first(seen, func(h *diag.TLSHandshake) bool { return h.Outcome == diag.OutcomeOK }); ok {
		return none, diag.Excluded(diag.N("because.handshake_worked", "version", s.Seen.Version, "suite", s.Seen.Suite)), false
	}
	s := seen[0]
	switch {
	case s.Seen.Outcome == diag.OutcomeOther:
		return none, diag.Excluded(diag.N("because.answer_was_no_tls", "protocol", protocolName(s.Seen.Speaks))), false
	case s.Seen.CertRequested:
		return none, diag.Excluded(diag.N("because.cert_was_requested")), false
	}
	return s, diag.Verdict{}, true
}

// hellos are the hand-made hellos of one check.
func hellos(v *diag.View, check diag.ProbeID) []diag.Sight[*diag.TLSHello] {
	return diag.SeenBy[*diag.TLSHello](v, check)
}

// versionsTaken lists the versions that were taken when offered by themselves: those that current clients speak, and those
// that they have left behind.
func versionsTaken(v *diag.View) (current, old []string) {
	for _, s := range hellos(v, checkTLSVersions) {
		// Up to TLS 1.2 a server may answer with an older version than the newest one offered (RFC 5246 E.1): it takes that.
		switch s.Seen.Version {
		case "":
		case "TLS 1.2", "TLS 1.3":
			current = append(current, s.Seen.Version)
		default:
			old = append(old, s.Seen.Version)
		}
	}
	slices.Sort(current)
	slices.Sort(old)
	return slices.Compact(current), slices.Compact(old)
}

func tlsFailure(s diag.Sight[*diag.TLSHandshake]) diag.Finding {
	f := diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{"address": s.Seen.Address, "error": s.Seen.Error}}
	if s.Seen.Alert != nil {
		f.Args["alert"] = s.Seen.Alert.String()
	}
	return f
}

func versionUnsupportedTLS(v *diag.View) diag.Verdict {
	s, no, ok := failedTLS(v)
	if !ok {
		return no
	}
	if _, plain := plaintextPeer(v).Concluded(); plain {
		return diag.Excluded(diag.N("because.no_tls_there"))
	}
	current, old := versionsTaken(v)
	f := tlsFailure(s)
	f.Args["versions"] = strings.Join(old, ", ")
	switch {
	case len(current) > 0:
		return diag.Excluded(diag.N("because.versions_taken", "versions", strings.Join(current, ", ")))
	case len(old) > 0:
		for _, h := range hellos(v, checkTLSVersions) {
			if h.Seen.Version != "" {
				f.Evidence = append(slices.Clone(f.Evidence), h.Step.Evidence...)
			}
		}
		return diag.Holds(f)
	case s.Seen.Alert != nil && s.Seen.Alert.Number == 70: // protocol_version (RFC 8446 6.2)
		f.Variant, f.Confidence = "alert", diag.Likely
		return diag.Holds(f)
	case len(hellos(v, checkTLSVersions)) == 0:
		return diag.Open()
	}
	return diag.Excluded(diag.N("because.no_version_taken"))
}

// suitesTaken lists what a server takes, and what of that the client had offered.
func suitesTaken(v *diag.View, h *diag.TLSHandshake) (taken, shared []string) {
	for _, s := range hellos(v, checkCiphers) {
		for _, suite := range s.Seen.Suites {
			taken = append(taken, suite)
			if slices.Contains(h.OfferedSuites, suite) {
				shared = append(shared, suite)
			}
		}
	}
	return taken, shared
}

// takenTLS are the hand-made hellos of current versions that were answered by a ServerHello.
func takenTLS(v *diag.View) []diag.Sight[*diag.TLSHello] {
	return slices.DeleteFunc(hellos(v, checkTLSVersions), func(s diag.Sight[*diag.TLSHello]) bool {
		return s.Seen.Outcome != diag.OutcomeOK || s.Seen.Version != "TLS 1.2" && s.Seen.Version != "TLS 1.3"
	})
}

// usualGroups are the groups of key exchange that current clients offer.
var usualGroups = []string{"", "x25519", "secp256r1", "secp384r1", "secp521r1", "X25519MLKEM768"}

// strangeGroup is the group that a server chose where every hello that it took made it choose one that current clients do not
// offer; empty where it takes a usual one.
func strangeGroup(v *diag.View) string {
	group := ""
	for _, s := range takenTLS(v) {
		if slices.Contains(usualGroups, s.Seen.Group) {
			return ""
		}
		group = s.Seen.Group
	}
	return group
}

func noSharedCipher(v *diag.View) diag.Verdict {
	s, no, ok := failedTLS(v)
	if !ok {
		return no
	}
	h := s.Seen
	for _, other := range []func(*diag.View) diag.Verdict{plaintextPeer, versionUnsupportedTLS, alpnRequired} {
		if held(v, other) {
			return diag.Excluded(diag.N("because.other_reason_found"))
		}
	}
	if a, ok := otherNameWorks(v); ok {
		return diag.Excluded(diag.N("because.name_decides", "name", nameLabel(a.Seen)))
	}
	taken, shared := suitesTaken(v, h)
	f := tlsFailure(s)
	f.Args["suites"] = strings.Join(taken, ", ")
	switch {
	case len(shared) > 0 && h.Alert != nil && slices.Contains([]uint8{40, 47, 71}, h.Alert.Number) && len(takenTLS(v)) > 0:
		// A hello that offers more groups and kinds of signatures than current clients do is taken.
		f.Variant, f.Confidence = "signature", diag.Likely
		if group := strangeGroup(v); group != "" {
			f.Variant, f.Confidence, f.Args["algorithm"] = "group", diag.Certain, group
		}
		return diag.Holds(f)
	case len(shared) > 0:
		return diag.Excluded(diag.N("because.suite_shared", "suites", strings.Join(shared, ", ")))
	case len(taken) > 0:
		for _, c := range hellos(v, checkCiphers) {
			if len(c.Seen.Suites) > 0 {
				f.Evidence = append(slices.Clone(f.Evidence), c.Step.Evidence...)
			}
		}
		return diag.Holds(f)
	case h.Alert == nil || h.Alert.Number != 40 && h.Alert.Number != 71: // handshake_failure, insufficient_security
		return diag.Excluded(diag.N("because.not_that_alert"))
	case len(hellos(v, checkTLSVersions)) == 0:
		return diag.Open()
	}
	// Whatever is offered is refused with this alert: a server without a certificate, or without one for this name.
	f.Variant, f.Confidence, f.Readings = "none", diag.Likely, []diag.Code{"tls.handshake_closed"}
	return diag.Holds(f)
}

// otherNameWorks is a handshake with another server name, or none, that was completed where the asked one failed.
func otherNameWorks(v *diag.View) (diag.Sight[*diag.Attempt], bool) {
	for _, check := range []diag.ProbeID{checkNames, checkNoSNI} {
		if s, ok := first(diag.SeenBy[*diag.Attempt](v, check), func(a *diag.Attempt) bool {
			return a.TLS != nil && a.TLS.Outcome == diag.OutcomeOK
		}); ok {
			return s, true
		}
	}
	return diag.Sight[*diag.Attempt]{}, false
}

// nameLabel is the server name of an attempt, "-" for none.
func nameLabel(a *diag.Attempt) string {
	if a.Label == "" {
		return "-"
	}
	return a.Label
}

// sniRequired is information where devices without a server name would fail. It is critical where the name that the user
// set, or left out, is what fails.
func sniRequired(v *diag.View) diag.Verdict {
	seen := askedHandshakes(v)
	if !v.Target.Scheme.UsesTLS() || len(seen) == 0 {
		return diag.Open()
	}
	if s, ok := first(seen, func(h *diag.TLSHandshake) bool { return h.Outcome == diag.OutcomeOK }); ok {
		return sniWithHandshake(v, s)
	}
	s, no, ok := failedTLS(v)
	if !ok {
		return no
	}
	f := tlsFailure(s)
	f.Severity, f.Args["name"] = diag.SeverityCritical, s.Seen.ServerName
	unrecognized := s.Seen.Alert != nil && s.Seen.Alert.Number == 112 // unrecognized_name (RFC 6066 3)
	f = f.Hiding("tls.handshake_closed", "tls.no_shared_cipher", "tls.version_unsupported", "tls.handshake_timeout",
		"tcp.wrong_port", "tcp.closed_on_accept")
	if other, works := otherNameWorks(v); works {
		f.Variant = "other_name"
		f.Evidence = append(slices.Clone(f.Evidence), other.Step.Evidence...)
		if other.Seen.Purpose == diag.PurposeSNI {
			f.Args["suggested"] = other.Seen.Label
			if name, ok := workingName(v); ok {
				f.Suggestion = &diag.Suggestion{TLS: &diag.TLSSuggestion{ServerName: name}}
			}
		} else if !unrecognized {
			f.Confidence = diag.Likely
		}
		return diag.Holds(f)
	}
	switch {
	case unrecognized && s.Seen.ServerName == "":
		f.Variant = "none_sent"
		return diag.Holds(f)
	case unrecognized:
		f.Variant = "unknown_name"
		return diag.Holds(f)
	}
	return diag.Excluded(diag.N("because.name_makes_no_difference"))
}

// sniWithHandshake compares a completed handshake with those under another name or none.
func sniWithHandshake(v *diag.View, s diag.Sight[*diag.TLSHandshake]) diag.Verdict {
	h := s.Seen
	if h.Trust == nil || h.Leaf() == nil {
		return diag.Open()
	}
	if !h.Trust.NameOK && v.Target.TLS.ServerName != "" {
		// The name was set by hand; under the host's own name the right certificate comes. Where it is the one that came anyway,
		// the server does not mind the name, and the client's check of it fails.
		if other, ok := first(diag.SeenBy[*diag.Attempt](v, checkNames), func(a *diag.Attempt) bool {
			return a.Label == v.Target.Host && trustedFully(a.TLS) && a.TLS.Leaf().SHA256 != h.Leaf().SHA256
		}); ok {
			f := certFinding(v, s, "")
			f.Severity, f.Variant, f.Args["suggested"] = diag.SeverityCritical, "other_name", other.Seen.Label
			f.Suggestion = &diag.Suggestion{TLS: &diag.TLSSuggestion{ServerName: other.Seen.Label}}
			return diag.Holds(f.Hiding("tls.hostname_mismatch", "tls.cn_only", "tls.self_signed", "tls.unknown_ca", "tls.wrong_ca"))
		}
	}
	bare, ok := first(diag.SeenBy[*diag.Attempt](v, checkNoSNI), func(a *diag.Attempt) bool { return a.TLS != nil })
	if !ok {
		return diag.Open()
	}
	f := certFinding(v, s, "")
	f.Evidence = append(slices.Clone(f.Evidence), bare.Step.Evidence...)
	without := bare.Seen.TLS
	switch {
	case without.Outcome == diag.OutcomeSilent || without.Outcome == diag.OutcomeCanceled:
		return diag.Open()
	case without.Outcome != diag.OutcomeOK:
		f.Variant = "fails_without"
		if without.Alert != nil {
			f.Args["alert"] = without.Alert.String()
		}
		return diag.Holds(f)
	case without.Leaf() != nil && without.Leaf().SHA256 != h.Leaf().SHA256 && (without.Trust == nil || !without.Trust.NameOK):
		f.Variant, f.Args["value"] = "other_certificate", without.Leaf().Subject
		return diag.Holds(f)
	}
	return diag.Excluded(diag.N("because.name_makes_no_difference"))
}

func alpnRequired(v *diag.View) diag.Verdict {
	if !v.Target.Scheme.UsesTLS() || len(askedHandshakes(v)) == 0 {
		return diag.Open()
	}
	s := askedHandshakes(v)[0]
	if c, ok := askedConnect(v); ok && c.Seen.Answered() {
		return diag.Excluded(diag.N("because.connack_came"))
	}
	if again, works := completedAgain(v, diag.PurposeRetry); works {
		return diag.Excluded(diag.N("because.passed_the_second_time", "address", again.Seen.Address))
	}
	refused := s.Seen.Alert != nil && s.Seen.Alert.Number == 120 // no_application_protocol (RFC 7301 3.2)
	tried := diag.SeenBy[*diag.Attempt](v, checkALPN)
	found, ok := best(tried, (*diag.Attempt).Accepted, (*diag.Attempt).SpeaksMQTT)
	f := tlsFailure(s)
	switch {
	case ok && found.Seen.Label == "-":
		// It is the names offered that it minds.
		f.Variant, f.Args["alpn"] = "offered", strings.Join(v.Target.TLS.ALPN, ", ")
	case ok:
		f.Args["alpn"] = found.Seen.Label
		if s.Seen.Outcome != diag.OutcomeOK && !refused {
			f.Variant, f.Confidence = "ended", diag.Likely // nobody said that it is the name
		}
		if found.Seen.Accepted() {
			f.Suggestion = &diag.Suggestion{TLS: &diag.TLSSuggestion{ALPN: strings.Split(found.Seen.Label, ", ")}}
		}
	case refused:
		f.Variant, f.Confidence = "unknown", diag.Likely
		return diag.Holds(f)
	case len(tried) > 0:
		return diag.Excluded(diag.N("because.alpn_makes_no_difference"))
	default:
		return diag.Open()
	}
	f.Evidence = append(slices.Clone(f.Evidence), found.Step.Evidence...)
	return diag.Holds(f)
}

func handshakeTimeout(v *diag.View) diag.Verdict {
	seen := askedHandshakes(v)
	if !v.Target.Scheme.UsesTLS() || len(seen) == 0 {
		return diag.Open()
	}
	s, ok := first(seen, func(h *diag.TLSHandshake) bool { return h.Outcome == diag.OutcomeSilent })
	if done, completed := first(seen, func(h *diag.TLSHandshake) bool { return h.Outcome == diag.OutcomeOK }); completed {
		return diag.Excluded(diag.N("because.handshake_worked", "version", done.Seen.Version, "suite", done.Seen.Suite))
	}
	if !ok {
		return diag.Excluded(diag.N("because.peer_answered_hello"))
	}
	if held(v, plaintextPeer) {
		return diag.Excluded(diag.N("because.no_tls_there"))
	}
	again, passes := passedAgain(v, checkTLS)
	if !passes {
		again, passes = completedAgain(v, diag.PurposeRetry) // later than that
	}
	completed := func(purpose diag.Purpose) (diag.Sight[*diag.Attempt], bool) {
		return first(attempts(v, purpose), func(a *diag.Attempt) bool { return a.TLS != nil && a.TLS.Outcome == diag.OutcomeOK })
	}
	if a, works := completed(diag.PurposeSmallSegments); works && !passes {
		return diag.Excluded(diag.N("because.small_packets_pass", "value", a.Seen.Label))
	}
	small, fits := completed(diag.PurposeSmallHello)
	f := tlsFailure(s)
	f.Args["limit"] = seconds(v.Options.Timeout)
	switch {
	case passes:
		return hungOnce(v, f, again)
	case fits:
		// Cut into smaller packets the usual hello hangs too: it is not the path that minds its size.
		f.Variant, f.Confidence = "large_hello", diag.Likely
		f.Evidence = append(slices.Clone(f.Evidence), small.Step.Evidence...)
	case s.Seen.ServerHello:
		f.Variant = "midway"
	case len(s.Seen.First) > 0:
		return diag.Excluded(diag.N("because.answer_was_no_tls", "protocol", protocolName(s.Seen.Speaks)))
	}
	return diag.Holds(f)
}

// handshakeClosed is what remains where the peer ended the handshake and nothing says why.
func handshakeClosed(v *diag.View) diag.Verdict {
	s, no, ok := failedAtFirst(v)
	if !ok {
		return no
	}
	h := s.Seen
	if h.Outcome == diag.OutcomeSilent {
		return diag.Excluded(diag.N("because.connection_stayed_open"))
	}
	if h.Outcome != diag.OutcomeRefused && !h.Outcome.Ended() && h.Outcome != diag.OutcomeMalformed {
		return diag.Open() // trouble on our own side
	}
	for _, better := range []func(*diag.View) diag.Verdict{plaintextPeer, clientCertRequired, clientCertRejected, versionUnsupportedTLS,
		noSharedCipher, sniRequired, alpnRequired} {
		if held(v, better) {
			return diag.Excluded(diag.N("because.other_reason_found"))
		}
	}
	if a, ok := otherTransport(v); ok && !a.Seen.Transport.UsesTLS() {
		return diag.Excluded(diag.N("because.broker_in_other_transport", "transport", string(a.Seen.Transport)))
	}
	f := tlsFailure(s)
	again, passes := completedAgain(v, diag.PurposeRetry)
	small, fits := completedAgain(v, diag.PurposeSmallHello)
	switch {
	case passes:
		f.Variant = "now_and_then"
		f.Evidence = append(slices.Clone(f.Evidence), again.Step.Evidence...)
	case fits:
		f.Variant, f.Confidence = "large_hello", diag.Likely
		f.Evidence = append(slices.Clone(f.Evidence), small.Step.Evidence...)
	case h.Alert != nil: // the plain text says it
	case h.Outcome == diag.OutcomeMalformed:
		f.Variant = "client" // it is the client that could not go on
	case !h.ServerHello:
		f.Variant, f.Confidence, f.Readings = "mute", diag.Likely, []diag.Code{"tcp.closed_on_accept"}
	}
	return diag.Holds(f)
}

func legacyVersions(v *diag.View) diag.Verdict {
	done, ok := first(askedHandshakes(v), func(h *diag.TLSHandshake) bool { return h.Outcome == diag.OutcomeOK })
	if !ok || len(hellos(v, checkTLSVersions)) == 0 {
		return diag.Open()
	}
	_, old := versionsTaken(v)
	if len(old) == 0 {
		return diag.Excluded(diag.N("because.no_old_version_taken"))
	}
	f := diag.Finding{Args: diag.Args{"versions": strings.Join(old, ", "), "version": done.Seen.Version, "address": done.Seen.Address}}
	for _, s := range hellos(v, checkTLSVersions) {
		if s.Seen.Label == old[0] {
			f.Step = s.Step.ID
		}
		if slices.Contains(old, s.Seen.Label) {
			f.Evidence = append(f.Evidence, s.Step.Evidence...)
		}
	}
	return diag.Holds(f)
}

// deviceIncompatible lists the usual clients that would get no further than the handshake, with the reason in brackets.
func deviceIncompatible(v *diag.View) diag.Verdict {
	seen := diag.SeenBy[*diag.DeviceSimulation](v, checkDevices)
	if len(seen) == 0 {
		return diag.Open()
	}
	var bad, good []string
	for _, r := range seen[0].Seen.Results {
		switch {
		case r.Unknown:
		case r.OK:
			good = append(good, r.Device)
		default:
			bad = append(bad, r.Device+" ("+deviceReason(r)+")")
		}
	}
	if len(bad) == 0 {
		return diag.Excluded(diag.N("because.devices_all_work", "count", strconv.Itoa(len(good))))
	}
	return diag.Holds(diag.Finding{Step: seen[0].Step.ID, Evidence: seen[0].Step.Evidence, Args: diag.Args{
		"bad": strings.Join(bad, "; "), "good": strings.Join(good, "; "), "count": strconv.Itoa(len(bad)), "total": strconv.Itoa(len(bad) + len(good))}})
}

// deviceReason is a fact that says the same in every language: what the device has, or what it was told.
func deviceReason(r diag.DeviceResult) string {
	switch r.Why {
	case "version":
		return r.Newest
	case "server_name":
		return "SNI −"
	case "key_size":
		return "RSA < 2048"
	case "root":
		return "ISRG Root −"
	}
	if r.Alert != nil {
		return r.Alert.Name
	}
	return r.Why
}
