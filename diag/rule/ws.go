package rule

import (
	"bytes"
	"cmp"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"mqttdoctor/diag"
)

var wsRules = []diag.Rule{
	{Code: "ws.expected", Severity: diag.SeverityCritical,
		Sources:      []string{"MQTT 5.0 6", "RFC 6455 4"},
		OverturnedBy: []diag.Code{"net.captive_portal", "tls.required", "tls.alpn_required", "dns.ipv6_broken", "tcp.partial_addresses"},
		LookAlikes:   []diag.Code{"mqtt.not_mqtt", "mqtt.no_connack", "tcp.wrong_port", "tls.required"},
		Hides:        []diag.Code{"mqtt.not_mqtt", "mqtt.no_connack", "mqtt.closed_without_connack", "tcp.wrong_port"},
		When:         wsExpected},
	{Code: "ws.raw_mqtt_peer", Severity: diag.SeverityCritical,
		Sources:      []string{"MQTT 5.0 6"},
		OverturnedBy: []diag.Code{"dns.ipv6_broken", "tcp.partial_addresses"},
		LookAlikes:   []diag.Code{"ws.not_websocket", "ws.wrong_path", "tls.plaintext_peer", "tcp.wrong_port"},
		Hides:        []diag.Code{"tcp.wrong_port", "mqtt.not_mqtt"},
		When:         wsRawPeer},
	{Code: "ws.redirect", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 9110 15.4"},
		Awaits:     []diag.ProbeID{checkWS, "ws.paths", "ws.redirect"},
		LookAlikes: []diag.Code{"ws.wrong_path", "ws.auth_required", "ws.not_websocket"},
		When:       wsRedirect},
	{Code: "ws.bad_gateway", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 9110 15.6"},
		Awaits:     []diag.ProbeID{checkWS, checkBehind, "ws.paths", "tcp.ports"},
		LookAlikes: []diag.Code{"ws.wrong_path", "ws.upgrade_stripped", "ws.not_websocket"},
		Hides:      []diag.Code{"tcp.wrong_port"},
		When:       wsBadGateway},
	{Code: "ws.origin_rejected", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 6455 10.2"},
		Awaits:     []diag.ProbeID{checkWS, "ws.origin"},
		LookAlikes: []diag.Code{"ws.auth_required", "ws.wrong_path", "ws.not_websocket"},
		When:       wsOriginRejected},
	{Code: "ws.wrong_path", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 6455 4.1"},
		Awaits:     []diag.ProbeID{checkWS, "ws.paths", "ws.origin", "ws.redirect"},
		MayHide:    []diag.Code{"ws.subprotocol_rejected", "mqtt.not_mqtt", "mqtt.no_connack", "mqtt.closed_without_connack"},
		LookAlikes: []diag.Code{"ws.not_websocket", "ws.upgrade_stripped", "ws.bad_gateway", "ws.origin_rejected", "ws.auth_required"},
		When:       wsWrongPath},
	{Code: "ws.auth_required", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 9110 15.5.2", "RFC 9110 15.5.4"},
		Awaits:     []diag.ProbeID{checkWS, "ws.origin", "ws.paths", "ws.subprotocols"},
		LookAlikes: []diag.Code{"ws.origin_rejected", "ws.wrong_path", "ws.not_websocket"},
		Hides:      []diag.Code{"tcp.wrong_port"},
		When:       wsAuthRequired},
	{Code: "ws.subprotocol_rejected", Severity: diag.SeverityCritical,
		Sources:    []string{"[MQTT-6.0.0-3]", "[MQTT-6.0.0-4]", "RFC 6455 4.2.2"},
		Awaits:     []diag.ProbeID{checkWS, "ws.subprotocols", "ws.paths"},
		LookAlikes: []diag.Code{"ws.wrong_path", "ws.not_websocket", "ws.origin_rejected"},
		Hides:      []diag.Code{"tcp.wrong_port"},
		Causes:     []diag.Code{"mqtt.no_connack", "mqtt.closed_without_connack", "mqtt.not_mqtt"},
		When:       wsSubprotocolRejected},
	{Code: "ws.upgrade_stripped", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 6455 4.1", "RFC 9110 7.8"},
		Awaits:     []diag.ProbeID{checkWS, "ws.paths", "ws.origin", "ws.subprotocols", checkBehind, "tcp.ports", checkMQTT, checkVersions, checkPeerMQTT, checkPeerPaths},
		LookAlikes: []diag.Code{"ws.wrong_path", "ws.not_websocket", "ws.bad_gateway", "ws.subprotocol_rejected"},
		Hides:      []diag.Code{"tcp.wrong_port"},
		When:       wsUpgradeStripped},
	{Code: "ws.not_websocket", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 6455 4.1"},
		Awaits:     []diag.ProbeID{checkWS, "ws.paths", "ws.origin", "ws.subprotocols", checkBehind, "tcp.ports", checkMQTT, checkOlder, checkVersions, checkPeerMQTT, checkPeerPaths},
		LookAlikes: []diag.Code{"ws.wrong_path", "ws.upgrade_stripped", "ws.origin_rejected", "ws.auth_required"},
		When:       wsNotWebSocket},
	{Code: "ws.text_frames", Severity: diag.SeverityCritical,
		Sources:    []string{"[MQTT-6.0.0-1]", "RFC 6455 5.6"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder},
		LookAlikes: []diag.Code{"mqtt.not_mqtt", "mqtt.no_connack"},
		Hides:      []diag.Code{"mqtt.not_mqtt", "mqtt.no_connack", "mqtt.closed_without_connack"},
		When:       wsTextFrames},
	{Code: "ws.mixed_content", Severity: diag.SeverityWarning,
		Sources:    []string{"https://www.w3.org/TR/mixed-content/"},
		Awaits:     []diag.ProbeID{checkWS, checkMQTT, checkOlder},
		LookAlikes: []diag.Code{"ws.origin_rejected"},
		When:       mixedContent},
}

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

