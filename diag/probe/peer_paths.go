package probe

import (
	"context"
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
		case v.Ended("peer.transports"):
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

// httpWithoutUpgrade is the WebSocket transport in which the listener answered HTTP and did not upgrade.
func httpWithoutUpgrade(v *diag.View) (diag.Scheme, bool) {
	seen := diag.SeenBy[*diag.Attempt](v, "peer.transports")
	if slices.ContainsFunc(seen, func(s diag.Sight[*diag.Attempt]) bool { return s.Seen.SpeaksMQTT() }) {
		return "", false
	}
	for _, s := range seen {
		// A 400 to plain HTTP is also what a TLS listener of a web server says; the TLS attempt tells better then.
		if s.Seen.Transport.UsesTLS() == v.Target.Scheme.UsesTLS() && s.Seen.WS != nil && s.Seen.WS.HTTP() {
			return s.Seen.Transport, true
		}
	}
	for _, s := range seen {
		if s.Seen.WS != nil && s.Seen.WS.HTTP() {
			return s.Seen.Transport, true
		}
	}
	return "", false
}
