package probe

import (
	"context"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
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
			// For the ping, for what was on its way beside it, or of its age: sessions that do nothing but ping tell.
			end := endsAtPings(ctx, env, s)
			if end == nil {
				return diag.Skipped(diag.N("skip.session_ended"))
			}
			failure, o.Ends = end, pingsThatEnd
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

const (
	// pingsThatEnd is how many sessions have to end at their ping, each after it had lived quietly for pingQuiet.
	pingsThatEnd = 2
	pingQuiet    = 300 * time.Millisecond
)

// endsAtPings tells how sessions of their own end at a PINGREQ each, having lived quietly before; nil where one did not.
func endsAtPings(ctx context.Context, env *diag.Env, like *exchange) *mqttwire.Failure {
	var end *mqttwire.Failure
	for range pingsThatEnd {
		_, x := another(ctx, env, like, diag.PurposeRetry, "ping")
		if x == nil {
			return nil
		}
		if !pauseFor(ctx, pingQuiet) || x.ended() {
			leave(ctx, x)
			return nil
		}
		asking, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
		_, end = x.Ping(asking)
		cancel()
		ended := x.ended()
		leave(ctx, x)
		if end == nil || !ended {
			return nil
		}
	}
	return end
}
