package probe

import (
	"context"
	"slices"
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
		return heldResult(holdMany(ctx, env, main, heldAtMost))
	},
}

// heldBeside is how many connections a run has open at once anyway.
const heldBeside = 3

// mqttRoom tells whether the broker has room for few connections only, where one of ours beside the asked session was turned away.
// It holds no more than this run does anyway.
var mqttRoom = diag.Probe{
	ID: "mqtt.room", Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Needs:   append([]diag.ProbeID{checkVersions, checkStay, checkStayOther, checkRecount, "mqtt.again"}, afterMessages...),
	Applies: func(_ diag.Target, o diag.PlanOptions) bool { return !o.Intrusive }, // mqtt.limit looks closer
	Ready: func(v *diag.View) diag.Decision {
		if d := needSession(v); !d.Runs() {
			return d
		}
		if !turnedAway(v) {
			return diag.Skip(diag.N("skip.not_the_question"))
		}
		return diag.Run()
	},
	Budget: holdTime + 20*time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		main, ok := borrowMain(env)
		if !ok || main.ended() {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		return heldResult(holdMany(ctx, env, main, heldBeside))
	},
}

// turnedAway tells whether a connection of ours beside the asked session failed in a way in which limits show.
func turnedAway(v *diag.View) bool {
	if slices.ContainsFunc(diag.Seen[*diag.SessionSeries](v), func(s diag.Sight[*diag.SessionSeries]) bool { return s.Seen.Failed() > 0 }) {
		return true
	}
	return len(turnedAwayVersions(v, true)) > 0
}

// turnedAwayVersions lists the versions in which a connection of ours failed otherwise than by a word on the version; silent: those
// that got no answer too, which takes long to try again.
func turnedAwayVersions(v *diag.View, silent bool) []diag.Version {
	var out []diag.Version
	for _, s := range diag.SeenBy[*diag.Attempt](v, checkVersions) {
		m := s.Seen.MQTT
		if m == nil || m.Outcome == diag.OutcomeCanceled {
			continue // below MQTT other things count, as the WebSocket subprotocol
		}
		byCode := m.Outcome == diag.OutcomeRefused && !slices.Contains([]int{1, 0x81, 0x82, 0x84}, m.Code)
		if byCode || silent && m.Outcome == diag.OutcomeSilent || m.Outcome.Ended() {
			out = append(out, m.Version)
		}
	}
	return out
}

func heldResult(o *diag.HeldConnections) diag.Result {
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
}

// holdMany opens connections beside the asked session, most of them at most.
func holdMany(ctx context.Context, env *diag.Env, main *exchange, most int) *diag.HeldConnections {
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
	for o.Held < most && clock.Ran() < holdTime && ctx.Err() == nil {
		o.Tried++
		a, x := another(ctx, env, main, diag.PurposeHeld, "")
		if x == nil && !unansweredConnect(a) && pauseFor(ctx, countOrRate) { // was it the rate of connecting?
			a, x = another(ctx, env, main, diag.PurposeHeld, "")
		}
		if x == nil {
			describeRefusal(o, a)
			break
		}
		held = append(held, x)
		o.Held++
		env.Progress(o.Held, most, "connections")
	}
	for _, x := range held {
		if x.ended() {
			o.Dropped++
		}
	}
	switch {
	case !o.Refused:
		return o
	case len(held) > 0:
		leave(ctx, held[0])
		held, o.Closed = held[1:], true
	case !main.ended() && o.Held == 1: // a single place, and the asked session has it
		leave(ctx, main)
		o.Closed = true
	default:
		return o
	}
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
	if o.RetryWorked && o.Held <= heldBeside {
		o.RetryWorked = full(ctx, env, main, &held)
	}
	return o
}

// full tells whether there is no room for one more, asked three times: a broker that refuses some at random would have taken one.
// Where nobody answers, asking takes its time, and once is enough.
func full(ctx context.Context, env *diag.Env, main *exchange, held *[]*exchange) bool {
	for range 3 {
		a, x := another(ctx, env, main, diag.PurposeHeld, "")
		switch {
		case x != nil:
			*held = append(*held, x)
			return false
		case unansweredConnect(a):
			return true
		case !pauseFor(ctx, countOrRate/3):
			return false
		}
	}
	return true
}

// unansweredConnect tells that an attempt took the whole time-out for a CONNECT without an answer.
func unansweredConnect(a *diag.Attempt) bool {
	return a.MQTT != nil && a.MQTT.Outcome == diag.OutcomeSilent
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
