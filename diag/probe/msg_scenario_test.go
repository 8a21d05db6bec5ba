package probe_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	v5 "github.com/eclipse/paho.golang/packets"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// topics is an input that names topics.
func topics(publish string, subscribe ...string) diag.TargetInput {
	return diag.TargetInput{Topics: diag.TopicsInput{Publish: publish, Subscribe: subscribe}}
}

func withQoS(in diag.TargetInput, qos int) diag.TargetInput {
	in.Topics.QoS = &qos
	return in
}

// ours tells topics and filters of a run's own.
func ours(topic string) bool { return strings.HasPrefix(topic, "mqttdoctor/") }

func denySubscribe(code byte, bad func(string) bool) func(diagtest.Connect, string, byte) byte {
	return func(_ diagtest.Connect, filter string, qos byte) byte {
		if bad(filter) {
			return code
		}
		return qos
	}
}

func onTopic(answer diagtest.PublishAnswer, bad func(string) bool) func(diagtest.Message) diagtest.PublishAnswer {
	return func(m diagtest.Message) diagtest.PublishAnswer {
		if bad(m.Topic) {
			return answer
		}
		return diagtest.PublishAnswer{}
	}
}

func not(f func(string) bool) func(string) bool { return func(s string) bool { return !f(s) } }
func everything(string) bool                    { return true }

func TestFilterMismatch(t *testing.T) {
	t.Parallel()
	healthy := scripted(diagtest.Script{})
	var all []scenario
	for _, c := range []struct{ name, topic, filter, variant string }{
		{"case", "plant/Line1/temp", "plant/line1/temp", "case"},
		{"leading slash", "/plant/temp", "plant/temp", "leading_slash"},
		{"leading slash in the filter", "plant/temp", "/plant/temp", "leading_slash"},
		{"trailing slash", "plant/temp/", "plant/temp", "trailing_slash"},
		{"too few", "plant", "plant/+/temp", "topic_too_short"},
		{"too many", "plant/line1/temp/raw", "plant/+/temp", "topic_too_long"},
		{"level", "plant/line1/temp", "plant/line2/temp", "level"},
		{"invisible", "plant/line1\u200b/temp", "plant/line1/temp", "invisible"},
		{"blank", "plant/line1 /temp", "plant/line1/temp", "invisible"},
		{"dollar", "$plant/temp", "#", "dollar"},
	} {
		all = append(all, scenario{name: c.name, peer: healthy, in: topics(c.topic, c.filter), want: "msg.filter_mismatch", variant: c.variant})
	}
	for _, c := range []struct{ topic, filter string }{
		{"plant/temp", "plant/temp"}, {"plant/temp", "plant/+"}, {"plant/temp", "#"}, {"plant", "plant/#"}, {"plant/temp", "$share/g/plant/+"},
		{"/", "/"}, {"$plant/x", "$plant/#"},
	} {
		all = append(all, scenario{name: "match " + strings.ReplaceAll(c.topic+" "+c.filter, "/", "_"), peer: healthy, in: topics(c.topic, c.filter)})
	}
	all = append(all,
		scenario{name: "one of two matches", peer: healthy, in: topics("plant/temp", "office/temp", "plant/#")},
		scenario{name: "none of two matches", peer: healthy, in: topics("plant/temp", "office/temp", "plant/hum"), want: "msg.filter_mismatch", variant: "level"},
		scenario{name: "mismatch and no connection", peer: scripted(diagtest.Script{OnConnect: diagtest.OnlyUser("a", "b")}), in: topics("plant/temp", "office/temp"),
			want: "mqtt.auth_required", check: nil},
	)
	all = all[:len(all)-1]
	runScenarios(t, all)
}

