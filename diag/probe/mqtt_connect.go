package probe

import (
	"context"
	"net"
	"slices"

	"mqttdoctor/diag"
)

// stashMain is where the asked session lives while other checks use it.
const stashMain = diag.StashMQTT + "main"

func borrowMain(env *diag.Env) (*exchange, bool) {
	item, ok := env.Stash.Borrow(stashMain)
	x, isExchange := item.(*exchange)
	return x, ok && isExchange
}

// mqttConnect sends the asked CONNECT on the first address that got so far; where the version was left open, in the newest.
// The user's client id is used here and in mqttOlder alone.
var mqttConnect = diag.Probe{
	ID: checkMQTT, Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Ready: func(v *diag.View) diag.Decision {
		last := lastBeforeMQTT(v.Target)
		if len(openedAddresses(v, last)) > 0 {
			return diag.Run()
		}
		if at := brokenAt(v); at != "" {
			return diag.Skip(diag.N("skip.layer_failed", "check", string(checkOf(at))))
		}
		return diag.Wait()
	},
	Subjects: func(v *diag.View) []diag.Subject {
		address := openedAddresses(v, lastBeforeMQTT(v.Target))[0]
		return []diag.Subject{{Name: address, Value: secureBy(v, address)}}
	},
	Moot: otherTransportKnown,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		defer env.Stash.Put(stashAnswered, mark{})
		secured, _ := s.Value.(*diag.TLSHandshake)
		item, _ := env.Stash.Take(stashBefore(env.Target) + s.Name)
		conn, ok := item.(net.Conn)
		if !ok {
			return diag.Skipped(diag.N("skip.no_connection"))
		}
		o, session := connectMQTT(ctx, env, askedRoute(env.Target, s.Name), conn, secured)
		if session != nil {
			env.Stash.Put(stashMain, newExchange(session, o))
		}
		if !o.Answered() {
			env.Stash.Put(stashFailed, mark{})
		}
		result := connectResult(o)
		if env.Target.Protocol == diag.VersionAuto && result.Status == diag.StatusFailed && (worthOlder(o) || o.Outcome == diag.OutcomeSilent) {
			// Nobody asked for this version; whether that is a failure, the older one will tell.
			result.Status = diag.StatusWarned
		}
		return result
	},
}

// stashAnswered is there once the asked CONNECT has had its answer, or none; stashFailed once the asked path got none that it
// could go on from, on any layer from TLS on.
const (
	stashAnswered = diag.StashMQTT + "answered"
	stashFailed   = diag.StashMQTT + "failed"
)

// mark is something in the stash that is only there or not.
type mark struct{}

func (mark) Close() error { return nil }

// mqttOlder sends the asked CONNECT in an older version, where the version was left open and the newest one failed in a way
// that can come from the version, as a client library falls back: in the newest that mqtt.versions found to be understood.
var mqttOlder = diag.Probe{
	ID: checkOlder, Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Needs:   []diag.ProbeID{checkMQTT},
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.Protocol == diag.VersionAuto },
	Ready: func(v *diag.View) diag.Decision {
		seen := diag.SeenBy[*diag.MQTTConnect](v, checkMQTT)
		switch {
		case len(seen) == 0:
			return notReachedBy(v, checkMQTT)
		case seen[0].Seen.Accepted():
			return diag.Skip(diag.N("skip.connected"))
		case otherTransportKnown(v):
			return diag.Skip(diag.N("skip.already_clear"))
		}
		_, found := understoodVersion(v)
		// Silence says nothing by itself, and something where an older version was answered meanwhile.
		silent := seen[0].Seen.Outcome == diag.OutcomeSilent
		worth := worthOlder(seen[0].Seen) || silent && found
		switch {
		case silent && !found && !v.Ended(checkVersions):
			return diag.Wait()
		case !worth:
			return diag.Skip(diag.N("skip.not_the_question"))
		case found:
			return diag.Run()
		case !v.Ended(checkVersions):
			return diag.Wait()
		case otherTransportKnown(v):
			return diag.Skip(diag.N("skip.no_version"))
		}
		// No version was answered to temporary clients; the user's own id and login may fare better in one that the broker knows.
		return diag.Run()
	},
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		first := diag.SeenBy[*diag.MQTTConnect](env.View, checkMQTT)[0].Seen
		version, found := understoodVersion(env.View)
		if !found {
			version = diag.Version311
		}
		older := askedRoute(env.Target, first.Address)
		older.MQTT.Version, older.WS.Subprotocols = version, subprotocolsFor(version)
		a, l := walk(ctx, env, older, upToMQTT)
		if a.MQTT == nil {
			return attemptResult(a)
		}
		a.MQTT.Earlier = []*diag.MQTTConnect{first}
		if l != nil && l.Session != nil {
			env.Stash.Put(stashMain, newExchange(l.Session, a.MQTT))
		}
		return connectResult(a.MQTT)
	},
}

