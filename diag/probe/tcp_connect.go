package probe

import (
	"context"
	"time"

	"mqttdoctor/diag"
)

// tcpConnect makes the asked TCP connection to every address of the name, side by side.
var tcpConnect = diag.Probe{
	ID: checkTCP, Layer: diag.LayerTCP, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkResolve},
	Ready: func(v *diag.View) diag.Decision {
		if !resolved(v) {
			return diag.Skip(diag.N("skip.not_resolved"))
		}
		return diag.Run()
	},
	Subjects: func(v *diag.View) []diag.Subject {
		var out []diag.Subject
		for _, address := range addressesOf(v) {
			out = append(out, diag.Subject{Name: address})
		}
		return out
	},
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		o, conn := dialTCP(ctx, env, askedRoute(env.Target, s.Name))
		if conn != nil {
			env.Stash.Put(diag.StashTCP+s.Name, conn)
		}
		return tcpResult(o)
	},
}

func tcpResult(o *diag.TCPConnect) diag.Result {
	args := []string{"address", o.Address, "rtt", diag.FormatMS(o.RTT) + " ms", "errno", o.Errno, "hop", o.ICMPOffender}
	if o.Outcome == diag.OutcomeOK {
		return diag.Passed(o, diag.N("step.tcp.connect.ok", args...))
	}
	failure := &diag.Failure{Op: "tcp.connect", Code: string(o.Outcome), Text: o.Error}
	switch o.Outcome {
	case diag.OutcomeRefused, diag.OutcomeSilent, diag.OutcomeICMP, diag.OutcomeUnreachable, diag.OutcomeForbidden,
		diag.OutcomeReset:
		return diag.Failed(o, diag.N("step.tcp.connect."+string(o.Outcome), args...), failure)
	}
	return diag.Failed(o, diag.N("step.tcp.connect.local", args...), failure)
}

// synTime is how long a SYN may stay unanswered: three are sent by then on a current kernel (at 0, 1 and 2 s), so that two
// lost ones do not look like a firewall, and a technician does not wait for the kernel's two minutes.
const synTime = 2500 * time.Millisecond

func synBound(timeout time.Duration) time.Duration {
	if timeout < synTime || timeout > 5*time.Second {
		return timeout // the user chose it
	}
	return synTime
}
