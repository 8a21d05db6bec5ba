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

// sizeOf is the run's search for the largest message.
func sizeOf(t *testing.T, r diag.Report) *diag.SizeSearch {
	t.Helper()
	for _, s := range r.Steps {
		if o, ok := s.Observation.(*diag.SizeSearch); ok {
			return o
		}
	}
	t.Error("the run has searched no size")
	return &diag.SizeSearch{}
}

// foundSize demands what the search has found: the largest that passed is between the two, and how a larger one ended.
func foundSize(from, to int, end diag.SizeEnd) func(*testing.T, diag.Report) {
	return func(t *testing.T, r diag.Report) {
		o := sizeOf(t, r)
		if o.LargestBytes < from || o.LargestBytes > to || o.End != end {
			t.Errorf("found %d, ended by %q; want %d to %d by %q: %+v", o.LargestBytes, o.End, from, to, end, o.Tries)
		}
		if end != "" && !o.Limited() {
			t.Errorf("the limit was not verified: %+v", o)
		}
		if o.Connections > 12 {
			t.Errorf("made %d connections", o.Connections)
		}
	}
}

// above does something about messages with more than a number of bytes.
func above(bytes int, a diagtest.PublishAnswer) func(diagtest.Message) diagtest.PublishAnswer {
	return func(m diagtest.Message) diagtest.PublishAnswer {
		if len(m.Payload) > bytes {
			return a
		}
		return diagtest.PublishAnswer{}
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	lost := diag.PlanInput{Symptom: "lost"}
	limited := func(bytes int, a diagtest.PublishAnswer) func(testing.TB) string {
		return scripted(diagtest.Script{OnPublish: above(bytes, a)})
	}
	drop := diagtest.PublishAnswer{Action: diagtest.Drop}
	closes := diagtest.PublishAnswer{Action: diagtest.Close}
	cuts := diagtest.PublishAnswer{Action: diagtest.Cut}
	says := diagtest.PublishAnswer{Action: diagtest.Close, Code: 0x95}
	refuses := diagtest.PublishAnswer{Action: diagtest.Refuse, Code: 0x97}
	silent := diagtest.PublishAnswer{Action: diagtest.Silence}
	hangs := scripted(diagtest.Script{OnPublish: func(m diagtest.Message) diagtest.PublishAnswer {
		if len(m.Payload) > 6000 {
			time.Sleep(4 * time.Second)
		}
		return diagtest.PublishAnswer{}
	}})
	burst := func(bytes int) diag.PlanInput {
		return diag.PlanInput{Symptom: "lost", Burst: &diag.BurstInput{PayloadBytes: &bytes}}
	}
	announces := func(bytes uint32) func(testing.TB) string {
		return scripted(diagtest.Script{Properties: func(p *v5.Properties) { p.MaximumPacketSize = &bytes }})
	}
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "dropped", peer: limited(3000, drop), plan: lost, want: "msg.too_large", variant: "dropped", check: foundSize(3000, 3000, diag.SizeDropped)}, everyVersion...),
		inVersions(scenario{name: "closed", peer: limited(3000, closes), plan: lost, want: "msg.too_large", variant: "closed", check: foundSize(2900, 3000, diag.SizeClosed)}, everyVersion...),
		inVersions(scenario{name: "reset", peer: limited(3000, cuts), plan: lost, want: "msg.too_large", variant: "closed", check: foundSize(2900, 3000, diag.SizeClosed)}, "auto", "3.1.1"),
		inVersions(scenario{name: "DISCONNECT", peer: limited(3000, says), plan: lost, want: "msg.too_large", variant: "disconnected", check: foundSize(2900, 3000, diag.SizeDisconnected)}, "auto", "5"),
		inVersions(scenario{name: "refused", peer: limited(3000, refuses), plan: lost, want: "msg.too_large", variant: "refused", check: foundSize(3000, 3000, diag.SizeRefused)}, "auto", "5"),
		inVersions(scenario{name: "very small", peer: limited(128, closes), plan: lost, want: "msg.too_large", variant: "closed", check: foundSize(120, 128, diag.SizeClosed)}, "auto", "3.1.1"),
		inVersions(scenario{name: "announced", peer: announces(2000), plan: lost, want: "msg.too_large", variant: "announced", check: foundSize(1900, 2000, "")}, "auto", "5"),
		inVersions(scenario{name: "announced, at any depth", peer: announces(2000), plan: diag.PlanInput{Depth: "quick"}, want: "msg.too_large", variant: "announced"}, "auto", "5"),
		// A limit by design, that nothing asked for goes beyond.
		inVersions(scenario{name: "as at AWS", peer: limited(128<<10, closes), plan: lost, info: []diag.Code{"msg.too_large"}, check: foundSize(126<<10, 128<<10, diag.SizeClosed)}, "auto", "3.1.1"),
		inVersions(scenario{name: "as at AWS, and more asked for", peer: limited(128<<10, closes), plan: burst(200_000), want: "msg.too_large", variant: "closed"}, "auto", "3.1.1"),
		inVersions(scenario{name: "less than the burst", peer: limited(1000, drop), plan: burst(5000), want: "msg.too_large", variant: "dropped", check: func(t *testing.T, r diag.Report) {
			if slices.ContainsFunc(r.Findings, func(f diag.Finding) bool { return f.Code == "msg.lost" }) {
				t.Error("a burst was sent that could not pass")
			}
		}}, everyVersion...),
		inVersions(scenario{name: "large burst, no limit", peer: scripted(diagtest.Script{}), plan: burst(5000), check: func(t *testing.T, r diag.Report) {
			if !slices.ContainsFunc(r.Steps, func(s diag.Step) bool { return s.Check == "msg.burst" && s.Status == diag.StatusPassed }) {
				t.Error("no burst was sent")
			}
		}}, "auto", "3.1.1"),
		inVersions(scenario{name: "announced at 1 MB", peer: announces(1 << 20), plan: lost, check: foundSize(256<<10, 256<<10, "")}, "auto", "5"),
		inVersions(scenario{name: "announced at 1 MB, and deep", peer: announces(1 << 20), plan: diag.PlanInput{Depth: "deep"}, check: foundSize(1_000_000, 1_000_000, "")}, "auto"),
		inVersions(scenario{name: "no limit", peer: scripted(diagtest.Script{}), plan: lost, check: foundSize(256<<10, 256<<10, "")}, everyVersion...),
		inVersions(scenario{name: "no limit, and a checkup", peer: scripted(diagtest.Script{})}, everyVersion...),
		inVersions(scenario{name: "neither acknowledged nor delivered", peer: limited(3000, silent), plan: lost, want: "msg.too_large", variant: "dropped"}, "auto", "3.1.1"),
		// Got stuck: it takes the whole time-out each time.
		inVersions(scenario{name: "stuck", peer: hangs, plan: diag.PlanInput{Symptom: "lost", TimeoutS: seconds(1.5)}, want: "msg.too_large", variant: "stuck",
			readings: []diag.Code{"net.mtu_blackhole"}}, "3.1.1"),
		// Only the first large message fails: it was not the size.
		inVersions(scenario{name: "unsteady", peer: func(t testing.TB) string {
			failed := make(chan struct{}, 1)
			return scripted(diagtest.Script{OnPublish: func(m diagtest.Message) diagtest.PublishAnswer {
				if len(m.Payload) > 20000 {
					select {
					case failed <- struct{}{}:
						return closes
					default:
					}
				}
				return diagtest.PublishAnswer{}
			}})(t)
		}, plan: lost}, "auto", "3.1.1"),
		// Ours is denied: not measured, and no fault.
		inVersions(scenario{name: "scratch denied", peer: scripted(diagtest.Script{OnSubscribe: denySubscribe(0x87, ours)}), in: topics("plant/temp", "plant/#"), plan: lost}, "auto", "3.1.1"),
	))
}