// understoodVersion is the newest older version that the broker was heard to answer. It is known as soon as 3.1.1 is:
// nobody prefers 3.1.
func understoodVersion(v *diag.View) (diag.Version, bool) {
	for _, version := range diag.Versions[1:] {
		for _, s := range diag.SeenBy[*diag.Attempt](v, checkVersions) {
			if m := s.Seen.MQTT; m != nil && m.Version == version && m.Code >= 0 && !slices.Contains([]int{1, 0x84}, m.Code) {
				return version, true
			}
		}
		if !v.Ended(checkVersions) {
			return "", false
		}
	}
	return "", false
}

// worthOlder tells whether a failure can come from the version: a refusal that says so, or an end without an answer, which
// is how RabbitMQ before 3.13 and ActiveMQ answer MQTT 5. Unspecified errors and malformed-packet codes are how gateways do.
func worthOlder(o *diag.MQTTConnect) bool {
	switch o.Outcome {
	case diag.OutcomeRefused:
		return slices.Contains([]int{1, 0x80, 0x81, 0x82, 0x83, 0x84}, o.Code)
	case diag.OutcomeClosed, diag.OutcomeReset:
		return o.Alert == nil
	case diag.OutcomeMalformed:
		return true
	}
	return false
}

func maximumQoS(o *diag.MQTTConnect) byte {
	if o.Props != nil && o.Props.MaximumQoS != nil {
		return *o.Props.MaximumQoS
	}
	return 2
}

// checkOf is the asked path's check of a layer.
func checkOf(l diag.Layer) diag.ProbeID {
	switch l {
	case diag.LayerDNS:
		return checkResolve
	case diag.LayerTCP:
		return checkTCP
	case diag.LayerTLS:
		return checkTLS
	case diag.LayerWS:
		return checkWS
	}
	return checkMQTT
}

// stashBefore is the stash name of the connection that a CONNECT is sent on.
func stashBefore(t diag.Target) string {
	switch {
	case t.Scheme.IsWebSocket():
		return diag.StashWS
	case t.Scheme.UsesTLS():
		return diag.StashTLS
	}
	return diag.StashTCP
}

// secureBy is the asked TLS handshake with an address; nil without TLS.
func secureBy(v *diag.View, address string) *diag.TLSHandshake {
	for _, s := range diag.SeenBy[*diag.TLSHandshake](v, checkTLS) {
		if s.Seen.Address == address {
			return s.Seen
		}
	}
	return nil
}

func connectResult(o *diag.MQTTConnect) diag.Result {
	args := []string{"address", o.Address, "version", string(o.Version), "duration", diag.FormatMS(o.Took) + " ms", "client_id", o.ClientID}
	failure := &diag.Failure{Op: "mqtt.connect", Code: string(o.Outcome), Text: o.Error}
	switch o.Outcome {
	case diag.OutcomeOK:
		if len(o.Earlier) > 0 {
			return diag.Passed(o, diag.N("step.mqtt.connect.older", append(args, "versions", versionsOf(o.Earlier))...))
		}
		return diag.Passed(o, diag.N("step.mqtt.connect.ok", args...))
	case diag.OutcomeRefused:
		failure.Code = diag.CodeText(o.Code, o.Version)
		return diag.Failed(o, diag.N("step.mqtt.connect.refused", append(args, "code", diag.CodeText(o.Code, o.Version), "reason", o.Reason)...), failure)
	case diag.OutcomeSilent:
		return diag.Failed(o, diag.N("step.mqtt.connect.silent", args...), failure)
	case diag.OutcomeOther:
		return diag.Failed(o, diag.N("step.mqtt.connect.other", append(args, "protocol", orUnknown(o.Speaks))...), failure)
	case diag.OutcomeMalformed:
		return diag.Failed(o, diag.N("step.mqtt.connect.malformed", args...), failure)
	}
	if o.Alert != nil {
		return diag.Failed(o, diag.N("step.mqtt.connect.alert", append(args, "alert", o.Alert.String())...), failure)
	}
	return diag.Failed(o, diag.N("step.mqtt.connect.ended", args...), failure)
}

func versionsOf(tried []*diag.MQTTConnect) string {
	out := ""
	for i, c := range tried {
		if i > 0 {
			out += ", "
		}
		out += string(c.Version)
	}
	return out
}
