package probe_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// pathScenario is a scenario whose peer stands in another network namespace, behind a path that can lose packets: the run
// itself is a process of its own on the near side.
type pathScenario struct {
	scenario
	// world makes the far side and returns what the user enters.
	world func(t testing.TB, p *diagtest.Path) farSide
}

// farSide is what the near side has to know of the far one.
type farSide struct {
	url, ca, resolver string
}

// envURL and so on are the variables by which the outer process tells the inner one.
const envURL, envCA, envResolver = "FAR_URL", "FAR_CA", "FAR_RESOLVER"

func runPathScenarios(t *testing.T, all []pathScenario) {
	t.Helper()
	for _, s := range all {
		t.Run(strings.ReplaceAll(s.name, " ", "_"), func(t *testing.T) {
			if diagtest.InRerun() {
				s.peer = func(testing.TB) string { return os.Getenv(envURL) }
				s.in.TLS.CAPEM = os.Getenv(envCA)
				s.env = func(e *diag.Env) { e.Resolvers, e.HostsFile = strings.Fields(os.Getenv(envResolver)), os.DevNull }
				s.run(t)
				return
			}
			t.Parallel()
			path := diagtest.LatencyPath(t, 5*time.Millisecond)
			w := s.world(t, path)
			if out := path.Left.Rerun(t, envURL+"="+w.url, envCA+"="+w.ca, envResolver+"="+w.resolver); testing.Verbose() {
				t.Log(out)
			}
		})
	}
}

// onFarSide starts something inside the far namespace.
func onFarSide(t testing.TB, p *diagtest.Path, start func()) {
	t.Helper()
	if err := p.Right.Do(func() error { start(); return nil }); err != nil {
		t.Fatal(err)
	}
}

// pathBroker is a broker on the far side, with certificates that fill several packets where it has TLS.
func pathBroker(secured bool, limit func(*diagtest.Path)) func(testing.TB, *diagtest.Path) farSide {
	return func(t testing.TB, p *diagtest.Path) farSide {
		var w farSide
		options := []diagtest.PeerOption{diagtest.At(p.Right.IPv4 + ":0")}
		if secured {
			ca := diagtest.NewCA(t, "far root")
			w.ca = ca.PEM
			for _, name := range []string{"far first", "far second", "far third"} {
				ca = ca.Intermediate(t, name)
			}
			cert := ca.Issue(t, diagtest.CertOptions{Names: []string{p.Right.IPv4}, RSABits: 4096})
			options = append(options, diagtest.WithTLS(cert.Server()))
		}
		onFarSide(t, p, func() { w.url = diagtest.ScriptedBroker(t, diagtest.Script{}, options...).Target() })
		if limit != nil {
			limit(p)
		}
		return w
	}
}

func hole(size int, fromLeft, fromRight bool) func(*diagtest.Path) {
	return func(p *diagtest.Path) { p.LimitSize(size, fromLeft, fromRight) }
}

func TestBlackHoles(t *testing.T) {
	t.Parallel()
	patient := diag.PlanInput{TimeoutS: seconds(4)} // what gets through in small pieces must have the time for it
	longToken := diag.NewSecret(strings.Repeat("t", 3000))
	runPathScenarios(t, []pathScenario{
		{scenario{name: "a path in order"}, pathBroker(false, nil)},
		{scenario{name: "a path in order with TLS"}, pathBroker(true, nil)},
		{scenario{name: "large packets vanish towards us", plan: patient, want: "net.mtu_blackhole", variant: "towards_us"}, pathBroker(true, hole(1300, false, true))},
		{scenario{name: "large packets vanish towards the peer", plan: patient, want: "net.mtu_blackhole", variant: "towards_peer"}, pathBroker(true, hole(1300, true, false))},
		{scenario{name: "all but very small packets vanish both ways", plan: patient, want: "net.mtu_blackhole", variant: "*"}, pathBroker(true, hole(600, true, true))},
		{scenario{name: "a long token vanishes", plan: patient, want: "net.mtu_blackhole", in: diag.TargetInput{Username: "u", Password: longToken}},
			pathBroker(false, hole(1300, true, false))},
		{scenario{name: "a long token arrives", in: diag.TargetInput{Username: "u", Password: longToken}}, pathBroker(false, nil)},
		{scenario{name: "large messages vanish towards the peer", want: "net.mtu_blackhole", variant: "message", plan: diag.PlanInput{Symptom: "lost", TimeoutS: seconds(5)}},
			pathBroker(false, hole(1300, true, false))},
		{scenario{name: "large messages vanish towards us", want: "net.mtu_blackhole", variant: "message", plan: diag.PlanInput{Symptom: "not_receiving", TimeoutS: seconds(5)}},
			pathBroker(false, hole(1300, false, true))},
		{scenario{name: "large messages arrive", plan: diag.PlanInput{Depth: "deep", TimeoutS: seconds(5)}}, pathBroker(false, nil)},
		{scenario{name: "silent peer behind a path in order", want: "tls.handshake_timeout"},
			func(t testing.TB, p *diagtest.Path) farSide {
				var w farSide
				onFarSide(t, p, func() { w.url = diagtest.Peer(t, diagtest.Silent, diagtest.At(p.Right.IPv4+":0")).URL("mqtts") })
				return w
			}},
	})
}
