package rule

import (
	"net/netip"
	"slices"
	"strings"

	"mqttdoctor/diag"
)

// A name with several addresses works as well as the worst of them: each is judged by itself here, as far as it was tried.

// addressAwaits are the checks that the judgement of addresses needs.
var addressAwaits = []diag.ProbeID{checkTCP, checkTLS, checkWS, checkMQTT, checkOlder, "mqtt.addresses", checkVersions, checkOtherID, checkNoCreds}

// badAddress is an address that does not work, and the step that showed it.
type badAddress struct {
	address  string
	step     string
	evidence []diag.Evidence
	login    bool // all that is wrong there is that the login is refused
}

// byAddress splits the asked addresses into those that work, as far as each was tried, and those that failed on the peer's
// side. notAsked tells that the asked CONNECT failed at a bad address while one at a good address was accepted: whatever is
// said of it is said of that address alone.
func byAddress(v *diag.View) (good []string, bad []badAddress, notAsked bool) {
	works := worksSomewhere(v)
	notGood := func(address string) {
		good = slices.DeleteFunc(good, func(a string) bool { return a == address })
	}
	fails := func(s diag.Step, address string) {
		notGood(address)
		if !slices.ContainsFunc(bad, func(b badAddress) bool { return b.address == address }) {
			bad = append(bad, badAddress{address: address, step: s.ID, evidence: s.Evidence})
		}
	}
	for _, s := range diag.SeenBy[*diag.TCPConnect](v, checkTCP) {
		switch s.Seen.Outcome {
		case diag.OutcomeOK:
			good = append(good, s.Seen.Address)
		case diag.OutcomeUnreachable:
			// Without an ICMP error from elsewhere it is this machine that has no route: it has no IPv6, most often.
			if s.Seen.ICMPFamily != 0 {
				fails(s.Step, s.Seen.Address)
			}
		case diag.OutcomeRefused, diag.OutcomeSilent, diag.OutcomeICMP, diag.OutcomeReset:
			fails(s.Step, s.Seen.Address)
		}
	}
	// Further than the port, an address is bad only beside one that accepts a CONNECT. Otherwise it is no good one either.
	further := func(s diag.Step, address string) {
		if works {
			fails(s, address)
		} else {
			notGood(address)
		}
	}
	for _, s := range diag.SeenBy[*diag.TLSHandshake](v, checkTLS) {
		if fell(s.Seen.Outcome) {
			further(s.Step, s.Seen.Address)
		}
	}
	for _, s := range diag.SeenBy[*diag.WSUpgrade](v, checkWS) {
		if fell(s.Seen.Outcome) {
			further(s.Step, s.Seen.Address)
		}
	}
	for _, s := range attempts(v, diag.PurposeOtherAddress) {
		if a := s.Seen; accepted(v) && a.TCP != nil && a.TCP.Outcome == diag.OutcomeOK && notABroker(v, a) {
			fails(s.Step, a.Address)
		} else if accepted(v) && refusesLoginOfOthers(v, a) {
			notGood(a.Address)
			bad = append(bad, badAddress{address: a.Address, step: s.Step.ID, evidence: s.Step.Evidence, login: true})
		}
	}
	if c, ok := askedConnect(v); ok && !c.Seen.Accepted() && !acceptsAnything(v, c.Seen.Address) && (works || !c.Seen.Answered()) {
		further(c.Step, c.Seen.Address)
		notAsked = works
	}
	return good, bad, notAsked
}

// fell tells whether a layer of the asked path failed on the peer's side.
func fell(o diag.Outcome) bool {
	return o.Ended() || slices.Contains([]diag.Outcome{diag.OutcomeRefused, diag.OutcomeSilent, diag.OutcomeOther, diag.OutcomeMalformed}, o)
}

// worksSomewhere tells whether a CONNECT was accepted at one of the asked addresses.
func worksSomewhere(v *diag.View) bool {
	if accepted(v) {
		return true
	}
	_, ok := first(attempts(v, diag.PurposeOtherAddress), (*diag.Attempt).Accepted)
	return ok
}

// acceptsAnything tells whether some CONNECT was accepted at an address, whatever was changed for it: then it is no dead one.
func acceptsAnything(v *diag.View, address string) bool {
	_, ok := first(attempts(v), func(a *diag.Attempt) bool { return a.Address == address && a.Accepted() })
	return ok
}

