package probe

import (
	"context"
	"strconv"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/patience"
)

// msgRoundTrip publishes to our scratch topic at QoS 0 and 1 and awaits both messages back.
var msgRoundTrip = diag.Probe{
	ID: checkRoundTrip, Layer: diag.LayerMsg, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkSubscribe},
	Ready: needSession,
	Subjects: func(*diag.View) []diag.Subject {
		return []diag.Subject{{Name: "QoS 0", Value: byte(0)}, {Name: "QoS 1", Value: byte(1)}}
	},
	Budget: 15 * time.Second,
	Run:    runScratch,
}

// msgRoundTrip2 does the same at QoS 2. It needs two round trips, so it goes out right behind the SUBSCRIBE instead of
// waiting for its answer: packets of one connection are processed in order (MQTT 5.0 4.6), and a message of QoS 2 is
// released by its PUBREL, a round trip later still.
var msgRoundTrip2 = diag.Probe{
	ID: "msg.roundtrip_qos2", Layer: diag.LayerMsg, Depth: diag.DepthStandard,
	Needs: []diag.ProbeID{checkMQTT},
	Ready: func(v *diag.View) diag.Decision {
		if d := needSession(v); !d.Runs() {
			return d
		}
		if _, running := v.RunningSince(checkSubscribe); running || v.Ended(checkSubscribe) {
			return diag.Run()
		}
		return diag.Wait()
	},
	Subjects: func(*diag.View) []diag.Subject { return []diag.Subject{{Name: "QoS 2", Value: byte(2)}} },
	Budget:   20 * time.Second,
	Run:      runScratch,
}

func runScratch(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
	qos, _ := s.Value.(byte)
	x, ok := awaitScratch(ctx, env)
	if !ok && x != nil && (qos < 2 && env.View.InPlan(checkQoS2) || x.ended()) {
		if again, ok := againAlone(ctx, env, x, qos); ok {
			return again
		}
	}
	if !ok {
		return diag.Skipped(diag.N("skip.no_session"))
	}
	if qos > x.maxQoS { // [MQTT-3.2.2-11]: a client must not
		return diag.Skipped(diag.N("skip.maximum_qos", "qos", strconv.Itoa(int(x.maxQoS))))
	}
	result := roundTripOn(ctx, env, x, scratchTopic(env), qos, true)
	if d, ok := result.Observation.(*diag.Delivery); ok && d.Published.Ended() {
		// For this message, or for the one of QoS 2 beside it, which some brokers do not take; or for neither: sessions are also
		// taken over, and end of age. One that has nothing else to carry tells.
		if again, ok := againAlone(ctx, env, x, qos); ok {
			return again
		}
	}
	return result
}

// againAlone repeats a round trip on a session of its own.
func againAlone(ctx context.Context, env *diag.Env, like *exchange, qos byte) (diag.Result, bool) {
	_, x := another(ctx, env, like, diag.PurposeRetry, "scratch")
	if x == nil {
		return diag.Result{}, false
	}
	defer x.Close()
	if sub := subscribeOn(ctx, env, x, scratchTopic(env), 2, true); sub.Failure != nil {
		return diag.Result{}, false
	}
	return roundTripOn(ctx, env, x, scratchTopic(env), qos, true), true
}

// awaitScratch waits until the SUBSCRIBE for our topic has been written, and returns the session it went out on; with ok
// false one that has ended, or none.
func awaitScratch(ctx context.Context, env *diag.Env) (*exchange, bool) {
	for {
		x, decided := borrowScratch(env)
		if decided && x == nil {
			return nil, false
		}
		if decided {
			waiting, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
			defer cancel()
			select {
			case <-x.sent:
				return x, !x.ended()
			case <-x.Done():
				return x, false
			case <-waiting.Done():
				return nil, false
			}
		}
		select { // msg.subscribe is still opening it
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, false
		}
	}
}