// declined is the asked upgrade where HTTP answered it with anything but 101.
func declined(v *diag.View) (diag.Sight[*diag.WSUpgrade], diag.Verdict, bool) {
	up, ok := askedUpgrade(v)
	switch {
	case !ok:
		return up, diag.Open(), false
	case up.Seen.Outcome == diag.OutcomeOK:
		return up, diag.Excluded(diag.N("because.upgraded")), false
	case !up.Seen.HTTP():
		return up, diag.Excluded(diag.N("because.no_http_answer")), false
	}
	return up, diag.Verdict{}, true
}

func wsRedirect(v *diag.View) diag.Verdict {
	up, no, ok := declined(v)
	if !ok {
		return no
	}
	if up.Seen.Status < 300 || up.Seen.Status > 399 {
		return diag.Excluded(diag.N("because.http_status", "status", statusOf(up.Seen)))
	}
	f := wsFinding(up)
	f.Args["location"] = up.Seen.Location
	found, ok := redirectLeads(v)
	if elsewhere, works := upgradedElsewhere(v); works && !ok {
		return diag.Excluded(diag.N("because.other_path_upgrades", "found_path", elsewhere.Seen.WS.Path))
	}
	if ok {
		f.Suggestion = &diag.Suggestion{URL: urlOf(v, found.Seen)}
		f.Args["found"] = f.Suggestion.URL
	}
	return diag.Holds(f)
}

// redirectLeads finds the broker to which the redirect leads.
func redirectLeads(v *diag.View) (diag.Sight[*diag.Attempt], bool) {
	return first(attempts(v), func(a *diag.Attempt) bool { return a.Label == "redirect" && a.Accepted() })
}

func wsBadGateway(v *diag.View) diag.Verdict {
	up, no, ok := declined(v)
	if !ok {
		return no
	}
	if !isGateway(up.Seen) {
		return diag.Excluded(diag.N("because.http_status", "status", statusOf(up.Seen)))
	}
	if strippedGateway(v, up.Seen) {
		if s, answers := answersBehind(v); answers {
			return diag.Excluded(diag.N("because.answers_behind", "status", statusOf(s.Seen)))
		}
		return diag.Excluded(diag.N("because.own_port_upgrades"))
	}
	f := wsFinding(up)
	if up.Seen.Status == http.StatusBadGateway {
		// A broker that ends the connection at a request without Upgrade (mosquitto) makes its proxy say 502 too.
		f.Confidence = diag.Likely
		f.Readings = []diag.Code{"ws.upgrade_stripped"}
	}
	return diag.Holds(f)
}

