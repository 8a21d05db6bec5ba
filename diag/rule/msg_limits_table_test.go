package rule

import (
	"testing"

	"mqttdoctor/diag"
)

func TestSizeLookAlikes(t *testing.T) {
	t.Parallel()
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
	ok := large(diag.LargeTry{Outcome: diag.OutcomeOK, Acked: true, Delivered: true})
	testRecorded(t, []recorded{
		{name: "no limit", target: none, steps: []diag.Step{connect, search(nil)}, want: ""},
		{name: "dropped", target: none, steps: []diag.Step{connect, ok, search(limit(5000, diag.SizeDropped))}, want: "msg.too_large", variant: "dropped",
			because: map[diag.Code]string{"net.mtu_blackhole": "because.large_answered"}},
		{name: "closed", target: none, steps: []diag.Step{connect, search(limit(1000, diag.SizeClosed))}, want: "msg.too_large", variant: "closed"},
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
	})
}
