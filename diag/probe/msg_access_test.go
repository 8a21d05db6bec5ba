package probe_test

import (
	"slices"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// asUser is an input with a login.
func asUser(name, password string, in diag.TargetInput) diag.TargetInput {
	in.Username, in.Password = name, diag.NewSecret(password)
	return in
}

// says demands a reason in the root cause.
func says(reason string) func(*testing.T, diag.Report) {
	return func(t *testing.T, r diag.Report) {
		if r.RootCause != nil && r.RootCause.Args["reason"] != reason {
			t.Errorf("reason %q, want %q", r.RootCause.Args["reason"], reason)
		}
	}
}

// An acl_file grants every subscription and filters what is delivered, so that only messages tell; and before MQTT 5 it takes
// every message.
func TestAccessOnMosquitto(t *testing.T) {
	t.Parallel()
	withACL := func(acl string) func(testing.TB) string {
		return real("mqtt", func(t testing.TB) *diagtest.Broker {
			return diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}, Users: map[string]string{"doctor": "x"}, ACL: acl})
		})
	}
	own := withACL("user doctor\ntopic readwrite plant/#\n")
	reads := withACL("user doctor\ntopic read plant/#\n")
	writes := withACL("user doctor\ntopic write plant/#\n")
	denies := withACL("user doctor\ntopic readwrite #\ntopic deny plant/temp\n")
	byName := withACL("pattern readwrite devices/%u/#\n")
	byID := withACL("pattern readwrite devices/%c/#\n")
	both, pub, sub := topics("plant/temp", "plant/#"), topics("plant/temp"), topics("", "plant/#")
	as := func(in diag.TargetInput, qos int) diag.TargetInput { return asUser("doctor", "x", withQoS(in, qos)) }
	withID := as(topics("devices/pump7/temp"), 1)
	withID.ClientID = "pump7"
	all := slices.Concat(
		// Before MQTT 5, and with QoS 0 in any version, only MQTT 5 can be asked.
		inVersions(scenario{name: "may only read", peer: reads, in: as(both, 1), want: "msg.publish_dropped", variant: "told", check: says("Not authorized")}, "3.1", "3.1.1"),
		inVersions(scenario{name: "may only read, QoS 0", peer: reads, in: as(both, 0), want: "msg.publish_dropped", variant: "told", check: says("Not authorized")}, "3.1.1", "5"),
		inVersions(scenario{name: "may only read, QoS 1", peer: reads, in: as(both, 1), want: "msg.publish_denied", check: says("Not authorized")}, "auto", "5"),
		inVersions(scenario{name: "may only read, publishes alone", peer: reads, in: as(pub, 1), want: "msg.publish_dropped", variant: "told", check: says("Not authorized")}, "3.1.1"),
		inVersions(scenario{name: "may only write, and listens", peer: writes, in: as(both, 1), want: "msg.publish_dropped", check: says("Success")}, "3.1.1", "5"),
		inVersions(scenario{name: "one topic denied", peer: denies, in: as(both, 1), want: "msg.publish_dropped", variant: "told", check: says("Not authorized")}, "3.1.1"),
		inVersions(scenario{name: "one topic denied", peer: denies, in: as(both, 1), want: "msg.publish_denied"}, "auto", "5"),
		inVersions(scenario{name: "another's pattern", peer: byName, in: as(topics("devices/nurse/temp", "devices/nurse/#"), 1), want: "msg.publish_dropped", variant: "told"}, "3.1.1"),
		// The pattern goes by a client id that only the asked connection has.
		inVersions(scenario{name: "own client id", peer: byID, in: withID}, "3.1.1", "5"),
	)
	for qos := range 2 {
		name := map[int]string{0: " QoS 0", 1: " QoS 1"}[qos]
		all = slices.Concat(all,
			inVersions(scenario{name: "own topics alone" + name, peer: own, in: as(both, qos)}, everyVersion...),
			inVersions(scenario{name: "may only read, and does" + name, peer: reads, in: as(sub, qos)}, everyVersion...),
			inVersions(scenario{name: "may only write, and does" + name, peer: writes, in: as(pub, qos)}, everyVersion...),
			inVersions(scenario{name: "own pattern" + name, peer: byName, in: as(topics("devices/doctor/temp", "devices/doctor/#"), qos)}, everyVersion...),
		)
	}
	runScenarios(t, all)
}

// RabbitMQ ends the connection at everything that is not allowed.
func TestAccessOnRabbitMQ(t *testing.T) {
	t.Parallel()
	peer := func(t testing.TB) string { return diagtest.RabbitMQ(t).MQTT }
	both, pub, sub := topics("plant/temp", "plant/#"), topics("plant/temp"), topics("", "plant/#")
	as := func(name string, in diag.TargetInput) diag.TargetInput { return asUser(name, name+"-password", in) }
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "own topics alone", peer: peer, in: as("limited", both)}, "auto", "3.1.1"),
		inVersions(scenario{name: "own topics alone, QoS 0, publishes alone", peer: peer, in: as("limited", withQoS(pub, 0))}, "auto", "3.1.1"),
		inVersions(scenario{name: "another's topic", peer: peer, in: as("limited", topics("office/temp")), want: "msg.publish_denied", variant: "closed"}, "auto", "3.1.1"),
		inVersions(scenario{name: "one filter of two", peer: peer, in: as("limited", topics("plant/temp", "plant/#", "office/#")), want: "msg.subscribe_denied", variant: "closed",
			check: func(t *testing.T, r diag.Report) {
				if r.RootCause != nil && r.RootCause.Args["names"] != "office/#" {
					t.Errorf("denied: %s", r.RootCause.Args["names"])
				}
			}}, "auto", "3.1.1"),
		inVersions(scenario{name: "may only read, and does", peer: peer, in: as("reader", sub)}, "auto", "3.1.1"),
		inVersions(scenario{name: "may only read", peer: peer, in: as("reader", both), want: "msg.publish_denied", variant: "closed"}, "auto", "3.1.1"),
		inVersions(scenario{name: "may only write, and does", peer: peer, in: as("writer", pub)}, "auto", "3.1.1"),
		inVersions(scenario{name: "may only write", peer: peer, in: as("writer", both), want: "msg.subscribe_denied", variant: "closed"}, "auto", "3.1.1"),
		inVersions(scenario{name: "no topics", peer: peer, in: as("limited", diag.TargetInput{}), info: []diag.Code{"msg.publish_denied"}}, "auto", "3.1.1"),
	))
}

