package probe_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// testMessages is a peer that decides about plain test messages by their number, from 1; others pass.
func testMessages(decide func(n int64, m diagtest.Message) diagtest.PublishAnswer) func(testing.TB) string {
	return func(t testing.TB) string {
		var n atomic.Int64
		return scripted(diagtest.Script{OnPublish: func(m diagtest.Message) diagtest.PublishAnswer {
			if !strings.HasPrefix(string(m.Payload), "mqttdoctor test ") {
				return diagtest.PublishAnswer{}
			}
			return decide(n.Add(1), m)
		}})(t)
	}
}

func always(a diagtest.PublishAnswer) func(int64, diagtest.Message) diagtest.PublishAnswer {
	return func(int64, diagtest.Message) diagtest.PublishAnswer { return a }
}

// TestRecount shows faults of messages that a run finds without being asked for them: no symptom is given, so no burst is sent.
func TestRecount(t *testing.T) {
	t.Parallel()
	everySecond := func(n int64, _ diagtest.Message) diagtest.PublishAnswer {
		if n%2 == 0 {
			return drop
		}
		return diagtest.PublishAnswer{}
	}
	firstLate := func(after time.Duration) func(int64, diagtest.Message) diagtest.PublishAnswer {
		return func(n int64, _ diagtest.Message) diagtest.PublishAnswer {
			if n == 1 {
				return diagtest.PublishAnswer{After: after}
			}
			return diagtest.PublishAnswer{}
		}
	}
	noQoS0 := func(_ int64, m diagtest.Message) diagtest.PublishAnswer {
		if m.QoS == 0 {
			return drop
		}
		return diagtest.PublishAnswer{}
	}
	noQoS2 := func(_ int64, m diagtest.Message) diagtest.PublishAnswer {
		if m.QoS == 2 {
			return drop
		}
		return diagtest.PublishAnswer{}
	}
	patient := diag.PlanInput{TimeoutS: seconds(5)}
	own := topics("plant/temp", "plant/#")
	twice, again := diagtest.PublishAnswer{Copies: 2}, diagtest.PublishAnswer{Copies: 2, Dup: true}
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "every second lost", peer: testMessages(everySecond), in: own, want: "msg.lost", variant: "single"}, everyVersion...),
		[]scenario{{name: "every second lost, and what was sent is told", peer: testMessages(everySecond), in: own, want: "msg.lost", variant: "single",
			check: func(t *testing.T, r diag.Report) {
				if n := diag.CountSent(r.Sent); n != 7 {
					t.Errorf("told of %d messages to the given topic, want 7", n)
				}
			}}},
		inVersions(scenario{name: "every second lost, no topics", peer: testMessages(everySecond), want: "msg.lost", variant: "single"}, "3.1.1", "5"),
		inVersions(scenario{name: "doubled", peer: testMessages(always(twice)), in: own, want: "msg.duplicated", variant: "own", attention: true}, everyVersion...),
		[]scenario{
			{name: "doubled, no topics", peer: testMessages(always(twice)), want: "msg.duplicated", variant: "own", attention: true},
			{name: "doubled with DUP", peer: testMessages(always(again)), in: own, want: "msg.duplicated", variant: "again", attention: true},
			{name: "doubled for overlapping filters", peer: testMessages(always(twice)), in: topics("plant/temp", "plant/#", "plant/+"), want: "msg.duplicated",
				variant: "overlap", attention: true},
			{name: "QoS 0 lost", peer: testMessages(noQoS0), in: own, want: "msg.lost", variant: "single"},
			{name: "QoS 0 lost and asked", peer: testMessages(noQoS0), in: withQoS(own, 0), want: "msg.lost", variant: "single"},
			{name: "QoS 2 lost and asked, SUBACK a while behind", peer: scripted(diagtest.Script{
				OnSubscribe: func(_ diagtest.Connect, _ string, qos byte) byte { time.Sleep(100 * time.Millisecond); return qos },
				OnPublish:   func(m diagtest.Message) diagtest.PublishAnswer { return noQoS2(0, m) },
			}), in: withQoS(own, 2), want: "msg.lost", variant: "single"},
			{name: "QoS 2 lost and asked", peer: testMessages(noQoS2), in: withQoS(own, 2), want: "msg.lost", variant: "single"},
			{name: "all late", peer: testMessages(always(diagtest.PublishAnswer{After: 1500 * time.Millisecond})), in: own, plan: patient, want: "msg.slow",
				variant: "single", attention: true},
			{name: "all later than awaited", peer: testMessages(always(diagtest.PublishAnswer{After: 2800 * time.Millisecond})), in: own, plan: patient,
				want: "msg.slow", variant: "single", attention: true},
			{name: "all late, no topics", peer: testMessages(always(diagtest.PublishAnswer{After: 2500 * time.Millisecond})), plan: patient, want: "msg.slow",
				variant: "single", attention: true},
			// The twins: what happens on healthy brokers.
			{name: "one late", peer: testMessages(firstLate(1500 * time.Millisecond)), in: own, plan: patient},
			{name: "one later than awaited", peer: testMessages(firstLate(2800 * time.Millisecond)), plan: patient},
			{name: "QoS 2 lost and not asked", peer: testMessages(noQoS2), in: own},
			{name: "ours dropped in silence, the given one works", peer: scripted(diagtest.Script{OnPublish: onTopic(drop, ours)}), in: own},
		}))
}
