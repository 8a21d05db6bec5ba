package diag

import (
	"slices"
	"testing"
	"time"
)

// held is what a search for the longest keep alive found.
type held struct{}

func (held) Kind() string                              { return "test.held" }
func (held) Facts() []Evidence                         { return nil }
func (held) SafeKeepAlive() (safe, ended int, ok bool) { return 40, 61, true }

func TestAdviceFollowsWhatWasMeasured(t *testing.T) {
	u16 := func(n uint16) *uint16 { return &n }
	no, two := false, 2
	accepted := func(props *ConnackProps) []Step {
		return []Step{
			{Check: "dns.resolve", Observation: &Resolution{}, Duration: 200 * time.Millisecond},
			{Check: "tcp.connect", Observation: &TCPConnect{Address: "a:1"}, Duration: 300 * time.Millisecond},
			{Check: "tcp.connect", Observation: &TCPConnect{Address: "b:1"}, Duration: time.Hour},
			{Check: "mqtt.connect", Observation: &MQTTConnect{Purpose: PurposeAsked, Address: "a:1", Version: Version5, Outcome: OutcomeOK, KeepAliveS: 90,
				Took: 500 * time.Millisecond, Props: props}},
		}
	}
	for _, tt := range []struct {
		name   string
		report Report
		check  func(*Advice) bool
	}{
		{"as asked", Report{Steps: accepted(nil)}, func(a *Advice) bool {
			return a.KeepAliveS == 90 && a.ConnectTimeout == 10 && a.ReconnectMin == 1 && a.ReconnectMax == 60 && a.QoS == 1 && a.CleanStart && a.MaxInflight == 20
		}},
		{"the broker's own", Report{Steps: accepted(&ConnackProps{ServerKeepAliveS: u16(30), ReceiveMaximum: u16(5), MaximumQoS: new(byte)}), Target: TargetInput{Topics: TopicsInput{QoS: &two}}},
			func(a *Advice) bool { return a.KeepAliveS == 30 && a.MaxInflight == 5 && a.QoS == 0 }},
		{"a search", Report{Steps: append(accepted(nil), Step{Check: "mqtt.watch", Observation: held{}})}, func(a *Advice) bool { return a.KeepAliveS == 40 }},
		{"a kept session", Report{Steps: accepted(nil), Target: TargetInput{CleanStart: &no, SessionExpiryS: 600}}, func(a *Advice) bool { return !a.CleanStart && a.SessionExpiryS == 600 }},
		{"a session that is not kept", Report{Steps: accepted(nil), Target: TargetInput{CleanStart: &no}, Findings: []Finding{{Code: "mqtt.session_not_kept"}}},
			func(a *Advice) bool { return a.CleanStart }},
		{"a busy broker", Report{Steps: accepted(nil), Findings: []Finding{{Code: "msg.rate_limited"}}}, func(a *Advice) bool { return a.ReconnectMin == 10 && a.ReconnectMax == 300 }},
		{"refused", Report{Steps: []Step{{Check: "mqtt.connect", Observation: &MQTTConnect{Purpose: PurposeAsked, Outcome: OutcomeRefused}}}}, func(a *Advice) bool { return a == nil }},
		{"an untrusted certificate", Report{Steps: accepted(nil), Verdict: OverallBroken, RootCause: &Finding{Code: "tls.cert_expired", Layer: LayerTLS}}, func(a *Advice) bool { return a == nil }},
	} {
		if a := Advise(tt.report); !tt.check(a) {
			t.Errorf("%s: %+v", tt.name, a)
		}
	}
	a := Advise(Report{Steps: accepted(nil)})
	if i := slices.IndexFunc(a.Settings, func(s AdvisedSetting) bool { return s.Name == SettingKeepAlive }); i < 0 || a.Settings[i].Measured {
		t.Errorf("what was asked for passes for measured: %+v", a.Settings)
	}
}