// NATS declines subscriptions and drops messages silently, and has no MQTT 5 to ask.
func TestAccessOnNATS(t *testing.T) {
	t.Parallel()
	broker := diagtest.LimitedNATS(t)
	peer := func(testing.TB) string { return broker.MQTT }
	both, pub, sub := topics("plant/temp", "plant/#"), topics("plant/temp"), topics("", "plant/#")
	as := func(name string, in diag.TargetInput) diag.TargetInput { return asUser(name, name+"-password", in) }
	for _, s := range []scenario{
		{name: "own topics alone", in: as("doctor", both)},
		{name: "own topics alone, publishes alone", in: as("doctor", withQoS(pub, 0))},
		{name: "another's filter", in: as("doctor", topics("", "office/#")), want: "msg.subscribe_denied"},
		{name: "may only read, and does", in: as("reader", sub)},
		{name: "may only read", in: as("reader", both), want: "msg.publish_dropped"},
		{name: "may only read, publishes alone", in: as("reader", pub), info: []diag.Code{"msg.publish_dropped"}},
		{name: "may only write, and does", in: as("writer", pub)},
		{name: "may only write", in: as("writer", both), want: "msg.subscribe_denied"},
	} {
		s.peer, s.in.Protocol = peer, "3.1.1"
		t.Run(s.name, s.run)
	}
}

// What other brokers do: MQTT 5 clients get a word, older ones none.
func TestAccessByVersion(t *testing.T) {
	t.Parallel()
	both, pub := topics("plant/temp", "plant/#"), topics("plant/temp")
	byVersion := func(v5 diagtest.PublishAnswer, bad func(string) bool) func(testing.TB) string {
		return scripted(diagtest.Script{OnPublish: func(m diagtest.Message) diagtest.PublishAnswer {
			switch {
			case !bad(m.Topic):
				return diagtest.PublishAnswer{}
			case m.From.Level == 5 && m.QoS > 0:
				return v5
			}
			return diagtest.PublishAnswer{Action: diagtest.Drop}
		}})
	}
	refuses := diagtest.PublishAnswer{Action: diagtest.Refuse, Code: 0x87}
	says87 := diagtest.PublishAnswer{Action: diagtest.Close, Code: 0x87}
	closes := diagtest.PublishAnswer{Action: diagtest.Close}
	drop := diagtest.PublishAnswer{Action: diagtest.Drop}
	brief := diag.PlanInput{TimeoutS: seconds(1)}
	onlyOld := func(t testing.TB) string {
		return scripted(diagtest.Script{OnConnect: diagtest.OnlyLevels(3, 4), OnPublish: onTopic(drop, not(ours))})(t)
	}
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "PUBACK in MQTT 5", peer: byVersion(refuses, not(ours)), in: both, plan: brief, want: "msg.publish_dropped", variant: "told", check: says("Not authorized")}, "3.1", "3.1.1"),
		inVersions(scenario{name: "DISCONNECT in MQTT 5", peer: byVersion(says87, not(ours)), in: both, plan: brief, want: "msg.publish_dropped", variant: "told"}, "3.1.1"),
		inVersions(scenario{name: "a close in MQTT 5", peer: byVersion(closes, not(ours)), in: both, plan: brief, want: "msg.publish_dropped", variant: "told"}, "3.1.1"),
		inVersions(scenario{name: "all denied", peer: byVersion(refuses, everything), in: both, plan: brief, want: "msg.publish_dropped", variant: "told"}, "3.1.1"),
		inVersions(scenario{name: "QoS 0 in MQTT 5", peer: byVersion(refuses, not(ours)), in: withQoS(both, 0), plan: brief, want: "msg.publish_dropped", variant: "told"}, "auto", "5"),
		inVersions(scenario{name: "publishes alone", peer: byVersion(refuses, not(ours)), in: pub, plan: brief, want: "msg.publish_dropped", variant: "told"}, "3.1.1"),
		// Silent in every version: nothing tells a rule from a broker that delivers nothing.
		inVersions(scenario{name: "silent in all", peer: scripted(diagtest.Script{OnPublish: onTopic(drop, everything)}), in: both, plan: brief, want: "msg.not_routed", readings: []diag.Code{"msg.publish_dropped"}}, "3.1.1"),
		inVersions(scenario{name: "no MQTT 5, publishes alone", peer: onlyOld, in: pub, plan: brief, info: []diag.Code{"msg.publish_dropped"}}, "auto", "3.1.1"),
		inVersions(scenario{name: "allowed", peer: scripted(diagtest.Script{}), in: pub}, everyVersion...),
		inVersions(scenario{name: "allowed, ours denied", peer: byVersion(refuses, ours), in: pub}, everyVersion...),
		inVersions(scenario{name: "allowed with QoS 0, ours denied", peer: byVersion(refuses, ours), in: withQoS(pub, 0)}, everyVersion...),
	))
}