// notABroker tells whether an attempt at a further address met no broker, or one that says itself that it cannot serve.
// It went with a temporary client id: where the user's own was accepted elsewhere, a refusal may be due to that.
func notABroker(v *diag.View, a *diag.Attempt) bool {
	switch {
	case a.SpeaksMQTT():
		return isCode(a.MQTT, []int{v3Unavailable}, []int{v5Unavailable, v5Busy})
	case a.MQTT != nil && a.MQTT.Outcome.Ended():
		return v.Target.ClientID == ""
	}
	return true
}

// refusesLoginOfOthers tells whether a broker refuses a login that goes elsewhere with a temporary client id and beside other
// sessions, as it went there: so neither the id nor a limit on sessions is why.
func refusesLoginOfOthers(v *diag.View, a *diag.Attempt) bool {
	if a.MQTT == nil || !a.MQTT.Credentials || !loginRefused(a.MQTT) {
		return false
	}
	_, elsewhere := first(attempts(v), func(b *diag.Attempt) bool {
		return b.Accepted() && b.MQTT.Credentials && b.Address != a.Address && b.Purpose != diag.PurposeOtherAddress
	})
	return elsewhere
}

// addressFinding names the bad addresses and the good ones.
func addressFinding(good []string, bad []badAddress) diag.Finding {
	var names []string
	login := true
	for _, b := range bad {
		names = append(names, b.address)
		login = login && b.login
	}
	f := diag.Finding{Step: bad[0].step, Evidence: bad[0].evidence,
		Args: diag.Args{"good": strings.Join(good, ", "), "bad": strings.Join(names, ", ")}}
	if login {
		f.Variant = "login"
	}
	return f
}

// saidOfOneAddress are the causes that are none of their own where the asked CONNECT met a dead address beside a good one. What
// a broker says about a login or a client id is not among them.
var saidOfOneAddress = []diag.Code{"net.cdn_in_front", "net.captive_portal", "tcp.wrong_port", "tcp.accepts_everything", "tcp.proxy_protocol_expected", "tcp.closed_on_accept",
	"tls.required", "tls.plaintext_peer", "tls.handshake_closed", "tls.handshake_timeout", "ws.expected", "ws.raw_mqtt_peer", "mqtt.not_mqtt",
	"mqtt.no_connack", "mqtt.closed_without_connack", "mqtt.server_unavailable", "mqtt.server_busy"}

// addressVerdict holds where addresses differ.
func addressVerdict(good []string, bad []badAddress, notAsked bool) diag.Verdict {
	f := addressFinding(good, bad)
	if notAsked {
		f = f.Hiding(saidOfOneAddress...)
	}
	return diag.Holds(f)
}

// isLocalhost tells a name that means this machine: there an IPv6 listener is a matter of taste.
func isLocalhost(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

func partialAddresses(v *diag.View) diag.Verdict {
	if s, ok := resolution(v); !ok || isLocalhost(s.Seen.Name) {
		return diag.Open()
	}
	good, bad, notAsked := byAddress(v)
	switch {
	case len(good) == 0:
		return diag.Open()
	case len(bad) == 0:
		return diag.Excluded(diag.N("because.every_address_works"))
	}
	if _, six := ipv6Broken(v).Concluded(); six {
		return diag.Excluded(diag.N("because.ipv6_alone"))
	}
	return addressVerdict(good, bad, notAsked)
}

func ipv6Broken(v *diag.View) diag.Verdict {
	s, ok := resolution(v)
	if !ok {
		return diag.Open()
	}
	good, bad, notAsked := byAddress(v)
	bad = slices.DeleteFunc(bad, func(b badAddress) bool { return b.login }) // those can be reached
	is6 := func(a string) bool {
		ip, err := netip.ParseAddrPort(a)
		return err == nil && ip.Addr().Is6() && !ip.Addr().Is4In6()
	}
	is4 := func(a string) bool { return !is6(a) }
	switch {
	case isLocalhost(s.Seen.Name), len(bad) == 0:
		return diag.Open()
	case !slices.ContainsFunc(bad, func(b badAddress) bool { return is6(b.address) }),
		slices.ContainsFunc(good, is6), slices.ContainsFunc(bad, func(b badAddress) bool { return is4(b.address) }), !slices.ContainsFunc(good, is4):
		return diag.Excluded(diag.N("because.not_ipv6_alone"))
	}
	return addressVerdict(good, bad, notAsked)
}
