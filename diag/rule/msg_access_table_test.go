package rule

import (
	"testing"
	"time"

	"mqttdoctor/diag"
)

func TestAccessLookAlikes(t *testing.T) { testRecorded(t, accessLookAlikes()) }

func accessLookAlikes() []recorded {
	own := broker(diag.SchemeMQTT)
	own.Topics = diag.Topics{Publish: "plant/temp", Subscribe: []string{"plant/#"}, QoS: 1}
	alone := own
	alone.Topics.Subscribe = nil
	connect := seen(checkMQTT, at, answered(0))
	granted := seen(checkSubscribe, "plant/#", &diag.Subscription{Version: diag.Version311, Filter: "plant/#", QoS: 1, Outcome: diag.OutcomeOK, Code: 1})
	message := func(check diag.ProbeID, scratch, expected, delivered bool, how diag.Outcome, code int) diag.Step {
		d := &diag.Delivery{Version: diag.Version311, Topic: "plant/temp", Scratch: scratch, QoS: 1, Published: how, Code: code, Expected: expected, Delivered: delivered, DeliveredQoS: 1}
		if expected && !delivered {
			d.Waited = time.Second
		}
		return seen(check, "", d)
	}
	taken := message(checkPublish, false, false, false, diag.OutcomeOK, 0)
	lost := message(checkPublish, false, true, false, diag.OutcomeOK, 0)
	oursLost := message(checkRoundTrip, true, true, false, diag.OutcomeOK, 0)
	oursComes := message(checkRoundTrip, true, true, true, diag.OutcomeOK, 0)
	heard := message(checkAccess, false, true, true, diag.OutcomeOK, 0)
	unheard := message(checkAccess, false, true, false, diag.OutcomeOK, 0)
	access := func(own, scratch diag.Outcome, otherID bool) diag.Step {
		code := map[diag.Outcome]int{diag.OutcomeOK: 0, diag.OutcomeRefused: 0x87, diag.OutcomeClosed: -1, diag.OutcomeSilent: -1}
		reason := map[diag.Outcome]string{diag.OutcomeOK: "Success", diag.OutcomeRefused: "Not authorized"}
		return seen(checkAccess, "", &diag.AccessCheck{OtherID: otherID, Own: diag.AccessAnswer{Topic: "plant/temp", Outcome: own, Code: code[own], Reason: reason[own]},
			Scratch: diag.AccessAnswer{Topic: "mqttdoctor/x/access", Outcome: scratch, Code: code[scratch], Reason: reason[scratch]}})
	}
	const ok, no, closed = diag.OutcomeOK, diag.OutcomeRefused, diag.OutcomeClosed
	return []recorded{
		{name: "gone, and declined in MQTT 5", target: own, steps: []diag.Step{connect, granted, oursLost, lost, access(no, no, false)}, want: "msg.publish_dropped", variant: "told"},
		{name: "gone, and a close in MQTT 5", target: own, steps: []diag.Step{connect, granted, oursLost, lost, access(closed, ok, false)}, want: "msg.publish_dropped", variant: "told"},
		{name: "gone, and allowed in MQTT 5, where ours is not", target: own, steps: []diag.Step{connect, granted, oursLost, lost, access(ok, no, false)}, want: "msg.publish_dropped"},
		{name: "gone, and all allowed in MQTT 5", target: own, steps: []diag.Step{connect, granted, oursLost, lost, access(ok, ok, false)}, want: "msg.not_routed",
			because: map[diag.Code]string{"msg.publish_dropped": "because.no_topic_works"}},
		{name: "gone, and silence in MQTT 5", target: own, steps: []diag.Step{connect, granted, oursLost, lost, access(diag.OutcomeSilent, diag.OutcomeSilent, false)}, want: "msg.not_routed"},
		{name: "taken, and declined in MQTT 5", target: alone, steps: []diag.Step{connect, oursComes, taken, access(no, ok, false)}, want: "msg.publish_dropped", variant: "told"},
		{name: "taken, and allowed in MQTT 5", target: alone, steps: []diag.Step{connect, oursLost, taken, access(ok, no, false)}, want: ""},
		// Another client id than the user's was declined, and the user's own may well be allowed.
		{name: "taken, and another client declined", target: alone, steps: []diag.Step{connect, oursComes, taken, access(no, ok, true)}, want: ""},
		{name: "gone, and another client declined", target: own, steps: []diag.Step{connect, granted, oursLost, lost, access(no, no, true)}, want: "msg.publish_dropped", variant: "told"},
		{name: "taken, and heard", target: alone, steps: []diag.Step{connect, oursLost, taken, heard}, want: ""},
		{name: "taken, and not heard", target: alone, steps: []diag.Step{connect, oursLost, taken, unheard}, want: ""},
	}
}
