package rule

import (
	"testing"
	"time"

	"mqttdoctor/diag"
)

func TestRecountLookAlikes(t *testing.T) { testRecorded(t, recountLookAlikes()) }

func recountLookAlikes() []recorded {
	none := broker(diag.SchemeMQTT)
	none.Topics.QoS = 1
	own := none
	own.Topics = diag.Topics{Publish: "plant/temp", Subscribe: []string{"plant/#"}, QoS: 1}
	connect := seen(checkMQTT, at, answered(0))
	match := seen(checkFilter, "plant/#", &diag.FilterMatch{Topic: "plant/temp", Filter: "plant/#", Matches: true})
	granted := seen(checkSubscribe, "plant/#", &diag.Subscription{Version: diag.Version5, Filter: "plant/#", QoS: 1, Outcome: diag.OutcomeOK, Code: 1})
	sent := func(check diag.ProbeID, scratch, came bool) diag.Step {
		d := &diag.Delivery{Version: diag.Version5, Topic: "plant/temp", Scratch: scratch, QoS: 1, DeliveredQoS: 1, Published: diag.OutcomeOK, Expected: true, Delivered: came}
		if !came {
			d.Waited = 2 * time.Second
		}
		return seen(check, "", d)
	}
	came := func(qos byte, took time.Duration) diag.TestMessage {
		return diag.TestMessage{QoS: qos, Delivered: true, Took: took, Copies: 1}
	}
	gone := func(qos byte) diag.TestMessage {
		return diag.TestMessage{QoS: qos, Again: true, Waited: 5 * time.Second}
	}
	copies := func(n, dup int) diag.TestMessage {
		return diag.TestMessage{QoS: 1, Delivered: true, Took: time.Millisecond, Copies: n, Dup: dup}
	}
	counted := func(scratch bool, filters int, messages ...diag.TestMessage) diag.Step {
		return seen(checkRecount, "", &diag.Recount{Topic: "plant/temp", Scratch: scratch, Path: time.Millisecond, Filters: filters, Messages: messages})
	}
	ping := func(rtt time.Duration) diag.Step {
		return seen("mqtt.ping", "", &diag.MQTTPing{RTT: rtt, Outcome: diag.OutcomeOK})
	}
	const soon, late = time.Millisecond, 1500 * time.Millisecond
	base := []diag.Step{connect, match, granted}
	with := func(steps ...diag.Step) []diag.Step { return append(append([]diag.Step{}, base...), steps...) }
	ours, theirs := sent(checkRoundTrip, true, true), sent(checkPublish, false, true)
	return []recorded{
		{name: "all came once", target: own, steps: with(ours, theirs, counted(true, 1, came(0, soon), came(1, soon)), counted(false, 1, came(1, soon))), want: ""},
		{name: "some came", target: own, steps: with(ours, sent(checkPublish, false, false), counted(false, 1, gone(1), came(1, soon), gone(1), came(1, soon))),
			want: "msg.lost", variant: "single", because: map[diag.Code]string{"msg.publish_dropped": "because.others_arrived"}},
		{name: "none came, ours did", target: own, steps: with(ours, sent(checkPublish, false, false), counted(false, 1, gone(1), gone(1), gone(1))),
			want: "msg.publish_dropped"},
		{name: "none came, nor did ours", target: own, steps: with(sent(checkRoundTrip, true, false), sent(checkPublish, false, false), counted(false, 1, gone(1), gone(1)),
			counted(true, 1, gone(0), gone(1))), want: "msg.not_routed"},
		{name: "ours came in the end", target: own, steps: with(sent(checkRoundTrip, true, false), sent(checkPublish, false, false), counted(false, 1, gone(1), gone(1)),
			counted(true, 1, came(0, 3*time.Second), came(1, 3*time.Second))), want: "msg.publish_dropped"},
		{name: "all came late", target: own, steps: with(ours, sent(checkPublish, false, false), counted(false, 1, came(1, 2*late), came(1, late), came(1, late))),
			want: "msg.slow", variant: "single"},
		{name: "all came late, and pings too", target: own, steps: with(ping(late), ours, theirs, counted(false, 1, came(1, late), came(1, late), came(1, late))),
			want: "msg.slow", variant: "everything"},
		{name: "two came late", target: none, steps: []diag.Step{connect, ours, counted(true, 1, came(1, late), came(0, late))}, want: ""},
		{name: "one late of three", target: none, steps: []diag.Step{connect, ours, counted(true, 1, came(1, late), came(0, soon), came(2, soon))}, want: ""},
		{name: "QoS 0 does not come from any topic", target: func() diag.Target { o := own; o.Topics.QoS = 0; return o }(),
			steps: with(ours, seen(checkPublish, "", &diag.Delivery{Topic: "plant/temp", QoS: 0, Published: diag.OutcomeOK, Expected: true}),
				counted(false, 1, gone(0), gone(0)), counted(true, 1, gone(0), came(1, soon), gone(0))),
			want: "msg.lost", variant: "single", because: map[diag.Code]string{"msg.publish_dropped": "because.qos_vanishes"}},
		{name: "QoS 2 does not come and nobody asked", target: own, steps: with(ours, theirs, counted(true, 1, came(0, soon), came(1, soon), gone(2))), want: ""},
		{name: "copies", target: own, steps: with(ours, theirs, counted(false, 1, copies(2, 0))), want: "msg.duplicated", variant: "own"},
		{name: "copies with DUP", target: own, steps: with(ours, theirs, counted(false, 1, copies(3, 2))), want: "msg.duplicated", variant: "again"},
		{name: "copies for two filters of the user's", target: own, steps: with(ours, theirs, counted(false, 2, copies(2, 0))), want: "msg.duplicated", variant: "overlap"},
		{name: "copies of ours where the user's filter matches it too", target: own, steps: with(ours, theirs, counted(true, 2, copies(2, 0))), want: ""},
		{name: "one of the first alone did not come", target: own, steps: with(ours, theirs, counted(true, 1, diag.TestMessage{QoS: 1, Waited: time.Second}, came(0, soon), came(1, soon))), want: ""},
	}
}
