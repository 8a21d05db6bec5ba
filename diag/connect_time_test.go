package diag

import (
	"testing"
	"time"
)

// The time until a broker accepts is that of one address, from dialling on; where none accepted there is none.
func TestConnectTime(t *testing.T) {
	step := func(check ProbeID, subject string, ms int, o Observation) Step {
		return Step{Check: check, Subject: subject, Duration: time.Duration(ms) * time.Millisecond, Observation: o}
	}
	way := []Step{
		step("dns.resolve", "", 900, nil),
		step("tcp.connect", "192.0.2.1:8883", 20, nil),
		step("tcp.connect", "192.0.2.2:8883", 500, nil),
		step("tls.handshake", "192.0.2.1:8883", 40, nil),
		step("tls.versions", "192.0.2.1:8883", 70, nil),
	}
	accepted := step("mqtt.connect", "192.0.2.1:8883", 30, &MQTTConnect{Outcome: OutcomeOK})
	if took, ok := (Report{Steps: append(way, accepted)}).ConnectTime(); !ok || took != 90*time.Millisecond {
		t.Errorf("%v, %v", took, ok)
	}
	refused := step("mqtt.connect", "192.0.2.1:8883", 30, &MQTTConnect{Outcome: OutcomeRefused, Code: 5})
	older := step("mqtt.connect_older", "", 110, &MQTTConnect{Outcome: OutcomeOK})
	if took, ok := (Report{Steps: append(way, refused, older)}).ConnectTime(); !ok || took != 110*time.Millisecond {
		t.Errorf("in an older version %v, %v", took, ok)
	}
	for _, steps := range [][]Step{nil, way, append(way, refused)} {
		if took, ok := (Report{Steps: steps}).ConnectTime(); ok {
			t.Errorf("%v of a run in which nothing was accepted", took)
		}
	}
}
