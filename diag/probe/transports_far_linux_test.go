package probe_test

import (
	"os"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// A broker far away that takes its time may hear a knock for WebSocket, and is healthy; the twin is a web server that
// takes a CONNECT in silence.
func TestFarAway(t *testing.T) {
	if diagtest.InRerun() {
		farAway(t)
		return
	}
	t.Parallel()
	path := diagtest.LatencyPath(t, 40*time.Millisecond)
	var slow, web *diagtest.ScriptedPeer
	if err := path.Right.Do(func() error {
		slow = diagtest.ScriptedBroker(t, diagtest.Script{Delay: 150 * time.Millisecond}, diagtest.At(path.Right.IPv4+":0"))
		web = diagtest.ScriptedBroker(t, diagtest.Script{WS: &diagtest.WSScript{}}, diagtest.At(path.Right.IPv4+":0"))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	path.Left.Rerun(t, "FAR_SLOW=mqtt://"+slow.Addr, "FAR_WEB=mqtt://"+web.Addr)
}

func farAway(t *testing.T) {
	t.Run("slow", func(t *testing.T) {
		report := diagnose(t, diag.TargetInput{URL: os.Getenv("FAR_SLOW")}, diag.PlanInput{}, nil)
		for _, f := range report.Findings {
			if f.Severity != diag.SeverityInfo {
				t.Errorf("concludes %s", f.Code)
			}
		}
		if report.Verdict != diag.OverallHealthy {
			t.Errorf("is %s", report.Verdict)
		}
	})
	t.Run("web", func(t *testing.T) {
		report := diagnose(t, diag.TargetInput{URL: os.Getenv("FAR_WEB")}, diag.PlanInput{}, nil)
		if report.RootCause == nil || report.RootCause.Code != "ws.expected" || report.RootCause.Suggestion == nil {
			t.Errorf("the root cause is %+v, want ws.expected with what works", report.RootCause)
		}
	})
}