const checkBehind diag.ProbeID = "ws.behind"

// answersBehind is the answer to a request that is no GET, where the proxy has got one for us: behind it stands a server that
// ends the connection at what has become of the upgrade.
func answersBehind(v *diag.View) (diag.Sight[*diag.WSUpgrade], bool) {
	return first(diag.SeenBy[*diag.WSUpgrade](v, checkBehind), func(o *diag.WSUpgrade) bool {
		// Only what a WebSocket server says of a method that it does not know: others may be the proxy's own words.
		return o.Status == http.StatusForbidden
	})
}

// strippedGateway tells whether the proxy speaks of a dead broker, and that broker lives. One without any to send to (503) has
// not lost a header, nor has one that gets no answer of any kind from where it sends: that is not the listener that was found.
func strippedGateway(v *diag.View, up *diag.WSUpgrade) bool {
	if _, answers := answersBehind(v); answers {
		return up.Status == http.StatusBadGateway
	}
	_, deaf := first(diag.SeenBy[*diag.WSUpgrade](v, checkBehind), isGateway)
	return up.Status != http.StatusServiceUnavailable && !deaf && ownPortUpgrades(v)
}

// isGateway tells a status with which a proxy says that what is behind it did not answer well: those of HTTP, and Cloudflare's
// own (https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/).
func isGateway(o *diag.WSUpgrade) bool {
	return o.Status >= http.StatusBadGateway && o.Status <= http.StatusGatewayTimeout ||
		o.Status >= 520 && o.Status <= 526 && serverIs(o, "cloudflare")
}

func wsOriginRejected(v *diag.View) diag.Verdict {
	up, no, ok := declined(v)
	if !ok && up.Seen == nil || ok && up.Seen.Status >= 300 && up.Seen.Status < 400 {
		return no
	}
	if up.Seen.Outcome == diag.OutcomeOK {
		return diag.Excluded(diag.N("because.upgraded"))
	}
	sights := attempts(v, diag.PurposeOrigin)
	slices.SortStableFunc(sights, func(a, b diag.Sight[*diag.Attempt]) int { return cmp.Compare(a.Seen.Label, b.Seen.Label) }) // "-", none, first
	found, works := first(sights, func(a *diag.Attempt) bool { return a.WS != nil && a.WS.Outcome == diag.OutcomeOK })
	if !works {
		if len(sights) > 0 {
			return diag.Excluded(diag.N("because.origin_does_not_matter"))
		}
		return diag.Excluded(diag.N("because.http_status", "status", statusOf(up.Seen)))
	}
	f := wsFinding(up)
	f.Args["origin"] = up.Seen.Origin
	f.Args["suggested"] = found.Seen.WS.Origin
	if up.Seen.Origin == "" {
		f.Variant = "missing"
	}
	if found.Seen.Accepted() {
		origin := found.Seen.WS.Origin
		f.Suggestion = &diag.Suggestion{WS: &diag.WSSuggestion{Origin: &origin}}
	}
	return diag.Holds(f)
}

// upgradedElsewhere finds another path at which the upgrade works: best one that a CONNECT went through.
func upgradedElsewhere(v *diag.View) (diag.Sight[*diag.Attempt], bool) {
	sights := attempts(v, diag.PurposePath)
	// Where several work, the plainest; they end in no particular order.
	slices.SortStableFunc(sights, func(a, b diag.Sight[*diag.Attempt]) int {
		return cmp.Or(cmp.Compare(len(a.Seen.Label), len(b.Seen.Label)), strings.Compare(a.Seen.Label, b.Seen.Label))
	})
	for _, good := range []func(*diag.Attempt) bool{
		(*diag.Attempt).Accepted, (*diag.Attempt).SpeaksMQTT,
		func(a *diag.Attempt) bool { return a.WS != nil && a.WS.Outcome == diag.OutcomeOK },
	} {
		if s, ok := first(sights, func(a *diag.Attempt) bool { return a.Label != "redirect" && good(a) }); ok {
			return s, true
		}
	}
	return diag.Sight[*diag.Attempt]{}, false
}

