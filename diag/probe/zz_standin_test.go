package probe

import (
	"context"
	"net"
	"slices"
	"time"

	"mqttdoctor/diag"
)

// StandIns are simplest forms of the probes that somebody else is writing.
func StandIns() []diag.Probe {
	var out []diag.Probe
	have := IDs()
	if !slices.Contains(have, checkResolve) {
		out = append(out, diag.Probe{ID: checkResolve, Layer: diag.LayerDNS, Depth: diag.DepthQuick, Run: func(_ context.Context, env *diag.Env, _ diag.Subject) diag.Result {
			return diag.Passed(&diag.Resolution{Name: env.Target.Host, Literal: true, Outcome: diag.OutcomeOK, Addresses: []string{env.Target.Host}}, diag.N("x"))
		}})
	}
	if !slices.Contains(have, checkTCP) {
		out = append(out, diag.Probe{ID: checkTCP, Layer: diag.LayerTCP, Depth: diag.DepthQuick, Needs: []diag.ProbeID{checkResolve},
			Subjects: func(v *diag.View) []diag.Subject {
				var s []diag.Subject
				for _, a := range addressesOf(v) {
					s = append(s, diag.Subject{Name: a})
				}
				return s
			},
			Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
				o, conn := dialTCP(ctx, env, askedRoute(env.Target, s.Name))
				if conn == nil {
					return diag.Failed(o, diag.N("x"), nil)
				}
				env.Stash.Put(diag.StashTCP+s.Name, conn)
				return diag.Passed(o, diag.N("x"))
			}})
	}
	if !slices.Contains(have, checkTLS) {
		out = append(out, diag.Probe{ID: checkTLS, Layer: diag.LayerTLS, Depth: diag.DepthQuick, Follows: []diag.ProbeID{checkTCP},
			Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.Scheme.UsesTLS() },
			Each: func(_ *diag.View, s diag.Step) diag.Decision {
				if opened(s) {
					return diag.Run()
				}
				return diag.Skip(diag.N("x"))
			}, Budget: 10 * time.Second,
			Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
				item, _ := env.Stash.Take(diag.StashTCP + s.Name)
				o, conn := handshakeTLS(ctx, env, askedRoute(env.Target, s.Name), item.(net.Conn))
				if conn == nil {
					return diag.Failed(o, diag.N("x"), nil)
				}
				env.Stash.Put(diag.StashTLS+s.Name, conn)
				return diag.Passed(o, diag.N("x"))
			}})
	}
	return append(out, All...)
}
