package rule

import (
	"maps"
	"testing"
	"time"

	"mqttdoctor/diag"
)

func TestSizeLookAlikes(t *testing.T) { testRecorded(t, sizeLookAlikes()) }

func sizeLookAlikes() []recorded {
	none := broker(diag.SchemeMQTT)
	connect := seen(checkMQTT, at, answered(0))
	announcing := func(bytes uint32) diag.Step {
		o := answered(0)
		o.Version, o.Props = diag.Version5, &diag.ConnackProps{MaximumPacketBytes: &bytes}
		return seen(checkMQTT, at, o)
	}
	search := func(change func(*diag.SizeSearch)) diag.Step {
		o := &diag.SizeSearch{Version: diag.Version311, Scratch: true, QoS: 1, BoundBytes: 262144, LargestBytes: 262144, Code: -1, Connections: 1}
		if change != nil {
			change(o)
		}
		return seen(checkSize, "", o)
	}
	limit := func(bytes int, end diag.SizeEnd) func(*diag.SizeSearch) {
		return func(o *diag.SizeSearch) {
			o.LargestBytes, o.SmallestBytes, o.End, o.Verified = bytes, bytes+1, end, true
		}
	}
	stuck := func(tcp *diag.TCPInfoFact) diag.Step {
		return search(func(o *diag.SizeSearch) { limit(4096, diag.SizeStuck)(o); o.TCP = tcp })
	}
	large := func(try diag.LargeTry) diag.Step {
		return seen(checkLarge, "", &diag.LargeMessage{Bytes: 4000, Usual: try})
	}
	own := none
	own.Topics = diag.Topics{Publish: "plant/temp", Subscribe: []string{"plant/#"}, QoS: 1}
	small := seen(checkPublish, "", &diag.Delivery{Topic: "plant/temp", QoS: 1, DeliveredQoS: 1, Published: diag.OutcomeOK, Expected: true, Delivered: true})
	counted := seen(checkRecount, "", &diag.Recount{Topic: "plant/temp", Filters: 1, Messages: []diag.TestMessage{{QoS: 1, Delivered: true, Copies: 1}, {QoS: 1, Delivered: true, Copies: 1}}})
	ok := large(diag.LargeTry{Outcome: diag.OutcomeOK, Acked: true, Delivered: true})
	return []recorded{
		{name: "no limit", target: none, steps: []diag.Step{connect, search(nil)}, want: ""},
		{name: "dropped", target: none, steps: []diag.Step{connect, ok, search(limit(5000, diag.SizeDropped))}, want: "msg.too_large", variant: "dropped",
			because: map[diag.Code]string{"net.mtu_blackhole": "because.large_answered"}},
		{name: "closed", target: none, steps: []diag.Step{connect, search(limit(1000, diag.SizeClosed))}, want: "msg.too_large", variant: "closed"},
		{name: "dropped, and what is small arrives", target: own, steps: []diag.Step{connect, small, counted, search(limit(5000, diag.SizeDropped))}, want: "msg.too_large", variant: "dropped",
			because: map[diag.Code]string{"msg.publish_denied": "because.publish_accepted", "msg.publish_dropped": "because.message_arrived", "msg.lost": "because.all_singles_arrived"}},
		{name: "closed, where a quiet session ends too", target: none, steps: []diag.Step{connect, search(limit(1000, diag.SizeClosed)),
			seen(checkStayOther, "mqttdoctor-…", &diag.SessionWatch{Idle: true, Outcome: diag.OutcomeClosed, Code: -1, Lasted: time.Second})}, want: ""},
		{name: "not verified", target: none, steps: []diag.Step{connect, search(func(o *diag.SizeSearch) { limit(1000, diag.SizeClosed)(o); o.Verified = false })}, want: ""},
		{name: "large enough for all", target: none, steps: []diag.Step{connect, search(limit(128<<10, diag.SizeClosed))}, want: ""},
		{name: "the smallest documented", target: none, steps: []diag.Step{connect, search(limit(16<<10, diag.SizeClosed))}, want: ""},
		{name: "announced small", target: none, steps: []diag.Step{announcing(2000)}, want: "msg.too_large", variant: "announced"},
		{name: "announced smaller than a header", target: none, steps: []diag.Step{announcing(3)}, want: "msg.too_large", variant: "announced"},
		{name: "announced at 1 MB", target: none, steps: []diag.Step{announcing(1 << 20)}, want: ""},
		{name: "announced at 128 KB", target: none, steps: []diag.Step{announcing(128 << 10)}, want: ""},
		{name: "announced without end", target: none, steps: []diag.Step{announcing(1<<32 - 1)}, want: ""},
		{name: "less than announced", target: none, steps: []diag.Step{announcing(1 << 20), search(limit(1000, diag.SizeDropped))}, want: "msg.too_large", variant: "dropped"},
		{name: "taken by the host, and stuck", target: none, steps: []diag.Step{connect, stuck(&diag.TCPInfoFact{})}, want: "msg.too_large", variant: "stuck"},
		{name: "not read by the broker", target: none, steps: []diag.Step{connect, stuck(&diag.TCPInfoFact{Unacked: 2})}, want: "msg.too_large", variant: "stuck"},
		{name: "lost on the path", target: none, steps: []diag.Step{connect, stuck(&diag.TCPInfoFact{Unacked: 2, Retransmits: 3})}, want: ""},
		{name: "nobody knows where it got stuck", target: none, steps: []diag.Step{connect, stuck(nil)}, want: ""},
	}
}

