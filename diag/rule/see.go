package rule

import (
	"slices"

	"mqttdoctor/diag"
)

// The checks of the asked path, whose observations most rules begin with.
const (
	checkResolve diag.ProbeID = "dns.resolve"
	checkTCP     diag.ProbeID = "tcp.connect"
	checkLate    diag.ProbeID = "tcp.late"
	checkTLS     diag.ProbeID = "tls.handshake"
	checkWS      diag.ProbeID = "ws.upgrade"
	checkMQTT    diag.ProbeID = "mqtt.connect"
	checkOlder   diag.ProbeID = "mqtt.connect_older"
)

// attempts lists the connections made beside the asked one for the given purposes; none given: all.
func attempts(v *diag.View, purposes ...diag.Purpose) []diag.Sight[*diag.Attempt] {
	return slices.DeleteFunc(diag.Seen[*diag.Attempt](v), func(s diag.Sight[*diag.Attempt]) bool {
		return len(purposes) > 0 && !slices.Contains(purposes, s.Seen.Purpose)
	})
}

// first returns the first sight that fulfils the condition.
func first[T diag.Observation](sights []diag.Sight[T], fulfils func(T) bool) (diag.Sight[T], bool) {
	i := slices.IndexFunc(sights, func(s diag.Sight[T]) bool { return fulfils(s.Seen) })
	if i < 0 {
		return diag.Sight[T]{}, false
	}
	return sights[i], true
}

// askedConnects lists the asked CONNECTs in the order in which they were made: in the newest version, then in an older one
// where the version was left open.
func askedConnects(v *diag.View) []diag.Sight[*diag.MQTTConnect] {
	return append(diag.SeenBy[*diag.MQTTConnect](v, checkMQTT), diag.SeenBy[*diag.MQTTConnect](v, checkOlder)...)
}

// askedConnect is the asked CONNECT as far as it came: the accepted one, else the last.
func askedConnect(v *diag.View) (diag.Sight[*diag.MQTTConnect], bool) {
	seen := askedConnects(v)
	if s, ok := first(seen, (*diag.MQTTConnect).Accepted); ok {
		return s, true
	}
	if len(seen) == 0 {
		return diag.Sight[*diag.MQTTConnect]{}, false
	}
	return seen[len(seen)-1], true
}

// accepted tells whether the broker accepted the asked CONNECT.
func accepted(v *diag.View) bool {
	s, ok := askedConnect(v)
	return ok && s.Seen.Accepted()
}

// askedUpgrade is the asked WebSocket upgrade: the one that succeeded, else the first.
func askedUpgrade(v *diag.View) (diag.Sight[*diag.WSUpgrade], bool) {
	seen := diag.SeenBy[*diag.WSUpgrade](v, checkWS)
	if s, ok := first(seen, func(o *diag.WSUpgrade) bool { return o.Outcome == diag.OutcomeOK }); ok {
		return s, true
	}
	if len(seen) == 0 {
		return diag.Sight[*diag.WSUpgrade]{}, false
	}
	return seen[0], true
}

// samePort tells whether an attempt went to the port that was asked for, not to another of the usual ones.
func samePort(a *diag.Attempt) bool { return a.Purpose != diag.PurposePort }

// elsewhere finds an MQTT broker that speaks another transport on the asked port: the asked listener is one, only not so.
func otherTransport(v *diag.View) (diag.Sight[*diag.Attempt], bool) {
	sights := attempts(v, diag.PurposePlain, diag.PurposeTLS, diag.PurposeWebSocket, diag.PurposeRaw)
	if s, ok := first(sights, (*diag.Attempt).Accepted); ok {
		return s, true
	}
	return first(sights, (*diag.Attempt).SpeaksMQTT)
}

// suggestURL offers another listener of the target's host.
func suggestURL(v *diag.View, scheme diag.Scheme, port uint16, path string) *diag.Suggestion {
	return &diag.Suggestion{URL: v.Target.URLFor(scheme, port, path)}
}