func TestSubscribeDenied(t *testing.T) {
	t.Parallel()
	own := topics("plant/temp", "plant/#")
	byAction := func(code byte) func(testing.TB) string {
		return scripted(diagtest.Script{OnSubscribe: denySubscribe(code, not(ours))})
	}
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "by code", peer: byAction(0x80), in: own, want: "msg.subscribe_denied"}, everyVersion...),
		inVersions(scenario{name: "not authorized", peer: byAction(0x87), in: own, want: "msg.subscribe_denied"}, everyVersion...),
		inVersions(scenario{name: "invalid filter", peer: byAction(0x8F), in: own, want: "msg.subscribe_denied"}, "auto", "5"),
		inVersions(scenario{name: "one of two", peer: scripted(diagtest.Script{OnSubscribe: denySubscribe(0x87, func(f string) bool { return f == "#" })}),
			in: topics("plant/temp", "plant/temp", "#"), want: "msg.subscribe_denied"}, everyVersion...),
		inVersions(scenario{name: "granted", peer: scripted(diagtest.Script{}), in: own}, everyVersion...),
		// Only our own topic is denied, or granted at a lower QoS: no fault.
		inVersions(scenario{name: "scratch denied, own granted", peer: scripted(diagtest.Script{OnSubscribe: denySubscribe(0x87, ours)}), in: own}, everyVersion...),
		inVersions(scenario{name: "scratch denied, no topics", peer: scripted(diagtest.Script{OnSubscribe: denySubscribe(0x87, ours)}),
			info: []diag.Code{"msg.publish_denied"}}, everyVersion...),
		inVersions(scenario{name: "everything of ours denied, own granted", peer: scripted(diagtest.Script{OnSubscribe: denySubscribe(0x87, ours),
			OnPublish: onTopic(diagtest.PublishAnswer{Action: diagtest.Close, Code: 0x87}, ours)}), in: own}, everyVersion...),
	))
}

// disconnecting is a broker that answers a SUBSCRIBE for what is not ours with the end of the session, in MQTT 5 with a reason.
func disconnecting(code byte, bad func(string) bool) func(testing.TB) string {
	return func(t testing.TB) string {
		var b *diagtest.ScriptedPeer
		ready := make(chan struct{})
		b = diagtest.ScriptedBroker(t, diagtest.Script{OnSubscribe: func(_ diagtest.Connect, filter string, qos byte) byte {
			<-ready
			if bad(filter) {
				b.Disconnect(code)
			}
			return qos
		}})
		close(ready)
		return b.Target()
	}
}

func TestSubscribeEndsTheConnection(t *testing.T) {
	t.Parallel()
	isFilter := func(f string) bool { return f == "plant/#" }
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "DISCONNECT", peer: disconnecting(0x87, isFilter), in: topics("", "plant/#"), want: "msg.subscribe_denied"}, "auto", "5"),
		inVersions(scenario{name: "closed", peer: disconnecting(0, isFilter), in: topics("", "plant/#"), want: "msg.subscribe_denied", variant: "closed"}, everyVersion...),
		inVersions(scenario{name: "closed, and a topic to publish", peer: disconnecting(0, isFilter), in: topics("plant/temp", "plant/#"),
			want: "msg.subscribe_denied", variant: "closed"}, everyVersion...),
		inVersions(scenario{name: "ours closed, own granted", peer: disconnectingOne(ours), in: topics("plant/temp", "plant/#")}, everyVersion...),
	))
}

// disconnectingOne resets the client that subscribes to what it may not, and no other.
func disconnectingOne(bad func(string) bool) func(testing.TB) string {
	return func(t testing.TB) string {
		return diagtest.Mochi(t, diagtest.MochiOptions{Allow: func(_, topic string, _ bool) bool { return !bad(topic) }}).MQTT
	}
}

func TestUnavailableByConnack(t *testing.T) {
	t.Parallel()
	no := byte(0)
	none := scripted(diagtest.Script{Properties: func(p *v5.Properties) { p.WildcardSubAvailable, p.SharedSubAvailable = &no, &no }})
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "wildcard", peer: none, in: topics("plant/temp", "plant/#"), want: "msg.subscribe_denied", variant: "unavailable"}, "auto", "5"),
		inVersions(scenario{name: "shared", peer: none, in: topics("plant/temp", "$share/g/plant/temp"), want: "msg.subscribe_denied", variant: "unavailable"}, "auto", "5"),
		inVersions(scenario{name: "neither used", peer: none, in: topics("plant/temp", "plant/temp")}, everyVersion...),
	))
}

