package probe_test

import (
	"crypto/rand"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// "Same as last time?" lists what changed and nothing else: of a broker that is as it was, two runs differ in nothing, whatever
// they measure and however the broker counts.
func TestTwoRunsOfTheSameBrokerAreTheSame(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *diagtest.Broker{
		"mosquitto": func(t testing.TB) *diagtest.Broker {
			return diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt", "wss", "mqtts"}, Global: []string{"sys_interval 1"}})
		},
		"mochi":    func(t testing.TB) *diagtest.Broker { return diagtest.Mochi(t, diagtest.MochiOptions{}) },
		"nats":     func(t testing.TB) *diagtest.Broker { return diagtest.NATS(t) },
		"aedes":    diagtest.Aedes,
		"rabbitmq": func(t testing.TB) *diagtest.Broker { return diagtest.RabbitMQ(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			targets := map[string]diag.TargetInput{}
			for _, u := range []string{b.MQTT, b.MQTTS, b.WSS} {
				if u != "" {
					targets[u] = diag.TargetInput{URL: u, TLS: diag.TLSInput{CAPEM: b.CAPEM}}
				}
			}
			for u, in := range targets {
				t.Run(u[:5], func(t *testing.T) {
					t.Parallel()
					depths := []diag.Depth{diag.DepthStandard}
					if long() {
						depths = append(depths, diag.DepthDeep)
					}
					for _, depth := range depths {
						run := func() diag.Report {
							// Other ports of this machine are those of other tests, which come and go.
							return diagnose(t, in, diag.PlanInput{Depth: string(depth), Exclude: []string{"peer.transports"}},
								func(env *diag.Env) { env.RunID = rand.Text() }) // topics of its own
						}
						before := run()
						time.Sleep(1100 * time.Millisecond) // the next second, and the broker's next count
						after := run()
						c := diag.Compare(before, after)
						for _, f := range c.Findings {
							t.Errorf("%s: finding %s: %t, %t", depth, f.Code, f.Before != nil, f.After != nil)
						}
						for _, s := range c.Steps {
							t.Errorf("%s: step %s", depth, s.Check)
						}
						for _, f := range append(c.Facts, c.Settings...) {
							t.Errorf("%s: %s %s: %q, then %q", depth, f.Step, f.Key, f.Before.Value, f.After.Value)
						}
						if !c.Same() {
							t.Errorf("%s: not the same", depth)
						}
					}
				})
			}
		})
	}
}
