package probe_test

import (
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

// TestFaultsAreNamedInTime measures on a path of 100 ms, to the resolver (D) and to the host (R) alike, when the root cause is
// named. It is the best of three: the machine may be busy, and the bound is about round trips.
func TestFaultsAreNamedInTime(t *testing.T) {
	const trip = 100 * time.Millisecond // D and R
	dropAll := func(t testing.TB, p *diagtest.Path) {
		p.Right.Run(t, "iptables", "-A", "INPUT", "-p", "tcp", "-j", "DROP")
	}
	for _, c := range []struct {
		name    string
		prepare func(testing.TB, *diagtest.Path)
		url     string
		want    diag.Code
		within  time.Duration
	}{
		{"no such name", nil, "mqtt://broker.tset", "dns.nxdomain", trip * 12 / 10},
		{"refused", nil, "mqtt://broker.test:1888", "tcp.refused", 2 * trip * 12 / 10},
		{"refused with TLS", nil, "mqtts://broker.test:1888", "tcp.refused", 2 * trip * 12 / 10},
		{"rejected", func(t testing.TB, p *diagtest.Path) { p.Right.Reject(t, 1888, "icmp-admin-prohibited") },
			"mqtt://broker.test:1888", "net.firewall_rejected", 2 * trip * 12 / 10},
		{"filtered", dropAll, "mqtt://broker.test:1888", "tcp.filtered", 2*trip + 2500*time.Millisecond},
		{"one port filtered", func(t testing.TB, p *diagtest.Path) { p.Right.Filter(t, 1888) },
			"mqtt://broker.test:1888", "tcp.filtered", 2*trip + 2500*time.Millisecond},
		{"other port", func(t testing.TB, p *diagtest.Path) { brokerAt(t, p, "1883") },
			"mqtt://broker.test:1888", "tcp.wrong_port", 5 * trip * 12 / 10},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			if !diagtest.InRerun() {
				p := diagtest.LatencyPath(t, 0)
				if c.prepare != nil {
					c.prepare(t, p)
				}
				resolver := ""
				on(t, p, func() {
					resolver = diagtest.DNSServer(t, diagtest.DNSRecords(map[string][]string{"broker.test": {p.Right.IPv4}}), diagtest.At(p.Right.IPv4+":53")).Addr
				})
				p.SetDelay(trip / 2)
				p.Left.Rerun(t, envResolver+"="+resolver)
				return
			}
			best := time.Hour
			for try := 0; try < 3 && best > c.within; try++ {
				best = min(best, namedAfter(t, c.url, c.want))
			}
			if t.Logf("%s named after %s", c.want, best); best > c.within {
				t.Errorf("%s was named after %s, want %s", c.want, best, c.within)
			}
		})
	}
}

// namedAfter tells when a run first named the cause that it came to in the end.
func namedAfter(t *testing.T, url string, want diag.Code) time.Duration {
	t.Helper()
	target, err := diag.ParseTarget(diag.TargetInput{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	opts, err := diag.ParsePlan(diag.PlanInput{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var dialer net.Dialer
	env := diag.Env{Dial: dialer.DialContext, RunID: "time", Resolvers: []string{os.Getenv(envResolver)}, HostsFile: os.DevNull}
	named := time.Hour
	begun := time.Now()
	report := (&diag.Runner{Rules: rule.All}).Run(t.Context(), diag.MakePlan(target, opts, probe.All), env, diag.Report{}, func(e diag.Event) {
		if e.Type == diag.EventFinding && e.Finding.Code == want && !e.Withdrawn {
			named = min(named, time.Since(begun))
		}
	})
	if report.RootCause == nil || report.RootCause.Code != want {
		t.Fatalf("%s: %s", url, describe(report))
	}
	return named
}
