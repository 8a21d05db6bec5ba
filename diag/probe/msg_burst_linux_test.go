package probe_test

import (
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// farMosquitto is a mosquitto with a configuration behind a path with a round trip.
func farMosquitto(roundTrip time.Duration, global ...string) func(testing.TB, *diagtest.Path) farSide {
	return func(t testing.TB, p *diagtest.Path) farSide {
		b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}, Global: global, Netns: p.Right, Host: p.Right.IPv4})
		p.SetDelay(roundTrip / 2)
		return farSide{url: b.MQTT}
	}
}

// Limits that people set in mosquitto, and what they do on a path with a round trip; with the defaults a run stays silent.
func TestMosquittoLimits(t *testing.T) {
	t.Parallel()
	slow, lost := diag.PlanInput{Symptom: "slow", TimeoutS: seconds(5)}, diag.PlanInput{Symptom: "lost"}
	const trip = 100 * time.Millisecond
	old := diag.TargetInput{Protocol: "3.1.1"}
	runPathScenarios(t, []pathScenario{
		{scenario{name: "defaults over 100 ms", plan: slow, check: wholeBurst}, farMosquitto(trip)},
		{scenario{name: "defaults over 100 ms in 3.1.1", in: old, plan: slow, check: wholeBurst}, farMosquitto(trip)},
		{scenario{name: "defaults over 600 ms", plan: slow, check: wholeBurst}, farMosquitto(6 * trip)},
		{scenario{name: "one in flight in 3.1.1", in: old, plan: slow, want: "msg.inflight_limited", variant: "delivery", attention: true, check: arg("limit", "1")},
			farMosquitto(trip, "max_inflight_messages 1")},
		{scenario{name: "three in flight", plan: slow, want: "msg.inflight_limited", variant: "publishing", attention: true, check: arg("limit", "3")},
			farMosquitto(trip, "max_inflight_messages 3")},
		{scenario{name: "one in flight and no way", in: old, plan: slow, info: nil, check: wholeBurst}, farMosquitto(time.Millisecond, "max_inflight_messages 1")},
		{scenario{name: "five in the queue in 3.1.1", in: old, plan: lost, want: "msg.lost", variant: "queue"}, farMosquitto(trip, "max_queued_messages 5")},
		// Its Receive Maximum of 20 keeps a client of MQTT 5 from filling the queue while another takes the messages.
		{scenario{name: "five in the queue in 5", plan: lost, want: "msg.offline_lost", variant: "first", attention: true, check: wholeBurst}, farMosquitto(trip, "max_queued_messages 5")},
		{scenario{name: "five hundred in the queue", in: old, plan: lost, check: wholeBurst}, farMosquitto(trip, "max_queued_messages 500")},
	})
}

// farRabbitMQ is a RabbitMQ of the test's own behind a path with a round trip.
func farRabbitMQ(roundTrip time.Duration, o diagtest.RabbitMQOptions) func(testing.TB, *diagtest.Path) farSide {
	return func(t testing.TB, p *diagtest.Path) farSide {
		o := o // several tests start one side by side
		o.Netns, o.Host = p.Right, p.Right.IPv4
		b := diagtest.RabbitMQWith(t, o)
		p.SetDelay(roundTrip / 2)
		return farSide{url: b.MQTT}
	}
}

// With its default of ten unacknowledged messages to each client RabbitMQ is as healthy as any; with one it holds messages back,
// and a short queue drops them.
func TestRabbitMQLimits(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts RabbitMQ four times")
	}
	slow := diag.PlanInput{Symptom: "slow", TimeoutS: seconds(5)}
	old := diag.TargetInput{Protocol: "3.1.1"}
	runPathScenarios(t, []pathScenario{
		{scenario{name: "ten of ten", in: old, plan: slow, check: wholeBurst}, farRabbitMQ(100*time.Millisecond, diagtest.RabbitMQOptions{})},
		{scenario{name: "ten over 300 ms", in: old, plan: slow, check: wholeBurst}, farRabbitMQ(300*time.Millisecond, diagtest.RabbitMQOptions{})},
		{scenario{name: "one", in: old, plan: slow, want: "msg.inflight_limited", variant: "delivery", attention: true, check: arg("limit", "1")},
			farRabbitMQ(100*time.Millisecond, diagtest.RabbitMQOptions{Config: []string{"mqtt.prefetch = 1"}})},
		{scenario{name: "five in the queue", in: old, plan: diag.PlanInput{Symptom: "lost"}, want: "msg.lost", variant: "queue"},
			farRabbitMQ(100*time.Millisecond, diagtest.RabbitMQOptions{MaxLength: 5})},
	})
}
