package probe

import (
	"context"
	"slices"
	"time"

	"mqttdoctor/diag"
)

// repeats is how often a handshake that was ended is made anew: of two machines behind one address the one that works is then
// met seven times in eight.
const repeats = 3

// nameMayMatter decides after a handshake that hung midway: where it was completed without a server name, that may be the name or
// the time that has passed since, which a repetition with the name tells.
func nameMayMatter(v *diag.View) diag.Decision {
	const bare = "tls.without_sni"
	switch {
	case !v.Ended(bare):
		return diag.Wait()
	case slices.ContainsFunc(diag.SeenBy[*diag.Attempt](v, bare), func(s diag.Sight[*diag.Attempt]) bool {
		return s.Seen.TLS != nil && s.Seen.TLS.Outcome == diag.OutcomeOK
	}):
		return diag.Run()
	}
	return diag.Skip(diag.N("skip.not_the_question"))
}

// tlsAgain makes a handshake that the peer ended without a reason, or that hung and was completed without a server name, once more, as it was and with a hello of one packet: what
// comes and goes must not be taken for what a variation changed.
var tlsAgain = diag.Probe{
	ID: "tls.again", Layer: diag.LayerTLS, Depth: diag.DepthQuick,
	Applies: ifTLS,
	Ready: func(v *diag.View) diag.Decision {
		return afterHandshake(v, func() diag.Decision {
			h, failed := failedHandshake(v)
			switch {
			case !failed:
				return diag.Skip(diag.N("skip.handshake_worked"))
			case h.Outcome == diag.OutcomeSilent && h.ServerHello && !h.CertRequested:
				return nameMayMatter(v)
			case !h.Outcome.Ended() || h.Alert != nil || h.CertRequested:
				return diag.Skip(diag.N("skip.already_clear"))
			}
			return doubtsOffer(v)
		})
	},
	Subjects: func(*diag.View) []diag.Subject {
		return []diag.Subject{{Name: "again", Value: diag.PurposeRetry}, {Name: "X25519", Value: diag.PurposeSmallHello}}
	},
	Budget: repeats * 12 * time.Second, // connect and answer, each of the usual time-out
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		address, ok := where(env.View)
		purpose, isPurpose := s.Value.(diag.Purpose)
		if !ok || !isPurpose {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		tries := repeats
		if purpose == diag.PurposeSmallHello {
			tries = 1
		}
		var last *diag.Attempt
		for range tries {
			a, l := walk(ctx, env, askedRoute(env.Target, address).with(purpose, s.Name, func(r *route) {
				r.TLS.SmallHello = purpose == diag.PurposeSmallHello
			}), upToTLS)
			l.Close()
			last = a
			if ctx.Err() != nil || a.TLS != nil && a.TLS.Outcome == diag.OutcomeOK {
				break
			}
		}
		return attemptResult(last)
	},
}
