package probe_test

import (
	"slices"
	"strings"
	"testing"

	v5 "github.com/eclipse/paho.golang/packets"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// capabilitiesOf is the run's table of what the broker offers.
func capabilitiesOf(t *testing.T, r diag.Report) *diag.Capabilities {
	t.Helper()
	for _, s := range r.Steps {
		if o, ok := s.Observation.(*diag.Capabilities); ok {
			return o
		}
	}
	t.Error("the run has no table of capabilities")
	return &diag.Capabilities{}
}

// row is what a row must be: announced, measured and note, with | between.
type rowWanted map[diag.CapabilityName]string

func hasRows(want rowWanted) func(*testing.T, diag.Report) {
	return func(t *testing.T, r diag.Report) {
		c := capabilitiesOf(t, r)
		for name, value := range want {
			row := c.Row(name)
			if row == nil {
				t.Errorf("no row %s", name)
				continue
			}
			if got := row.Announced + "|" + row.Measured + "|" + string(row.Note); got != value {
				t.Errorf("%s: %s, want %s", name, got, value)
			}
		}
	}
}

func isWildcard(f string) bool { return strings.ContainsAny(f, "+#") }
func isShared(f string) bool   { return strings.HasPrefix(f, "$share/") }

func TestCapabilities(t *testing.T) {
	t.Parallel()
	deep := diag.PlanInput{Depth: "deep", Exclude: []string{"msg.burst"}, TimeoutS: seconds(1)}
	limits := scripted(diagtest.Script{
		OnConnect: func(c diagtest.Connect) diagtest.ConnectAnswer {
			if len(c.ClientID) > 128 {
				return diagtest.RefuseConnect(2, 0x85)
			}
			if c.ClientID == "" {
				return diagtest.RefuseConnect(2, 0x85)
			}
			return diagtest.ConnectAnswer{}
		},
		OnPublish: func(m diagtest.Message) diagtest.PublishAnswer {
			if len(m.Topic) > 1000 || strings.Count(m.Topic, "/") > 7 { // as at AWS
				return diagtest.PublishAnswer{Action: diagtest.Close}
			}
			return diagtest.PublishAnswer{}
		},
		Properties: func(p *v5.Properties) {
			maximum, size, expiry := uint16(20), uint32(1<<20), uint32(3600)
			p.ReceiveMaximum, p.MaximumPacketSize = &maximum, &size
			if p.SessionExpiryInterval == nil {
				p.SessionExpiryInterval = &expiry
			}
		},
	})
	runScenarios(t, slices.Concat(
		[]scenario{{name: "limits", peer: limits, plan: deep, check: func(t *testing.T, r diag.Report) {
			hasRows(rowWanted{
				diag.CapReceiveMaximum: "20||", diag.CapMaximumPacket: "1048576||", diag.CapPayload: "|1000000|at_least", diag.CapSessionExpiry: "3600|3600|",
				diag.CapTopicLevels: "|8|", diag.CapClientIDLength: "|128|", diag.CapAssignedID: "|no|", diag.CapRetain: "yes|yes|default",
				diag.CapTopicAliases: "0||default", diag.CapMaximumQoS: "2|2|default",
			})(t, r)
			if row := capabilitiesOf(t, r).Row(diag.CapTopicLength); len(row.Measured) != 3 && row.Measured != "1000" || row.Note != "" {
				t.Errorf("topic length %+v", *row)
			}
		}}},
		inVersions(scenario{name: "older", peer: scripted(diagtest.Script{}), plan: deep, check: hasRows(rowWanted{
			diag.CapReceiveMaximum: "||older", diag.CapSubscriptionIDs: "||older", diag.CapRetain: "|yes|older", diag.CapTopicLevels: "|256|at_least"})}, "3.1", "3.1.1"),
		inVersions(scenario{name: "scratch denied", peer: scripted(diagtest.Script{OnSubscribe: denySubscribe(0x87, ours)}), in: topics("plant/temp", "plant/#"), plan: deep, check: hasRows(rowWanted{
			diag.CapTopicLength: "||not_tried", diag.CapWildcard: "yes||not_tried", diag.CapClientIDLength: "|1024|at_least"})}, "auto"),
		[]scenario{{name: "mosquitto", peer: real("mqtt", func(t testing.TB) *diagtest.Broker {
			return diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}, Global: []string{"max_inflight_messages 7"}, Listener: []string{"max_topic_alias 3"}})
		}), plan: deep, check: hasRows(rowWanted{
			diag.CapReceiveMaximum: "7||", diag.CapTopicAliases: "3|yes|", diag.CapSubscriptionIDs: "yes|yes|default", diag.CapTopicLevels: "|201|", diag.CapShared: "yes|yes|default"})}},
	))
}

