package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/probe"
	"mqttdoctor/diag/rule"
)

// fault is something broken on the far side of the path, and how soon its name is due.
type fault struct {
	Name   string
	Target diag.TargetInput
	Secret string // the password, which a target's JSON does not carry
	Want   diag.Code
	Within time.Duration // until the root cause is named
	Whole  bool          // until the run has ended, instead
}

// BenchmarkFaults measures when the root cause is named on a path with a round trip of 100 ms, to the resolver (D) and to the
// broker (R) alike, beside what the critical path allows: 1.2 times the round trips that cannot be spared, or for silence the
// time for which an answer is awaited. x-bound under 1 holds it.
func BenchmarkFaults(b *testing.B) {
	if diagtest.InRerun() {
		measureFaults(b)
		return
	}
	diagtest.Require(b, "mosquitto")
	diagtest.Require(b, "iptables")
	path := diagtest.LatencyPath(b, 0)
	faults := setUpFaults(b, path)
	var resolver *diagtest.DNSPeer
	far(b, path, func() {
		resolver = diagtest.DNSServer(b, diagtest.DNSRecords(map[string][]string{benchHost: {path.Right.IPv4}, "other." + benchHost: {path.Right.IPv4}}),
			diagtest.At(path.Right.IPv4+":53"))
	})
	path.SetDelay(oneWay)
	data, err := json.Marshal(faults)
	if err != nil {
		b.Fatal(err)
	}
	out := path.Left.Rerun(b, "BENCH_FAULTS="+string(data), "BENCH_RESOLVER="+resolver.Addr)
	if os.Getenv("BENCH_TRACE") != "" {
		b.Log(out)
		return
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "Benchmark") {
			b.Log(strings.TrimSpace(line))
		}
	}
}

func far(b *testing.B, path *diagtest.Path, start func()) {
	b.Helper()
	if err := path.Right.Do(func() error { start(); return nil }); err != nil {
		b.Fatal(err)
	}
}