// roundTripOn publishes one message and awaits it where a subscription of the session covers its topic.
func roundTripOn(ctx context.Context, env *diag.Env, x *exchange, topic string, qos byte, scratch bool) diag.Result {
	o := &diag.Delivery{Version: x.version, Topic: topic, Scratch: scratch, QoS: qos, Code: -1}
	marker := x.expect(env.RunID)
	o.Bytes = len(marker)
	begun := time.Now()
	x.remember(testMessage{marker: marker, sent: begun, behind: scratch || x.covers(topic), delivery: o})
	ackCtx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	pending := x.StartPublish(mqttwire.Message{Topic: topic, Payload: []byte(marker), QoS: qos})

	// The delivery mostly comes with the acknowledgement, or before it.
	acked, failure := pending.Wait(ackCtx)
	if acked.Acked {
		o.AckTook = time.Since(begun)
		if qos > 0 {
			o.Code, o.Reason = int(acked.Code), acked.Reason
		}
		o.ReasonString = printable(acked.ReasonString, 300)
	}
	args := []string{"topic", topic, "qos", strconv.Itoa(int(qos))}
	switch {
	case acked.Acked && acked.Code >= 0x80:
		o.Published = diag.OutcomeRefused
		return failedOn(scratch)(o, diag.N("step.msg.roundtrip.refused", append(args, "code", diag.CodeText(o.Code, diag.Version5), "reason", o.Reason)...),
			&diag.Failure{Op: "msg.publish", Code: diag.CodeText(o.Code, diag.Version5)})
	case failure != nil:
		o.Published, o.Error = outcomeOfFailure(failure.Kind), failure.Error()
		if failure.Kind == mqttwire.FailRefused {
			o.Code, o.ReasonString = int(failure.Code), printable(failure.ReasonString, 300)
		}
		o.Reason = failure.Reason
	default:
		o.Published = diag.OutcomeOK
	}
	o.Expected = x.covers(topic)
	if o.Published == diag.OutcomeOK && scratch && !o.Expected {
		// The SUBACK went before, and whoever awaits it is about to learn of it, or has waited as long as anybody does.
		select {
		case <-x.answered:
		case <-x.Done():
		case <-ctx.Done():
		}
		o.Expected = x.covers(topic)
	}
	if o.Published == diag.OutcomeOK && (o.Expected || scratch) {
		wait := echoWait(env, x.address)
		got, ok := x.await(ctx, marker, wait)
		if !ok && behind(ctx, env, x, wait) {
			got, ok = x.await(ctx, marker, wait)
		}
		o.Expected = x.covers(topic) // the SUBACK may have come since
		o.Waited = wait
		if ok {
			o.Delivered, o.DeliveredQoS, o.Took, o.Copies = true, got.QoS, got.At.Sub(begun), x.copies(marker)
		} else if scratch {
			o.AlteredBytes, o.Altered = x.altered(topic)
		}
	}
	// A QoS 0 PUBLISH has no answer: a broker that refuses it shows so by ending the connection, before it answers what was
	// sent behind it.
	if o.Published == diag.OutcomeOK && qos == 0 && !o.Delivered && !o.Expected && !x.ended() {
		_, _ = x.Ping(ackCtx)
	}
	if o.Published == diag.OutcomeOK && !o.Delivered && x.ended() {
		o.Published = endOf(x)
		if end := x.ClosedBy(); end.Kind == mqttwire.FailRefused {
			o.Code, o.Reason, o.ReasonString = int(end.Code), end.Reason, printable(end.ReasonString, 300)
		}
	}
	switch {
	case o.Published != diag.OutcomeOK:
		return failedOn(scratch)(o, diag.N("step.msg.roundtrip.failed", append(args, "symbol", string(o.Published))...),
			&diag.Failure{Op: "msg.publish", Code: string(o.Published), Text: o.Error})
	case o.Delivered && o.DeliveredQoS < min(qos, env.Target.Topics.QoS):
		return diag.Warned(o, diag.N("step.msg.roundtrip.lower", append(args, "delivered", strconv.Itoa(int(o.DeliveredQoS)))...))
	case o.Delivered:
		return diag.Passed(o, diag.N("step.msg.roundtrip.ok", append(args, "duration", diag.FormatMS(o.Took)+" ms")...))
	case o.Altered:
		return diag.Failed(o, diag.N("step.msg.roundtrip.altered", append(args, "length", strconv.Itoa(o.Bytes), "value", strconv.Itoa(o.AlteredBytes))...),
			&diag.Failure{Op: "msg.deliver", Code: "altered"})
	case o.Expected:
		return failedOn(scratch)(o, diag.N("step.msg.roundtrip.lost", append(args, "duration", diag.FormatMS(o.Waited)+" ms")...),
			&diag.Failure{Op: "msg.deliver", Code: "lost"})
	}
	return diag.Passed(o, diag.N("step.msg.roundtrip.published", args...))
}