func TestFilterKinds(t *testing.T) {
	t.Parallel()
	deep := diag.PlanInput{Depth: "deep", Exclude: []string{"msg.burst", "mqtt.capabilities", "msg.size"}, TimeoutS: seconds(1)}
	no := byte(0)
	without := func(code byte, bad func(string) bool) func(testing.TB) string {
		return scripted(diagtest.Script{OnSubscribe: denySubscribe(code, bad)})
	}
	announces := scripted(diagtest.Script{Properties: func(p *v5.Properties) { p.WildcardSubAvailable, p.SharedSubAvailable = &no, &no }})
	wildcard, shared := []diag.Code{"msg.wildcard_unavailable"}, []diag.Code{"msg.shared_unavailable"}
	none := func(t *testing.T, r diag.Report) {
		for _, f := range r.Findings {
			if f.Code == wildcard[0] || f.Code == shared[0] {
				t.Errorf("concludes %s", f.Code)
			}
		}
	}
	// A broker that knows no shared subscriptions takes one for a plain filter.
	plain := func(t testing.TB) string {
		return diagtest.RabbitMQ(t).MQTT
	}
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "all work", peer: scripted(diagtest.Script{}), plan: deep, check: none}, everyVersion...),
		inVersions(scenario{name: "wildcards refused", peer: without(0xA2, isWildcard), plan: deep, info: wildcard}, everyVersion...),
		inVersions(scenario{name: "wildcards not authorized", peer: without(0x87, isWildcard), plan: deep, check: none}, "auto", "5"),
		inVersions(scenario{name: "shared refused", peer: without(0x9E, isShared), plan: deep, info: shared}, everyVersion...),
		inVersions(scenario{name: "shared not authorized", peer: without(0x87, isShared), plan: deep, check: none}, "auto", "5"),
		inVersions(scenario{name: "at any depth", peer: announces, plan: diag.PlanInput{Depth: "quick"}, info: slices.Concat(wildcard, shared)}, "auto", "5"),
		inVersions(scenario{name: "announced, deep", peer: announces, plan: deep, info: slices.Concat(wildcard, shared)}, "auto"),
		inVersions(scenario{name: "ends the connection", peer: disconnecting(0, isShared), plan: deep, info: shared}, "3.1.1"),
		[]scenario{{name: "granted and dead", peer: plain, in: diag.TargetInput{Protocol: "3.1.1", Username: "doctor", Password: diag.NewSecret("doctor-password")}, plan: deep, info: shared}},
	))
}

// Deep runs are silent on healthy brokers, over every transport, and leave nothing behind.
func TestLimitsOnHealthyBrokers(t *testing.T) {
	t.Parallel()
	for _, make := range diagtest.AllBrokers {
		t.Run(make.Name, func(t *testing.T) {
			b := make.Start(t)
			for _, topics := range []diag.TopicsInput{{}, {Publish: "plant/1/temperature", Subscribe: []string{"plant/+/temperature"}}} {
				in := diag.TargetInput{URL: b.MQTT, Username: b.Username, Password: diag.NewSecret(b.Password), Topics: topics}
				r := diagnose(t, in, diag.PlanInput{Depth: "deep", Exclude: []string{"msg.burst"}}, nil)
				for _, f := range r.Findings {
					if f.Severity != diag.SeverityInfo {
						t.Errorf("concludes %s (%s)", f.Code, f.Severity)
					}
				}
				if r.Verdict != diag.OverallHealthy {
					t.Errorf("verdict %s", r.Verdict)
				}
				for _, row := range capabilitiesOf(t, r).Rows {
					if row.Note == diag.CapNoteLess {
						t.Errorf("less than announced: %+v", row)
					}
				}
			}
			nothingLeft(t, b)
		})
	}
}
