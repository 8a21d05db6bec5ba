package templates

import (
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

func TestTimeLeftIsToldOnceItIsKnown(t *testing.T) {
	page := func(after time.Duration) RunPage {
		r := RunPage{Page: Page{Lang: catalogue.English}, Report: catalogue.ReportView{State: diag.StateRunning, CreatedAt: sampleStart}}
		r.Report.Plan.TimeoutS, r.Report.Plan.WatchS = 5, 60
		r.Report.Steps = []catalogue.StepView{{ID: "mqtt.watch", Check: "mqtt.watch", Status: diag.StatusRunning, StartedAt: sampleStart.Add(after)}}
		return r
	}
	if ms, _ := page(time.Second).left(); ms != 0 {
		t.Errorf("%v ms after a second", ms)
	}
	if ms, exact := page(10 * time.Second).left(); exact || ms < 60_000 || ms > 200_000 {
		t.Errorf("%v ms, exact %v", ms, exact)
	}
	r := page(10 * time.Second)
	r.Progress = map[string]Progress{"mqtt.watch": {Done: 15, Total: 60, Unit: "seconds"}}
	if ms, exact := r.left(); !exact || ms != 45_000 {
		t.Errorf("%v ms, exact %v", ms, exact)
	}
}
