package rule

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"mqttdoctor/diag"
)

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
