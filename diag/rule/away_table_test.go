package rule

import (
	"testing"
	"time"

	"mqttdoctor/diag"
)

func TestAwayLookAlikes(t *testing.T) { testRecorded(t, awayLookAlikes()) }

// awayLookAlikes are about what a broker does for clients that are gone.
func awayLookAlikes() []recorded {
	none := broker(diag.SchemeMQTT)
	connect := seen(checkMQTT, at, answered(0))
	yes, no := true, false
	back := func(sent, arrived int, present bool, subscribed *bool) diag.KeptReturn {
		r := diag.KeptReturn{KeptCount: diag.KeptCount{Sent: sent, Arrived: arrived, QoS: 1}, Left: diag.LeaveDisconnect, Present: present, Subscribed: subscribed}
		if arrived > 0 {
			r.Lowest, r.Highest = 1, arrived
		}
		return r
	}
	kept := func(change func(*diag.KeptSession), returns ...diag.KeptReturn) diag.Step {
		o := &diag.KeptSession{Version: diag.Version5, Wanted: true, Stage: diag.StageDone, Outcome: diag.OutcomeOK, Code: -1, ExpiryS: 300, Granted: 1, Returns: returns, Ended: true,
			Live: &diag.KeptCount{Sent: 20, Arrived: 20, Lowest: 1, Highest: 20, QoS: 1}}
		if change != nil {
			change(o)
		}
		return seen(checkSession, "", o)
	}
	wills := func(tries ...diag.WillTry) diag.Step {
		return seen(checkWill, "", &diag.WillWatch{Version: diag.Version5, Topic: "mqttdoctor/x/will", Scratch: true, Stage: diag.StageDone, Code: -1, Tries: tries})
	}
	gone := diag.WillTry{End: diag.WillCut, QoS: -1, Waited: 5 * time.Second}
	came := diag.WillTry{End: diag.WillCut, QoS: 1, Arrived: true, Took: time.Millisecond}
	ours := seen(checkRoundTrip, "", &diag.Delivery{Version: diag.Version5, Topic: "mqttdoctor/x/echo", Scratch: true, QoS: 1, Published: diag.OutcomeOK, Expected: true,
		Delivered: true, DeliveredQoS: 1})
	return []recorded{
		{name: "kept, and all arrived", target: none, steps: []diag.Step{connect, kept(nil, back(20, 20, true, nil), back(20, 20, true, nil))}, want: ""},
		{name: "not kept", target: none, steps: []diag.Step{connect, kept(nil, back(20, 0, false, &no), back(20, 0, false, &no))}, want: "mqtt.session_not_kept",
			because: map[diag.Code]string{"msg.offline_lost": "because.no_session_kept"}},
		{name: "not kept, and nobody asked", target: none, steps: []diag.Step{connect, kept(func(o *diag.KeptSession) { o.Wanted = false }, back(20, 0, false, &no), back(20, 0, false, &no))}, want: ""},
		{name: "kept, and said to be gone", target: none, steps: []diag.Step{connect, kept(nil, back(20, 20, false, nil), back(20, 20, false, nil))}, want: "mqtt.session_not_kept", variant: "unflagged"},
		{name: "kept, and said to be gone once", target: none, steps: []diag.Step{connect, kept(nil, back(20, 20, false, nil), back(20, 20, true, nil))}},
		{name: "kept without its subscriptions", target: none, steps: []diag.Step{connect, kept(nil, back(20, 0, true, &no), back(20, 0, true, &no))}, want: "mqtt.session_not_kept", variant: "subscriptions"},
		{name: "kept, and nothing arrived", target: none, steps: []diag.Step{connect, kept(nil, back(20, 0, true, &yes), back(20, 0, true, &yes))}, want: "msg.offline_lost",
			because: map[diag.Code]string{"mqtt.session_not_kept": "because.session_kept", "msg.lost": "because.live_arrived"}},
		{name: "kept, and late the first time", target: none, steps: []diag.Step{connect, kept(nil, back(20, 8, true, nil), back(20, 20, true, nil))}},
		{name: "kept, and the first ones arrived", target: none, steps: []diag.Step{connect, kept(nil, back(20, 8, true, nil), back(20, 8, true, nil))}, want: "msg.offline_lost", variant: "first"},
		{name: "lost while it was there too", target: none, steps: []diag.Step{connect, kept(func(o *diag.KeptSession) { o.Live.Arrived = 11 }, back(20, 0, true, &yes), back(20, 0, true, &yes))}, want: ""},

		{name: "the will came", target: none, steps: []diag.Step{connect, ours, wills(came)}, want: ""},
		{name: "the will came the second time", target: none, steps: []diag.Step{connect, ours, wills(gone, came)}, want: ""},
		{name: "no will came, twice", target: none, steps: []diag.Step{connect, ours, wills(gone, gone)}, want: "msg.will_not_delivered",
			because: map[diag.Code]string{"msg.publish_denied": "because.message_arrived", "msg.publish_dropped": "because.message_arrived"}},
		{name: "a will by DISCONNECT alone", target: none, steps: []diag.Step{connect, ours, wills(gone, gone, diag.WillTry{End: diag.WillDisconnect, Arrived: true, QoS: 1})},
			want: "msg.will_not_delivered", variant: "unnoticed"},
	}
}