func TestRetainedLookAlikes(t *testing.T) { testRecorded(t, retainedLookAlikes()) }

func retainedLookAlikes() []recorded {
	none := broker(diag.SchemeMQTT)
	wild := none
	wild.Topics = diag.Topics{Publish: "plant/temp", Subscribe: []string{"plant/#"}, QoS: 1}
	named := none
	named.Topics = diag.Topics{Publish: "plant/temp", Subscribe: []string{"plant/temp"}, QoS: 1}
	connect := seen(checkMQTT, at, answered(0))
	no := false
	announced := answered(0)
	announced.Version, announced.Props = diag.Version5, &diag.ConnackProps{RetainAvailable: &no}
	checked := func(change func(*diag.RetainedCheck)) diag.Step {
		came := diag.RetainedRead{Filter: "f", Granted: 1, Came: true}
		o := &diag.RetainedCheck{Version: diag.Version5, Topic: "mqttdoctor/x/retained", Set: diag.OutcomeOK, Code: -1, Exact: came, Plus: came, Hash: came, Cleared: true}
		if change != nil {
			change(o)
		}
		return seen(checkRetained, "", o)
	}
	withheld := diag.RetainedRead{Filter: "f/#", Granted: 1, ByName: true, Live: true, Twice: true}
	dead := diag.RetainedRead{Filter: "f/#", Granted: 1, Twice: true}
	notGranted := diag.RetainedRead{Filter: "f/#", Granted: -1}
	hash := func(read diag.RetainedRead) diag.Step { return checked(func(r *diag.RetainedCheck) { r.Hash = read }) }
	set := func(how, plain diag.Outcome, code int) diag.Step {
		return checked(func(r *diag.RetainedCheck) {
			r.Set, r.Plain, r.Code, r.Exact, r.Plus, r.Hash = how, plain, code, notGranted, notGranted, notGranted
		})
	}
	echo := seen(checkRoundTrip, "", &diag.Delivery{Topic: "mqttdoctor/x/echo", Scratch: true, QoS: 1, DeliveredQoS: 1, Published: diag.OutcomeOK, Expected: true, Delivered: true})
	lowered := seen(checkSubscribe, "", &diag.Subscription{Version: diag.Version311, Filter: "mqttdoctor/x/echo", Scratch: true, QoS: 2, Outcome: diag.OutcomeOK, Code: 1})
	own := seen(checkSubscribe, "plant/#", &diag.Subscription{Version: diag.Version311, Filter: "plant/#", QoS: 1, Outcome: diag.OutcomeOK, Code: 1})
	return []recorded{
		{name: "kept", target: none, steps: []diag.Step{connect, checked(nil)}, want: ""},
		{name: "refused for the flag", target: none, steps: []diag.Step{connect, set(diag.OutcomeRefused, diag.OutcomeOK, 0x87)}, want: "msg.retain_unavailable", variant: "refused"},
		{name: "refused for the flag, and what has none arrives", target: none, steps: []diag.Step{connect, echo, set(diag.OutcomeRefused, diag.OutcomeOK, 0x87)},
			want: "msg.retain_unavailable", variant: "refused", because: map[diag.Code]string{"msg.publish_denied": "because.message_arrived"}},
		{name: "refused by its code", target: none, steps: []diag.Step{connect, set(diag.OutcomeRefused, "", 0x9A)}, want: "msg.retain_unavailable", variant: "refused"},
		{name: "refused whatever the flag", target: none, steps: []diag.Step{connect, set(diag.OutcomeRefused, diag.OutcomeRefused, 0x87)}, want: ""},
		{name: "closed for the flag", target: none, steps: []diag.Step{connect, set(diag.OutcomeClosed, diag.OutcomeOK, -1)}, want: "msg.retain_unavailable", variant: "closed"},
		{name: "closed whatever the flag", target: none, steps: []diag.Step{connect, set(diag.OutcomeClosed, diag.OutcomeClosed, -1)}, want: ""},
		{name: "silent", target: none, steps: []diag.Step{connect, set(diag.OutcomeSilent, diag.OutcomeOK, -1)}, want: ""},
		{name: "not kept", target: none, steps: []diag.Step{connect, checked(func(r *diag.RetainedCheck) { r.Exact = withheld })}, want: "msg.retain_unavailable", variant: "not_kept"},
		{name: "nothing comes by that subscription", target: none, steps: []diag.Step{connect, checked(func(r *diag.RetainedCheck) { r.Exact = dead })}, want: ""},
		{name: "announced, not looked for", target: none, steps: []diag.Step{seen(checkMQTT, at, announced)}, want: ""},
		{name: "announced, and looked for", target: none, steps: []diag.Step{seen(checkMQTT, at, announced), checked(func(r *diag.RetainedCheck) { r.Announced, r.Set = &no, diag.OutcomeRefused })},
			want: "msg.retain_unavailable", variant: "announced"},
		{name: "by name alone", target: none, steps: []diag.Step{connect, hash(withheld)}, want: "msg.retained_wildcard",
			because: map[diag.Code]string{"msg.retain_unavailable": "because.retained_came"}},
		{name: "by name alone, own wildcard", target: wild, steps: []diag.Step{connect, own, hash(withheld)}, want: "msg.retained_wildcard",
			because: map[diag.Code]string{"msg.subscribe_denied": "because.subscriptions_granted"}},
		{name: "by name alone, and that is how it is used", target: named, steps: []diag.Step{connect, hash(withheld)}, want: ""},
		{name: "by name alone, documented", target: wild, steps: []diag.Step{connect, lowered, hash(withheld)}, want: ""},
		{name: "nothing comes by the wildcard", target: none, steps: []diag.Step{connect, hash(dead)}, want: ""},
		{name: "wildcard not granted", target: none, steps: []diag.Step{connect, hash(notGranted)}, want: ""},
		{name: "stale", target: wild, steps: []diag.Step{connect, seen(checkRetainedOwn, "", &diag.RetainedSeen{Total: 1, Messages: []diag.RetainedMessage{{Topic: "plant/x", Bytes: 3}}})}, want: ""},
	}
}

