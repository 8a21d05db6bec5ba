package probe

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"mqttdoctor/diag"
)

// usualPort is a port on which MQTT is usually found, and the transports to try there, the likeliest first.
type usualPort struct {
	port    uint16
	schemes []diag.Scheme
}

// usualPorts are those of the brokers' documentation: IANA's 1883 and 8883; EMQX 8083, 8084; HiveMQ 8000, 8884; mosquitto's
// test servers 8080, 8081, 1884, 8885; RabbitMQ 15675, 15676; and those of the web.
var usualPorts = []usualPort{
	{1883, []diag.Scheme{diag.SchemeMQTT}},
	{8883, []diag.Scheme{diag.SchemeMQTTS}},
	{8083, []diag.Scheme{diag.SchemeWS}},
	{8084, []diag.Scheme{diag.SchemeWSS}},
	{9001, []diag.Scheme{diag.SchemeWS}},
	{8080, []diag.Scheme{diag.SchemeWS}},
	{8000, []diag.Scheme{diag.SchemeWS}},
	{443, []diag.Scheme{diag.SchemeWSS, diag.SchemeMQTTS}},
	{80, []diag.Scheme{diag.SchemeWS}},
	{1884, []diag.Scheme{diag.SchemeMQTT}},
	{8885, []diag.Scheme{diag.SchemeMQTTS}},
	{15675, []diag.Scheme{diag.SchemeWS}},
	{15676, []diag.Scheme{diag.SchemeWSS}},
}

// tcpPorts looks for the broker on the usual ports of the same host: where the asked port refuses or stays silent, and where
// it speaks something that is no MQTT. Each is verified with a CONNECT in its own transport.
var tcpPorts = diag.Probe{
	ID: "tcp.ports", Layer: diag.LayerTCP, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkResolve},
	Ready: func(v *diag.View) diag.Decision {
		switch at := brokenAt(v); {
		case !resolved(v) && v.Ended(checkResolve):
			return diag.Skip(diag.N("skip.not_resolved"))
		case connected(v), otherTransportKnown(v):
			return diag.Skip(diag.N("skip.already_clear"))
		case at == diag.LayerTCP && !slices.ContainsFunc(diag.SeenBy[*diag.TCPConnect](v, checkTCP), answersByPort):
			return diag.Skip(diag.N("skip.no_way"))
		case at == diag.LayerTCP:
			return diag.Run()
		case at == diag.LayerWS && !transportInDoubt(v):
			return behindWeb(v)
		case at != "" && !transportInDoubt(v):
			return diag.Skip(diag.N("skip.not_the_question"))
		case at != "" && v.Ended(checkPeerMQTT) && v.Ended("peer.paths"):
			return diag.Run()
		}
		// A SYN that is still unanswered when another host would long have answered: the other ports are tried beside it.
		if since, running := v.RunningSince(checkTCP); running && len(openedAddresses(v, checkTCP)) == 0 {
			if at := since.Add(synOverdue); v.Now.Before(at) {
				return diag.WaitUntil(at)
			}
			return diag.Run()
		}
		// The same for a listener that keeps silent.
		if len(openedAddresses(v, checkTCP)) > 0 && v.Ended("peer.listen") && brokenAt(v) == "" && stillSilent(v) {
			return diag.Run()
		}
		return diag.Wait()
	},
	Subjects: func(v *diag.View) []diag.Subject {
		address := mainAddress(v)
		var out []diag.Subject
		for _, p := range usualPorts {
			if p.port != v.Target.Port && address != "" {
				out = append(out, diag.Subject{Name: withPort(address, p.port), Value: p})
			}
		}
		return out
	},
	Moot:   transportKnown,
	Budget: 12 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		if len(openedAddresses(env.View, checkTCP)) > 0 {
			var cancel context.CancelFunc
			ctx, cancel = besideAsked(ctx, env)
			defer cancel()
		}
		p, _ := s.Value.(usualPort)
		var result diag.Result
		for _, scheme := range p.schemes {
			r := askedRoute(env.Target, s.Name).with(diag.PurposePort, strconv.Itoa(int(p.port)), func(r *route) {
				r.Transport = scheme
				if scheme.IsWebSocket() && r.WS.Path == "" {
					r.WS.Path = pathOn(p.port)
				}
				if env.Target.Protocol == diag.VersionAuto {
					r.MQTT.Version = diag.Version311
				}
				r.WS.Subprotocols = subprotocolsFor(r.MQTT.Version)
				r.SYNWait = otherPortWait(env.View)
				r.WS.NoHeaders = !env.Target.Scheme.IsWebSocket() || env.Target.Scheme.UsesTLS() && !scheme.UsesTLS()
			})
			a, l := walk(ctx, env, r, upToMQTT)
			_ = l.Close()
			result = attemptResult(a)
			if a.SpeaksMQTT() || a.TCP == nil || a.TCP.Outcome != diag.OutcomeOK || a.TLS != nil && a.TLS.Outcome == diag.OutcomeSilent {
				break
			}
		}
		return result
	},
}

