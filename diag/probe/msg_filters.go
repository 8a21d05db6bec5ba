package probe

import (
	"context"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/patience"
)

const checkFilterKinds diag.ProbeID = "msg.filters"

// msgFilters subscribes with + and # and to a shared subscription below a topic of our own, on a connection of its own: some
// brokers end it at what they do not offer. Before MQTT 5 a broker that knows no shared subscriptions may take one for a plain
// filter and grant it, so a message has to come.
var msgFilters = diag.Probe{
	ID: checkFilterKinds, Layer: diag.LayerMsg, Depth: diag.DepthDeep,
	Needs:  afterMessages,
	Ready:  needScratch,
	Budget: 60 * time.Second, // four connections, and waiting once for what does not come
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		main, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		o, ok := tryFilters(ctx, env, main)
		if !ok {
			return diag.Skipped(diag.N("skip.no_scratch"))
		}
		switch worksAs(o, true) {
		case "+, #, $share":
			return diag.Passed(o, diag.N("step.msg.filters.ok"))
		case "":
			return diag.Passed(o, diag.N("step.msg.filters.none"))
		}
		return diag.Passed(o, diag.N("step.msg.filters.some", "good", worksAs(o, true), "bad", worksAs(o, false)))
	},
}

// worksAs lists the filters that work, or do not.
func worksAs(o *diag.FilterKinds, works bool) string {
	out := ""
	for _, one := range []struct {
		sign string
		k    diag.FilterKind
	}{{"+", o.Plus}, {"#", o.Hash}, {"$share", o.Shared}} {
		if one.k.Works == works {
			if out != "" {
				out += ", "
			}
			out += one.sign
		}
	}
	return out
}

// tryFilters returns false where not even a plain subscription of ours is granted.
func tryFilters(ctx context.Context, env *diag.Env, main *exchange) (*diag.FilterKinds, bool) {
	base := "mqttdoctor/" + env.RunID + "/filters"
	o := &diag.FilterKinds{Version: main.version, Address: main.address,
		Plus:   diag.FilterKind{Filter: base + "/plus/+", Code: -1},
		Hash:   diag.FilterKind{Filter: base + "/hash/#", Code: -1},
		Shared: diag.FilterKind{Filter: "$share/mqttdoctor/" + base + "/shared", Code: -1}}
	if props := main.connect.Props; props != nil {
		o.Plus.Announced, o.Hash.Announced, o.Shared.Announced = props.WildcardAvailable, props.WildcardAvailable, props.SharedAvailable
	}
	qos := min(1, highestQoS(env.View, main.connect))
	var x *exchange
	defer func() {
		if x != nil {
			leave(ctx, x)
		}
	}()
	for i, try := range []struct {
		kind  *diag.FilterKind
		topic string
	}{{&o.Plus, base + "/plus/here"}, {&o.Hash, base + "/hash/down/here"}, {&o.Shared, base + "/shared"}} {
		if x == nil || x.ended() {
			if x != nil {
				_ = x.Close()
			}
			if _, x = another(ctx, env, main, diag.PurposeOtherClientID, "filters"); x == nil || subscribeQuietly(ctx, env, x, base, qos) < 0 {
				return o, i > 0 // what was seen before counts
			}
		}
		tryFilter(ctx, env, x, try.kind, try.topic, qos)
		if ctx.Err() != nil {
			return o, false
		}
	}
	return o, true
}

// tryFilter subscribes, and awaits a message by it.
func tryFilter(ctx context.Context, env *diag.Env, x *exchange, k *diag.FilterKind, topic string, qos byte) {
	bounded, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	granted, failure := x.Subscribe(bounded, []mqttwire.Subscription{{Filter: k.Filter, QoS: qos}})
	cancel()
	switch {
	case failure != nil && len(granted.Codes) == 0:
		k.Outcome, k.Reason = outcomeOfFailure(failure.Kind), failure.Reason
		if failure.Kind == mqttwire.FailRefused {
			k.Code = int(failure.Code)
		}
		return
	case granted.Codes[0] >= 0x80:
		k.Outcome, k.Code, k.Reason = diag.OutcomeRefused, int(granted.Codes[0]), mqttwire.SubackReason(wireVersion(x.version), granted.Codes[0])
		return
	}
	k.Outcome = diag.OutcomeOK
	marker := x.expect(env.RunID)
	if publishOn(ctx, env, x, mqttwire.Message{Topic: topic, Payload: []byte(marker), QoS: qos}).outcome != diag.OutcomeOK {
		return
	}
	wait := echoWait(env, x.address)
	if _, k.Works = x.await(ctx, marker, wait); !k.Works && !x.ended() {
		k.Waited = wait
	}
}
