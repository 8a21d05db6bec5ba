package rule

import (
	"net/netip"
	"slices"
	"strings"

	"mqttdoctor/diag"
)

// mixedContent: the client is a page that came over https, as its Origin says, and the address has no TLS. Browsers refuse that
// before anything is sent, except to the machine itself; everything else works, or other causes are named first.
func mixedContent(v *diag.View) diag.Verdict {
	if v.Target.Scheme != diag.SchemeWS || !accepted(v) {
		return diag.Open()
	}
	if !strings.HasPrefix(strings.ToLower(v.Target.WS.Origin), "https://") {
		return diag.Open()
	}
	if trustworthyHost(v.Target.Host) {
		return diag.Excluded(diag.N("because.trustworthy_loopback"))
	}
	up, ok := askedUpgrade(v)
	if !ok {
		return diag.Open()
	}
	return diag.Holds(diag.Finding{Step: up.Step.ID, Evidence: up.Step.Evidence})
}

// trustworthyHost tells a host that browsers take for this machine whatever the network says: a loopback address or a name at or
// below localhost, not one that merely resolves to a loopback address (W3C Secure Contexts 3.1).
func trustworthyHost(host string) bool {
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.IsLoopback() || isLocalhost(strings.ToLower(strings.TrimSuffix(host, ".")))
}

func wsExpected(v *diag.View) diag.Verdict {
	if v.Target.Scheme.IsWebSocket() {
		return diag.Excluded(diag.N("because.websocket_was_asked"))
	}
	if accepted(v) {
		return diag.Excluded(diag.N("because.connack_accepted"))
	}
	// Where TLS differs too, tls.required or tls.plaintext_peer says it first.
	sights := slices.DeleteFunc(attempts(v, diag.PurposeWebSocket), func(s diag.Sight[*diag.Attempt]) bool {
		return s.Seen.Transport.UsesTLS() != v.Target.Scheme.UsesTLS()
	})
	found, ok := first(sights, (*diag.Attempt).Accepted)
	if !ok {
		found, ok = first(sights, (*diag.Attempt).SpeaksMQTT)
	}
	if !ok {
		// The broker's WebSocket listener upgrades to the mqtt subprotocol; what follows may fail for other reasons.
		found, ok = first(sights, func(a *diag.Attempt) bool {
			return a.WS != nil && a.WS.Outcome == diag.OutcomeOK && a.WS.Subprotocol == "mqtt"
		})
	}
	if !ok {
		if _, tried := first(sights, func(a *diag.Attempt) bool { return a.WS != nil && a.WS.HTTP() }); tried {
			return diag.Excluded(diag.N("because.no_upgrade_there"))
		}
		if len(sights) > 0 {
			return diag.Excluded(diag.N("because.no_http_there"))
		}
		return diag.Open()
	}
	f := diag.Finding{Step: found.Step.ID, Evidence: found.Step.Evidence,
		Args: diag.Args{"found": v.Target.URLFor(found.Seen.Transport, v.Target.Port, found.Seen.WS.Path), "found_path": found.Seen.WS.Path}}
	switch {
	case !found.Seen.SpeaksMQTT():
		f.Variant = "endpoint"
	case !found.Seen.Accepted():
		f.Variant = "answered"
	}
	if found.Seen.Accepted() {
		f.Suggestion = suggestURL(v, found.Seen.Transport, v.Target.Port, found.Seen.WS.Path)
	}
	return diag.Holds(f)
}

func wsRawPeer(v *diag.View) diag.Verdict {
	if !v.Target.Scheme.IsWebSocket() {
		return diag.Open()
	}
	if up, ok := askedUpgrade(v); ok && up.Seen.HTTP() {
		return diag.Excluded(diag.N("because.http_answered", "status", statusOf(up.Seen)))
	}
	sights := slices.DeleteFunc(attempts(v, diag.PurposeRaw), func(s diag.Sight[*diag.Attempt]) bool {
		return s.Seen.Transport.UsesTLS() != v.Target.Scheme.UsesTLS()
	})
	found, ok := first(sights, (*diag.Attempt).SpeaksMQTT)
	if !ok {
		if len(sights) > 0 {
			return diag.Excluded(diag.N("because.no_connack_raw"))
		}
		return diag.Open()
	}
	f := diag.Finding{Step: found.Step.ID, Evidence: found.Step.Evidence,
		Args: diag.Args{"found": v.Target.URLFor(found.Seen.Transport, v.Target.Port, "")}}
	if found.Seen.Accepted() {
		f.Suggestion = suggestURL(v, found.Seen.Transport, v.Target.Port, "")
	}
	return diag.Holds(f)
}
