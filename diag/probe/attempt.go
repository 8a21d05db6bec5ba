package probe

import (
	"mqttdoctor/diag"
)

// attemptResult makes the step of a connection that was made beside the asked one. It has passed where it taught what a
// working way looks like, and it has not failed where it did not: it was never asked for. So it is passed or warned.
func attemptResult(a *diag.Attempt) diag.Result {
	args := []string{"address", a.Address, "transport", string(a.Transport), "value", a.Label}
	switch {
	case a.Accepted():
		return diag.Passed(a, diag.N("step.attempt.accepted", args...))
	case a.MQTT != nil && a.MQTT.Code >= 0:
		return diag.Warned(a, diag.N("step.attempt.refused", append(args, "reason", a.MQTT.Reason)...))
	case a.MQTT != nil:
		return diag.Warned(a, diag.N("step.attempt.no_connack", append(args, "symbol", string(a.MQTT.Outcome))...))
	case a.WS != nil && a.WS.Outcome == diag.OutcomeOK:
		return diag.Passed(a, diag.N("step.attempt.upgraded", append(args, "path", a.WS.Path)...))
	case a.WS != nil && a.WS.HTTP():
		return diag.Warned(a, diag.N("step.attempt.http", append(args, "status", statusText(a.WS))...))
	case a.WS != nil:
		return diag.Warned(a, diag.N("step.attempt.no_http", append(args, "symbol", string(a.WS.Outcome))...))
	case a.TLS != nil && a.TLS.Outcome != diag.OutcomeOK:
		return diag.Warned(a, diag.N("step.attempt.no_tls", append(args, "symbol", string(a.TLS.Outcome))...))
	case a.TLS != nil:
		return diag.Passed(a, diag.N("step.attempt.tls", args...))
	case a.TCP != nil && a.TCP.Outcome != diag.OutcomeOK:
		return diag.Warned(a, diag.N("step.attempt.no_tcp", append(args, "symbol", string(a.TCP.Outcome))...))
	}
	return diag.Passed(a, diag.N("step.attempt.tcp", args...))
}
