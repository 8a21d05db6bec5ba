package rule

import (
	"slices"

	"mqttdoctor/diag"
)

// otherTransports are the connections to the asked port in the transports that were not asked for, with TLS or without.
func otherTransports(v *diag.View, withTLS bool) []diag.Sight[*diag.Attempt] {
	sights := attempts(v, diag.PurposePlain, diag.PurposeTLS, diag.PurposeWebSocket, diag.PurposeRaw, diag.PurposePath)
	return slices.DeleteFunc(sights, func(s diag.Sight[*diag.Attempt]) bool {
		return s.Seen.Transport.UsesTLS() != withTLS || s.Seen.Label == "redirect"
	})
}

// best is the first attempt that fulfils the first of the conditions that any fulfils.
func best(sights []diag.Sight[*diag.Attempt], conditions ...func(*diag.Attempt) bool) (diag.Sight[*diag.Attempt], bool) {
	for _, fulfils := range conditions {
		if s, ok := first(sights, fulfils); ok {
			return s, true
		}
	}
	return diag.Sight[*diag.Attempt]{}, false
}

func pathOf(a *diag.Attempt) string {
	if a.WS == nil {
		return ""
	}
	return a.WS.Path
}

func plaintextPeer(v *diag.View) diag.Verdict {
	if !v.Target.Scheme.UsesTLS() {
		return diag.Excluded(diag.N("because.tls_was_not_asked"))
	}
	handshakes := askedHandshakes(v)
	if s, ok := first(handshakes, func(h *diag.TLSHandshake) bool { return h.ServerHello }); ok {
		return diag.Excluded(diag.N("because.tls_answered_hello", "address", s.Seen.Address))
	}
	if len(handshakes) == 0 {
		return diag.Open()
	}
	sights := otherTransports(v, false)
	found, ok := best(sights, (*diag.Attempt).Accepted, (*diag.Attempt).SpeaksMQTT, upgraded)
	if !ok {
		if len(sights) == 0 {
			return diag.Open()
		}
		return diag.Excluded(diag.N("because.no_connack_in_the_clear"))
	}
	a := found.Seen
	f := diag.Finding{Step: found.Step.ID, Evidence: append(slices.Clone(handshakes[0].Step.Evidence), found.Step.Evidence...),
		Args: diag.Args{"found": v.Target.URLFor(a.Transport, v.Target.Port, pathOf(a)), "transport": string(a.Transport)}}
	if a.Transport.IsWebSocket() {
		f.Variant = "websocket"
	}
	if a.Accepted() || a.SpeaksMQTT() && a.MQTT.CredentialsWithheld {
		f.Suggestion = suggestURL(v, a.Transport, v.Target.Port, pathOf(a))
	}
	return diag.Holds(f)
}

func tlsRequired(v *diag.View) diag.Verdict {
	if v.Target.Scheme.UsesTLS() {
		return diag.Excluded(diag.N("because.tls_was_asked"))
	}
	if c, ok := askedConnect(v); ok && c.Seen.Answered() {
		return diag.Excluded(diag.N("because.connack_came"))
	}
	if up, ok := askedUpgrade(v); ok && up.Seen.Outcome == diag.OutcomeOK {
		return diag.Excluded(diag.N("because.upgraded"))
	}
	sights := otherTransports(v, true)
	found, ok := best(sights, (*diag.Attempt).Accepted, (*diag.Attempt).SpeaksMQTT, upgraded, asksClientCert,
		func(a *diag.Attempt) bool { return hello(a) && a.Transport == v.Target.Scheme.WithTLS(true) }, hello)
	if !ok {
		if len(sights) == 0 {
			return diag.Open()
		}
		return diag.Excluded(diag.N("because.no_server_hello"))
	}
	a := found.Seen
	if s, web := webServer(v, sights); web && !a.SpeaksMQTT() && !upgraded(a) {
		// TLS it is, and behind it a web server: to switch TLS on would not lead to a broker.
		return diag.Excluded(diag.N("because.web_server_behind_tls", "status", statusOf(s.Seen.WS)))
	}
	f := diag.Finding{Step: found.Step.ID, Evidence: found.Step.Evidence,
		Args: diag.Args{"found": v.Target.URLFor(a.Transport, v.Target.Port, pathOf(a)), "transport": string(a.Transport)}}
	if asked, ok := askedConnect(v); ok {
		if asked.Seen.Alert != nil {
			f.Args["alert"] = asked.Seen.Alert.String()
		}
		f.Evidence = append(slices.Clone(asked.Step.Evidence), f.Evidence...)
	}
	switch {
	case !a.SpeaksMQTT() && asksClientCert(a):
		f.Variant = "client_certificate"
	case trustedFully(a.TLS) && (a.Accepted() || a.SpeaksMQTT() && a.MQTT.CredentialsWithheld):
		f.Suggestion = suggestURL(v, a.Transport, v.Target.Port, pathOf(a))
	case a.SpeaksMQTT() && a.TLS.Trust != nil && !a.TLS.Trust.Trusted():
		f.Variant = "untrusted"
		f.Args["issuer"] = a.TLS.Leaf().Issuer
	}
	return diag.Holds(f)
}

// hello tells whether a ClientHello was answered in TLS.
func hello(a *diag.Attempt) bool { return a.TLS != nil && a.TLS.ServerHello }

func asksClientCert(a *diag.Attempt) bool {
	return a.TLS != nil && a.TLS.CertRequested && !a.TLS.ClientCertSent && !a.SpeaksMQTT()
}

// trustedFully tells whether a client with these settings would go on after the handshake.
func trustedFully(h *diag.TLSHandshake) bool {
	return h != nil && h.Trust != nil && h.Trust.Trusted() && h.Trust.NameOK && h.Trust.PathNow
}

// webServer finds an HTTP answer over TLS where raw MQTT was asked for and no path of it upgrades to MQTT.
func webServer(v *diag.View, sights []diag.Sight[*diag.Attempt]) (diag.Sight[*diag.Attempt], bool) {
	if v.Target.Scheme.IsWebSocket() {
		return diag.Sight[*diag.Attempt]{}, false
	}
	if _, ok := first(sights, upgraded); ok {
		return diag.Sight[*diag.Attempt]{}, false
	}
	return first(sights, func(a *diag.Attempt) bool { return a.WS != nil && a.WS.HTTP() })
}