// setUpFaults starts the brokers, healthy ones for wrong transports among them, and peers that stay silent.
func setUpFaults(b *testing.B, path *diagtest.Path) []fault {
	const (
		trip    = 2 * oneWay // D and R
		factor  = 12         // tenths
		filters = 2500 * time.Millisecond
	)
	trips := func(n int) time.Duration { return time.Duration(n) * trip * factor / 10 }
	host := path.Right.IPv4
	ca := diagtest.NewCA(b, "bench CA")
	start := func(o diagtest.MosquittoOptions, cert diagtest.CertOptions) *diagtest.Broker {
		if cert.Names == nil {
			cert.Names = []string{benchHost, host}
		}
		o.Netns, o.Host, o.CA, o.Cert = path.Right, host, ca, ca.Issue(b, cert)
		return diagtest.Mosquitto(b, o)
	}
	at := func(url string) string { return strings.Replace(url, host, benchHost, 1) }
	as := func(scheme, url string) string {
		_, rest, _ := strings.Cut(at(url), "://")
		return scheme + "://" + rest
	}
	good := start(diagtest.MosquittoOptions{}, diagtest.CertOptions{})
	expired := start(diagtest.MosquittoOptions{Listeners: []string{"mqtt", "mqtts"}}, diagtest.CertOptions{Expired: true})
	misnamed := start(diagtest.MosquittoOptions{Listeners: []string{"mqtt", "mqtts"}}, diagtest.CertOptions{Names: []string{"elsewhere.test"}})
	closed := start(diagtest.MosquittoOptions{Listeners: []string{"mqtt", "mqtts"}, Users: map[string]string{"sensor": "right"}}, diagtest.CertOptions{})
	var silent *diagtest.PeerServer
	far(b, path, func() { silent = diagtest.Peer(b, diagtest.Silent, diagtest.At(host+":0")) })
	var prompt *diagtest.ScriptedPeer // takes what is no HTTP in silence, and upgrades at once
	far(b, path, func() {
		prompt = diagtest.ScriptedBroker(b, diagtest.Script{WS: &diagtest.WSScript{}}, diagtest.At(host+":0"))
	})
	promptAs := func(scheme string) string { return scheme + "://" + strings.Replace(prompt.Addr, host, benchHost, 1) }
	path.Right.Reject(b, 1888, "icmp-admin-prohibited")
	path.Right.Filter(b, 1889)

	trusted := diag.TLSInput{CAPEM: good.CAPEM}
	return []fault{
		{Name: "nxdomain", Target: diag.TargetInput{URL: "mqtt://broker.bench.tset"}, Want: "dns.nxdomain", Within: trips(1)},
		{Name: "refused", Target: diag.TargetInput{URL: "mqtt://" + benchHost + ":1887"}, Want: "tcp.refused", Within: trips(2)},
		{Name: "rejected", Target: diag.TargetInput{URL: "mqtt://" + benchHost + ":1888"}, Want: "net.firewall_rejected", Within: trips(2)},
		{Name: "filtered", Target: diag.TargetInput{URL: "mqtt://" + benchHost + ":1889"}, Want: "tcp.filtered", Within: 2*trip + filters},
		{Name: "mqtt-to-tls", Target: diag.TargetInput{URL: as("mqtt", good.MQTTS), TLS: trusted}, Want: "tls.required", Within: trips(5)},
		{Name: "tls-to-mqtt", Target: diag.TargetInput{URL: as("mqtts", good.MQTT), TLS: trusted}, Want: "tls.plaintext_peer", Within: trips(5)},
		{Name: "mqtt-to-ws", Target: diag.TargetInput{URL: as("mqtt", strings.TrimSuffix(good.WS, "/mqtt"))}, Want: "ws.expected", Within: trips(5)},
		{Name: "mqtt-to-prompt-ws", Target: diag.TargetInput{URL: promptAs("mqtt")}, Want: "ws.expected", Within: trips(5)},
		{Name: "tls-to-prompt-ws", Target: diag.TargetInput{URL: promptAs("mqtts"), TLS: trusted}, Want: "tls.plaintext_peer", Within: trips(5)},
		{Name: "wss-to-prompt-ws", Target: diag.TargetInput{URL: promptAs("wss"), TLS: trusted}, Want: "tls.plaintext_peer", Within: trips(5)},
		{Name: "mqtt-to-wss", Target: diag.TargetInput{URL: as("mqtt", strings.TrimSuffix(good.WSS, "/mqtt")), TLS: trusted}, Want: "tls.required", Within: trips(5)},
		{Name: "ws-to-tls", Target: diag.TargetInput{URL: as("ws", good.MQTTS), TLS: trusted}, Want: "tls.required", Within: trips(5)},
		{Name: "wss-to-mqtt", Target: diag.TargetInput{URL: as("wss", good.MQTT), TLS: trusted}, Want: "tls.plaintext_peer", Within: trips(5)},
		{Name: "ws-to-mqtt", Target: diag.TargetInput{URL: as("ws", good.MQTT)}, Want: "ws.raw_mqtt_peer", Within: trips(5)},
		{Name: "expired", Target: diag.TargetInput{URL: at(expired.MQTTS), TLS: trusted}, Want: "tls.cert_expired", Within: trips(7)},
		{Name: "misnamed", Target: diag.TargetInput{URL: at(misnamed.MQTTS), TLS: trusted}, Want: "tls.hostname_mismatch", Within: trips(7)},
		{Name: "unknown-ca", Target: diag.TargetInput{URL: at(good.MQTTS)}, Want: "tls.unknown_ca", Within: trips(7)},
		{Name: "password", Target: diag.TargetInput{URL: at(closed.MQTT), Username: "sensor"}, Secret: "wrong", Want: "mqtt.bad_credentials", Within: trips(6)},
		{Name: "password-tls", Target: diag.TargetInput{URL: at(closed.MQTTS), Username: "sensor", TLS: trusted}, Secret: "wrong", Want: "mqtt.bad_credentials", Within: trips(7)},
		{Name: "silent", Target: diag.TargetInput{URL: "mqtt://" + strings.Replace(silent.Addr, host, benchHost, 1)}, Want: "mqtt.no_connack", Within: 7 * time.Second, Whole: true},
		{Name: "silent-tls", Target: diag.TargetInput{URL: "mqtts://" + strings.Replace(silent.Addr, host, benchHost, 1)}, Want: "tls.handshake_timeout", Within: 7 * time.Second, Whole: true},
	}
}

