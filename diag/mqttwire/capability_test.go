package mqttwire

import (
	"slices"
	"testing"

	v5 "github.com/eclipse/paho.golang/packets"

	"mqttdoctor/diag/diagtest"
)

// A topic alias stands for the topic from its second message on, and a message tells which subscription it came by.
func TestTopicAliasAndSubscriptionIdentifier(t *testing.T) {
	t.Parallel()
	for _, b := range []*diagtest.Broker{diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}}), diagtest.Mochi(t, diagtest.MochiOptions{})} {
		o := options(V5, "alias")
		o.RequestResponseInfo = true
		s := connected(t, b.MQTT, o)
		if granted, failure := s.Subscribe(testContext(t), []Subscription{{Filter: "a/b", QoS: 1, ID: 77}}); failure != nil || granted.Codes[0] != 1 {
			t.Fatalf("%s: %v, %v", b.Name, granted, failure)
		}
		alias, topics := uint16(0), []string{"a/b", "a/b"}
		if s.Connack().TopicAliasMaximum != nil { // mochi offers none
			alias, topics[1] = 1, ""
		}
		for _, topic := range topics {
			if got, failure := s.Publish(testContext(t), Message{Topic: topic, Payload: []byte("x"), QoS: 1, TopicAlias: alias}); failure != nil || got.Code >= 0x80 {
				t.Fatalf("%s: topic %q: %+v, %v", b.Name, topic, got, failure)
			}
			if m := take(t, s); m.Topic != "a/b" || !slices.Contains(m.SubscriptionIDs, 77) {
				t.Errorf("%s: topic %q: arrived as %+v", b.Name, topic, m)
			}
		}
		if _, failure := s.Publish(testContext(t), Message{Topic: "a/b", QoS: 1, TopicAlias: 65535}); failure == nil || failure.Kind != FailLimit {
			if highest := s.Connack().TopicAliasMaximum; highest == nil || *highest < 65535 {
				t.Errorf("%s: an alias above the maximum: %v", b.Name, failure)
			}
		}
	}
}

// What the CONNACK does not offer is not sent.
func TestCapabilitiesThatAreNotOffered(t *testing.T) {
	t.Parallel()
	no := byte(0)
	b := diagtest.ScriptedBroker(t, diagtest.Script{Properties: func(p *v5.Properties) { p.SubIDAvailable = &no }})
	s := connected(t, b.Target(), options(V5, "none"))
	if _, failure := s.Subscribe(testContext(t), []Subscription{{Filter: "a", ID: 1}}); failure == nil || failure.Kind != FailLimit {
		t.Errorf("a subscription identifier: %v", failure)
	}
	if _, failure := s.Publish(testContext(t), Message{Topic: "a", QoS: 1, TopicAlias: 1}); failure == nil || failure.Kind != FailLimit {
		t.Errorf("a topic alias: %v", failure)
	}
	for _, v := range []Version{V31, V311} {
		s := connected(t, b.Target(), options(v, "old"))
		if _, failure := s.Publish(testContext(t), Message{QoS: 1, TopicAlias: 1}); failure == nil || failure.Kind != FailInvalid {
			t.Errorf("MQTT %s: a message without a topic: %v", v, failure)
		}
	}
}
