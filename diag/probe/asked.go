package probe

import (
	"slices"
	"time"

	"mqttdoctor/diag"
)

// The checks of the asked path, in order.
const (
	checkResolve    diag.ProbeID = "dns.resolve"
	checkTCP        diag.ProbeID = "tcp.connect"
	checkTLS        diag.ProbeID = "tls.handshake"
	checkWS         diag.ProbeID = "ws.upgrade"
	checkMQTT       diag.ProbeID = "mqtt.connect"
	checkOlder      diag.ProbeID = "mqtt.connect_older"
	checkVersions   diag.ProbeID = "mqtt.versions"
	checkSubscribe  diag.ProbeID = "msg.subscribe"
	checkRoundTrip  diag.ProbeID = "msg.roundtrip"
	checkQoS2       diag.ProbeID = "msg.roundtrip_qos2"
	checkPublish    diag.ProbeID = "msg.publish"
	checkAlone      diag.ProbeID = "msg.alone"
	checkTransports diag.ProbeID = "peer.transports"
	checkPeerMQTT   diag.ProbeID = "peer.mqtt"
	checkListen     diag.ProbeID = "peer.listen"
	checkListenOn   diag.ProbeID = "peer.listen_on"
)

// askedChain lists the asked path's checks that make one step per address, for the target's scheme.
func askedChain(t diag.Target) []diag.ProbeID {
	chain := []diag.ProbeID{checkTCP}
	if t.Scheme.UsesTLS() {
		chain = append(chain, checkTLS)
	}
	if t.Scheme.IsWebSocket() {
		chain = append(chain, checkWS)
	}
	return chain
}

// lastBeforeMQTT is the check whose success means that a CONNECT can be sent.
func lastBeforeMQTT(t diag.Target) diag.ProbeID {
	chain := askedChain(t)
	return chain[len(chain)-1]
}

// beforeUpgrade is the check whose success means that a CONNECT, or the upgrade that carries it, can be sent.
func beforeUpgrade(t diag.Target) diag.ProbeID {
	if t.Scheme.UsesTLS() {
		return checkTLS
	}
	return checkTCP
}

// opened tells whether a step of the asked chain left a usable connection. Its status does not tell: a handshake with an
// expired certificate has failed, and what lies behind it can still be looked at.
func opened(s diag.Step) bool {
	switch o := s.Observation.(type) {
	case *diag.TCPConnect:
		return o.Outcome == diag.OutcomeOK
	case *diag.TLSHandshake:
		return o.Outcome == diag.OutcomeOK
	case *diag.WSUpgrade:
		return o.Outcome == diag.OutcomeOK
	}
	return false
}

// notReached skips what should have followed a step that led nowhere. A step that did not run did not fail: its own reason is
// given on.
func notReached(before diag.Step) diag.Decision {
	if before.SkippedBecause != nil {
		return diag.Skip(*before.SkippedBecause)
	}
	return diag.Skip(diag.N("skip.before_failed", "check", string(before.Check)))
}

// notReachedBy is notReached for a check that follows all steps of another one: a failed one of them counts first.
func notReachedBy(v *diag.View, check diag.ProbeID) diag.Decision {
	steps := v.StepsOf(check)
	if i := slices.IndexFunc(steps, func(s diag.Step) bool { return s.SkippedBecause == nil }); i >= 0 {
		return notReached(steps[i])
	}
	if len(steps) > 0 {
		return notReached(steps[0])
	}
	return notReached(diag.Step{Check: check})
}

// openedAddresses lists the addresses at which a check of the asked chain left a usable connection, in the order of time.
func openedAddresses(v *diag.View, check diag.ProbeID) []string {
	var out []string
	for _, s := range v.StepsOf(check) {
		if opened(s) {
			out = append(out, s.Subject)
		}
	}
	return out
}

// connected tells whether the broker accepted the asked CONNECT.
func connected(v *diag.View) bool {
	return slices.ContainsFunc(askedConnects(v), func(o *diag.MQTTConnect) bool { return o.Accepted() })
}

// askedConnects lists the asked CONNECTs, in the order in which they were made: the newest version, then an older one.
func askedConnects(v *diag.View) []*diag.MQTTConnect {
	var out []*diag.MQTTConnect
	for _, check := range []diag.ProbeID{checkMQTT, checkOlder} {
		for _, s := range diag.SeenBy[*diag.MQTTConnect](v, check) {
			out = append(out, s.Seen)
		}
	}
	return out
}

// decidedMQTT tells whether nothing more is to come of the asked CONNECT.
func decidedMQTT(v *diag.View) bool {
	return connected(v) || (v.Ended(checkMQTT) && v.Ended(checkOlder))
}

