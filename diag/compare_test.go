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
	if len(c.Steps) != 1 || c.Steps[0].Check != "tls.handshake" {
		t.Errorf("steps %+v", c.Steps)
	}
	if len(c.Unseen) != 1 || c.Unseen[0].Check != "tls.versions" || c.Unseen[0].Before != nil {
		t.Errorf("unseen %+v", c.Unseen)
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

// A broker that is down takes most of a run with it: what could not be looked at has neither come nor gone.
func TestCompareTellsTheUnseenFromTheGone(t *testing.T) {
	step := func(check ProbeID, subject string, status Status) Step {
		return Step{ID: string(check) + "@" + subject, Check: check, Subject: subject, Status: status, Summary: N("step.x")}
	}
	up := Report{Plan: PlanOptions{Depth: DepthStandard}, Findings: []Finding{{Code: "sec.no_encryption", Severity: SeverityWarning, Step: "mqtt.connect@192.0.2.1:1883"},
		{Code: "dns.one_address", Severity: SeverityInfo, Step: "dns.resolve"}},
		Steps: []Step{step("dns.resolve", "", StatusPassed), step("tcp.connect", "192.0.2.1:1883", StatusPassed), step("mqtt.connect", "192.0.2.1:1883", StatusPassed),
			step("msg.subscribe", "", StatusPassed)}}
	down := Report{Plan: PlanOptions{Depth: DepthStandard}, Findings: []Finding{{Code: "tcp.refused", Severity: SeverityCritical, Step: "tcp.connect@192.0.2.1:1883"}},
		Steps: []Step{step("dns.resolve", "", StatusPassed), step("tcp.connect", "192.0.2.1:1883", StatusFailed), step("tcp.connect", "192.0.2.2:1883", StatusFailed),
			step("mqtt.connect", "", StatusSkipped)}}
	for name, c := range map[string]Comparison{"down": Compare(up, down), "up": Compare(down, up)} {
		if c.Same() || len(c.Findings) != 3 || len(c.Steps) != 2 || len(c.Unseen) != 2 || len(c.Settings) != 0 {
			t.Errorf("%s: %+v", name, c)
		}
		for _, f := range c.Findings {
			if f.Unseen != (f.Code == "sec.no_encryption") {
				t.Errorf("%s: %s unseen: %t", name, f.Code, f.Unseen)
			}
		}
		for _, s := range c.Steps {
			if s.Check != "tcp.connect" {
				t.Errorf("%s: %s has changed", name, s.Check)
			}
		}
	}
	more := up
	more.Plan.Depth, more.Steps = DepthDeep, append(more.Steps[:4:4], step("msg.burst", "", StatusPassed))
	more.Findings = append(more.Findings[:2:2], Finding{Code: "msg.lost", Step: "msg.burst"})
	c := Compare(up, more)
	if len(c.Settings) != 1 || c.Settings[0].Key != "plan.depth" || len(c.Unseen) != 1 || len(c.Steps) != 0 || !c.Findings[0].Unseen {
		t.Errorf("a deeper run: %+v", c)
	}
}
