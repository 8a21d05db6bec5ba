package probe

import (
	"context"
	"time"

	"mqttdoctor/diag"
)

// lateAnswer is how long a router may take to say that a machine is off: it asks three times in as many seconds for it, before
// it gives up (RFC 4861 10; Linux does so for ARP too).
const lateAnswer = 3400 * time.Millisecond

// lateFrom is when a SYN counts as late: before the trace and the other ports are tried, since routers send few ICMP errors, and
// those to what came first.
const lateFrom = 250 * time.Millisecond

// tcpLate asks once more beside an asked SYN that stays unanswered, and waits beyond its time for what a router may say of the
// address. Nobody waits for it to tell that a port is filtered.
var tcpLate = diag.Probe{
	ID: "tcp.late", Layer: diag.LayerTCP, Depth: diag.DepthQuick,
	Needs:   []diag.ProbeID{checkResolve},
	Applies: func(_ diag.Target, o diag.PlanOptions) bool { return synBound(o.Timeout) < lateAnswer },
	Ready: func(v *diag.View) diag.Decision {
		if v.Ended(checkTCP) {
			return diag.Skip(diag.N("skip.not_the_question"))
		}
		since, running := v.RunningSince(checkTCP)
		if !running {
			return diag.Wait()
		}
		if at := since.Add(lateFrom); v.Now.Before(at) {
			return diag.WaitUntil(at)
		}
		return diag.Run()
	},
	Moot: netTrace.Moot,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		address := mainAddress(env.View)
		if address == "" {
			return diag.Skipped(diag.N("skip.not_resolved"))
		}
		r := askedRoute(env.Target, address)
		r.SYNWait = lateAnswer - lateFrom
		o, conn := dialTCP(ctx, env, r)
		if conn != nil {
			_ = conn.Close()
		}
		result := tcpResult(o)
		if o.Outcome == diag.OutcomeSilent {
			return diag.Warned(o, result.Summary)
		}
		return result
	},
}
