package probe

import (
	"context"
	"time"

	"mqttdoctor/diag"
)

// What follows tells look-alikes apart, and runs only where the first burst was not whole: a limit on the rate lets a slower
// burst pass, one on a queue lets messages pass one at a time at any speed, and a broker that loses them loses them always.

// pacedRates are tried in turn until one passes whole: fifty a second is below most limits on purpose, two a second is what
// hardly any device stays under.
var pacedRates = []struct {
	rate  float64
	count int
}{{50, 100}, {10, 30}, {2, 10}}

const (
	paceAgain   = 2 // times that a rate is tried again where this machine did not keep it
	stepsWithin = 8 * time.Second
	// smallWindow is below what brokers and client libraries have by default (HiveMQ and RabbitMQ 10, mosquitto 20).
	smallWindow = 10
	// wideWindow is for QoS 2 before MQTT 5: what MQTT.js and others without a limit of their own send at once.
	wideWindow = 100
)

// suspect is the burst that the further ones look into: the first that was not as it should be.
func suspect(v *diag.View) (*diag.BurstRun, bool) {
	for _, s := range diag.SeenBy[*diag.BurstRun](v, checkBurst) {
		if b := s.Seen; b.Faulty() || b.Doubled > 0 || b.Reordered > 0 {
			return b, true
		}
	}
	return nil, false
}

// faultTwice tells whether the suspect burst was faulty once more.
func faultTwice(v *diag.View) (*diag.BurstRun, bool) {
	b, ok := suspect(v)
	if !ok || !b.Faulty() {
		return nil, false
	}
	for _, s := range diag.SeenBy[*diag.BurstRun](v, checkBurstAgain) {
		if s.Seen.Faulty() {
			return b, true
		}
	}
	return nil, false
}

// held tells whether messages waited long before they were delivered, or before the window let them be sent.
func held(v *diag.View) (*diag.BurstRun, bool) {
	for _, s := range diag.SeenBy[*diag.BurstRun](v, checkBurst) {
		if b := s.Seen; b.Window > 0 && b.Whole() && (b.Ran(b.Head) > time.Second || b.Window < smallWindow && b.Sending > time.Second) {
			return b, true
		}
	}
	return nil, false
}

var msgBurstAgain = diag.Probe{
	ID: checkBurstAgain, Layer: diag.LayerMsg, Depth: diag.DepthDeep, Symptoms: trafficSymptoms,
	Needs:  []diag.ProbeID{checkBurst},
	Ready:  onlyIf(suspect),
	Budget: burstBudget,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		b, _ := suspect(env.View)
		return runBurst(ctx, env, burstSpec{count: b.Count, qos: b.QoS, payload: b.PayloadBytes, pace: diag.PaceBurst, witness: b.Faulty() && b.QoS > 0})
	},
}

// onlyIf makes the Ready of a check that looks into a burst.
func onlyIf(which func(*diag.View) (*diag.BurstRun, bool)) func(*diag.View) diag.Decision {
	return func(v *diag.View) diag.Decision {
		if _, ok := which(v); ok {
			return diag.Run()
		}
		if d := needPair(v); !d.Runs() {
			return d
		}
		return diag.Skip(diag.N("skip.burst_whole"))
	}
}

// msgBurstSteps sends each message once the one before has arrived: no queue grows, and the rate is what the path allows.
var msgBurstSteps = diag.Probe{
	ID: checkBurstSteps, Layer: diag.LayerMsg, Depth: diag.DepthDeep, Symptoms: trafficSymptoms,
	Needs:  []diag.ProbeID{checkBurstAgain},
	Ready:  onlyIf(faultyOrHeld),
	Budget: time.Minute,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		b, _ := faultyOrHeld(env.View)
		return runBurst(ctx, env, burstSpec{count: min(b.Count, headMessages), qos: b.QoS, payload: b.PayloadBytes, pace: diag.PaceSteps, within: stepsWithin})
	},
}

func faultyOrHeld(v *diag.View) (*diag.BurstRun, bool) {
	if b, ok := faultTwice(v); ok {
		return b, true
	}
	return held(v)
}

// msgBurstPaced sends at rates that get slower until all messages pass.
var msgBurstPaced = diag.Probe{
	ID: checkBurstPaced, Layer: diag.LayerMsg, Depth: diag.DepthDeep, Symptoms: trafficSymptoms,
	Needs:  []diag.ProbeID{checkBurstSteps}, // right behind, so that no allowance for bursts has filled up again
	Ready:  onlyIf(faultTwice),
	Budget: 2 * time.Minute,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		b, _ := faultTwice(env.View)
		var result diag.Result
		var tried []float64
		sent, repeated := 0, 0
		for i := 0; i < len(pacedRates); {
			paced := pacedRates[i]
			result = runBurst(ctx, env, burstSpec{count: paced.count, qos: b.QoS, payload: b.PayloadBytes, pace: diag.PaceAtARate, rate: paced.rate})
			o, ok := result.Observation.(*diag.BurstRun)
			if !ok {
				break
			}
			o.Tried, o.SentBefore = tried, sent
			sent += o.Sent
			switch {
			case ctx.Err() != nil, !o.Faulty() && !o.OffPace():
				return result
			case o.Faulty():
				tried = append(tried, paced.rate)
				i++
			case repeated < paceAgain && o.Busy > o.Sending/10: // this machine was too busy for the rate, and may not be now
				repeated++
			default: // a rate that was not reached is none that passes
				i++
			}
		}
		return result
	},
}

// msgBurstQoS1 repeats at QoS 1 what was lost at QoS 0, which promises nothing (MQTT 5.0 4.3.1).
var msgBurstQoS1 = diag.Probe{
	ID: checkBurstQoS1, Layer: diag.LayerMsg, Depth: diag.DepthDeep, Symptoms: trafficSymptoms,
	Needs: []diag.ProbeID{checkBurstPaced},
	Ready: onlyIf(func(v *diag.View) (*diag.BurstRun, bool) {
		b, ok := faultTwice(v)
		return b, ok && b.QoS == 0
	}),
	Budget: burstBudget,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		b, _ := faultTwice(env.View)
		return runBurst(ctx, env, burstSpec{count: b.Count, qos: 1, payload: b.PayloadBytes, pace: diag.PaceBurst})
	},
}

// msgBurstWide sends more messages of QoS 2 at once than a careful client, where MQTT 5 has not told the limit and all passed
// below it: mosquitto 2.0.11 acknowledges and drops what is over max_inflight_messages.
var msgBurstWide = diag.Probe{
	ID: checkBurstWide, Layer: diag.LayerMsg, Depth: diag.DepthDeep, Symptoms: trafficSymptoms,
	Needs: []diag.ProbeID{checkBurstAgain},
	Ready: onlyIf(func(v *diag.View) (*diag.BurstRun, bool) {
		for _, s := range diag.SeenBy[*diag.BurstRun](v, checkBurst) {
			if b := s.Seen; b.QoS == 2 && b.Version != diag.Version5 && b.Whole() && b.Count > b.Window {
				return b, true
			}
		}
		return nil, false
	}),
	Budget: time.Minute,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		return runBurst(ctx, env, burstSpec{count: wideWindow, qos: 2, payload: env.Options.Burst.PayloadBytes, pace: diag.PaceBurst, window: wideWindow})
	},
}