// behindWeb decides where a web server answers on the asked port and none of its usual paths leads to a broker: that may be a
// proxy in front of one that listens on this host too, or have nothing to do with it. Where it asks for a login, or sends
// elsewhere, the port is the right one.
func behindWeb(v *diag.View) diag.Decision {
	for _, s := range diag.SeenBy[*diag.WSUpgrade](v, checkWS) {
		switch o := s.Seen; {
		case !o.HTTP(), o.Outcome == diag.OutcomeOK, o.Status/100 == 3,
			o.Status == http.StatusUnauthorized, o.Status == http.StatusForbidden, o.Status == http.StatusProxyAuthRequired:
			return diag.Skip(diag.N("skip.not_the_question"))
		}
	}
	if !v.Ended(checkPaths) || !v.Ended(checkOrigin) || !v.Ended(checkSubprotocols) {
		return diag.Wait()
	}
	for _, s := range diag.Seen[*diag.Attempt](v) {
		if s.Seen.WS != nil && s.Seen.WS.Outcome == diag.OutcomeOK {
			return diag.Skip(diag.N("skip.already_clear"))
		}
	}
	return diag.Run()
}

// answersByPort tells whether what came of a connection leaves open that another port of the address answers otherwise: not
// where there is no way to the address at all.
func answersByPort(s diag.Sight[*diag.TCPConnect]) bool {
	c := s.Seen
	unreachable := c.ICMPFamily == 4 && c.ICMPType == 3 && slices.Contains([]int{0, 1, 5, 6, 7, 11}, c.ICMPCode) || // RFC 792, RFC 1122 3.2.2.1
		c.ICMPFamily == 6 && c.ICMPType == 1 && slices.Contains([]int{0, 2, 3}, c.ICMPCode) // RFC 4443 3.1
	return c.Outcome != diag.OutcomeUnreachable && c.Outcome != diag.OutcomeForbidden && !unreachable
}

// otherPortWait is how long the SYN to another port may stay unanswered: where the asked one got its answer soon, one
// retransmission.
func otherPortWait(v *diag.View) time.Duration {
	wait := synTime - synOverdue
	for _, s := range diag.SeenBy[*diag.TCPConnect](v, checkTCP) {
		if s.Seen.Outcome == diag.OutcomeSilent {
			return wait
		}
		wait = min(wait, 1200*time.Millisecond+2*s.Seen.RTT)
	}
	return wait
}

// pathOn is the WebSocket path of the broker that has the port by default.
func pathOn(port uint16) string {
	if port == 15675 || port == 15676 {
		return "/ws"
	}
	return "/mqtt"
}

// synOverdue is when an unanswered SYN makes other questions worth asking beside it: later than any answer over a satellite,
// early enough that the answers are in when the SYN's own time is up.
const synOverdue = 650 * time.Millisecond

// stillSilent tells whether the asked path has been waiting for an answer for as long as peer.listen took.
func stillSilent(v *diag.View) bool {
	for _, check := range append(askedChain(v.Target)[1:], checkMQTT) {
		if since, running := v.RunningSince(check); running && v.Now.Sub(since) > time.Second {
			return true
		}
	}
	return false
}

// mainAddress is the address that accepted the asked connection, else the first that was to be dialled.
func mainAddress(v *diag.View) string {
	if address, ok := reachable(v); ok {
		return address
	}
	if all := addressesOf(v); len(all) > 0 {
		return all[0]
	}
	return ""
}