func TestPublishDenied(t *testing.T) {
	t.Parallel()
	own := topics("plant/temp", "plant/#")
	answers := func(a diagtest.PublishAnswer) func(testing.TB) string {
		return scripted(diagtest.Script{OnPublish: onTopic(a, not(ours))})
	}
	closes := diagtest.PublishAnswer{Action: diagtest.Close}
	says := diagtest.PublishAnswer{Action: diagtest.Close, Code: 0x87}
	refuses := diagtest.PublishAnswer{Action: diagtest.Refuse, Code: 0x87}
	cuts := diagtest.PublishAnswer{Action: diagtest.Cut}
	var all []scenario
	for qos := range 3 {
		q := string(rune('0' + qos))
		in := withQoS(own, qos)
		noSub := withQoS(topics("plant/temp"), qos)
		all = append(all, inVersions(scenario{name: "closed at QoS " + q, peer: answers(closes), in: in, want: "msg.publish_denied", variant: "closed"}, everyVersion...)...)
		all = append(all, inVersions(scenario{name: "reset at QoS " + q, peer: answers(cuts), in: in, want: "msg.publish_denied", variant: "closed"}, "auto", "3.1.1")...)
		all = append(all, inVersions(scenario{name: "DISCONNECT at QoS " + q, peer: answers(says), in: in, want: "msg.publish_denied"}, "auto", "5")...)
		all = append(all, inVersions(scenario{name: "closed without subscription at QoS " + q, peer: answers(closes), in: noSub, want: "msg.publish_denied", variant: "closed"}, everyVersion...)...)
		all = append(all, inVersions(scenario{name: "granted at QoS " + q, peer: scripted(diagtest.Script{}), in: in}, everyVersion...)...)
		all = append(all, inVersions(scenario{name: "granted without subscription at QoS " + q, peer: scripted(diagtest.Script{}), in: noSub}, everyVersion...)...)
		// What is denied is ours alone.
		all = append(all, inVersions(scenario{name: "scratch closed, own granted at QoS " + q, peer: scripted(diagtest.Script{OnPublish: onTopic(closes, ours)}), in: in}, everyVersion...)...)
		if qos > 0 {
			all = append(all, inVersions(scenario{name: "refused at QoS " + q, peer: answers(refuses), in: in, want: "msg.publish_denied"}, "auto", "5")...)
			all = append(all, inVersions(scenario{name: "scratch refused, own granted at QoS " + q, peer: scripted(diagtest.Script{OnPublish: onTopic(refuses, ours)}), in: in}, "auto", "5")...)
		}
	}
	all = append(all, inVersions(scenario{name: "scratch closed, no topics", peer: scripted(diagtest.Script{OnPublish: onTopic(closes, ours)}),
		info: []diag.Code{"msg.publish_denied"}}, everyVersion...)...)
	runScenarios(t, all)
}

func TestPublishDropped(t *testing.T) {
	t.Parallel()
	drop := diagtest.PublishAnswer{Action: diagtest.Drop}
	own := topics("plant/temp", "plant/#")
	var all []scenario
	for qos := range 3 {
		q := string(rune('0' + qos))
		in := withQoS(own, qos)
		brief := diag.PlanInput{TimeoutS: seconds(1)}
		all = append(all, inVersions(scenario{name: "dropped at QoS " + q, peer: scripted(diagtest.Script{OnPublish: onTopic(drop, not(ours))}), plan: brief,
			in: in, want: "msg.publish_dropped"}, everyVersion...)...)
		all = append(all, inVersions(scenario{name: "scratch dropped, own delivered at QoS " + q, peer: scripted(diagtest.Script{OnPublish: onTopic(drop, ours)}), plan: brief,
			in: in}, everyVersion...)...)
		all = append(all, inVersions(scenario{name: "all dropped at QoS " + q, peer: scripted(diagtest.Script{OnPublish: onTopic(drop, everything)}), plan: brief,
			in: in, want: "msg.not_routed", readings: []diag.Code{"msg.publish_dropped"}}, everyVersion...)...)
	}
	brief := diag.PlanInput{TimeoutS: seconds(1)}
	slow := func(m diagtest.Message) diagtest.PublishAnswer {
		time.Sleep(1500 * time.Millisecond)
		return diagtest.PublishAnswer{}
	}
	all = slices.Concat(all,
		inVersions(scenario{name: "scratch dropped, no topics", peer: scripted(diagtest.Script{OnPublish: onTopic(drop, ours)}), plan: brief,
			info: []diag.Code{"msg.publish_dropped"}}, everyVersion...),
		inVersions(scenario{name: "scratch refused, own dropped", peer: scripted(diagtest.Script{OnSubscribe: denySubscribe(0x87, ours), OnPublish: onTopic(drop, not(ours))}),
			plan: brief, in: own, want: "msg.publish_dropped"}, everyVersion...),
		inVersions(scenario{name: "slow", peer: scripted(diagtest.Script{OnPublish: slow}), in: own, plan: diag.PlanInput{TimeoutS: seconds(5)},
			want: "msg.slow", variant: "*", attention: true}, "auto", "3.1.1"),
		inVersions(scenario{name: "published elsewhere", peer: scripted(diagtest.Script{OnPublish: onTopic(drop, not(ours))}), in: topics("plant/temp"), plan: brief}, "auto", "3.1.1"),
	)
	runScenarios(t, all)
}

