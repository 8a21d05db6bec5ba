package probe

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"mqttdoctor/diag"
)

// wsRedirect tries where a redirect of the upgrade leads, if that is the same host: a client library mostly does not follow
// it, and another host would be another target.
var wsRedirect = diag.Probe{
	ID: "ws.redirect", Layer: diag.LayerWS, Depth: diag.DepthQuick,
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.Scheme.IsWebSocket() },
	Ready: func(v *diag.View) diag.Decision {
		return afterUpgrade(v, func(o *diag.WSUpgrade) bool {
			_, ok := redirectRoute(v.Target, o)
			return ok
		})
	},
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		for _, s := range diag.SeenBy[*diag.WSUpgrade](env.View, checkWS) {
			if r, ok := redirectRoute(env.Target, s.Seen); ok {
				a, l := walk(ctx, env, r, upToMQTT)
				defer l.Close()
				return attemptResult(a)
			}
		}
		return diag.Skipped(diag.N("skip.not_the_question"))
	},
}

// redirectRoute is the way to where a redirect points; ok is false for another host and for what is no redirect.
func redirectRoute(t diag.Target, o *diag.WSUpgrade) (route, bool) {
	if o.Status < 300 || o.Status > 399 || o.Location == "" {
		return route{}, false
	}
	base := &url.URL{Scheme: "http", Host: t.HostPort(), Path: o.Path}
	if t.Scheme.UsesTLS() {
		base.Scheme = "https"
	}
	to, err := base.Parse(o.Location)
	if err != nil || !strings.EqualFold(strings.Trim(to.Hostname(), "[]"), t.Host) {
		return route{}, false
	}
	scheme, port := diag.SchemeWS, uint16(80)
	switch to.Scheme {
	case "https", "wss":
		scheme, port = diag.SchemeWSS, 443
	case "http", "ws":
	default:
		return route{}, false
	}
	if to.Port() != "" {
		n, err := strconv.ParseUint(to.Port(), 10, 16)
		if err != nil || n == 0 {
			return route{}, false
		}
		port = uint16(n)
	}
	return askedRoute(t, withPort(o.Address, port)).with(diag.PurposePath, "redirect", func(r *route) {
		r.Transport = scheme
		r.WS.Path = to.RequestURI()
		if t.Protocol == diag.VersionAuto {
			r.MQTT.Version = diag.Version311
		}
		// A redirect to a plain listener is not followed with what was meant for a secured one.
		r.WS.NoHeaders = !scheme.UsesTLS()
	}), true
}
