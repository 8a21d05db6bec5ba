package probe

import (
	"context"
	"slices"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
)

const checkAccess diag.ProbeID = "msg.access"

// msgAccess finds out whether the user's topic may be published to, where the asked version or QoS could not tell: the message
// was taken and has not been seen to arrive. It asks in MQTT 5 with QoS 1, which has an answer for it. A broker without MQTT 5
// gets a message from a client that listens to the topic, unless the user's own filters do so already.
var msgAccess = diag.Probe{
	ID: checkAccess, Layer: diag.LayerMsg, Depth: diag.DepthStandard,
	Needs:   []diag.ProbeID{checkPublish, checkRoundTrip, checkVersions},
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.Topics.Publish != "" },
	Ready: func(v *diag.View) diag.Decision {
		if d := needSession(v); !d.Runs() {
			return d
		}
		if !unheard(v) {
			return diag.Skip(diag.N("skip.not_the_question"))
		}
		if !takesMQTT5(v) && matchesAny(v.Target.Topics.Subscribe, v.Target.Topics.Publish) {
			return diag.Skip(diag.N("skip.no_mqtt5"))
		}
		return diag.Run()
	},
	Budget: 30 * time.Second, // two connections
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		main, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		if !takesMQTT5(env.View) {
			return listenTo(ctx, env, main, env.Target.Topics.Publish)
		}
		o := &diag.AccessCheck{Address: main.address, OtherID: env.Target.ClientID != "",
			Own: diag.AccessAnswer{Topic: env.Target.Topics.Publish, Code: -1}, Scratch: diag.AccessAnswer{Topic: "mqttdoctor/" + env.RunID + "/access", Code: -1}}
		askAccess(ctx, env, main, o)
		args := []string{"topic", o.Own.Topic, "symbol", string(o.Own.Outcome), "reason", o.Own.Reason}
		switch {
		case o.Own.Outcome == "":
			return diag.Skipped(diag.N("skip.no_mqtt5"))
		case o.Own.Code >= 0x80:
			return diag.Warned(o, diag.N("step.msg.access.refused", append(args, "code", diag.CodeText(o.Own.Code, diag.Version5))...))
		case o.Own.Denied():
			return diag.Warned(o, diag.N("step.msg.access.ended", args...))
		case o.Own.Outcome == diag.OutcomeOK:
			return diag.Passed(o, diag.N("step.msg.access.ok", args...))
		}
		return diag.Warned(o, diag.N("step.msg.access.unknown", args...))
	},
}

// listenTo sends a message to the topic from a client that subscribes to it.
func listenTo(ctx context.Context, env *diag.Env, main *exchange, topic string) diag.Result {
	_, x := another(ctx, env, main, diag.PurposeOtherClientID, "publish")
	if x == nil {
		return diag.Skipped(diag.N("skip.not_readable"))
	}
	defer leave(ctx, x)
	granted := subscribeQuietly(ctx, env, x, topic, 1)
	if granted < 0 {
		return diag.Skipped(diag.N("skip.not_readable"))
	}
	x.grant(topic, byte(granted))
	result := roundTripOn(ctx, env, x, topic, min(env.Target.Topics.QoS, x.maxQoS), false)
	if result.Status == diag.StatusFailed { // what came of it may be that the client may not read, which nobody has asked for
		result.Status = diag.StatusWarned
	}
	return result
}

// unheard tells that the user's message was taken, without an answer that would mean that it is allowed, and has not arrived.
func unheard(v *diag.View) bool {
	seen := diag.SeenBy[*diag.Delivery](v, checkPublish)
	return slices.ContainsFunc(seen, func(s diag.Sight[*diag.Delivery]) bool {
		d := s.Seen
		return d.Published == diag.OutcomeOK && !d.Delivered && (d.Version != diag.Version5 || d.QoS == 0)
	})
}

// takesMQTT5 tells whether a connection in MQTT 5 was accepted.
func takesMQTT5(v *diag.View) bool {
	if slices.ContainsFunc(askedConnects(v), func(o *diag.MQTTConnect) bool { return o.Accepted() && o.Version == diag.Version5 }) {
		return true
	}
	return slices.ContainsFunc(diag.SeenBy[*diag.Attempt](v, checkVersions), func(s diag.Sight[*diag.Attempt]) bool {
		return s.Seen.Accepted() && s.Seen.MQTT.Version == diag.Version5
	})
}

// askAccess publishes to the user's topic, and to ours, which tells whether access rules are in force at all.
func askAccess(ctx context.Context, env *diag.Env, main *exchange, o *diag.AccessCheck) {
	r := askedRoute(env.Target, main.address).with(diag.PurposeVersion, "MQTT 5", func(r *route) {
		r.MQTT.Version, r.WS.Subprotocols = diag.Version5, subprotocolsFor(diag.Version5)
	})
	var x *exchange
	defer func() {
		if x != nil {
			leave(ctx, x)
		}
	}()
	for _, answer := range []*diag.AccessAnswer{&o.Own, &o.Scratch} {
		if x == nil || x.ended() {
			if x != nil {
				_ = x.Close()
				x = nil
			}
			a, l := walk(ctx, env, r, upToMQTT)
			if l == nil || l.Session == nil {
				return
			}
			x = newExchange(l.Session, a.MQTT)
		}
		if x.maxQoS == 0 {
			return
		}
		p := publishOn(ctx, env, x, mqttwire.Message{Topic: answer.Topic, Payload: []byte(newMarker(env.RunID)), QoS: 1})
		if ctx.Err() != nil {
			return
		}
		answer.Outcome, answer.Code, answer.Reason, answer.ReasonString = p.outcome, p.code, p.reason, p.reasonString
	}
}