func TestQoSDowngraded(t *testing.T) {
	t.Parallel()
	zero, one := byte(0), byte(1)
	own := topics("plant/temp", "plant/#")
	at := func(max byte) func(diagtest.Connect, string, byte) byte {
		return func(_ diagtest.Connect, filter string, qos byte) byte { return min(qos, max) }
	}
	delivers := func(max byte) func(diagtest.Message) diagtest.PublishAnswer {
		return func(diagtest.Message) diagtest.PublishAnswer { return diagtest.PublishAnswer{DeliverQoS: &max} }
	}
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "granted 0 of 1", peer: scripted(diagtest.Script{OnSubscribe: at(0)}), in: own, want: "msg.qos_downgraded", variant: "granted", attention: true}, everyVersion...),
		inVersions(scenario{name: "granted 1 of 2", peer: scripted(diagtest.Script{OnSubscribe: at(1)}), in: withQoS(own, 2), want: "msg.qos_downgraded", variant: "granted", attention: true}, everyVersion...),
		inVersions(scenario{name: "delivered 0 of 1", peer: scripted(diagtest.Script{OnPublish: delivers(0)}), in: own, want: "msg.qos_downgraded", variant: "delivered", attention: true}, everyVersion...),
		inVersions(scenario{name: "delivered 1 of 2", peer: scripted(diagtest.Script{OnPublish: delivers(1)}), in: withQoS(own, 2), want: "msg.qos_downgraded", variant: "delivered", attention: true}, everyVersion...),
		inVersions(scenario{name: "maximum 1 of 2", peer: scripted(diagtest.Script{MaxQoS: &one}), in: withQoS(own, 2), want: "msg.qos_downgraded", variant: "*", attention: true}, everyVersion...),
		inVersions(scenario{name: "maximum 0 of 1", peer: scripted(diagtest.Script{MaxQoS: &zero}), in: own, want: "msg.qos_downgraded", variant: "*", attention: true}, everyVersion...),
		inVersions(scenario{name: "maximum 1 of 1", peer: scripted(diagtest.Script{MaxQoS: &one}), in: own}, everyVersion...),
		inVersions(scenario{name: "granted 1 of 1", peer: scripted(diagtest.Script{OnSubscribe: at(1)}), in: own}, everyVersion...),
		inVersions(scenario{name: "delivered 0 of 0", peer: scripted(diagtest.Script{OnPublish: delivers(0)}), in: withQoS(own, 0)}, everyVersion...),
		// QoS 1 is our choice where no topic is named: a broker that has QoS 0 alone is in order.
		inVersions(scenario{name: "maximum 0, nothing asked", peer: scripted(diagtest.Script{MaxQoS: &zero}), info: []diag.Code{"msg.qos_downgraded"}}, everyVersion...),
		inVersions(scenario{name: "maximum 1 of 2, no topics", peer: scripted(diagtest.Script{MaxQoS: &one}), in: withQoS(diag.TargetInput{}, 2), want: "msg.qos_downgraded", variant: "*", attention: true}, everyVersion...),
		inVersions(scenario{name: "maximum 0 without topics", peer: scripted(diagtest.Script{MaxQoS: &zero}), in: withQoS(diag.TargetInput{}, 0)}, everyVersion...),
	))
}