// wsWrongPath also holds where something else upgrades at the asked path (NATS's own protocol, a chat): without the MQTT
// subprotocol and without a CONNACK, while both come at another path.
func wsWrongPath(v *diag.View) diag.Verdict {
	up, ok := askedUpgrade(v)
	upgradedHere := ok && up.Seen.Outcome == diag.OutcomeOK
	if upgradedHere {
		if c, sent := askedConnect(v); up.Seen.Subprotocol != "" || !sent || c.Seen.Answered() {
			return diag.Excluded(diag.N("because.upgraded"))
		}
	} else {
		var no diag.Verdict
		if up, no, ok = declined(v); !ok {
			return no
		}
		if code, more := explained(v, up.Seen); more {
			return diag.Excluded(code)
		}
	}
	found, works := upgradedElsewhere(v)
	if upgradedHere && works && !found.Seen.SpeaksMQTT() {
		works = false
	}
	if !works {
		return diag.Excluded(diag.N("because.no_usual_path_upgrades", "status", statusOf(up.Seen)))
	}
	f := wsFinding(up)
	f.Args["found_path"] = found.Seen.WS.Path
	f.Args["found"] = v.Target.URLFor(v.Target.Scheme, v.Target.Port, found.Seen.WS.Path)
	if found.Seen.Accepted() {
		f.Suggestion = suggestURL(v, v.Target.Scheme, v.Target.Port, found.Seen.WS.Path)
	}
	if upgradedHere {
		f.Variant = "something_else"
		f = f.Hiding("ws.subprotocol_rejected", "mqtt.not_mqtt", "mqtt.no_connack", "mqtt.closed_without_connack")
	}
	return diag.Holds(f)
}

// explained tells whether the declined upgrade has a better reason than its path.
func explained(v *diag.View, up *diag.WSUpgrade) (diag.Note, bool) {
	_, leads := redirectLeads(v)
	_, elsewhere := upgradedElsewhere(v)
	if up.Status >= 300 && up.Status < 400 && (leads || !elsewhere) || isGateway(up) && !strippedGateway(v, up) {
		return diag.N("because.http_status", "status", statusOf(up)), true
	}
	if _, ok := first(attempts(v, diag.PurposeOrigin), upgraded); ok {
		return diag.N("because.origin_matters"), true
	}
	return diag.Note{}, false
}

func upgraded(a *diag.Attempt) bool { return a.WS != nil && a.WS.Outcome == diag.OutcomeOK }

func wsAuthRequired(v *diag.View) diag.Verdict {
	up, no, ok := declined(v)
	if !ok {
		return no
	}
	if up.Seen.Status != http.StatusUnauthorized && up.Seen.Status != http.StatusForbidden &&
		up.Seen.Status != http.StatusProxyAuthRequired {
		return diag.Excluded(diag.N("because.http_status", "status", statusOf(up.Seen)))
	}
	if note, more := explained(v, up.Seen); more {
		return diag.Excluded(note)
	}
	if wantsHTTP2(up.Seen) {
		return diag.Excluded(diag.N("because.http_status", "status", statusOf(up.Seen)))
	}
	if s, works := upgradedElsewhere(v); works {
		return diag.Excluded(diag.N("because.other_path_upgrades", "found_path", s.Seen.WS.Path))
	}
	if _, works := first(attempts(v, diag.PurposeSubprotocol), upgraded); works {
		return diag.Excluded(diag.N("because.other_subprotocol_upgrades"))
	}
	return diag.Holds(wsFinding(up))
}

