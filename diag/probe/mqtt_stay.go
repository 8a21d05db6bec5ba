package probe

import (
	"context"
	"slices"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/patience"
)

// The checks of whether sessions last.
const (
	checkStay      diag.ProbeID = "mqtt.stay"
	checkStayOther diag.ProbeID = "mqtt.stay_other"
	checkHoldID    diag.ProbeID = "mqtt.hold_id"
)

// stayLeast is the age of the session up to which it is watched in any run: servers that end one for what comes behind the
// CONNACK (a rule, a licence, a device that is not known) mostly do so at once. It takes no longer than the other checks do on a
// path with a long round trip.
const stayLeast = 500 * time.Millisecond

// afterMessages are the checks that use the asked session: what is to last longer, or opens many connections, comes behind.
var afterMessages = []diag.ProbeID{checkMQTT, checkOlder, "mqtt.ping", checkSubscribe, checkAlone, checkRoundTrip, checkQoS2, checkPublish}

// stayLong is for how long it is watched where somebody has trouble with connecting or staying connected, and in deep runs: a
// broker may ask others about the client first, who take their time.
const stayLong = diag.SoonAfterConnect

// stayFor is the age up to which the asked session is watched.
func stayFor(o diag.PlanOptions) time.Duration {
	switch o.Symptom {
	case diag.SymptomDrops, diag.SymptomCannotConnect, diag.SymptomTimeout, diag.SymptomRefused, diag.SymptomAuth:
		return min(o.Timeout, stayLong)
	}
	if o.Depth == diag.DepthDeep {
		return min(o.Timeout, stayLong)
	}
	return stayLeast
}

// mqttStay tells whether the asked session has lasted until now, or up to a certain age.
var mqttStay = diag.Probe{
	ID: checkStay, Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Needs: afterMessages,
	Ready: needSession,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		x, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		return watchResult(watchSession(ctx, env, x, stayFor(env.Options)-time.Since(x.since)))
	},
}

// mqttStayOther holds a session with a temporary client id, and sends nothing, where the asked one has ended: whether that
// one ends too tells who is meant.
var mqttStayOther = diag.Probe{
	ID: checkStayOther, Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkStay},
	Ready: func(v *diag.View) diag.Decision {
		if slices.ContainsFunc(diag.SeenBy[*diag.SessionWatch](v, checkStay), func(s diag.Sight[*diag.SessionWatch]) bool { return s.Seen.Ended() }) {
			return diag.Run()
		}
		return diag.Skip(diag.N("skip.session_lasts"))
	},
	Budget: 20 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		main, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		lasted := time.Duration(0)
		for _, s := range diag.SeenBy[*diag.SessionWatch](env.View, checkStay) {
			lasted = s.Seen.Lasted
		}
		login := env.Target.Credentials() || env.Target.TLS.CertPEM != ""
		for begun := time.Now(); ; {
			a, x := another(ctx, env, main, diag.PurposeOtherClientID, "stay")
			if x == nil {
				return attemptResult(a)
			}
			o := watchSession(ctx, env, x, min(env.Options.Timeout, 2*lasted+time.Second))
			o.Idle = idleFor(x, o.Lasted)
			if login && o.Ended() && time.Since(begun) < stayAgainFor && ctx.Err() == nil {
				// A connection of ours with this login may have come meanwhile.
				leave(ctx, x)
				select {
				case <-time.After(stayAgainFor / 4):
				case <-ctx.Done():
				}
				continue
			}
			if login && !o.Ended() {
				o.OnePerLogin = secondEnds(ctx, env, x)
			}
			leave(ctx, x)
			if o.Ended() && o.Lasted >= leastIdleLimit {
				o.BusyPause = min(o.Lasted/6, 250*time.Millisecond)
				o.Busy = holdBusy(ctx, env, main, o.BusyPause, 2*o.Lasted+time.Second)
			}
			return watchResult(o)
		}
	},
}

// stayAgainFor is how long a session that ends is made again, where another one of ours may be what ends it. They are few, and
// come within about a second.
const stayAgainFor = 1500 * time.Millisecond

// leastIdleLimit is the shortest age at which the end of a session may be a time-out for silence, and not a kick.
const leastIdleLimit = 200 * time.Millisecond

// holdBusy holds a session that pings after each pause, for d at most, and tells how long it lasted; 0: there was none.
func holdBusy(ctx context.Context, env *diag.Env, like *exchange, pause, d time.Duration) time.Duration {
	_, x := another(ctx, env, like, diag.PurposeOtherClientID, "busy")
	if x == nil {
		return 0
	}
	defer leave(ctx, x)
	for !x.ended() && time.Since(x.since) < d && pauseFor(ctx, pause) {
		asking, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
		_, _ = x.Ping(asking)
		cancel()
	}
	return watchSession(ctx, env, x, 0).Lasted
}

