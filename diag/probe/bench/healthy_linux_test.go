package bench

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/probe"
	"mqttdoctor/diag/rule"
)

const (
	benchHost = "broker.bench.test"
	oneWay    = 50 * time.Millisecond
)

// BenchmarkHealthyRun measures a healthy standard run over a path with a round trip of 100 ms, to the resolver (D) and to
// the broker (R) alike, and compares it with its critical path, each answer waited for: DNS D; then R each for TCP, TLS, the
// WebSocket upgrade, CONNECT and SUBSCRIBE, and 2R for the message of QoS 2, which a broker releases at its PUBREL. S is the
// broker's own delay, measured by the run itself and set apart: what the upgrade and the CONNACK took beyond a round trip.
func BenchmarkHealthyRun(b *testing.B) {
	if diagtest.InRerun() {
		measure(b)
		return
	}
	diagtest.Require(b, "mosquitto")
	path := diagtest.LatencyPath(b, oneWay)
	ca := diagtest.NewCA(b, "bench CA")
	cert := ca.Issue(b, diagtest.CertOptions{Names: []string{benchHost, path.Right.IPv4}})
	path.SetDelay(0) // while the broker starts
	broker := diagtest.Mosquitto(b, diagtest.MosquittoOptions{Netns: path.Right, Host: path.Right.IPv4, Cert: cert, CA: ca})
	var resolver *diagtest.DNSPeer
	if err := path.Right.Do(func() error {
		resolver = diagtest.DNSServer(b, diagtest.DNSRecords(map[string][]string{benchHost: {path.Right.IPv4}}), diagtest.At(path.Right.IPv4+":53"))
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	path.SetDelay(oneWay)
	caFile := b.TempDir() + "/ca.pem"
	if err := os.WriteFile(caFile, []byte(broker.CAPEM), 0o600); err != nil {
		b.Fatal(err)
	}
	out := path.Left.Rerun(b, "BENCH_URLS="+strings.Join(broker.URLs(), " "), "BENCH_CA="+caFile, "BENCH_RESOLVER="+resolver.Addr)
	for _, line := range strings.Split(out, "\n") {
		if strings.HasPrefix(line, "Benchmark") || os.Getenv("BENCH_STEPS") != "" {
			b.Log(line)
		}
	}
}

func measure(b *testing.B) {
	ca, err := os.ReadFile(os.Getenv("BENCH_CA"))
	if err != nil {
		b.Fatal(err)
	}
	for _, raw := range strings.Fields(os.Getenv("BENCH_URLS")) {
		u, err := url.Parse(raw)
		if err != nil {
			b.Fatal(err)
		}
		u.Host = net.JoinHostPort(benchHost, u.Port())
		b.Run(u.Scheme, func(b *testing.B) { measureScheme(b, u.String(), string(ca)) })
	}
}

func measureScheme(b *testing.B, address, ca string) {
	target, err := diag.ParseTarget(diag.TargetInput{URL: address, TLS: diag.TLSInput{CAPEM: ca}})
	if err != nil {
		b.Fatal(err)
	}
	opts, err := diag.ParsePlan(diag.PlanInput{}, probe.IDs())
	if err != nil {
		b.Fatal(err)
	}
	const rtt = 2 * oneWay
	trips := map[diag.Scheme]int{diag.SchemeMQTT: 5, diag.SchemeMQTTS: 6, diag.SchemeWS: 6, diag.SchemeWSS: 7}[target.Scheme]
	var ratios, times, own []float64
	for b.Loop() {
		var dialer net.Dialer
		report := (&diag.Runner{Rules: rule.All}).Run(context.Background(), diag.MakePlan(target, opts, probe.All),
			diag.Env{Dial: dialer.DialContext, RunID: "bench", Resolvers: []string{os.Getenv("BENCH_RESOLVER")}, HostsFile: os.DevNull},
			diag.Report{}, func(diag.Event) {})
		if report.Verdict != diag.OverallHealthy {
			for _, s := range report.Steps {
				b.Logf("%s %s %v %v", s.ID, s.Status, s.Duration, s.Summary)
			}
			b.Fatalf("the run is %s: %+v", report.Verdict, report.Findings)
		}
		var delay time.Duration
		for _, s := range report.Steps {
			switch o := s.Observation.(type) {
			case *diag.WSUpgrade:
				if s.Check == "ws.upgrade" {
					delay += max(0, o.Took-rtt)
				}
			case *diag.MQTTConnect:
				if s.Check == "mqtt.connect" {
					delay += max(0, o.Took-rtt)
				}
			}
		}
		floor := rtt + time.Duration(trips)*rtt + delay
		times = append(times, float64(report.Duration)/1e6)
		own = append(own, float64(delay)/1e6)
		ratios = append(ratios, float64(report.Duration)/float64(floor))
		if os.Getenv("BENCH_STEPS") != "" {
			for _, s := range report.Steps {
				fmt.Fprintf(stepLog(), "%6d %6d ms %-40s %s\n", s.StartedAt.Sub(report.Steps[0].StartedAt).Milliseconds(), s.Duration.Milliseconds(), s.ID, s.Status)
			}
		}
	}
	b.ReportMetric(median(times), "ms/run")
	b.ReportMetric(median(own), "ms-broker")
	b.ReportMetric(median(ratios), "x-critical-path")
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// stepLog is where BENCH_STEPS=FILE lists each step's start and duration.
func stepLog() *os.File {
	file, err := os.OpenFile(os.Getenv("BENCH_STEPS"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return os.Stderr
	}
	return file
}