func wsSubprotocolRejected(v *diag.View) diag.Verdict {
	up, ok := askedUpgrade(v)
	if !ok {
		return diag.Open()
	}
	o := up.Seen
	taken := subprotocolsTaken(v)
	switch {
	case o.Outcome == diag.OutcomeOK && slices.Contains(o.Offered, o.Subprotocol):
		return diag.Excluded(diag.N("because.subprotocol_chosen", "subprotocol", o.Subprotocol))
	case o.Outcome == diag.OutcomeOK && o.Subprotocol != "" && len(o.Offered) > 0:
		// Programs that compare without regard to case let it pass, browsers do not.
		f := wsFinding(up)
		f.Variant = "other_chosen"
		f.Args["subprotocol"] = strings.Join(o.Offered, ", ")
		f.Args["value"] = o.Subprotocol
		return diag.Holds(f)
	case o.Outcome == diag.OutcomeOK && len(o.Offered) > 0:
		f := wsFinding(up)
		f.Variant = "not_chosen"
		f.Args["versions"] = strings.Join(taken, ", ")
		f.Args["subprotocol"] = strings.Join(o.Offered, ", ")
		f.Suggestion = suggestSubprotocol(v)
		return diag.Holds(f)
	case o.Outcome == diag.OutcomeMalformed && o.Status == http.StatusSwitchingProtocols && o.Subprotocol != "" &&
		!slices.Contains(o.Offered, o.Subprotocol):
		f := wsFinding(up)
		f.Variant = "other_chosen"
		f.Args["subprotocol"] = strings.Join(o.Offered, ", ")
		f.Args["value"] = o.Subprotocol
		f.Suggestion = suggestSubprotocol(v)
		return diag.Holds(f)
	case o.HTTP() && o.Outcome == diag.OutcomeRefused && len(taken) > 0 && !upgradesWithAskedSubprotocol(v):
		f := wsFinding(up)
		f.Variant = "refused"
		f.Args["subprotocol"] = strings.Join(o.Offered, ", ")
		f.Args["value"] = strings.Join(taken, ", ")
		f.Suggestion = suggestSubprotocol(v)
		return diag.Holds(f)
	case !o.HTTP():
		return diag.Excluded(diag.N("because.no_http_answer"))
	}
	return diag.Excluded(diag.N("because.http_status", "status", statusOf(o)))
}

// subprotocolsTaken lists the subprotocol names with which the asked path upgrades.
func subprotocolsTaken(v *diag.View) []string {
	var out []string
	for _, s := range attempts(v, diag.PurposeSubprotocol) {
		if upgraded(s.Seen) && (s.Seen.WS.Subprotocol != "" || len(s.Seen.WS.Offered) == 0) {
			name := s.Seen.WS.Subprotocol
			if name == "" {
				name = "-"
			}
			out = append(out, name)
		}
	}
	return out
}

func upgradesWithAskedSubprotocol(v *diag.View) bool {
	_, ok := upgradedElsewhere(v)
	return ok
}

func suggestSubprotocol(v *diag.View) *diag.Suggestion {
	_, ok := first(attempts(v, diag.PurposeSubprotocol), func(a *diag.Attempt) bool {
		return a.Accepted() && a.MQTT.Version == diag.Version31 && a.WS.Subprotocol == "mqttv3.1"
	})
	if !ok || v.Target.Protocol == diag.Version31 {
		return nil
	}
	return &diag.Suggestion{Protocol: diag.Version31}
}

// proxyServers are Server headers of programs that carry other people's traffic.
var proxyServers = []string{"nginx", "openresty", "haproxy", "traefik", "envoy", "istio", "caddy", "apache", "cloudflare",
	"awselb", "squid", "varnish", "tengine", "litespeed", "microsoft-iis", "kong", "apisix", "gws", "akamaighost"}

func behindProxy(o *diag.WSUpgrade) bool {
	server := strings.ToLower(o.Server)
	return o.Via != "" || len(o.ProxySigns) > 0 ||
		slices.ContainsFunc(proxyServers, func(name string) bool { return strings.Contains(server, name) })
}

func wsUpgradeStripped(v *diag.View) diag.Verdict {
	up, no, ok := declined(v)
	if !ok {
		return no
	}
	if note, more := otherWSReason(v, up.Seen); more {
		return diag.Excluded(note)
	}
	o := up.Seen
	if o.ForwardProxy {
		return diag.Excluded(diag.N("because.forward_proxy"))
	}
	f := wsFinding(up)
	f.Args["server"] = o.Server
	switch {
	case o.Status == http.StatusUpgradeRequired:
		// 426 asks for the very header that we sent (RFC 9110 15.5.22).
		return diag.Holds(f)
	case o.Status == http.StatusBadRequest && behindProxy(o):
		return diag.Holds(f)
	case isGateway(o) && !ownPortUpgrades(v):
		s, _ := answersBehind(v)
		f.Confidence, f.Variant, f.Readings = diag.Likely, "behind", []diag.Code{"ws.bad_gateway"}
		f.Args["value"] = statusOf(s.Seen)
		f.Evidence = append(slices.Clone(f.Evidence), s.Step.Evidence...)
		return diag.Holds(f)
	case behindProxy(o) && ownPortUpgrades(v):
		f.Confidence = diag.Likely
		f.Variant = "own_port"
		if isGateway(o) {
			f.Readings = []diag.Code{"ws.bad_gateway"}
		}
		return diag.Holds(f)
	case o.Status == http.StatusBadRequest && (o.WSVersion != "" || missesUpgrade(o.BodyStart)):
		// Only a WebSocket server names the versions that it speaks (RFC 6455 4.4), and ours was in order when it left.
		return diag.Holds(f)
	}
	return diag.Excluded(diag.N("because.no_sign_of_stripping", "status", statusOf(o)))
}