// brokenAt is the layer at which the asked path has failed on every address; "" while it has not.
func brokenAt(v *diag.View) diag.Layer {
	if v.Ended(checkResolve) && v.InPlan(checkResolve) && !resolved(v) {
		return diag.LayerDNS
	}
	for _, check := range askedChain(v.Target) {
		if v.InPlan(check) && v.Ended(check) && len(openedAddresses(v, check)) == 0 {
			return diag.Layer(diag.Code(check).Layer())
		}
	}
	if v.InPlan(checkMQTT) && decidedMQTT(v) && !connected(v) {
		return diag.LayerMQTT
	}
	return ""
}

func resolved(v *diag.View) bool {
	return slices.ContainsFunc(diag.SeenBy[*diag.Resolution](v, checkResolve),
		func(s diag.Sight[*diag.Resolution]) bool { return len(s.Seen.Addresses) > 0 })
}

// addressesOf lists what the target's name resolved to, as address:port in dialling order.
func addressesOf(v *diag.View) []string {
	for _, s := range diag.SeenBy[*diag.Resolution](v, checkResolve) {
		return joinPort(s.Seen.Addresses, v.Target.Port)
	}
	return nil
}

// reachable is the first address whose port accepted a TCP connection.
func reachable(v *diag.View) (address string, ok bool) {
	open := openedAddresses(v, checkTCP)
	if len(open) == 0 {
		return "", false
	}
	return open[0], true
}

// roundTrip is the round trip time to an address as its TCP handshake showed it; a cautious guess where it is unknown.
func roundTrip(v *diag.View, address string) time.Duration {
	for _, s := range diag.Seen[*diag.TCPConnect](v) {
		if s.Seen.Address == address && s.Seen.Outcome == diag.OutcomeOK {
			return s.Seen.RTT
		}
	}
	return 200 * time.Millisecond
}

// hedgeSlack is what a healthy peer may need beyond one round trip before the look-alikes are tried beside it: a login
// backend or mosquitto's WebSocket upgrade takes 100 to 208 ms. Less would knock on healthy brokers' doors in vain; more
// would delay the verdict on a peer that stays silent.
const hedgeSlack = 300 * time.Millisecond

// overdue decides for a check that looks at what else the asked listener could speak: run once the asked path has broken
// at one of the layers, or while it is still waiting there for an answer that is overdue; skip once it has connected.
// onlyIf narrows it by what was seen. early runs it beside the fallback to an older version too.
func overdue(v *diag.View, layers []diag.Layer, onlyIf func(*diag.View) bool, early bool) diag.Decision {
	return overdueFrom(v, layers, onlyIf, early, hedgeSlack)
}

// overdueFrom is overdue with another slack than the usual one, which may be negative: as soon as the asked path waits.
func overdueFrom(v *diag.View, layers []diag.Layer, onlyIf func(*diag.View) bool, early bool, slack time.Duration) diag.Decision {
	if connected(v) {
		return diag.Skip(diag.N("skip.connected"))
	}
	if _, ok := reachable(v); !ok {
		if v.Ended(checkTCP) {
			return diag.Skip(diag.N("skip.no_tcp"))
		}
		return diag.Wait()
	}
	if at := brokenAt(v); at != "" {
		switch {
		case !slices.Contains(layers, at):
			return diag.Skip(diag.N("skip.not_the_question"))
		case !onlyIf(v):
			return diag.Skip(diag.N("skip.already_clear"))
		}
		return diag.Run()
	}
	// A CONNECT that was answered with the end of the connection is most often one to the wrong transport; an older version
	// of MQTT is still tried, and the other transports beside it.
	if early && slices.Contains(layers, diag.LayerMQTT) && slices.ContainsFunc(askedConnects(v), endedMute) && onlyIf(v) {
		return diag.Run()
	}
	// Still going on: how long has the asked path been waiting for its next answer?
	for _, check := range append(askedChain(v.Target)[1:], checkMQTT) {
		if !slices.Contains(layers, diag.Layer(diag.Code(check).Layer())) {
			continue
		}
		since, running := v.RunningSince(check)
		if !running || len(openedAddresses(v, check)) > 0 {
			continue
		}
		at := answerDue(v, since).Add(slack)
		if v.Now.Before(at) {
			return diag.WaitUntil(at)
		}
		return diag.Run()
	}
	return diag.Wait()
}

// answerDue is when the answer to what was asked then is due: after one round trip, and what one may vary by.
func answerDue(v *diag.View, asked time.Time) time.Time {
	address, _ := reachable(v)
	return asked.Add(roundTrip(v, address) * 5 / 4)
}

// endedMute tells a CONNECT that was answered with the end of the connection and not a byte.
func endedMute(o *diag.MQTTConnect) bool {
	return o.Code < 0 && o.Outcome.Ended() && o.Alert == nil && len(o.First) == 0
}