// What a broker does not offer is no fault by itself: these rows look at the findings of severity info.
func TestFilterKindLookAlikes(t *testing.T) {
	t.Parallel()
	for _, row := range filterKindLookAlikes() {
		got := map[diag.Code]diag.Confidence{}
		for _, f := range diag.Conclude(diag.NewView(broker(diag.SchemeMQTT), diag.PlanOptions{}, row.steps), All).Findings {
			got[f.Code] = f.Confidence
		}
		if len(got) != len(row.want) || !maps.Equal(got, row.want) && len(got) > 0 {
			t.Errorf("%s: concludes %v, want %v", row.name, got, row.want)
		}
	}
}

// limitRow is what an announced or measured limit is concluded as.
type limitRow struct {
	name  string
	steps []diag.Step
	want  map[diag.Code]diag.Confidence
}

func filterKindLookAlikes() []limitRow {
	connect := seen(checkMQTT, at, answered(0))
	no := false
	works := diag.FilterKind{Filter: "f", Outcome: diag.OutcomeOK, Code: -1, Works: true}
	refused := func(code int) diag.FilterKind {
		return diag.FilterKind{Filter: "f", Outcome: diag.OutcomeRefused, Code: code}
	}
	kinds := func(plus, hash, shared diag.FilterKind) diag.Step {
		return seen(checkFilterKinds, "", &diag.FilterKinds{Version: diag.Version5, Plus: plus, Hash: hash, Shared: shared})
	}
	forbidden := works
	forbidden.Announced, forbidden.Outcome, forbidden.Works = &no, diag.OutcomeRefused, false
	dead := diag.FilterKind{Filter: "f", Outcome: diag.OutcomeOK, Code: -1, Waited: 1}
	closed := diag.FilterKind{Filter: "f", Outcome: diag.OutcomeClosed, Code: -1}
	return []limitRow{
		{"all work", []diag.Step{connect, kinds(works, works, works)}, nil},
		{"wildcards refused by their code", []diag.Step{connect, kinds(refused(0xA2), refused(0xA2), works)}, map[diag.Code]diag.Confidence{"msg.wildcard_unavailable": diag.Certain}},
		{"wildcards refused", []diag.Step{connect, kinds(refused(0x80), refused(0x80), works)}, map[diag.Code]diag.Confidence{"msg.wildcard_unavailable": diag.Likely}},
		{"one of them refused", []diag.Step{connect, kinds(works, refused(0x80), works)}, nil},
		{"wildcards denied by a rule", []diag.Step{connect, kinds(refused(0x87), refused(0x87), works)}, nil},
		{"announced", []diag.Step{connect, kinds(forbidden, forbidden, forbidden)},
			map[diag.Code]diag.Confidence{"msg.wildcard_unavailable": diag.Certain, "msg.shared_unavailable": diag.Certain}},
		{"shared refused by its code", []diag.Step{connect, kinds(works, works, refused(0x9E))}, map[diag.Code]diag.Confidence{"msg.shared_unavailable": diag.Certain}},
		{"shared answered with a close", []diag.Step{connect, kinds(works, works, closed)}, map[diag.Code]diag.Confidence{"msg.shared_unavailable": diag.Likely}},
		{"shared granted and dead", []diag.Step{connect, kinds(works, works, dead)}, map[diag.Code]diag.Confidence{"msg.shared_unavailable": diag.Likely}},
		{"shared denied by a rule", []diag.Step{connect, kinds(works, works, refused(0x87))}, nil},
		{"not tried", []diag.Step{connect, kinds(works, works, diag.FilterKind{Code: -1})}, nil},
		{"not looked for", []diag.Step{connect}, nil},
	}
}
