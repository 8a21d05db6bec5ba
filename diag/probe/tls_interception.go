package probe

import (
	"context"
	"time"

	"mqttdoctor/diag"
)

// inventedName is a server name that no certificate can have been issued for (RFC 2606 2): a server that shows one for it
// has made it on the spot, as an inspecting firewall does.
const inventedName = "mqttdoctor.invalid"

// tlsInterception asks for a name that does not exist, where the served chain leads to no root that is known.
var tlsInterception = diag.Probe{
	ID: "tls.interception", Layer: diag.LayerTLS, Depth: diag.DepthQuick,
	Applies: ifTLS,
	Ready: func(v *diag.View) diag.Decision {
		return afterHandshake(v, func() diag.Decision {
			if _, ok := judgedHandshake(v, maybeIntercepted); !ok && !v.Options.Depth.Covers(diag.DepthDeep) {
				return diag.Skip(diag.N("skip.not_the_question"))
			}
			if _, ok := shookHands(v); !ok {
				return notReachedBy(v, checkTLS)
			}
			return diag.Run()
		})
	},
	Budget: 12 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		address, ok := where(env.View)
		if !ok {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		a, l := walk(ctx, env, askedRoute(env.Target, address).with(diag.PurposeSNI, inventedName, func(r *route) {
			r.TLS.ServerName, r.TLS.NoCert = inventedName, true
		}), upToTLS)
		defer l.Close()
		return attemptResult(a)
	},
}

func maybeIntercepted(h *diag.TLSHandshake) bool { return !h.Trust.Trusted() && !h.Leaf().SelfIssued }
