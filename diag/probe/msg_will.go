package probe

import (
	"context"
	"sync"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/patience"
)

const (
	checkWill diag.ProbeID = "msg.will"

	// willKeepAlive is short: a broker that does not see the end of a connection publishes the will once the keep alive has run
	// out one and a half times (MQTT 5.0 3.1.2.10), and that is to be awaited.
	willKeepAlive = 5
	// willPatience bounds the wait where the server demands a longer keep alive.
	willPatience = 16 * time.Second
	willDelay    = 1 // second
	willExpiry   = 5 // seconds: the session that the delay needs ends by itself (MQTT 5.0 3.1.3.2.2)
)

// msgWill lets temporary clients with a will leave without a word, and looks at whether it reaches a subscriber.
var msgWill = diag.Probe{
	ID: checkWill, Layer: diag.LayerMsg, Depth: diag.DepthDeep, Symptoms: awaySymptoms,
	Needs:  afterBursts,
	Ready:  readyForPair,
	Budget: 90 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		main, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		w := &wills{like: main, o: &diag.WillWatch{Version: main.version, Address: main.address, Code: -1, Outcome: diag.OutcomeOK}}
		w.o.Topic, w.filter, w.o.Scratch = scratchOr(env, "will")
		w.run(ctx, env)
		return willResult(w.o)
	},
}

func willResult(o *diag.WillWatch) diag.Result {
	args := []string{"topic", o.Topic, "symbol", string(o.Outcome)}
	if o.Stage != diag.StageDone {
		return diag.Warned(o, diag.N("step.msg.will."+string(o.Stage), args...))
	}
	first := o.Tries[0]
	args = append(args, "duration", diag.FormatMS(first.Took)+" ms")
	for _, t := range o.Tries {
		if t.End == diag.WillCut && t.DelayS == 0 && !t.Arrived {
			return diag.Warned(o, diag.N("step.msg.will.missing", args...))
		}
	}
	if first.Late() {
		return diag.Passed(o, diag.N("step.msg.will.late", args...))
	}
	return diag.Passed(o, diag.N("step.msg.will.ok", args...))
}

// wills is the measurement while it goes on.
type wills struct {
	like   *exchange // the asked session, whose version and address are used
	filter string
	sub    *exchange
	o      *diag.WillWatch
}

func (w *wills) run(ctx context.Context, env *diag.Env) {
	w.o.Stage = diag.StageConnect
	a, sub := another(ctx, env, w.like, diag.PurposeOtherClientID, "will")
	if sub == nil {
		w.o.Outcome, w.o.Code, w.o.Reason = endOfAttempt(a)
		return
	}
	w.sub = sub
	defer leave(ctx, sub)
	if w.o.Stage = diag.StageSubscribe; !w.subscribe(ctx, env) {
		return
	}
	first, ok := w.try(ctx, env, diag.WillCut, 0, true)
	if !ok {
		return
	}
	w.o.Tries = []diag.WillTry{first}
	five := w.like.version == diag.Version5
	switch {
	case !first.Arrived && five: // once may be chance; beside it the other way to have a will published
		w.both(ctx, env, 0)
	case !first.Arrived:
		w.add(w.try(ctx, env, diag.WillCut, 0, false))
	case five && env.Options.Depth == diag.DepthDeep:
		w.both(ctx, env, willDelay)
	}
	if ctx.Err() == nil {
		w.o.Stage = diag.StageDone
	}
}

// both makes a try of each end at once, the cut one with a delay of that many seconds.
func (w *wills) both(ctx context.Context, env *diag.Env, delay uint32) {
	var other diag.WillTry
	var ok bool
	var group sync.WaitGroup
	group.Go(func() { other, ok = w.try(ctx, env, diag.WillDisconnect, 0, false) })
	w.add(w.try(ctx, env, diag.WillCut, delay, false))
	group.Wait()
	w.add(other, ok)
}

func (w *wills) add(t diag.WillTry, ok bool) {
	if ok {
		w.o.Tries = append(w.o.Tries, t)
	}
}

func (w *wills) subscribe(ctx context.Context, env *diag.Env) bool {
	ctx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	retained := byte(0)
	if w.like.version == diag.Version5 {
		retained = 2 // none: there may be some on the user's own topic
	}
	result, failure := w.sub.Subscribe(ctx, []mqttwire.Subscription{{Filter: w.filter, QoS: 1, RetainHandling: retained}})
	switch {
	case failure != nil && len(result.Codes) == 0:
		w.o.Outcome, w.o.Reason = outcomeOfFailure(failure.Kind), failure.Reason
		return false
	case result.Codes[0] >= 0x80:
		w.o.Outcome, w.o.Code = diag.OutcomeRefused, int(result.Codes[0])
		w.o.Reason = mqttwire.SubackReason(wireVersion(w.like.version), result.Codes[0])
		return false
	}
	return true
}

