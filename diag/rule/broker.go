package rule

import (
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
)

const (
	checkSys      diag.ProbeID = "broker.sys"
	checkSysLater diag.ProbeID = "broker.sys_later"
)

// brokerRules are about what a broker tells of itself below $SYS.
var brokerRules = []diag.Rule{
	{Code: "broker.overloaded", Severity: diag.SeverityWarning,
		Sources:    []string{"https://docs.emqx.com/en/emqx/latest/observability/alarms.html", "https://docs.vernemq.com/monitoring/systree"},
		Awaits:     []diag.ProbeID{checkSys, checkSysLater},
		LookAlikes: []diag.Code{"broker.dropping"},
		When:       brokerOverloaded},
	{Code: "broker.dropping", Severity: diag.SeverityWarning,
		Sources:    []string{"mosquitto(8)", "https://github.com/mqtt/mqtt.org/wiki/SYS-Topics"},
		Awaits:     []diag.ProbeID{checkSys, checkSysLater},
		LookAlikes: []diag.Code{"broker.overloaded", "msg.offline_lost"},
		When:       brokerDropping},
	{Code: "broker.restarted", Severity: diag.SeverityInfo,
		Sources: []string{"mosquitto(8)"},
		Awaits:  []diag.ProbeID{checkSys},
		When:    brokerRestarted},
}

// brokerHealth is the last look at what the broker tells; it has the first values too.
func brokerHealth(v *diag.View) (diag.Sight[*diag.BrokerHealth], bool) {
	seen := diag.Seen[*diag.BrokerHealth](v)
	for i := len(seen) - 1; i >= 0; i-- {
		if seen[i].Seen.Outcome == diag.OutcomeOK && seen[i].Seen.Messages > 0 {
			return seen[i], true
		}
	}
	return diag.Sight[*diag.BrokerHealth]{}, false
}

func healthFinding(s diag.Sight[*diag.BrokerHealth]) diag.Finding {
	return diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{"product": s.Seen.Product, "version": s.Seen.Release}}
}

// overloadAlarms are EMQX's alarms of a broker that has too much to do, by the beginning of their names (emqx_os_mon, emqx_vm_mon,
// emqx_olp, emqx_congestion). Others, such as of a lost database or an old licence, are no load.
var overloadAlarms = []string{"high_system_memory_usage", "high_process_memory_usage", "high_cpu_usage", "cpu_usage", "too_many_processes",
	"runq_overload", "overload", "conn_congestion", "long_gc", "long_schedule", "busy_port"}

// fullUtilization is the share of time, in percent, that VerneMQ's schedulers were busy when nothing is left.
const fullUtilization = 95

func brokerOverloaded(v *diag.View) diag.Verdict {
	s, ok := brokerHealth(v)
	if !ok {
		return diag.Open()
	}
	f := healthFinding(s)
	var names, messages []string
	for _, a := range s.Seen.Alarms {
		for _, sign := range overloadAlarms {
			if !a.Over && strings.HasPrefix(a.Name, sign) {
				names, messages = append(names, a.Name), append(messages, a.Message)
				break
			}
		}
	}
	if len(names) > 0 {
		f.Variant, f.Args["names"], f.Args["reason"] = "alarm", strings.Join(names, ", "), strings.Join(messages, "; ")
		return diag.Holds(f)
	}
	for _, x := range s.Seen.Figures {
		if x.Name == diag.FigureUtilization && x.Times > 1 && min(x.First, x.Last) >= fullUtilization {
			f.Confidence = diag.Likely
			f.Args["count"] = strconv.FormatFloat(x.Last, 'f', -1, 64)
			return diag.Holds(f)
		}
	}
	return diag.Excluded(diag.N("because.no_overload"))
}

// brokerDropping needs the counter of dropped messages to have risen by more than what this run itself has lost.
func brokerDropping(v *diag.View) diag.Verdict {
	s, ok := brokerHealth(v)
	if !ok {
		return diag.Open()
	}
	d, ok := s.Seen.Figure(diag.FigureDropped)
	switch {
	case !ok || d.Times < 2:
		return diag.Open()
	case d.Last <= d.First:
		return diag.Excluded(diag.N("because.no_queue_drops"))
	}
	rise := int(d.Last - d.First)
	ours, sent := ownLosses(v)
	if rise <= ours {
		return diag.Excluded(diag.N("because.dropped_ours", "count", strconv.Itoa(rise)))
	}
	f := healthFinding(s)
	f.Args["count"] = strconv.Itoa(rise - ours)
	f.Args["interval"] = s.Seen.Watched.Round(time.Second).String()
	if sent > 0 { // ours were on their way meanwhile; not each that was dropped need have been missed
		f.Confidence = diag.Possible
		f.Variant = "beside_tests"
		f.Severity = diag.SeverityInfo
	}
	if rise-ours > sent && sent > 0 { // more than ours can be
		f.Confidence, f.Variant, f.Severity = diag.Likely, "", ""
	}
	return diag.Holds(f)
}

// ownLosses adds up the messages that this run sent in bulk, and those of them that did not arrive.
func ownLosses(v *diag.View) (lost, sent int) {
	for _, s := range diag.Seen[*diag.BurstRun](v) {
		sent += s.Seen.Sent
		lost += s.Seen.Lost
	}
	count := func(c diag.KeptCount) {
		sent += c.Sent
		lost += c.Sent - c.Arrived
	}
	for _, s := range diag.Seen[*diag.KeptSession](v) {
		for _, r := range s.Seen.Returns {
			count(r.KeptCount)
		}
		if s.Seen.Live != nil {
			count(*s.Seen.Live)
		}
	}
	return lost, sent
}

// freshUptime is how young a broker is that was started lately.
const freshUptime = time.Hour

func brokerRestarted(v *diag.View) diag.Verdict {
	s, ok := brokerHealth(v)
	switch {
	case !ok || s.Seen.Uptime <= 0:
		return diag.Open()
	case s.Seen.Uptime >= freshUptime:
		return diag.Excluded(diag.N("because.up_for_long", "duration", diag.FormatSpan(s.Seen.Uptime)))
	}
	f := healthFinding(s)
	f.Args["duration"] = diag.FormatSpan(s.Seen.Uptime)
	return diag.Holds(f)
}
