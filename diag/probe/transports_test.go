package probe_test

import (
	"net/url"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// wrongTransport is the cause that must be found where a listener speaks another transport than was asked for.
func wrongTransport(asked, real string) diag.Code {
	askedTLS, realTLS := asked == "mqtts" || asked == "wss", real == "mqtts" || real == "wss"
	switch {
	case realTLS && !askedTLS:
		return "tls.required"
	case askedTLS && !realTLS:
		return "tls.plaintext_peer"
	case strings.HasPrefix(real, "ws"):
		return "ws.expected"
	}
	return "ws.raw_mqtt_peer"
}

// Each make of broker fails in its own way when it is spoken to in the wrong transport: closed, reset, silence, an alert, an
// HTTP page. All twelve ways must be named on all five, alone, with the address that works.
func TestWrongTransportIsNamedOnEveryBroker(t *testing.T) {
	t.Parallel()
	for _, make := range diagtest.AllBrokers {
		t.Run(make.Name, func(t *testing.T) {
			broker := make.Start(t)
			for _, asked := range []string{"mqtt", "mqtts", "ws", "wss"} {
				for _, listener := range broker.URLs() {
					u, err := url.Parse(listener)
					if err != nil {
						t.Fatal(err)
					}
					real := u.Scheme
					if real == asked {
						continue
					}
					t.Run(asked+" to "+real, func(t *testing.T) {
						u := *u
						u.Scheme, u.Path = asked, ""
						report := diagnose(t, diag.TargetInput{URL: u.String(), Username: broker.Username,
							Password: diag.NewSecret(broker.Password), TLS: diag.TLSInput{CAPEM: broker.CAPEM}}, diag.PlanInput{}, nil)
						want := wrongTransport(asked, real)
						if report.RootCause == nil || report.RootCause.Code != want || len(report.Findings) != 1 {
							t.Fatalf("found %+v, want %s alone", report.Findings, want)
						}
						if s := report.RootCause.Suggestion; s == nil || s.URL != listener && !sameButPath(s.URL, listener) {
							t.Errorf("suggests %+v, want %s", s, listener)
						}
					})
				}
			}
		})
	}
}

// sameButPath allows another path of a broker that takes any.
func sameButPath(a, b string) bool {
	u, err := url.Parse(a)
	v, err2 := url.Parse(b)
	return err == nil && err2 == nil && u.Scheme == v.Scheme && u.Host == v.Host
}