// try connects a client with a will, lets it leave, and awaits the will. With check it first sends a plain message to the will's
// topic: what may not be published cannot be a will either, and that is another matter. With ok false it did not get that far.
func (w *wills) try(ctx context.Context, env *diag.Env, end diag.WillEnd, delay uint32, check bool) (t diag.WillTry, ok bool) {
	t = diag.WillTry{End: end, DelayS: delay, KeepAliveS: willKeepAlive, QoS: -1}
	marker := w.sub.expect(env.RunID)
	if check {
		w.o.Stage = diag.StageConnect
	}
	a, l := walk(ctx, env, askedRoute(env.Target, w.like.address).with(diag.PurposeOtherClientID, "will", func(r *route) {
		r.MQTT.Version, r.WS.Subprotocols = w.like.version, subprotocolsFor(w.like.version)
		r.MQTT.KeepAliveS = willKeepAlive
		r.MQTT.Will = &mqttwire.Will{Topic: w.o.Topic, Payload: []byte(marker), QoS: w.qos(), DelayS: delay}
		if delay > 0 {
			r.MQTT.SessionExpiryS = willExpiry
		}
	}), upToMQTT)
	if l == nil || l.Session == nil {
		if check {
			w.o.Outcome, w.o.Code, w.o.Reason = endOfAttempt(a)
		}
		return t, false
	}
	defer l.Close()
	if a.MQTT.Props != nil && a.MQTT.Props.ServerKeepAliveS != nil {
		t.KeepAliveS = int(*a.MQTT.Props.ServerKeepAliveS)
	}
	if check && !w.allowed(ctx, env, l.Session) {
		if ctx.Err() == nil || !ended(l.Session) {
			leaveSession(ctx, l.Session) // so that its will is not published
		}
		return t, false
	}
	if ctx.Err() != nil {
		leaveSession(ctx, l.Session)
		return t, false
	}
	begun := time.Now()
	if end == diag.WillDisconnect {
		bounded, cancel := patience.WithTimeout(ctx, leaveBound)
		_ = l.Session.DisconnectWith(bounded, mqttwire.Disconnection{Code: 0x04})
		cancel()
	}
	_ = l.Close()
	wait := w.patience(env, t)
	got, arrived := w.sub.await(ctx, marker, wait)
	if !arrived {
		t.Waited = time.Since(begun)
		return t, ctx.Err() == nil && !w.sub.ended()
	}
	t.Arrived, t.QoS, t.Retained, t.Took = true, int(got.QoS), got.Retain, max(0, got.At.Sub(begun))
	return t, true
}

// qos is 1, or what the server takes: a will with more is refused (MQTT 5.0 3.2.2.3.4).
func (w *wills) qos() byte { return min(1, w.like.maxQoS) }

// patience is how long a will is awaited: until the broker must have noticed by the keep alive that the client is gone.
func (w *wills) patience(env *diag.Env, t diag.WillTry) time.Duration {
	wait := 2 * echoWait(env, w.like.address)
	if t.End == diag.WillCut {
		wait = max(wait, min(willPatience, time.Duration(t.KeepAliveS)*1500*time.Millisecond+time.Second))
	}
	return wait + time.Duration(t.DelayS)*time.Second
}

// allowed tells whether a plain message of the client to the will's topic reaches the subscriber.
func (w *wills) allowed(ctx context.Context, env *diag.Env, s mqttwire.Session) bool {
	w.o.Stage = diag.StageLive
	for range 2 { // a route through a cluster may need a moment after the SUBACK
		marker := w.sub.expect(env.RunID)
		bounded, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
		acked, failure := s.Publish(bounded, mqttwire.Message{Topic: w.o.Topic, Payload: []byte(marker), QoS: w.qos()})
		cancel()
		switch {
		case failure != nil:
			w.o.Outcome, w.o.Reason = outcomeOfFailure(failure.Kind), failure.Reason
			return false
		case acked.Code >= 0x80:
			w.o.Outcome, w.o.Code, w.o.Reason = diag.OutcomeRefused, int(acked.Code), acked.Reason
			return false
		}
		if _, arrived := w.sub.await(ctx, marker, echoWait(env, w.like.address)); arrived {
			return true
		}
	}
	w.o.Outcome = diag.OutcomeSilent
	return false
}
