package probe_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/mqttwire"
)

// After a deep run mosquitto counts no session, no subscription and no retained message more than before, also where the run
// was canceled in the middle.
func TestDeepRunsLeaveNothingOnMosquitto(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		at   time.Duration // after which the run is canceled; 0: not
	}{{"whole", 0}, {"canceled early", 100 * time.Millisecond}, {"canceled later", 2420 * time.Millisecond}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}, Global: []string{"sys_interval 1"}})
			before := counted(t, b)
			in := diag.TargetInput{URL: b.MQTT, Topics: diag.TopicsInput{Publish: "plant/temp", Subscribe: []string{"plant/#"}}}
			plan := diag.PlanInput{Depth: "deep", Exclude: []string{"msg.burst"}}
			if c.at == 0 {
				diagnose(t, in, plan, nil)
			} else {
				reached := make(chan struct{})
				time.AfterFunc(c.at, func() { close(reached) })
				diagnoseUntil(t, reached, in, plan)
			}
			nothingLeft(t, b)
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(300 * time.Millisecond) { // it counts once a second
				after := counted(t, b)
				if after == before {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("left behind: %+v, before %+v", after, before)
				}
			}
		})
	}
}

// counts are what mosquitto says of itself while one client of ours asks.
type counts struct{ sessions, subscriptions int }

func counted(t *testing.T, b *diagtest.Broker) counts {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := lookingAt(ctx, t, b, "counts")
	defer s.Close()
	filters := []mqttwire.Subscription{{Filter: "$SYS/broker/clients/disconnected"}, {Filter: "$SYS/broker/clients/total"}, {Filter: "$SYS/broker/subscriptions/count"}}
	if _, failure := s.Subscribe(ctx, filters); failure != nil {
		t.Fatal(failure)
	}
	var c counts
	fresh := map[string]bool{}
	for len(fresh) < 2 {
		select {
		case m := <-s.Messages():
			n, _ := strconv.Atoi(strings.TrimSpace(string(m.Payload)))
			switch m.Topic {
			case "$SYS/broker/clients/total":
				c.sessions = n
				fresh[m.Topic] = true
			case "$SYS/broker/subscriptions/count":
				c.subscriptions = n
				fresh[m.Topic] = true
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("mosquitto says nothing of itself: %v", fresh)
		}
	}
	return c
}