// missesUpgrade reads what usual WebSocket servers say where the Upgrade header did not arrive: ws (Node.js), Go's
// coder/websocket and gorilla/websocket, Jetty, Netty, cowboy, websockify, Python's websockets and aiohttp.
func missesUpgrade(body string) bool {
	body = strings.ToLower(body)
	for _, phrase := range []string{"upgrade required", "not a websocket", "not websocket", "websocket protocol violation: connection header",
		"can \"upgrade\" only to \"websocket\"", "'upgrade' token not found", "expected a websocket", "websocket handshake error",
		"missing upgrade", "no upgrade", "no websocket upgrade", "invalid upgrade header", "connection upgrade",
		"failed to open a websocket connection"} {
		if strings.Contains(body, phrase) {
			return true
		}
	}
	return false
}

// ownPortUpgrades tells whether another port of the host upgrades to MQTT: the broker's own listener behind the proxy.
func ownPortUpgrades(v *diag.View) bool {
	_, ok := first(attempts(v, diag.PurposePort), func(a *diag.Attempt) bool { return upgraded(a) && a.SpeaksMQTT() })
	return ok
}

// otherWSReason tells whether a declined upgrade has a reason that another rule concludes.
func otherWSReason(v *diag.View, o *diag.WSUpgrade) (diag.Note, bool) {
	if note, more := explained(v, o); more {
		return note, true
	}
	if s, works := upgradedElsewhere(v); works {
		return diag.N("because.other_path_upgrades", "found_path", s.Seen.WS.Path), true
	}
	if len(subprotocolsTaken(v)) > 0 || o.Status == http.StatusSwitchingProtocols && o.Subprotocol != "" && !slices.Contains(o.Offered, o.Subprotocol) {
		return diag.N("because.other_subprotocol_upgrades"), true
	}
	if _, ok := otherTransport(v); ok {
		return diag.N("because.other_transport"), true
	}
	return diag.Note{}, false
}

func wsNotWebSocket(v *diag.View) diag.Verdict {
	up, no, ok := declined(v)
	if !ok {
		if c, broken := brokenFrames(v); broken {
			f := wsFinding(up)
			f.Step, f.Evidence, f.Variant = c.Step.ID, c.Step.Evidence, "frames"
			return diag.Holds(f.Hiding("ws.subprotocol_rejected", "ws.text_frames", "mqtt.not_mqtt", "mqtt.no_connack", "mqtt.closed_without_connack"))
		}
		if up.Seen != nil && wantsHTTP2(up.Seen) {
			return diag.Holds(http2Finding(up))
		}
		if s, speaksHTTP := httpBehindSilence(v); speaksHTTP {
			f := wsFinding(up)
			delete(f.Args, "status")
			f.Variant, f.Confidence = "silent", diag.Likely
			f.Readings = []diag.Code{"ws.bad_gateway", "ws.upgrade_stripped"}
			f.Evidence = append(f.Evidence, s.Step.Evidence...)
			return diag.Holds(f)
		}
		return no
	}
	if note, more := otherWSReason(v, up.Seen); more {
		return diag.Excluded(note)
	}
	if _, stripped := wsUpgradeStripped(v).Concluded(); stripped {
		return diag.Excluded(diag.N("because.upgrade_was_stripped"))
	}
	if _, auth := wsAuthRequired(v).Concluded(); auth {
		return diag.Excluded(diag.N("because.http_status", "status", statusOf(up.Seen)))
	}
	if wantsHTTP2(up.Seen) {
		return diag.Holds(http2Finding(up))
	}
	f := wsFinding(up)
	switch status := up.Seen.Status; {
	case up.Seen.ForwardProxy:
		f.Variant = "forward_proxy"
	case status == http.StatusSwitchingProtocols:
		f.Variant = "handshake"
	case status == http.StatusTooManyRequests:
		f.Variant = "too_many"
		f.Args["retry"] = up.Seen.RetryAfter
	case status >= http.StatusInternalServerError && !isGateway(up.Seen):
		f.Variant = "failed"
	}
	return diag.Holds(f)
}

