package diag

import (
	"testing"
	"time"
)

func TestCompareFindsWhatChanged(t *testing.T) {
	step := func(check, subject string, status Status, d time.Duration, evidence ...Evidence) Step {
		return Step{ID: check + "@" + subject, Check: ProbeID(check), Subject: subject, Status: status, Duration: d, Evidence: evidence, Summary: N("step.x")}
	}
	before := Report{Findings: []Finding{{Code: "tls.cert_expiring", Severity: SeverityWarning}},
		Steps: []Step{
			step("tcp.connect", "192.0.2.1:8883", StatusPassed, 20*time.Millisecond, Evidence{Key: EvAddress, Value: "192.0.2.1:8883"}),
			step("tls.handshake", "192.0.2.1:8883", StatusPassed, 40*time.Millisecond, Evidence{Key: EvCertSHA256, Value: "aa"}, Evidence{Key: EvRTT, Value: "3", Unit: "ms"}),
			step("tls.aia", "", StatusSkipped, 0),
			step("mqtt.connect", "192.0.2.1:8883", StatusPassed, 30*time.Millisecond, Evidence{Key: EvFilter, Value: "mqttdoctor/1/echo"}),
		}}
	after := Report{Findings: []Finding{{Code: "tls.cert_expired", Severity: SeverityCritical}},
		Target: TargetInput{Username: "meter"},
		Steps: []Step{
			step("tcp.connect", "192.0.2.9:8883", StatusPassed, 21*time.Millisecond, Evidence{Key: EvAddress, Value: "192.0.2.9:8883"}),
			step("tls.handshake", "192.0.2.9:8883", StatusFailed, 44*time.Millisecond, Evidence{Key: EvCertSHA256, Value: "bb"}, Evidence{Key: EvRTT, Value: "9", Unit: "ms"}),
			step("mqtt.connect", "192.0.2.9:8883", StatusPassed, 300*time.Millisecond, Evidence{Key: EvFilter, Value: "mqttdoctor/2/echo"}),
			step("tls.versions", "", StatusPassed, 0),
		}}
	c := Compare(before, after)
	if len(c.Findings) != 2 || c.Findings[0].After != nil || c.Findings[1].Before != nil {
		t.Errorf("findings %+v", c.Findings)
	}
	if len(c.Steps) != 2 || c.Steps[0].Check != "tls.handshake" || c.Steps[1].Check != "tls.versions" || c.Steps[1].Before != nil {
		t.Errorf("steps %+v", c.Steps)
	}
	if len(c.Facts) != 1 || c.Facts[0].Before.Value != "aa" || c.Facts[0].After.Value != "bb" {
		t.Errorf("facts %+v", c.Facts)
	}
	if len(c.Timings) != 1 || c.Timings[0].Check != "mqtt.connect" {
		t.Errorf("timings %+v", c.Timings)
	}
	if len(c.Settings) != 1 || c.Settings[0].Key != "target.username" || c.Same() {
		t.Errorf("settings %+v", c.Settings)
	}
	if same := Compare(before, before); !same.Same() || len(same.Timings) != 0 {
		t.Errorf("a run differs from itself: %+v", same)
	}
}

// What a broker offers is compared row by row, and what it counts is not: that differs from one minute to the next.
func TestCompareBrokers(t *testing.T) {
	run := func(retain, release string, connected float64) Report {
		step := func(check ProbeID, o Observation) Step {
			return Step{ID: string(check), Check: check, Status: StatusPassed, Summary: N("step.x"), Observation: o, Evidence: o.Facts()}
		}
		return Report{Steps: []Step{
			step("mqtt.capabilities", &Capabilities{Version: Version5, Rows: []Capability{
				{Name: CapRetain, Measured: retain}, {Name: CapMaximumQoS, Announced: "2"}, {Name: CapTopicLength, Announced: "65535", Measured: "4096"}}}),
			step("broker.sys", &BrokerHealth{Outcome: OutcomeOK, Product: "mosquitto", Release: release, Uptime: time.Duration(connected) * time.Minute,
				Figures: []Figure{{Name: FigureConnected, First: connected, Last: connected + 1, Times: 2}, {Name: FigureDropped, First: connected, Last: 2 * connected, Times: 2}}}),
		}}
	}
	c := Compare(run("yes", "2.0.18", 7), run("no", "2.0.20", 9))
	if len(c.Facts) != 2 || c.Facts[0].Key != "cap.retain" || c.Facts[0].Before.Value != "yes" || c.Facts[0].After.Value != "no" || c.Facts[1].Key != EvSysRelease {
		t.Errorf("facts %+v", c.Facts)
	}
	if c := Compare(run("yes", "2.0.18", 7), run("yes", "2.0.18", 9)); !c.Same() {
		t.Errorf("the same broker on another day differs by %+v", c.Facts)
	}
}