// behind tells whether the broker is behind with its work, so that what has not come may be on its way still: it answers in
// order, and a ping late then.
func behind(ctx context.Context, env *diag.Env, x *exchange, wait time.Duration) bool {
	ctx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	rtt, failure := x.Ping(ctx)
	return failure == nil && rtt > wait/4
}

// endOf is how the session ended.
func endOf(x *exchange) diag.Outcome {
	if end := x.ClosedBy(); end.Kind != "" {
		return outcomeOfFailure(end.Kind)
	}
	return diag.OutcomeClosed
}

// msgPublish publishes a plain test message to the user's own topic, as the form says that it will; never retained.
var msgPublish = diag.Probe{
	ID: "msg.publish", Layer: diag.LayerMsg, Depth: diag.DepthQuick,
	Needs:   []diag.ProbeID{checkSubscribe, checkAlone, checkRoundTrip},
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.Topics.Publish != "" },
	Ready:   needSession,
	Budget:  25 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		x, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		if x.ended() || len(endedFilters(env.View)) > 0 { // over a subscription, and not over what was never published
			a, again := another(ctx, env, x, diag.PurposeRetry, "publish")
			if again == nil {
				return attemptResult(a)
			}
			defer again.Close()
			x = again
		}
		qos := min(env.Target.Topics.QoS, x.maxQoS)
		result := roundTripOn(ctx, env, x, env.Target.Topics.Publish, qos, false)
		if d, ok := result.Observation.(*diag.Delivery); ok && d.Published.Ended() && ctx.Err() == nil {
			// For this message, or by chance in that moment, as where another client took the session over: only a message that
			// ends every session is to blame.
			if again := publishAgain(ctx, env, x, qos); again != nil {
				return *again
			}
		}
		return result
	},
}

// publishAgain publishes to the user's topic on a session of its own; nil where that ended as well, or could not be made.
func publishAgain(ctx context.Context, env *diag.Env, like *exchange, qos byte) *diag.Result {
	_, x := another(ctx, env, like, diag.PurposeRetry, "publish")
	if x == nil {
		return nil
	}
	defer x.Close()
	result := roundTripOn(ctx, env, x, env.Target.Topics.Publish, min(qos, x.maxQoS), false)
	if d, ok := result.Observation.(*diag.Delivery); !ok || d.Published != diag.OutcomeOK || x.ended() {
		return nil
	}
	return &result
}

// msgPublishLower publishes to the user's topic once more with the next lower QoS, where the broker answered the asked one with
// the end of the connection: some take no QoS 2, and cannot say so before MQTT 5.
var msgPublishLower = diag.Probe{
	ID: "msg.publish_lower", Layer: diag.LayerMsg, Depth: diag.DepthQuick,
	Needs:   []diag.ProbeID{checkPublish},
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.Topics.Publish != "" && t.Topics.QoS > 0 },
	Ready: func(v *diag.View) diag.Decision {
		for _, s := range diag.SeenBy[*diag.Delivery](v, checkPublish) {
			if s.Seen.Published.Ended() && s.Seen.QoS > 0 {
				return diag.Run()
			}
		}
		return diag.Skip(diag.N("skip.not_the_question"))
	},
	Budget: 20 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		main, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		a, x := another(ctx, env, main, diag.PurposeRetry, "publish")
		if x == nil {
			return attemptResult(a)
		}
		defer x.Close()
		return roundTripOn(ctx, env, x, env.Target.Topics.Publish, env.Target.Topics.QoS-1, false)
	},
}
