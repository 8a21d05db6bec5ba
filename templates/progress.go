package templates

import (
	"math"
	"strconv"
	"time"

	"mqttdoctor/diag"
)

// quickRun is how long a run takes before anybody wonders when it will end: most have ended by then.
const quickRun = 2000 // ms

// timed is the progress of a step that runs for a set time, such as a watch; ok is false where there is none.
func (r RunPage) timed() (p Progress, ok bool) {
	for id, p := range r.Progress {
		if p.Unit != "seconds" || p.Total <= 0 {
			continue
		}
		for _, s := range r.Report.Steps {
			if s.ID == id && s.Status == diag.StatusRunning {
				return p, true
			}
		}
	}
	return Progress{}, false
}

// left is how many milliseconds the run still takes: exactly where it watches for a set time, else at most, since it waits for
// answers that may come at any moment. 0: it is too early to say.
func (r RunPage) left() (ms float64, exact bool) {
	if p, ok := r.timed(); ok {
		return float64(max(p.Total-p.Done, 1)) * 1000, true
	}
	if r.span() < quickRun {
		return 0, false
	}
	return r.atMost(), false
}

// atMost is how many milliseconds the run could still take when the last event came, with every answer late.
func (r RunPage) atMost() float64 {
	opts := r.Report.Plan.PlanOptions
	opts.Timeout = time.Duration(r.Report.Plan.TimeoutS * float64(time.Second))
	opts.Watch = time.Duration(r.Report.Plan.WatchS) * time.Second
	deadline := diag.Plan{Options: opts}.Deadline()
	return max(float64(deadline.Milliseconds())-r.span(), 0)
}

// wholeSeconds words a time that is left, as the script does when it counts down: finer would pretend to know.
func (p Page) wholeSeconds(ms float64) string {
	if s := max(math.Ceil(ms/1000), 1); s < 60 {
		return p.T("unit.seconds", "n", strconv.Itoa(int(s)))
	}
	return p.Duration(math.Ceil(ms/1000) * 1000)
}
