package probe

import (
	"context"
	"net/http"
	"slices"

	"mqttdoctor/diag"
)

// peerPaths tries the usual WebSocket paths on a listener that turned out to speak HTTP where something else was asked for:
// brokers differ in their paths, and a web server without one is no broker.
var peerPaths = diag.Probe{
	ID: "peer.paths", Layer: diag.LayerWS, Depth: diag.DepthQuick,
	Ready: func(v *diag.View) diag.Decision {
		switch _, ok := httpWithoutUpgrade(v); {
		case transportKnown(v):
			return diag.Skip(diag.N("skip.already_clear"))
		case ok:
			return diag.Run() // without waiting for those that stay silent
		case v.Ended(checkPeerMQTT):
			return diag.Skip(diag.N("skip.not_the_question"))
		}
		return diag.Wait()
	},
	Moot: transportKnown,
	Subjects: func(v *diag.View) []diag.Subject {
		scheme, _ := httpWithoutUpgrade(v)
		var out []diag.Subject
		for _, path := range usualPaths {
			if path != "/mqtt" && path != v.Target.WS.Path { // peer.transports has tried it
				out = append(out, diag.Subject{Name: path, Value: scheme})
			}
		}
		return out
	},
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		address, ok := reachable(env.View)
		scheme, isScheme := s.Value.(diag.Scheme)
		if !ok || !isScheme {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		a, l := walk(ctx, env, askedRoute(env.Target, address).with(purposeOf(env.Target.Scheme, scheme), s.Name, func(r *route) {
			r.Transport, r.WS.Path = scheme, s.Name
			if env.Target.Protocol == diag.VersionAuto {
				r.MQTT.Version = diag.Version311
			}
			r.WS.Subprotocols = subprotocolsFor(r.MQTT.Version)
		}), upToMQTT)
		defer l.Close()
		return attemptResult(a)
	},
}

// httpWithoutUpgrade is the WebSocket transport in which the listener answered HTTP and did not upgrade. A 400 to plain HTTP is
// also what a web server says whose listener speaks TLS: it counts once that is known not to be so.
func httpWithoutUpgrade(v *diag.View) (diag.Scheme, bool) {
	seen := transportsTried(v)
	if slices.ContainsFunc(seen, func(s diag.Sight[*diag.Attempt]) bool { return s.Seen.SpeaksMQTT() }) {
		return "", false
	}
	secure := slices.ContainsFunc(seen, func(s diag.Sight[*diag.Attempt]) bool { return s.Seen.TLS != nil && s.Seen.TLS.ServerHello }) ||
		slices.ContainsFunc(diag.SeenBy[*diag.TLSHandshake](v, checkTLS), func(s diag.Sight[*diag.TLSHandshake]) bool { return s.Seen.ServerHello })
	for _, s := range seen {
		a := s.Seen
		switch {
		case a.WS == nil || !a.WS.HTTP():
		case a.WS.Outcome == diag.OutcomeOK && a.MQTT == nil: // a CONNECT is on its way
		case a.Transport.UsesTLS(), !secure && (a.WS.Status != http.StatusBadRequest || v.Ended(checkPeerMQTT)):
			return a.Transport, true
		}
	}
	return "", false
}