// With consent the user's own topic serves where ours is denied, and only then.
func TestSizeOnTheUsersTopic(t *testing.T) {
	t.Parallel()
	for _, consent := range []bool{false, true} {
		b := diagtest.ScriptedBroker(t, diagtest.Script{OnSubscribe: denySubscribe(0x87, ours), OnPublish: above(3000, diagtest.PublishAnswer{Action: diagtest.Drop})})
		in := topics("plant/temp", "plant/#")
		in.URL = b.Target()
		r := diagnose(t, in, diag.PlanInput{Symptom: "lost", Intrusive: consent, Exclude: []string{"mqtt.limit"}}, nil)
		large := slices.ContainsFunc(b.Messages(), func(m diagtest.Message) bool { return m.Topic == "plant/temp" && len(m.Payload) >= 1024 })
		named := r.RootCause != nil && r.RootCause.Code == "msg.too_large"
		if large != consent || named != consent {
			t.Errorf("consent %v: large messages on the user's topic: %v, concluded: %v", consent, large, named)
		}
	}
}

// A search that is canceled ends at once and in order.
func TestSizeCanceled(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 64)
	b := diagtest.ScriptedBroker(t, diagtest.Script{OnPublish: func(m diagtest.Message) diagtest.PublishAnswer {
		if strings.HasSuffix(m.Topic, "/size") && len(m.Payload) > 10000 {
			reached <- struct{}{}
			return diagtest.PublishAnswer{Action: diagtest.Silence}
		}
		return diagtest.PublishAnswer{}
	}})
	begun := time.Now()
	r := diagnoseUntil(t, reached, diag.TargetInput{URL: b.Target()}, diag.PlanInput{Symptom: "lost", TimeoutS: seconds(60)})
	if took := time.Since(begun); took > 45*time.Second { // less than a time-out
		t.Errorf("took %v", took)
	}
	if r.State != diag.StateCanceled {
		t.Errorf("state %s", r.State)
	}
	if left := b.Retained(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestTooLargeOnMosquitto(t *testing.T) {
	t.Parallel()
	lost := diag.PlanInput{Symptom: "lost"}
	with := func(line string) func(testing.TB) *diagtest.Broker {
		return func(t testing.TB) *diagtest.Broker {
			return diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt", "ws"}, Global: []string{line}})
		}
	}
	payload, packet, fine := with("message_size_limit 1000"), with("max_packet_size 2000"), with("max_packet_size 2000000")
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "message_size_limit", peer: real("mqtt", payload), plan: lost, want: "msg.too_large", variant: "dropped", check: foundSize(1000, 1000, diag.SizeDropped)}, "3.1", "3.1.1"),
		inVersions(scenario{name: "message_size_limit", peer: real("mqtt", payload), plan: lost, want: "msg.too_large", variant: "refused", check: foundSize(1000, 1000, diag.SizeRefused)}, "auto", "5"),
		inVersions(scenario{name: "message_size_limit over ws", peer: real("ws", payload), plan: lost, want: "msg.too_large", variant: "*"}, "auto", "3.1.1"),
		inVersions(scenario{name: "max_packet_size", peer: real("mqtt", packet), plan: lost, want: "msg.too_large", variant: "closed", check: foundSize(1930, 1968, diag.SizeClosed)}, "3.1", "3.1.1"),
		inVersions(scenario{name: "max_packet_size", peer: real("mqtt", packet), plan: lost, want: "msg.too_large", variant: "announced"}, "auto", "5"),
		inVersions(scenario{name: "default of version 2.1", peer: real("mqtt", fine), plan: lost, check: foundSize(256<<10, 256<<10, "")}, everyVersion...),
	))
}
