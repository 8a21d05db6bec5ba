package probe

import (
	"context"
	"slices"
	"strings"
	"time"

	"mqttdoctor/diag"
)

// alpnOffers are the lists of names tried: AWS IoT Core's for MQTT on 443
// (docs.aws.amazon.com/iot/latest/developerguide/protocols.html), the registered one
// (iana.org/assignments/tls-extensiontype-values, ALPN), and none.
var alpnOffers = [][]string{{"x-amzn-mqtt-ca"}, {"mqtt"}, nil}

// alpnLabel writes an offer for people.
func alpnLabel(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ", ")
}

// tlsALPN repeats the asked way with other application protocol names (RFC 7301): where the server said that it has none of
// those offered, or ended the handshake without a word, and where MQTT got no answer behind a handshake that went well, which is how a shared port 443 behaves.
var tlsALPN = diag.Probe{
	ID: "tls.alpn", Layer: diag.LayerTLS, Depth: diag.DepthQuick,
	Applies: ifTLS,
	Ready: func(v *diag.View) diag.Decision {
		if h, failed := failedHandshake(v); failed {
			switch {
			case alertIs(h, 120):
				return diag.Run()
			case !v.Target.Scheme.IsWebSocket() && h.Outcome.Ended() && h.Alert == nil && !h.CertRequested:
				return doubtsOffer(v) // a balancer that chooses by the name ends what bears none
			}
			return diag.Skip(diag.N("skip.not_the_question"))
		}
		if v.Target.Scheme.IsWebSocket() || !v.Ended(checkTLS) {
			if v.Ended(checkTLS) {
				return diag.Skip(diag.N("skip.not_the_question"))
			}
			return diag.Wait()
		}
		return overdue(v, []diag.Layer{diag.LayerMQTT}, func(v *diag.View) bool {
			h, ok := shookHands(v)
			return ok && !h.CertRequested && !slices.ContainsFunc(askedConnects(v), func(o *diag.MQTTConnect) bool {
				return o.Answered() || o.Alert != nil
			})
		}, false)
	},
	Subjects: func(v *diag.View) []diag.Subject {
		var out []diag.Subject
		for _, names := range alpnOffers {
			if !slices.Equal(names, v.Target.TLS.ALPN) {
				out = append(out, diag.Subject{Name: alpnLabel(names), Value: names})
			}
		}
		return out
	},
	Budget: 18 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		address, ok := where(env.View)
		names, isNames := s.Value.([]string)
		if !ok || !isNames {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		return variant(ctx, env, askedRoute(env.Target, address).with(diag.PurposeALPN, s.Name, func(r *route) {
			r.TLS.ALPN = names
			if env.Target.Protocol == diag.VersionAuto {
				r.MQTT.Version = diag.Version311
			}
		}))
	},
}
