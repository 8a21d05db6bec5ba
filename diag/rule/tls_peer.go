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
		Args: foundArgs(v, a)}
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
	if _, ok := first(attempts(v, diag.PurposeVersion), (*diag.Attempt).SpeaksMQTT); ok {
		return diag.Excluded(diag.N("because.connack_came"))
	}
	sights := otherTransports(v, true)
	found, ok := best(sights, (*diag.Attempt).Accepted, (*diag.Attempt).SpeaksMQTT, upgraded,
		func(a *diag.Attempt) bool { return asksClientCert(a) && a.Transport == v.Target.Scheme.WithTLS(true) }, asksClientCert,
		func(a *diag.Attempt) bool { return hello(a) && a.Transport == v.Target.Scheme.WithTLS(true) }, hello)
	if !ok {
		if len(sights) == 0 {
			return diag.Open()
		}
		return diag.Excluded(diag.N("because.no_server_hello"))
	}
	a := found.Seen
	f := diag.Finding{Step: found.Step.ID, Evidence: found.Step.Evidence, Args: foundArgs(v, a)}
	if !a.SpeaksMQTT() && !upgraded(a) {
		// TLS it is; behind it may be a web server, and then to switch TLS on would not lead to a broker. Until that can be said, this
		// stays told with its doubt. Where the listener answered the CONNECT itself in HTTP, nothing is told before.
		decided := !slices.ContainsFunc(notMQTTAwaits, func(id diag.ProbeID) bool { return !v.Ended(id) })
		s, web := webServer(v, sights)
		switch {
		case decided && web:
			return diag.Excluded(diag.N("because.web_server_behind_tls", "status", statusOf(s.Seen.WS)))
		case !decided && saidHTTP(v):
			return diag.Open()
		case !decided:
			f.Confidence, f.Readings = diag.Likely, []diag.Code{"mqtt.not_mqtt"}
		}
	}
	if asked, ok := askedConnect(v); ok {
		if asked.Seen.Alert != nil {
			f.Args["alert"] = asked.Seen.Alert.String()
		}
		f.Evidence = append(slices.Clone(asked.Step.Evidence), f.Evidence...)
	}
	switch {
	case !a.SpeaksMQTT() && asksClientCert(a):
		f.Variant = "client_certificate"
	case !a.SpeaksMQTT() && upgraded(a):
		f.Variant = "websocket"
	case !a.SpeaksMQTT():
		f.Variant = "handshake"
	case trustedFully(a.TLS) && (a.Accepted() || a.MQTT.CredentialsWithheld):
		f.Suggestion = suggestURL(v, a.Transport, v.Target.Port, pathOf(a))
	case a.TLS.Trust != nil && !a.TLS.Trust.Trusted():
		f.Variant = "untrusted"
		f.Args["issuer"] = a.TLS.Leaf().Issuer
	}
	return diag.Holds(f)
}

// foundArgs name the address in another transport: as what works only where a CONNECT was accepted there, else as what answers.
func foundArgs(v *diag.View, a *diag.Attempt) diag.Args {
	url := v.Target.URLFor(a.Transport, v.Target.Port, pathOf(a))
	if a.Accepted() {
		return diag.Args{"found": url, "transport": string(a.Transport)}
	}
	return diag.Args{"answering": url, "transport": string(a.Transport)}
}

// saidHTTP tells whether the listener answered the asked CONNECT in HTTP: most often a web server that says that its port speaks TLS.
func saidHTTP(v *diag.View) bool {
	_, ok := first(askedConnects(v), func(c *diag.MQTTConnect) bool { return c.Speaks == "http" })
	return ok
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
