package web

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
)

// TestAWatchOfADayIsCanceledWithWhatItSaw starts one as a page would, closes the page, comes back, and ends it.
func TestAWatchOfADayIsCanceledWithWhatItSaw(t *testing.T) {
	t.Parallel()
	s := realServer(t, guard.Laptop)
	broker := diagtest.ScriptedBroker(t, diagtest.Script{})
	proxy := diagtest.Flows(t, broker.Addr, diagtest.FlowLimits{Idle: 6 * time.Second})
	st := s.start(fmt.Sprintf(`{"target": {"url": "mqtt://%s"}, "plan": {"depth": "quick", "watch_s": 86400}}`, proxy.Addr))

	conn, _, err := s.dial("/api/v1/runs/" + st.ID + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseNow() // nobody looks any more
	var r report
	for end := time.Now().Add(3 * patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if r = s.report(st.ID); r.State != diag.StateRunning || proxy.Connections() > 13 {
			break
		}
	}
	if r.State != diag.StateRunning {
		t.Fatalf("it does not go on: %+v", r)
	}
	s.do("POST", "/api/v1/runs/"+st.ID+"/cancel", "", "Authorization", "Bearer "+st.DeleteToken).want(http.StatusAccepted)
	await(t, "it ends", func() bool { return s.report(st.ID).State != diag.StateRunning })
	if r = s.report(st.ID); r.State != diag.StateCanceled || r.Verdict != "broken" || r.RootCause["code"] != "mqtt.idle_disconnect" {
		t.Errorf("%s, %s, %v", r.State, r.Verdict, r.RootCause)
	}
}
