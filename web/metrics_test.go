package web

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/guard"
	"mqttdoctor/handlers"
)

func TestMetricsAreForThisMachine(t *testing.T) {
	door := meterDoor(diag.Secret{})
	for name, c := range map[string]struct {
		peer, host string
		header     string
		want       error
	}{
		"a program here":                          {"127.0.0.1:999", "127.0.0.1:8080", "", nil},
		"a program here by IPv6":                  {"[::1]:999", "localhost:8080", "", nil},
		"another machine":                         {"192.0.2.1:999", "127.0.0.1:8080", "", handlers.ErrMetricsClosed},
		"a proxy here for others":                 {"127.0.0.1:999", "127.0.0.1:8080", "X-Forwarded-For", handlers.ErrMetricsClosed},
		"a proxy here that names nobody":          {"127.0.0.1:999", "mqtt.example.com", "", handlers.ErrMetricsClosed},
		"a page here under a name of an attacker": {"127.0.0.1:999", "evil.test:8080", "", handlers.ErrMetricsClosed},
	} {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.RemoteAddr, r.Host = c.peer, c.host
		if c.header != "" {
			r.Header.Set(c.header, "127.0.0.1")
		}
		if err := door(r); err != c.want { //nolint:errorlint // these very values
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestMetricsTokenIsAskedOfEverybody(t *testing.T) {
	c := testConfig(t)
	c.MetricsToken = diag.NewSecret("CANARY-metrics-token")
	s := startServer(t, c, testEngine(guard.Laptop))
	a := s.do("GET", "/metrics", "")
	a.wantError(http.StatusUnauthorized, "metrics_token")
	if a.header.Get("WWW-Authenticate") == "" {
		t.Error("no WWW-Authenticate")
	}
	for _, given := range []string{"Bearer wrong", "Bearer", "CANARY-metrics-token", "Basic CANARY-metrics-token", "Bearer CANARY-metrics-token2"} {
		s.do("GET", "/metrics", "", "Authorization", given).wantError(http.StatusUnauthorized, "metrics_token")
	}
	for _, given := range []string{"Bearer CANARY-metrics-token", "bearer CANARY-metrics-token"} {
		s.do("GET", "/metrics", "", "Authorization", given, "X-Forwarded-For", "192.0.2.1").want(http.StatusOK)
	}
}

func TestMetricsHaveBoundedLabels(t *testing.T) {
	m := newMeter()
	m.ended(diag.Report{State: diag.StateFinished, Verdict: diag.OverallBroken, RootCause: &diag.Finding{Code: "made.up"}}, 0)
	m.ended(diag.Report{State: diag.StateFinished, Verdict: diag.OverallBroken, RootCause: &diag.Finding{Code: "tls.cert_expired"}}, 0)
	for code, want := range map[string]float64{"made.up": -1, noCode: 1, "tls.cert_expired": 1, "dns.nxdomain": 0} {
		if got := sample(t, m, "mqttdoctor_root_causes_total", "code", code); got != want {
			t.Errorf("%s: %v, want %v", code, got, want)
		}
	}
}

// sample is the value of a counter or gauge with that label; -1: there is none.
func sample(t *testing.T, m *meter, name, label, value string) float64 {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, s := range f.GetMetric() {
			for _, l := range s.GetLabel() {
				if l.GetName() == label && l.GetValue() == value {
					return s.GetCounter().GetValue() + s.GetGauge().GetValue()
				}
			}
		}
	}
	return -1
}
