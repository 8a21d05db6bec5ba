package probe_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	v5 "github.com/eclipse/paho.golang/packets"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// withRetain does something about messages with the retain flag.
func withRetain(a diagtest.PublishAnswer) func(diagtest.Message) diagtest.PublishAnswer {
	return func(m diagtest.Message) diagtest.PublishAnswer {
		if m.Retain {
			return a
		}
		return diagtest.PublishAnswer{}
	}
}

// untouched demands that no retained message of ours stays, and those of others do.
func untouched(t *testing.T, b *diagtest.ScriptedPeer, others ...string) {
	t.Helper()
	left := b.Retained()
	for topic := range left {
		if strings.HasPrefix(topic, "mqttdoctor/") {
			t.Errorf("left behind: a retained message on %s", topic)
		}
	}
	for _, topic := range others {
		if _, there := left[topic]; !there {
			t.Errorf("the retained message on %s is gone", topic)
		}
	}
}

func TestRetained(t *testing.T) {
	t.Parallel()
	plan := diag.PlanInput{Symptom: "not_receiving", Exclude: []string{"msg.burst"}, TimeoutS: seconds(1)}
	deep := diag.PlanInput{Depth: "deep", Exclude: []string{"msg.burst"}, TimeoutS: seconds(1)}
	refuses := func(code byte) func(testing.TB) string {
		return scripted(diagtest.Script{OnPublish: withRetain(diagtest.PublishAnswer{Action: diagtest.Refuse, Code: code})})
	}
	closes := scripted(diagtest.Script{OnPublish: withRetain(diagtest.PublishAnswer{Action: diagtest.Close})})
	// A broker that ends a connection now and then must not be taken for one that declines retained messages.
	byChance := func(t testing.TB) string {
		var before atomic.Bool
		return scripted(diagtest.Script{OnPublish: func(m diagtest.Message) diagtest.PublishAnswer {
			if m.Retain && !before.Swap(true) {
				return diagtest.PublishAnswer{Action: diagtest.Close}
			}
			return diagtest.PublishAnswer{}
		}})(t)
	}
	says := scripted(diagtest.Script{OnPublish: withRetain(diagtest.PublishAnswer{Action: diagtest.Close, Code: 0x9A})})
	forgets := scripted(diagtest.Script{NoRetain: true})
	exact := scripted(diagtest.Script{RetainExactOnly: true})
	one := byte(1)
	rabbit := scripted(diagtest.Script{RetainExactOnly: true, MaxQoS: &one})
	no := byte(0)
	announces := scripted(diagtest.Script{Properties: func(p *v5.Properties) { p.RetainAvailable = &no }})
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "kept", peer: scripted(diagtest.Script{}), plan: plan}, everyVersion...),
		inVersions(scenario{name: "kept, and a connection ended by chance", peer: byChance, plan: plan}, everyVersion...),
		inVersions(scenario{name: "kept, deep", peer: scripted(diagtest.Script{}), plan: deep}, "auto"),
		inVersions(scenario{name: "refused", peer: refuses(0x9A), plan: plan, want: "msg.retain_unavailable", variant: "refused", attention: true}, "auto", "5"),
		inVersions(scenario{name: "not authorized", peer: refuses(0x87), plan: plan, want: "msg.retain_unavailable", variant: "refused", attention: true}, "5"),
		inVersions(scenario{name: "closed", peer: closes, plan: plan, want: "msg.retain_unavailable", variant: "closed", attention: true}, everyVersion...),
		inVersions(scenario{name: "closed, deep", peer: closes, plan: deep, want: "msg.retain_unavailable", variant: "closed", attention: true}, "3.1.1"),
		inVersions(scenario{name: "DISCONNECT", peer: says, plan: plan, want: "msg.retain_unavailable", variant: "refused", attention: true}, "auto", "5"),
		inVersions(scenario{name: "not kept", peer: forgets, plan: plan, want: "msg.retain_unavailable", variant: "not_kept", attention: true}, everyVersion...),
		inVersions(scenario{name: "announced", peer: announces, plan: plan, want: "msg.retain_unavailable", variant: "announced", attention: true}, "auto", "5"),
		// Nobody was seen to need it.
		inVersions(scenario{name: "announced, and a checkup", peer: announces, info: []diag.Code{"msg.retain_unavailable"}}, "auto", "5"),
		inVersions(scenario{name: "closed, and a checkup", peer: closes}, everyVersion...),
		inVersions(scenario{name: "exact only", peer: exact, plan: plan, want: "msg.retained_wildcard", attention: true}, everyVersion...),
		inVersions(scenario{name: "exact only, deep", peer: exact, plan: deep, want: "msg.retained_wildcard", attention: true}, "auto"),
		inVersions(scenario{name: "exact only, own wildcard", peer: exact, in: topics("plant/temp", "plant/+"), plan: plan, want: "msg.retained_wildcard", attention: true}, "auto", "3.1.1"),
		inVersions(scenario{name: "exact only, no own wildcard", peer: exact, in: topics("plant/temp", "plant/temp"), plan: plan, info: []diag.Code{"msg.retained_wildcard"}}, "auto", "3.1.1"),
		// The documented limit of brokers without QoS 2, and the complaint that it explains.
		inVersions(scenario{name: "documented", peer: rabbit, plan: plan, info: []diag.Code{"msg.retained_wildcard"}}, "auto", "3.1.1"),
		inVersions(scenario{name: "documented, deep", peer: rabbit, in: topics("plant/temp", "plant/+"), plan: deep, info: []diag.Code{"msg.retained_wildcard"}}, "3.1.1"),
		inVersions(scenario{name: "documented, and complained of", peer: rabbit, in: topics("plant/temp", "plant/+"), plan: plan, want: "msg.retained_wildcard", attention: true}, "auto", "3.1.1"),
		// Wildcards are denied, or the connection ends at one: it says nothing of retained messages.
		inVersions(scenario{name: "wildcards denied", peer: scripted(diagtest.Script{OnSubscribe: denySubscribe(0xA2, func(f string) bool { return strings.ContainsAny(f, "+#") })}), plan: plan}, "auto", "3.1.1"),
		inVersions(scenario{name: "scratch denied", peer: scripted(diagtest.Script{OnSubscribe: denySubscribe(0x87, ours), OnPublish: onTopic(diagtest.PublishAnswer{Action: diagtest.Close}, ours)}),
			in: topics("plant/temp", "plant/#"), plan: plan}, "auto", "3.1.1"),
		[]scenario{
			{name: "retain_available false", peer: real("mqtt", mosquittoWith("retain_available false")), plan: plan, in: diag.TargetInput{Protocol: "3.1.1"}, want: "msg.retain_unavailable", variant: "closed", attention: true},
			{name: "retain_available false, MQTT 5", peer: real("mqtt", mosquittoWith("retain_available false")), plan: plan, want: "msg.retain_unavailable", variant: "announced", attention: true},
		},
	))
}

