package rule

import (
	"testing"
	"time"

	"mqttdoctor/diag"
)

func TestBrokerStatusLookAlikes(t *testing.T) { testRecorded(t, brokerStatusLookAlikes()) }

func brokerStatusLookAlikes() []recorded {
	target := broker(diag.SchemeMQTT)
	long := 30 * 24 * time.Hour
	told := func(o diag.BrokerHealth) *diag.BrokerHealth {
		o.Version, o.Outcome, o.Messages, o.Watched = diag.Version5, diag.OutcomeOK, 10, 30*time.Second
		return &o
	}
	dropped := func(first, last float64, times int) diag.Figure {
		return diag.Figure{Name: diag.FigureDropped, First: first, Last: last, Times: times}
	}
	steps := func(o *diag.BrokerHealth, more ...diag.Step) []diag.Step {
		return append([]diag.Step{seen(checkMQTT, at, answered(0)), seen(checkSys, "", o)}, more...)
	}
	figures := func(f ...diag.Figure) *diag.BrokerHealth { return told(diag.BrokerHealth{Uptime: long, Figures: f}) }
	busy := func(first, last float64, times int) *diag.BrokerHealth {
		return figures(diag.Figure{Name: diag.FigureUtilization, Node: "a", First: first, Last: last, Times: times})
	}
	alarm := func(name string, over bool) *diag.BrokerHealth {
		return told(diag.BrokerHealth{Uptime: long, Alarms: []diag.BrokerAlarm{{Name: name, Message: "as it says", Over: over}}})
	}
	overloaded := alarm("high_cpu_usage", false)
	overloaded.Figures = []diag.Figure{dropped(5000, 5000, 3)}
	away := seen(checkSession, "", &diag.KeptSession{Wanted: true, Stage: diag.StageDone, Granted: 1, Returns: []diag.KeptReturn{{Present: true, KeptCount: diag.KeptCount{Sent: 2, Arrived: 2, QoS: 1}}}})
	burst := seen("msg.burst", "QoS 0", &diag.BurstRun{Sent: 1000, Lost: 40})
	return []recorded{
		{name: "refused", target: target, steps: steps(&diag.BrokerHealth{Outcome: diag.OutcomeRefused}), want: ""},
		{name: "closed over it", target: target, steps: steps(&diag.BrokerHealth{Outcome: diag.OutcomeClosed}), want: ""},
		{name: "nothing came", target: target, steps: steps(&diag.BrokerHealth{Outcome: diag.OutcomeOK}), want: ""},
		{name: "up for long", target: target, steps: steps(figures()), want: ""},
		{name: "told once", target: target, steps: steps(figures(dropped(5000, 5000, 1))), want: ""},
		{name: "not rising", target: target, steps: steps(figures(dropped(5000, 5000, 3))), want: ""},
		{name: "counted anew", target: target, steps: steps(figures(dropped(5000, 3, 3))), want: ""},
		{name: "rising", target: target, steps: steps(figures(dropped(5000, 5007, 3))), want: "broker.dropping"},
		{name: "ours alone", target: target, steps: steps(figures(dropped(5000, 5040, 3)), burst), want: ""},
		{name: "more than ours can be", target: target, steps: steps(figures(dropped(5000, 7000, 3)), burst), want: "broker.dropping"},
		{name: "overload", target: target, steps: steps(alarm("high_cpu_usage", false)), want: "broker.overloaded", variant: "alarm"},
		{name: "overload, and nothing dropped", target: target, steps: steps(overloaded), want: "broker.overloaded", variant: "alarm",
			because: map[diag.Code]string{"broker.dropping": "because.no_queue_drops"}},
		{name: "rising, and a client that is away loses nothing", target: target, steps: steps(figures(dropped(5000, 5007, 3)), away), want: "broker.dropping",
			because: map[diag.Code]string{"msg.offline_lost": "because.offline_arrived"}},
		{name: "started a moment ago", target: target, steps: steps(told(diag.BrokerHealth{Uptime: time.Minute})), want: ""},
		{name: "overload is over", target: target, steps: steps(alarm("high_cpu_usage", true)), want: ""},
		{name: "another alarm", target: target, steps: steps(alarm("license_expiry", false)), want: ""},
		{name: "busy all the time", target: target, steps: steps(busy(99, 97, 2)), want: "broker.overloaded"},
		{name: "busy for a moment", target: target, steps: steps(busy(99, 40, 3)), want: ""},
		{name: "busy when asked", target: target, steps: steps(busy(99, 99, 1)), want: ""},
	}
}