func measureFaults(b *testing.B) {
	var faults []fault
	if err := json.Unmarshal([]byte(os.Getenv("BENCH_FAULTS")), &faults); err != nil {
		b.Fatal(err)
	}
	for _, f := range faults {
		if only := os.Getenv("BENCH_TRACE"); only != "" && only != f.Name {
			continue
		}
		b.Run(f.Name, func(b *testing.B) {
			f.Target.Password = diag.NewSecret(f.Secret)
			target, err := diag.ParseTarget(f.Target)
			if err != nil {
				b.Fatal(err)
			}
			opts, err := diag.ParsePlan(diag.PlanInput{}, probe.IDs())
			if err != nil {
				b.Fatal(err)
			}
			var times, ratios []float64
			for b.Loop() {
				took := f.named(b, target, opts)
				times = append(times, float64(took)/1e6)
				ratios = append(ratios, float64(took)/float64(f.Within))
			}
			b.ReportMetric(median(times), "ms/named")
			b.ReportMetric(median(ratios), "x-bound")
			b.ReportMetric(0, "ns/op") // of no interest
		})
	}
}

// named tells when a run first named the cause that it came to in the end, or when it ended.
func (f *fault) named(b *testing.B, target diag.Target, opts diag.PlanOptions) time.Duration {
	var dialer net.Dialer
	env := diag.Env{Dial: dialer.DialContext, RunID: "bench", Resolvers: []string{os.Getenv("BENCH_RESOLVER")}, HostsFile: os.DevNull}
	var at time.Duration
	begun := time.Now()
	report := (&diag.Runner{Rules: rule.All}).Run(context.Background(), diag.MakePlan(target, opts, probe.All), env, diag.Report{}, func(e diag.Event) {
		if f.Name == os.Getenv("BENCH_TRACE") {
			trace(time.Since(begun), e)
		}
		if e.Type == diag.EventFinding && e.Finding.Code == f.Want && !e.Withdrawn && at == 0 {
			at = time.Since(begun)
		}
	})
	if report.RootCause == nil || report.RootCause.Code != f.Want {
		b.Fatalf("the root cause is %+v, want %s", report.RootCause, f.Want)
	}
	if f.Whole {
		return report.Duration
	}
	return at - delayed(report)
}

// delayed is how long the broker itself took over the upgrade that named the cause, as the run measured it: mosquitto looks at its
// WebSocket connections every 100 ms, and what it does once it has looked is not the path's (nor ours) to shorten.
func delayed(r diag.Report) time.Duration {
	for _, s := range r.Steps {
		a, ok := s.Observation.(*diag.Attempt)
		if ok && s.Check == "peer.transports" && a.WS != nil && a.WS.Outcome == diag.OutcomeOK {
			return max(0, a.WS.Took-a.TCP.RTT)
		}
	}
	return 0
}

// trace prints the timeline of the fault that BENCH_TRACE names: where the round trips go.
func trace(at time.Duration, e diag.Event) {
	switch {
	case e.Step != nil:
		fmt.Fprintf(os.Stderr, "%6d ms %-13s %-22s %-16s %s\n", at.Milliseconds(), e.Type, e.Step.Check, e.Step.Subject, e.Step.Status)
	case e.Finding != nil:
		fmt.Fprintf(os.Stderr, "%6d ms %-13s %s withdrawn=%t\n", at.Milliseconds(), e.Type, e.Finding.Code, e.Withdrawn)
	default:
		fmt.Fprintf(os.Stderr, "%6d ms %s\n", at.Milliseconds(), e.Type)
	}
}
