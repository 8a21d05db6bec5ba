package probe

import (
	"context"
	"slices"
	"strings"
	"time"

	"mqttdoctor/diag"
)

// tlsWithoutSNI makes the asked handshake without a server name: what devices get that send none.
var tlsWithoutSNI = diag.Probe{
	ID: "tls.without_sni", Layer: diag.LayerTLS, Depth: diag.DepthQuick,
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.Scheme.UsesTLS() && sniOf(t) != "" },
	Ready: func(v *diag.View) diag.Decision {
		return afterHandshake(v, func() diag.Decision {
			if h, ok := shookHands(v); ok {
				if v.Options.Depth.Covers(diag.DepthDeep) || h.Trust != nil && !h.Trust.NameOK {
					return diag.Run()
				}
				return diag.Skip(diag.N("skip.handshake_worked"))
			}
			return doubtsOffer(v)
		})
	},
	Budget: 12 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		address, ok := where(env.View)
		if !ok {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		a, l := walk(ctx, env, askedRoute(env.Target, address).with(diag.PurposeNoSNI, "", func(r *route) { r.TLS.ServerName = "" }), upToTLS)
		defer l.Close()
		return attemptResult(a)
	},
}

// maxOtherNames bounds the names of a certificate that are tried.
const maxOtherNames = 3

// tlsNames goes the whole way under other server names: those of the certificate where the asked one is not among them, and
// the host's own where another was given. Credentials stay at home: the name is the server's choice and not the user's.
var tlsNames = diag.Probe{
	ID: "tls.names", Layer: diag.LayerTLS, Depth: diag.DepthQuick,
	Applies: ifTLS,
	Ready: func(v *diag.View) diag.Decision {
		return afterHandshake(v, func() diag.Decision {
			if len(otherNames(v)) > 0 {
				if h, ok := failedHandshake(v); ok && h.Outcome == diag.OutcomeSilent {
					return diag.Skip(diag.N("skip.not_the_question"))
				}
				return diag.Run()
			}
			return diag.Skip(diag.N("skip.no_other_name"))
		})
	},
	Subjects: func(v *diag.View) []diag.Subject {
		var out []diag.Subject
		for _, name := range otherNames(v) {
			out = append(out, diag.Subject{Name: name})
		}
		return out
	},
	Budget: 18 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		address, ok := where(env.View)
		if !ok {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		return variant(ctx, env, askedRoute(env.Target, address).with(diag.PurposeSNI, s.Name, func(r *route) {
			r.TLS.ServerName, r.MQTT.Credentials, r.WS.NoHeaders = s.Name, false, true
		}))
	},
}

// otherNames lists the names that are worth a try.
func otherNames(v *diag.View) []string {
	var out []string
	add := func(name string) {
		name = strings.ToLower(name)
		if len(out) < maxOtherNames && name != "" && !strings.Contains(name, "*") &&
			name != strings.ToLower(sniOf(v.Target)) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	_, literal := v.Target.Literal()
	_, failed := failedHandshake(v)
	h, mismatched := judgedHandshake(v, func(h *diag.TLSHandshake) bool { return !h.Trust.NameOK })
	if (failed || mismatched) && v.Target.TLS.ServerName != "" && !literal {
		add(v.Target.Host)
	}
	if mismatched {
		for _, name := range h.Leaf().DNSNames {
			add(name)
		}
	}
	return out
}
