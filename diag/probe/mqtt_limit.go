package probe

import (
	"context"
	"strconv"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/patience"
)

const (
	// heldAtMost is far below what a broker takes that is meant for more than a few devices, and above the limits of free
	// plans and of a mosquitto with a small max_connections.
	heldAtMost = 50
	// holdTime bounds the whole: on slow paths fewer are tried.
	holdTime = 15 * time.Second
	// countOrRate is the pause after which a refusal that was over the rate of connecting is gone.
	countOrRate = 300 * time.Millisecond
)

// mqttLimit opens connections one after the other and holds them, until one is refused; then it closes one and tries again.
// It takes places from others, so it needs consent.
var mqttLimit = diag.Probe{
	ID: "mqtt.limit", Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Needs:   append([]diag.ProbeID{checkStay, checkStayOther, checkHoldID}, afterMessages...),
	Applies: func(_ diag.Target, o diag.PlanOptions) bool { return o.Intrusive },
	Ready:   needSession,
	Budget:  holdTime + 10*time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		main, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		o := holdMany(ctx, env, main)
		args := []string{"count", strconv.Itoa(o.Held), "total", strconv.Itoa(o.Tried)}
		switch {
		case o.Refused && o.RetryWorked:
			return diag.Warned(o, diag.N("step.mqtt.limit.reached", args...))
		case o.Refused && !o.Closed:
			return diag.Warned(o, diag.N("step.mqtt.limit.first", append(args, "symbol", string(o.How))...))
		case o.Refused:
			return diag.Warned(o, diag.N("step.mqtt.limit.refused", append(args, "symbol", string(o.How))...))
		}
		return diag.Passed(o, diag.N("step.mqtt.limit.none", args...))
	},
}

func holdMany(ctx context.Context, env *diag.Env, main *exchange) *diag.HeldConnections {
	o := &diag.HeldConnections{Code: -1}
	var held []*exchange
	defer func() {
		for _, x := range held {
			leave(ctx, x)
		}
	}()
	if !main.ended() {
		o.Held++
	}
	if item, ok := env.Stash.Borrow(stashSys); ok && !ended(item.(*sysReader)) {
		o.Held++
	}
	clock := patience.Watch()
	defer clock.Stop()
	for o.Held < heldAtMost && clock.Ran() < holdTime && ctx.Err() == nil {
		o.Tried++
		a, x := another(ctx, env, main, diag.PurposeHeld, "")
		if x == nil && pauseFor(ctx, countOrRate) { // was it the rate of connecting?
			a, x = another(ctx, env, main, diag.PurposeHeld, "")
		}
		if x == nil {
			describeRefusal(o, a)
			break
		}
		held = append(held, x)
		o.Held++
		env.Progress(o.Held, heldAtMost, "connections")
	}
	for _, x := range held {
		if x.ended() {
			o.Dropped++
		}
	}
	if o.Refused && len(held) > 0 {
		leave(ctx, held[0])
		held, o.Closed = held[1:], true
		for range 5 { // a broker may need a moment to notice
			if !pauseFor(ctx, countOrRate/3) {
				break
			}
			if _, x := another(ctx, env, main, diag.PurposeRetry, ""); x != nil {
				held = append(held, x)
				o.RetryWorked = true
				break
			}
		}
	}
	return o
}

// describeRefusal tells how a further connection failed.
func describeRefusal(o *diag.HeldConnections, a *diag.Attempt) {
	o.Refused = true
	switch {
	case a.MQTT != nil:
		o.How, o.Code = a.MQTT.Outcome, a.MQTT.Code
	case a.WS != nil:
		o.How = a.WS.Outcome
	case a.TLS != nil:
		o.How = a.TLS.Outcome
	case a.TCP != nil:
		o.How = a.TCP.Outcome
	}
	if o.How == diag.OutcomeCanceled || o.How == diag.OutcomeLocal || o.How == diag.OutcomeForbidden {
		o.Refused = false // our own side; it says nothing of the broker
	}
}

func pauseFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
