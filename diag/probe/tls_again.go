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
	case slices.ContainsFunc(diag.SeenBy[*diag.Attempt](v, bare), func(s diag.Sight[*diag.Attempt]) bool { return handshaken(s.Seen) }):
		return diag.Run()
	}
	return diag.Skip(diag.N("skip.not_the_question"))
}

// tlsAgain makes a handshake that the peer ended without a reason, or that hung and was completed without a server name, once more,
// as it was and with a hello of one packet: what comes and goes must not be taken for what a variation changed.
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
	Budget: (repeats + 1) * 12 * time.Second, // connect and answer, each of the usual time-out
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		address, ok := where(env.View)
		purpose, isPurpose := s.Value.(diag.Purpose)
		if !ok || !isPurpose {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		if purpose == diag.PurposeRetry {
			return attemptResult(shakenAgain(ctx, env, address, s.Name))
		}
		small := shaken(ctx, env, address, purpose, s.Name)
		if handshaken(small) && ctx.Err() == nil {
			// The usual ones beside it may have met the other machine by chance, turn by turn with ours: those behind it do not.
			if usual := shakenAgain(ctx, env, address, s.Name); handshaken(usual) {
				return attemptResult(usual)
			}
		}
		return attemptResult(small)
	},
}

// shakenAgain makes the usual handshake until it succeeds, or has failed often enough.
func shakenAgain(ctx context.Context, env *diag.Env, address, label string) *diag.Attempt {
	var last *diag.Attempt
	for range repeats {
		if last = shaken(ctx, env, address, diag.PurposeRetry, label); handshaken(last) || ctx.Err() != nil {
			break
		}
	}
	return last
}

// shaken makes one handshake.
func shaken(ctx context.Context, env *diag.Env, address string, purpose diag.Purpose, label string) *diag.Attempt {
	a, l := walk(ctx, env, askedRoute(env.Target, address).with(purpose, label, func(r *route) {
		r.TLS.SmallHello = purpose == diag.PurposeSmallHello
	}), upToTLS)
	l.Close()
	return a
}

func handshaken(a *diag.Attempt) bool { return a.TLS != nil && a.TLS.Outcome == diag.OutcomeOK }