// mosquittoWith is a mosquitto with a line of configuration, over TCP and WebSocket.
func mosquittoWith(lines ...string) func(testing.TB) *diagtest.Broker {
	return func(t testing.TB) *diagtest.Broker {
		return diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt", "ws"}, Global: lines})
	}
}

func TestStaleRetained(t *testing.T) {
	t.Parallel()
	holding := func(topics ...string) func(testing.TB) string {
		return func(t testing.TB) string {
			b := diagtest.ScriptedBroker(t, diagtest.Script{})
			for _, topic := range topics {
				b.Retain(topic, []byte("seven b"))
			}
			t.Cleanup(func() { untouched(t.(*testing.T), b, topics...) })
			return b.Target()
		}
	}
	stale := []diag.Code{"msg.stale_retained"}
	says := func(topic, count string) func(*testing.T, diag.Report) {
		return func(t *testing.T, r diag.Report) {
			for _, f := range r.Findings {
				if f.Code == "msg.stale_retained" && f.Args["topic"] == topic && f.Args["count"] == count && f.Args["length"] == "7" {
					return
				}
			}
			t.Errorf("not said: %s retained, one of 7 bytes on %s", count, topic)
		}
	}
	none := func(t *testing.T, r diag.Report) {
		if slices.ContainsFunc(r.Findings, func(f diag.Finding) bool { return f.Code == "msg.stale_retained" }) {
			t.Error("concludes msg.stale_retained")
		}
	}
	receiving := diag.PlanInput{Symptom: "not_receiving", Exclude: []string{"msg.burst"}}
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "by name", peer: holding("plant/temp"), in: topics("plant/temp", "plant/temp"), info: stale, check: says("plant/temp", "1")}, everyVersion...),
		inVersions(scenario{name: "by wildcard", peer: holding("plant/old", "plant/older"), in: topics("plant/temp", "plant/#"), info: stale}, "auto", "3.1.1"),
		inVersions(scenario{name: "of overlapping filters", peer: holding("plant/old"), in: topics("plant/temp", "plant/#", "plant/+"), info: stale, check: says("plant/old", "1")}, "auto", "3.1.1"),
		inVersions(scenario{name: "on the publish topic alone", peer: holding("plant/temp"), in: topics("plant/temp"), plan: receiving, info: stale, check: says("plant/temp", "1")}, "auto", "3.1.1"),
		inVersions(scenario{name: "elsewhere", peer: holding("office/temp"), in: topics("plant/temp", "plant/#"), plan: receiving, check: none}, "auto", "3.1.1"),
		inVersions(scenario{name: "none", peer: scripted(diagtest.Script{}), in: topics("plant/temp", "plant/#"), plan: receiving, check: none}, everyVersion...),
	))
}

// Whatever happens to a run, none of its retained messages stays.
func TestRetainedLeavesNothing(t *testing.T) {
	t.Parallel()
	plan := diag.PlanInput{Symptom: "not_receiving", Exclude: []string{"msg.burst"}, TimeoutS: seconds(5)}
	t.Run("canceled", func(t *testing.T) {
		t.Parallel()
		for _, at := range []string{"/retained", "/plus/here", "/down/here"} {
			reached := make(chan struct{}, 8)
			b := diagtest.ScriptedBroker(t, diagtest.Script{OnPublish: func(m diagtest.Message) diagtest.PublishAnswer {
				if m.Retain && strings.HasSuffix(m.Topic, at) && len(m.Payload) > 0 {
					reached <- struct{}{}
				}
				return diagtest.PublishAnswer{}
			}})
			diagnoseUntil(t, reached, diag.TargetInput{URL: b.Target()}, plan)
			untouched(t, b)
		}
	})
	t.Run("connections lost", func(t *testing.T) {
		t.Parallel()
		var b *diagtest.ScriptedPeer
		ready := make(chan struct{})
		b = diagtest.ScriptedBroker(t, diagtest.Script{OnSubscribe: func(_ diagtest.Connect, filter string, qos byte) byte {
			<-ready
			if strings.HasSuffix(filter, "/plus/+") {
				b.Disconnect(0)
			}
			return qos
		}})
		close(ready)
		diagnose(t, diag.TargetInput{URL: b.Target()}, plan, nil)
		if !slices.ContainsFunc(b.Messages(), func(m diagtest.Message) bool { return m.Retain && len(m.Payload) > 0 }) {
			t.Error("nothing was retained")
		}
		untouched(t, b)
	})
}
