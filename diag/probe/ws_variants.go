package probe

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"mqttdoctor/diag"
)

// The checks that vary the upgrade.
const (
	checkPaths        diag.ProbeID = "ws.paths"
	checkOrigin       diag.ProbeID = "ws.origin"
	checkSubprotocols diag.ProbeID = "ws.subprotocols"
)

// usualPaths are the WebSocket paths of usual brokers: EMQX, HiveMQ, NATS /mqtt; RabbitMQ /ws; mosquitto any; websockify
// /websocket.
var usualPaths = []string{"/mqtt", "/ws", "/", "/mqtt/", "/websocket", "/ws/mqtt"}

// wsPaths tries the usual paths where the asked one does not upgrade.
var wsPaths = diag.Probe{
	ID: checkPaths, Layer: diag.LayerWS, Depth: diag.DepthQuick,
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.Scheme.IsWebSocket() },
	Ready: func(v *diag.View) diag.Decision {
		if d, decided := somethingElseUpgrades(v); decided {
			return d
		}
		return afterUpgrade(v, func(o *diag.WSUpgrade) bool { return o.HTTP() && o.Outcome != diag.OutcomeOK })
	},
	Subjects: func(v *diag.View) []diag.Subject {
		var out []diag.Subject
		for _, path := range usualPaths {
			if path != v.Target.WS.Path {
				out = append(out, diag.Subject{Name: path})
			}
		}
		return out
	},
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		return variantWS(ctx, env, diag.PurposePath, s.Name, func(r *route) { r.WS.Path = s.Name })
	},
}

// somethingElseUpgrades decides where the asked path upgrades without the MQTT subprotocol: it may belong to another
// application, which a CONNECT without CONNACK shows.
func somethingElseUpgrades(v *diag.View) (d diag.Decision, decided bool) {
	bare := slices.ContainsFunc(diag.SeenBy[*diag.WSUpgrade](v, checkWS), func(s diag.Sight[*diag.WSUpgrade]) bool {
		return s.Seen.Outcome == diag.OutcomeOK && s.Seen.Subprotocol == "" && len(s.Seen.Offered) > 0
	})
	switch {
	case !bare || connected(v):
		return d, false
	case !decidedMQTT(v):
		return diag.Wait(), true
	case slices.ContainsFunc(askedConnects(v), func(o *diag.MQTTConnect) bool { return o.Answered() }):
		return d, false
	}
	return diag.Run(), true
}

// noOrigin stands for leaving the Origin header out.
const noOrigin = "-"

// wsOrigins tells whether it is the Origin header that is refused.
var wsOrigins = diag.Probe{
	ID: checkOrigin, Layer: diag.LayerWS, Depth: diag.DepthQuick,
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.Scheme.IsWebSocket() },
	Ready: func(v *diag.View) diag.Decision {
		return afterUpgrade(v, func(o *diag.WSUpgrade) bool {
			return o.Status == http.StatusForbidden || o.Status == http.StatusUnauthorized || o.Status == http.StatusBadRequest ||
				(o.Origin != "" && !o.HTTP())
		})
	},
	Subjects: func(v *diag.View) []diag.Subject {
		own := (&url.URL{Scheme: map[bool]string{true: "https", false: "http"}[v.Target.Scheme.UsesTLS()],
			Host: hostHeader(v.Target, askedRoute(v.Target, v.Target.HostPort()))}).String()
		var out []diag.Subject
		for _, origin := range []string{noOrigin, own} {
			asked := v.Target.WS.Origin
			if origin != asked && !(origin == noOrigin && asked == "") {
				out = append(out, diag.Subject{Name: origin})
			}
		}
		return out
	},
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		return variantWS(ctx, env, diag.PurposeOrigin, s.Name, func(r *route) {
			r.WS.Origin = s.Name
			if s.Name == noOrigin {
				r.WS.Origin = ""
			}
		})
	},
}

// wsSubprotocols tells which subprotocol names the peer takes, where the asked one is not chosen.
var wsSubprotocols = diag.Probe{
	ID: checkSubprotocols, Layer: diag.LayerWS, Depth: diag.DepthQuick,
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.Scheme.IsWebSocket() },
	Ready: func(v *diag.View) diag.Decision {
		// The upgrade may succeed here: a tolerant client gets on with it, a browser does not.
		for _, s := range diag.SeenBy[*diag.WSUpgrade](v, checkWS) {
			o := s.Seen
			if (o.Outcome == diag.OutcomeOK && o.Subprotocol == "") || o.Outcome == diag.OutcomeMalformed ||
				o.Status == http.StatusBadRequest || o.Status == http.StatusForbidden {
				return diag.Run()
			}
		}
		if v.Ended(checkWS) {
			return diag.Skip(diag.N("skip.not_the_question"))
		}
		return diag.Wait()
	},
	Subjects: func(*diag.View) []diag.Subject {
		return []diag.Subject{{Name: "mqttv3.1", Value: []string{"mqttv3.1"}}, {Name: "mqtt", Value: []string{"mqtt"}},
			{Name: noOrigin, Value: []string(nil)}}
	},
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		names, _ := s.Value.([]string)
		return variantWS(ctx, env, diag.PurposeSubprotocol, s.Name, func(r *route) {
			r.WS.Subprotocols = names
			if slices.Contains(names, "mqttv3.1") {
				r.MQTT.Version = diag.Version31
			}
		})
	},
}

// afterUpgrade decides for a check that varies a refused upgrade: skip where it succeeded, run where the refusal asks for it.
func afterUpgrade(v *diag.View, wanted func(*diag.WSUpgrade) bool) diag.Decision {
	if !v.Ended(checkWS) {
		return diag.Wait()
	}
	seen := diag.SeenBy[*diag.WSUpgrade](v, checkWS)
	switch {
	case len(seen) == 0:
		return notReachedBy(v, checkWS)
	case slices.ContainsFunc(seen, func(s diag.Sight[*diag.WSUpgrade]) bool { return s.Seen.Outcome == diag.OutcomeOK }):
		return diag.Skip(diag.N("skip.upgraded"))
	case slices.ContainsFunc(seen, func(s diag.Sight[*diag.WSUpgrade]) bool { return wanted(s.Seen) }):
		return diag.Run()
	}
	return diag.Skip(diag.N("skip.not_the_question"))
}

// variantWS goes the asked way once more with one thing changed.
func variantWS(ctx context.Context, env *diag.Env, purpose diag.Purpose, label string, change func(*route)) diag.Result {
	address, ok := reachable(env.View)
	if !ok {
		return diag.Skipped(diag.N("skip.no_tcp"))
	}
	r := askedRoute(env.Target, address)
	if env.Target.Protocol == diag.VersionAuto {
		r.MQTT.Version = diag.Version311 // every broker knows it; one that does not know 5 would close, and pass for none
	}
	a, l := walk(ctx, env, r.with(purpose, label, change), upToMQTT)
	defer l.Close()
	return attemptResult(a)
}