// secondEnds tells whether a second session with the same login ends one that lasted by itself. Where it does, our own
// connections beside the asked one were what ended that.
func secondEnds(ctx context.Context, env *diag.Env, x *exchange) bool {
	_, y := another(ctx, env, x, diag.PurposeOtherClientID, "second")
	if y == nil {
		return false
	}
	defer leave(ctx, y)
	return watchSession(ctx, env, x, 200*time.Millisecond+2*roundTrip(env.View, x.address)).Ended() && !y.ended()
}

// mqttHoldID holds the user's client id for some time, and a temporary one beside it: another client with the same id takes
// the session over whenever it comes back. It pushes a real device off, so it needs consent.
var mqttHoldID = diag.Probe{
	ID: checkHoldID, Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Needs:   append([]diag.ProbeID{checkStay, checkStayOther}, afterMessages...),
	Applies: func(t diag.Target, o diag.PlanOptions) bool { return o.Intrusive && t.ClientID != "" },
	Ready:   needSession,
	Subjects: func(v *diag.View) []diag.Subject {
		return []diag.Subject{{Name: v.Target.ClientID, Value: true}, {Name: "mqttdoctor-…", Value: false}}
	},
	Budget: 40 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		own, _ := s.Value.(bool)
		main, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		r := askedRoute(env.Target, main.address)
		r.MQTT.Version, r.WS.Subprotocols = main.version, subprotocolsFor(main.version)
		if !own {
			r = r.with(diag.PurposeHeld, s.Name, nil)
		}
		r.Purpose = diag.PurposeHeld
		if own && !main.ended() { // else it would be taken over by ourselves
			leave(ctx, main)
		}
		a, l := walk(ctx, env, r, upToMQTT)
		for tries := 1; tries < holdTries && ctx.Err() == nil && a.MQTT != nil && endedMute(a.MQTT); tries++ {
			// The id was taken before: another client with it may have come in that very moment.
			a, l = walk(ctx, env, r, upToMQTT)
		}
		if l == nil || l.Session == nil {
			return attemptResult(a)
		}
		x := newExchange(l.Session, a.MQTT)
		defer leave(ctx, x)
		o := watchSession(ctx, env, x, 2*env.Options.Timeout)
		o.Idle = idleFor(x, o.Lasted)
		return watchResult(o)
	},
}

// holdTries is how often a CONNECT to hold a client id is made that ends without an answer.
const holdTries = 3

// idleFor tells whether nothing of ours goes over an untouched session for so long: its keep alive asks for no ping until then.
func idleFor(x *exchange, d time.Duration) bool { return beat(x.connect) == 0 || beat(x.connect) > d }

// leave ends a session in order.
func leave(ctx context.Context, x *exchange) {
	bounded, cancel := patience.WithTimeout(context.WithoutCancel(ctx), 500*time.Millisecond)
	defer cancel()
	_ = x.Disconnect(bounded)
	_ = x.Close()
}

// watchSession waits until the session ends, for d at most.
func watchSession(ctx context.Context, env *diag.Env, x *exchange, d time.Duration) *diag.SessionWatch {
	o := &diag.SessionWatch{Address: x.address, Version: x.version, ClientID: x.ClientID(), Outcome: diag.OutcomeOK, Code: -1,
		OwnClientID: env.Target.ClientID != "" && x.ClientID() == env.Target.ClientID}
	waiting, cancel := patience.WithTimeout(ctx, d)
	defer cancel()
	select {
	case <-x.Done():
	case <-waiting.Done():
	}
	o.Lasted = time.Since(x.since)
	if !x.ended() {
		return o
	}
	end := x.ClosedBy()
	// A DISCONNECT in the same segment as the CONNACK is read before the session is ours.
	o.Lasted, o.Outcome = max(end.At.Sub(x.since), 0), outcomeOfFailure(end.Kind)
	if end.Kind == mqttwire.FailRefused {
		o.Code, o.Reason, o.ReasonString = int(end.Code), end.Reason, printable(end.ReasonString, 300)
	}
	if end.Err != nil {
		o.Error = end.Err.Error()
	}
	return o
}

func watchResult(o *diag.SessionWatch) diag.Result {
	args := []string{"client_id", o.ClientID, "duration", diag.FormatMS(o.Lasted) + " ms"}
	switch {
	case o.Code >= 0:
		code := diag.CodeText(o.Code, o.Version)
		return diag.Warned(o, diag.N("step.mqtt.session.disconnect", append(args, "code", code, "reason", o.Reason)...))
	case o.Ended():
		return diag.Warned(o, diag.N("step.mqtt.session.ended", append(args, "symbol", string(o.Outcome))...))
	}
	return diag.Passed(o, diag.N("step.mqtt.session.lasts", args...))
}
