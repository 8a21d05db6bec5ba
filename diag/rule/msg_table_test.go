package rule

import (
	"testing"
	"time"

	"mqttdoctor/diag"
)

func TestMessageLookAlikes(t *testing.T) { testRecorded(t, messageLookAlikes()) }

func messageLookAlikes() []recorded {
	none := broker(diag.SchemeMQTT)
	own := none
	own.Topics = diag.Topics{Publish: "plant/temp", Subscribe: []string{"plant/#"}, QoS: 1}
	two := own
	two.Topics.QoS = 2
	connect := seen(checkMQTT, at, answered(0))
	subscribed := func(filter string, scratch bool, how diag.Outcome, code int) diag.Step {
		return seen(checkSubscribe, filter, &diag.Subscription{Version: diag.Version5, Filter: filter, Scratch: scratch, QoS: 1, Outcome: how, Code: code})
	}
	granted := subscribed("plant/#", false, diag.OutcomeOK, 1)
	sent := func(check diag.ProbeID, scratch bool, change func(*diag.Delivery)) diag.Step {
		d := &diag.Delivery{Version: diag.Version5, Topic: "plant/temp", Scratch: scratch, QoS: 1, Published: diag.OutcomeOK, Code: 0, Expected: true, Delivered: true,
			DeliveredQoS: 1, Copies: 1, Took: time.Millisecond}
		if scratch {
			d.Topic = "mqttdoctor/x/echo"
		}
		if change != nil {
			change(d)
		}
		return seen(check, "", d)
	}
	lost := func(d *diag.Delivery) { d.Delivered, d.Copies, d.Waited = false, 0, time.Second }
	refused := func(d *diag.Delivery) { d.Published, d.Code, d.Delivered = diag.OutcomeRefused, 0x87, false }
	tooLong := func(d *diag.Delivery) { d.Published, d.Code, d.Delivered = diag.OutcomeRefused, 0x95, false }
	closed := func(d *diag.Delivery) { d.Published, d.Code, d.Delivered = diag.OutcomeClosed, -1, false }
	atZero := func(d *diag.Delivery) { d.DeliveredQoS = 0 }
	uncovered := func(d *diag.Delivery) { d.Expected, d.Delivered = false, false }
	ours := func(change func(*diag.Delivery)) diag.Step { return sent(checkRoundTrip, true, change) }
	theirs := func(change func(*diag.Delivery)) diag.Step { return sent(checkPublish, false, change) }
	match := func(ok bool) diag.Step {
		return seen(checkFilter, "plant/#", &diag.FilterMatch{Topic: "plant/temp", Filter: "plant/#", Matches: ok, Reason: "level", Level: 1})
	}
	return []recorded{
		{name: "all arrives", target: own, steps: []diag.Step{connect, match(true), granted, ours(nil), theirs(nil)}, want: ""},
		{name: "no match", target: own, steps: []diag.Step{connect, match(false), granted, ours(nil), theirs(uncovered)}, want: "msg.filter_mismatch", variant: "level"},
		{name: "denied openly", target: own, steps: []diag.Step{connect, match(true), granted, ours(nil), theirs(refused)}, want: "msg.publish_denied",
			because: map[diag.Code]string{"msg.subscribe_denied": "because.subscriptions_granted"}},
		{name: "declined for its size", target: own, steps: []diag.Step{connect, match(true), granted, ours(tooLong), theirs(tooLong)}, want: "msg.too_large", variant: "even_small",
			because: map[diag.Code]string{"msg.publish_denied": "because.declined_by_size"}},
		{name: "ours declined for its size, theirs taken", target: own, steps: []diag.Step{connect, match(true), granted, ours(tooLong), theirs(nil)}, want: ""},
		{name: "denied by a close", target: own, steps: []diag.Step{connect, match(true), granted, ours(nil), theirs(closed)}, want: "msg.publish_denied", variant: "closed"},
		{name: "gone, ours arrives", target: own, steps: []diag.Step{connect, match(true), granted, ours(nil), theirs(lost)}, want: "msg.publish_dropped",
			because: map[diag.Code]string{"msg.publish_denied": "because.publish_accepted", "msg.filter_mismatch": "because.filter_matches"}},
		{name: "gone, ours refused openly", target: own, steps: []diag.Step{connect, match(true), granted, ours(refused), theirs(lost)}, want: "msg.publish_dropped"},
		{name: "gone, ours came back altered", target: own, steps: []diag.Step{connect, match(true), granted, ours(func(d *diag.Delivery) { lost(d); d.Altered = true }), theirs(lost)}, want: ""},
		{name: "gone, ours gone too", target: own, steps: []diag.Step{connect, match(true), granted, ours(lost), theirs(lost)}, want: "msg.not_routed",
			because: map[diag.Code]string{"msg.publish_dropped": "because.no_topic_works"}},
		{name: "subscription denied", target: own, steps: []diag.Step{connect, match(true), subscribed("plant/#", false, diag.OutcomeRefused, 0x87), ours(nil), theirs(uncovered)}, want: "msg.subscribe_denied"},
		{name: "subscription answered with a close", target: own, steps: []diag.Step{connect, match(true), subscribed("plant/#", false, diag.OutcomeClosed, -1), theirs(uncovered)},
			want: "msg.subscribe_denied", variant: "closed"},
		{name: "subscription not offered", target: own, steps: []diag.Step{connect, match(true), subscribed("plant/#", false, diag.OutcomeRefused, -1), theirs(uncovered)},
			want: "msg.subscribe_denied", variant: "unavailable"},
		{name: "delivered lower", target: own, steps: []diag.Step{connect, match(true), granted, ours(nil), theirs(atZero)}, want: "msg.qos_downgraded", variant: "delivered"},
		{name: "granted lower", target: two, steps: []diag.Step{connect, match(true), seen(checkSubscribe, "plant/#", &diag.Subscription{Filter: "plant/#", QoS: 2, Outcome: diag.OutcomeOK, Code: 1}), theirs(nil)},
			want: "msg.qos_downgraded", variant: "granted"},
		{name: "a close over the QoS", target: two, steps: []diag.Step{connect, match(true), granted, theirs(func(d *diag.Delivery) { closed(d); d.QoS = 2 }), sent("msg.publish_lower", false, nil)},
			want: "msg.publish_denied", variant: "qos"},
		{name: "a close over the topic at any QoS", target: two, steps: []diag.Step{connect, match(true), granted, theirs(func(d *diag.Delivery) { closed(d); d.QoS = 2 }), sent("msg.publish_lower", false, closed)},
			want: "msg.publish_denied", variant: "closed"},
		// Ours alone is refused or gone: many brokers allow a client its own topics and nothing else.
		{name: "ours refused, own arrives", target: own, steps: []diag.Step{connect, match(true), granted, ours(refused), theirs(nil)}, want: ""},
		{name: "ours gone, own arrives", target: own, steps: []diag.Step{connect, match(true), granted, ours(lost), theirs(nil)}, want: ""},
		{name: "ours refused, no topics", target: none, steps: []diag.Step{connect, ours(refused)}, want: ""},
		{name: "ours gone, no topics", target: none, steps: []diag.Step{connect, ours(lost)}, want: ""},
		{name: "ours not granted, no topics", target: none, steps: []diag.Step{connect, subscribed("mqttdoctor/x/echo", true, diag.OutcomeRefused, 0x80)}, want: ""},
	}
}
