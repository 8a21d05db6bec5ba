package probe

import (
	"context"
	"net"
	"strconv"

	"mqttdoctor/diag"
)

// wsUpgrade makes the asked opening handshake on each address that got so far.
var wsUpgrade = diag.Probe{
	ID: checkWS, Layer: diag.LayerWS, Depth: diag.DepthQuick,
	Follows: []diag.ProbeID{checkTLS, checkTCP},
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.Scheme.IsWebSocket() },
	Each: func(_ *diag.View, before diag.Step) diag.Decision {
		if !opened(before) {
			return notReached(before)
		}
		return diag.Run()
	},
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		stash := diag.StashTCP
		if env.Target.Scheme.UsesTLS() {
			stash = diag.StashTLS
		}
		item, ok := env.Stash.Take(stash + s.Name)
		conn, isConn := item.(net.Conn)
		if !ok || !isConn {
			return diag.Skipped(diag.N("skip.no_connection"))
		}
		o, up := upgradeWS(ctx, env, askedRoute(env.Target, s.Name), conn)
		if up != nil {
			env.Stash.Put(diag.StashWS+s.Name, up)
		} else {
			env.Stash.Put(stashFailed, mark{})
		}
		return wsResult(o)
	},
}

func wsResult(o *diag.WSUpgrade) diag.Result {
	args := []string{"address", o.Address, "path", o.Path, "duration", diag.FormatMS(o.Took) + " ms"}
	switch {
	case o.Outcome == diag.OutcomeOK && o.Subprotocol == "" && len(o.Offered) > 0:
		return diag.Warned(o, diag.N("step.ws.upgrade.no_subprotocol", args...))
	case o.Outcome == diag.OutcomeOK:
		return diag.Passed(o, diag.N("step.ws.upgrade.ok", append(args, "subprotocol", o.Subprotocol)...))
	}
	failure := &diag.Failure{Op: "ws.upgrade", Code: string(o.Outcome), Text: o.Error}
	switch {
	case o.Outcome == diag.OutcomeMalformed && o.Status != 0:
		return diag.Failed(o, diag.N("step.ws.upgrade.malformed", args...), failure)
	case o.Status != 0:
		return diag.Failed(o, diag.N("step.ws.upgrade.status", append(args, "status", statusText(o))...), failure)
	case o.Outcome == diag.OutcomeOther:
		return diag.Failed(o, diag.N("step.ws.upgrade.other", append(args, "protocol", orUnknown(o.Speaks))...), failure)
	case o.Outcome == diag.OutcomeSilent:
		return diag.Failed(o, diag.N("step.ws.upgrade.silent", args...), failure)
	}
	return diag.Failed(o, diag.N("step.ws.upgrade.ended", args...), failure)
}

func statusText(o *diag.WSUpgrade) string {
	text := strconv.Itoa(o.Status)
	if o.StatusText != "" {
		text += " " + o.StatusText
	}
	return text
}

func orUnknown(s string) string {
	if s == "" {
		return "?"
	}
	return s
}