// wantsHTTP2 tells a server that speaks HTTP/2 alone: its connection begins with a SETTINGS frame of stream 0 whatever is asked
// (RFC 9113 3.4, 6.5), or it says so itself, as that of Node.js does with 403 (lib/internal/http2/core.js).
func wantsHTTP2(o *diag.WSUpgrade) bool {
	first := o.First
	settings := len(first) >= 9 && first[0] == 0 && first[3] == 4 && first[4] == 0 && bytes.Equal(first[5:9], make([]byte, 4))
	return settings || o.HTTP() && strings.Contains(o.BodyStart, "Missing ALPN Protocol, expected `h2`")
}

func http2Finding(up diag.Sight[*diag.WSUpgrade]) diag.Finding {
	f := wsFinding(up)
	delete(f.Args, "status")
	f.Variant = "http2"
	return f
}

// brokenFrames is the CONNECT in a WebSocket that was opened, where the first that came back is no frame of a server.
func brokenFrames(v *diag.View) (diag.Sight[*diag.MQTTConnect], bool) {
	c, ok := askedConnect(v)
	return c, ok && askedUpgraded(v) && len(c.Seen.WSFrame) > 0 && !c.Seen.Answered()
}

// httpBehindSilence is an HTTP answer to bytes that are no HTTP, on a listener that left the upgrade without an answer: a web
// server that waits for what stands behind it.
func httpBehindSilence(v *diag.View) (diag.Sight[*diag.Attempt], bool) {
	up, ok := askedUpgrade(v)
	if !ok || up.Seen.HTTP() || up.Seen.Outcome == diag.OutcomeOther || up.Seen.Outcome == diag.OutcomeOK {
		return diag.Sight[*diag.Attempt]{}, false
	}
	return first(attempts(v, diag.PurposeRaw, diag.PurposePlain, diag.PurposeTLS), func(a *diag.Attempt) bool {
		return a.Transport.UsesTLS() == v.Target.Scheme.UsesTLS() && a.MQTT != nil && a.MQTT.Speaks == "http"
	})
}

func wsTextFrames(v *diag.View) diag.Verdict {
	c, ok := askedConnect(v)
	if !ok || !v.Target.Scheme.IsWebSocket() {
		return diag.Open()
	}
	if !textMQTT(c.Seen) {
		return diag.Excluded(diag.N("because.binary_frames"))
	}
	return diag.Holds(diag.Finding{Step: c.Step.ID, Evidence: c.Step.Evidence})
}

// textMQTT tells whether MQTT came in a text frame: a CONNACK, whole or with its later bytes destroyed, or in Base64. Another
// application's greeting comes as text too, and is no MQTT.
func textMQTT(c *diag.MQTTConnect) bool {
	return c.WSText && (c.Answered() || len(c.First) == 0 || c.First[0] == 0x20 || bytes.HasPrefix(c.First, []byte("IA")))
}

func wsFinding(up diag.Sight[*diag.WSUpgrade]) diag.Finding {
	return diag.Finding{Step: up.Step.ID, Evidence: up.Step.Evidence,
		Args: diag.Args{"status": statusOf(up.Seen), "server": up.Seen.Server, "path": up.Seen.Path}}
}

func statusOf(o *diag.WSUpgrade) string {
	return strings.TrimSpace(strconv.Itoa(o.Status) + " " + o.StatusText)
}

// urlOf is the address of an attempt on the target's host.
func urlOf(v *diag.View, a *diag.Attempt) string {
	port := v.Target.Port
	if i := strings.LastIndex(a.Address, ":"); i >= 0 {
		if n, err := strconv.ParseUint(a.Address[i+1:], 10, 16); err == nil {
			port = uint16(n)
		}
	}
	path := ""
	if a.WS != nil {
		path = a.WS.Path
	}
	return v.Target.URLFor(a.Transport, port, path)
}
