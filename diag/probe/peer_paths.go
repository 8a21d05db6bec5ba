package probe

import (
	"context"
	"slices"

	"mqttdoctor/diag"
)

// peerPaths tries the usual WebSocket paths on a listener that turned out to speak HTTP where raw MQTT was asked for:
// brokers differ in their paths, and a web server without one is no broker.
var peerPaths = diag.Probe{
	ID: "peer.paths", Layer: diag.LayerWS, Depth: diag.DepthQuick,
	Needs:   []diag.ProbeID{"peer.transports"},
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return !t.Scheme.IsWebSocket() },
	Ready: func(v *diag.View) diag.Decision {
		if _, ok := httpWithoutUpgrade(v); ok {
			return diag.Run()
		}
		return diag.Skip(diag.N("skip.not_the_question"))
	},
	Subjects: func(v *diag.View) []diag.Subject {
		scheme, _ := httpWithoutUpgrade(v)
		var out []diag.Subject
		for _, path := range usualPaths {
			if path != "/mqtt" { // peer.transports has tried it
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
		a, l := walk(ctx, env, askedRoute(env.Target, address).with(diag.PurposePath, s.Name, func(r *route) {
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
