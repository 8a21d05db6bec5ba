package probe_test

import (
	"net"
	"os"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// A page that came over https may not open ws:// but to the machine itself, though the broker is healthy: the browser's rule, and
// so the only thing to be said. The broker stands at an address of its own; the twins change the scheme, the page and the host.
func TestMixedContent(t *testing.T) {
	if !diagtest.InRerun() {
		t.Parallel()
		path := diagtest.LatencyPath(t, time.Millisecond)
		ca := diagtest.NewCA(t, "mixed CA")
		cert := ca.Issue(t, diagtest.CertOptions{Names: []string{path.Right.IPv4}})
		var plain, secure *diagtest.ScriptedPeer
		on(t, path, func() {
			plain = diagtest.ScriptedBroker(t, diagtest.Script{WS: &diagtest.WSScript{}}, diagtest.At(path.Right.IPv4+":0"))
			secure = diagtest.ScriptedBroker(t, diagtest.Script{WS: &diagtest.WSScript{}}, diagtest.At(path.Right.IPv4+":0"), diagtest.WithTLS(cert.Server()))
		})
		path.Left.Rerun(t, "MIXED_WS="+plain.Target(), "MIXED_WSS="+secure.Target(), "MIXED_CA="+ca.PEM)
		return
	}
	far := func(name string) func(testing.TB) string { return func(testing.TB) string { return os.Getenv(name) } }
	here := func(host string) func(testing.TB) string {
		return func(t testing.TB) string {
			peer := diagtest.ScriptedBroker(t, diagtest.Script{WS: &diagtest.WSScript{}})
			return "ws://" + withHost(t, peer.Addr, host) + "/mqtt"
		}
	}
	page := func(origin string) diag.TargetInput {
		return diag.TargetInput{WS: diag.WSInput{Origin: origin}, TLS: diag.TLSInput{CAPEM: os.Getenv("MIXED_CA")}}
	}
	secure, plain := page("https://app.example.com"), page("http://app.example.com")
	five := diag.PlanInput{TimeoutS: seconds(5)}
	runScenarios(t, []scenario{
		{name: "secure page, ws", peer: far("MIXED_WS"), in: secure, plan: five, want: "ws.mixed_content", attention: true, check: worksAllTheSame},
		{name: "secure page, wss", peer: far("MIXED_WSS"), in: secure, plan: five},
		{name: "plain page, ws", peer: far("MIXED_WS"), in: plain, plan: five},
		{name: "no page, ws", peer: far("MIXED_WS"), plan: five},
		{name: "secure page, ws to localhost", peer: here("localhost"), in: secure, plan: five},
		{name: "secure page, ws to a name below localhost", peer: here("broker.localhost"), in: secure, plan: five},
		{name: "secure page, ws to 127.0.0.1", peer: here("127.0.0.1"), in: secure, plan: five},
	})
}

// worksAllTheSame checks that only the browser is warned of: a message went through.
func worksAllTheSame(t *testing.T, r diag.Report) {
	t.Helper()
	if r.Verdict != diag.OverallAttention || len(r.Findings) == 0 || r.RootCause.Severity != diag.SeverityWarning {
		t.Errorf("is %s with %+v", r.Verdict, r.RootCause)
	}
	for _, s := range diag.Seen[*diag.Delivery](diag.NewView(diag.Target{}, r.Plan, r.Steps)) {
		if s.Seen.Delivered {
			return
		}
	}
	t.Error("no message went through")
}

func withHost(t testing.TB, address, host string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(host, port)
}
