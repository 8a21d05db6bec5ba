package probe_test

import (
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// A wrong transport is named by the first answer in another one, before a CONNECT has shown whether a broker is behind it; and
// what was not seen is not claimed. Each twin's broker does answer, and is offered.
func TestTransportIsNamedByItsFirstAnswer(t *testing.T) {
	t.Parallel()
	silent := func(diagtest.Connect) diagtest.ConnectAnswer { return diagtest.ConnectAnswer{Action: diagtest.Silence} }
	for _, tt := range []struct {
		name, asked, real string
		script            diagtest.Script
		want              diag.Code
		variant           string
	}{
		{name: "silent behind TLS", asked: "mqtt", real: "mqtts", script: diagtest.Script{OnConnect: silent}, want: "tls.required", variant: "handshake"},
		{name: "broker behind TLS", asked: "mqtt", real: "mqtts", want: "tls.required"},
		{name: "silent behind WebSocket", asked: "mqtt", real: "ws", script: diagtest.Script{OnConnect: silent}, want: "ws.expected", variant: "endpoint"},
		{name: "broker behind WebSocket", asked: "mqtt", real: "ws", want: "ws.expected"},
		{name: "refusing behind WebSocket", asked: "mqtt", real: "ws", want: "ws.expected", variant: "answered",
			script: diagtest.Script{OnConnect: func(diagtest.Connect) diagtest.ConnectAnswer { return diagtest.RefuseConnect(5, 0x87) }}},
		{name: "silent behind secure WebSocket", asked: "ws", real: "wss", script: diagtest.Script{OnConnect: silent}, want: "tls.required", variant: "websocket"},
		{name: "broker behind secure WebSocket", asked: "ws", real: "wss", want: "tls.required"},
		{name: "silent behind plain WebSocket", asked: "wss", real: "ws", script: diagtest.Script{OnConnect: silent}, want: "tls.plaintext_peer", variant: "websocket"},
		{name: "broker behind plain WebSocket", asked: "wss", real: "ws", want: "tls.plaintext_peer", variant: "websocket"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ca := diagtest.NewCA(t, "transport CA")
			var options []diagtest.PeerOption
			if tt.real == "mqtts" || tt.real == "wss" {
				options = append(options, diagtest.WithTLS(ca.Issue(t, diagtest.CertOptions{}).Server()))
			}
			if tt.real == "ws" || tt.real == "wss" {
				tt.script.WS = &diagtest.WSScript{}
			}
			peer := diagtest.ScriptedBroker(t, tt.script, options...)
			named, behind := 0, 0
			report := diagnoseHearing(t, diag.TargetInput{URL: tt.asked + "://" + peer.Addr, TLS: diag.TLSInput{CAPEM: ca.PEM}}, diag.PlanInput{}, nil, func(e diag.Event) {
				switch {
				case e.Type == diag.EventFinding && e.Withdrawn:
					t.Errorf("%s was withdrawn", e.Finding.Code)
				case e.Type == diag.EventFinding && e.Finding.Code == tt.want && named == 0:
					named = e.Seq
				case e.Type == diag.EventStepFinished && e.Step.Check == "peer.mqtt" && e.Step.Status != diag.StatusSkipped && behind == 0:
					behind = e.Seq
				}
			})
			root := report.RootCause
			if root == nil || root.Code != tt.want || root.Variant != tt.variant {
				t.Fatalf("the root cause is %+v, want %s (%s)", root, tt.want, tt.variant)
			}
			if root.Confidence != diag.Certain {
				t.Errorf("is %s in the end", root.Confidence)
			}
			heard := tt.script.OnConnect == nil
			if (root.Suggestion != nil) != heard {
				t.Errorf("suggests %+v", root.Suggestion)
			}
			if _, works := root.Args["found"]; works && !heard && tt.want != "ws.expected" {
				t.Errorf("says that %s works", root.Args["found"])
			}
			// A broker that answers at once may do so before the asked CONNECT is known to have failed; one that says nothing not.
			if !heard && tt.variant != "answered" && named > behind {
				t.Errorf("named with event %d, after the CONNECT behind it was given up with event %d", named, behind)
			}
		})
	}
}
