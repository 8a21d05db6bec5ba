package probe

import (
	"context"

	"mqttdoctor/diag"
	"mqttdoctor/diag/patience"
)

// mqttPing sends a PINGREQ on the asked session and awaits the PINGRESP (MQTT 5.0 3.12): that the broker answers it, and the
// round trip through the broker's own loop.
var mqttPing = diag.Probe{
	ID: "mqtt.ping", Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	// Not beside the SUBSCRIBE: two small answers at once would be held back by the broker's Nagle algorithm, and the
	// SUBACK is what everything else waits for.
	Needs: []diag.ProbeID{checkMQTT, checkSubscribe},
	Ready: needSession,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		s, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		ctx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
		defer cancel()
		o := &diag.MQTTPing{Version: s.version, Outcome: diag.OutcomeOK}
		rtt, failure := s.Ping(ctx)
		o.RTT = rtt
		if failure != nil && s.ended() {
			return diag.Skipped(diag.N("skip.session_ended"))
		}
		if failure != nil {
			o.Outcome, o.Error = outcomeOfFailure(failure.Kind), failure.Error()
			return diag.Failed(o, diag.N("step.mqtt.ping.failed", "symbol", string(o.Outcome)),
				&diag.Failure{Op: "mqtt.ping", Code: string(o.Outcome), Text: o.Error})
		}
		return diag.Passed(o, diag.N("step.mqtt.ping.ok", "rtt", diag.FormatMS(rtt)+" ms"))
	},
}

// needSession decides for checks that use the asked session.
func needSession(v *diag.View) diag.Decision {
	switch {
	case connected(v):
		return diag.Run()
	case decidedMQTT(v):
		return diag.Skip(diag.N("skip.not_connected"))
	}
	return diag.Wait()
}
