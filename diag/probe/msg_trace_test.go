package probe_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/probe"
	"mqttdoctor/diag/rule"
)

// awayOnly leaves out what takes long and leaves nothing behind anyway.
var awayOnly = []string{"msg.pair", "msg.size", "mqtt.watch", "tls.ciphers"}

// cancelAfter runs every probe and cancels the run after a while.
func cancelAfter(t *testing.T, d time.Duration, in diag.TargetInput) {
	t.Helper()
	target, err := diag.ParseTarget(in)
	if err != nil {
		t.Fatal(err)
	}
	opts, err := diag.ParsePlan(diag.PlanInput{Depth: "deep", TimeoutS: seconds(2), Exclude: awayOnly}, probe.IDs())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	time.AfterFunc(d, func() { cancel(diag.ErrCanceled) })
	var dialer net.Dialer
	(&diag.Runner{Rules: rule.All}).Run(ctx, diag.MakePlan(target, opts, probe.StandIns()), diag.Env{Dial: dialer.DialContext, RunID: "canceled"},
		diag.Report{ID: "canceled"}, func(diag.Event) {})
}

// Whenever a run is canceled, no session and no retained message of ours stays behind.
func TestCanceledRunsLeaveNothing(t *testing.T) {
	for _, version := range []string{"3.1.1", "5"} {
		for d := 20 * time.Millisecond; d < 700*time.Millisecond; d += 40 * time.Millisecond {
			t.Run(version+"_"+d.String(), func(t *testing.T) {
				t.Parallel()
				b := diagtest.ScriptedBroker(t, diagtest.Script{Kept: &diagtest.KeptScript{}, Delay: 2 * time.Millisecond})
				cancelAfter(t, d, diag.TargetInput{URL: b.Target(), Protocol: version})
				for range 600 { // the broker may still be reading; the session that a will delay needs ends by itself after five seconds
					if len(b.Kept()) == 0 && len(b.Retained()) == 0 {
						return
					}
					time.Sleep(50 * time.Millisecond)
				}
				for _, c := range b.Connects() {
					if slices.Contains(b.Kept(), c.ClientID) {
						t.Logf("CONNECT of %s: clean start %v, session expiry %d", c.ClientID, c.Clean, c.SessionExpiry)
					}
				}
				t.Errorf("sessions %v and retained messages %v are left", b.Kept(), b.Retained())
			})
		}
	}
}

// The broker itself counts the sessions that it holds.
func TestRunsLeaveNothingOnMosquitto(t *testing.T) {
	broker := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}, Global: []string{"sys_interval 1"}})
	for _, d := range []time.Duration{80 * time.Millisecond, 200 * time.Millisecond, 350 * time.Millisecond, 30 * time.Second} {
		for _, version := range []string{"3.1.1", "5"} {
			cancelAfter(t, d, diag.TargetInput{URL: broker.MQTT, Protocol: version})
		}
	}
	conn, err := net.Dial("tcp", broker.MQTT[len("mqtt://"):])
	if err != nil {
		t.Fatal(err)
	}
	s, result := mqttwire.Connect(t.Context(), conn, mqttwire.ConnectOptions{Version: mqttwire.V311, ClientID: "counter", CleanStart: true, KeepAlive: 60})
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	defer s.Close()
	if _, failure := s.Subscribe(t.Context(), []mqttwire.Subscription{{Filter: "$SYS/broker/clients/total"}, {Filter: "#"}}); failure != nil {
		t.Fatal(failure)
	}
	until := time.After(time.Minute) // it counts once a second, and the session that a will delay needs ends by itself after five
	last := ""
	for last != "1" {
		select {
		case m := <-s.Messages():
			if m.Topic == "$SYS/broker/clients/total" {
				if !m.Retain { // behind all that is retained
					last = string(m.Payload)
				}
			} else if m.Retain && m.Topic[0] != '$' {
				t.Errorf("a retained message is left on %s", m.Topic)
			}
			continue
		case <-until:
		}
		break
	}
	if last != "1" {
		t.Errorf("the broker holds %q sessions, want ours alone", last)
	}
}
