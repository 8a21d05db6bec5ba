package probe

import (
	"context"
	"net"
	"slices"
	"time"

	"mqttdoctor/diag"
)

// peerTransports asks the listener at the asked port what it speaks in place of what was asked: each of the other three
// transports on a connection of its own, side by side, up to the first answer that shows it. A wrong transport cannot be named
// from the connection that fails. [peerMQTT] goes on from there.
var peerTransports = diag.Probe{
	ID: checkTransports, Layer: diag.LayerTCP, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkResolve},
	Ready: func(v *diag.View) diag.Decision {
		_, slack := firstTries(v)
		return overdueFrom(v, transportLayers, transportInDoubt, true, slack)
	},
	Subjects: func(v *diag.View) []diag.Subject {
		var out []diag.Subject
		for _, s := range []diag.Scheme{diag.SchemeMQTT, diag.SchemeMQTTS, diag.SchemeWS, diag.SchemeWSS} {
			if s != v.Target.Scheme {
				out = append(out, diag.Subject{Name: string(s), Value: s})
			}
		}
		return out
	},
	Moot: transportKnown,
	// One time-out each for TLS and for the upgrade; the CONNECT in the clear takes one.
	Budget: 12 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		address, ok := reachable(env.View)
		scheme, isScheme := s.Value.(diag.Scheme)
		if !ok || !isScheme {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		if !holdBack(ctx, env, scheme) {
			return diag.Skipped(diag.N("skip.canceled"))
		}
		r := transportRoute(env.Target, address, scheme)
		a, l := walk(ctx, env, r, firstAnswer(scheme))
		if l == nil || a.MQTT != nil {
			_ = l.Close()
			return attemptResult(a)
		}
		env.Stash.Put(stashPeer+s.Name, &peerLine{route: r, attempt: a, line: l})
		return attemptResult(a)
	},
}

// transportRoute is the asked way in another transport.
func transportRoute(t diag.Target, address string, scheme diag.Scheme) route {
	return askedRoute(t, address).with(purposeOf(t.Scheme, scheme), string(scheme), func(r *route) {
		r.Transport = scheme
		if scheme.IsWebSocket() && r.WS.Path == "" {
			r.WS.Path = "/mqtt"
			r.WS.Subprotocols = subprotocolsFor(r.MQTT.Version)
		}
		// The same version for every try: a broker that does not know MQTT 5 closes without a word, and would pass for
		// no broker at all. Every broker knows 3.1.1.
		if t.Protocol == diag.VersionAuto {
			r.MQTT.Version = diag.Version311
		}
	})
}

// firstAnswer is the layer at which a listener shows the transport: a ServerHello, an HTTP answer, a CONNACK.
func firstAnswer(s diag.Scheme) layer {
	switch {
	case s.IsWebSocket():
		return upToWS
	case s.UsesTLS():
		return upToTLS
	}
	return upToMQTT
}

// stashPeer is where a connection waits for peer.mqtt, by its transport.
const stashPeer = "peer/"

// peerLine is a connection that a listener has answered on in a transport that was not asked for.
type peerLine struct {
	route   route
	attempt *diag.Attempt
	line    *line
}

func (a *peerLine) Close() error { return a.line.Close() }

// peerMQTT sends a CONNECT on each connection that peer.transports got an answer on. It is a step of its own: the transport is
// named by its first answer, a round trip before anyone knows whether a broker is behind it.
var peerMQTT = diag.Probe{
	ID: checkPeerMQTT, Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Follows: []diag.ProbeID{checkTransports},
	Each: func(_ *diag.View, before diag.Step) diag.Decision {
		a, ok := before.Observation.(*diag.Attempt)
		switch {
		case !ok:
			return notReached(before)
		case a.MQTT != nil:
			return diag.Skip(diag.N("skip.already_clear"))
		case before.Status != diag.StatusPassed:
			return notReached(before)
		}
		return diag.Run()
	},
	Moot: transportKnown,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		item, _ := env.Stash.Take(stashPeer + s.Name)
		p, ok := item.(*peerLine)
		if !ok {
			return diag.Skipped(diag.N("skip.no_connection"))
		}
		a := *p.attempt // the other step keeps what it saw
		l := walkOn(ctx, env, p.route, &a, p.line.Conn)
		defer l.Close()
		return attemptResult(&a)
	},
}

// transportKnown tells whether the listener is known to speak the asked transport after all, or another one.
func transportKnown(v *diag.View) bool { return connected(v) || otherTransportKnown(v) }

// otherTransportKnown tells whether a broker answered at the asked port in a transport that was not asked for, or behind a
// PROXY header: what the asked one would still say is of no consequence.
func otherTransportKnown(v *diag.View) bool {
	return slices.ContainsFunc(diag.Seen[*diag.Attempt](v), func(s diag.Sight[*diag.Attempt]) bool {
		return slices.Contains([]diag.ProbeID{checkTransports, checkPeerMQTT, "peer.paths", "tcp.proxy_header"}, s.Step.Check) && s.Seen.SpeaksMQTT()
	})
}

// transportsTried lists the connections in the other transports: up to the first answer, and as far as they came.
func transportsTried(v *diag.View) []diag.Sight[*diag.Attempt] {
	return append(diag.SeenBy[*diag.Attempt](v, checkTransports), diag.SeenBy[*diag.Attempt](v, checkPeerMQTT)...)
}

// purposeOf says what a change of transport varies first: TLS or its absence where that differs, else WebSocket or its
// absence. The attempt's transport tells the rest.
func purposeOf(asked, tried diag.Scheme) diag.Purpose {
	switch {
	case asked.IsWebSocket() == tried.IsWebSocket() && tried.UsesTLS():
		return diag.PurposeTLS
	case asked.IsWebSocket() == tried.IsWebSocket():
		return diag.PurposePlain
	case tried.IsWebSocket():
		return diag.PurposeWebSocket
	}
	return diag.PurposeRaw
}

// transportInDoubt tells whether what came of the asked path leaves open that the listener speaks another transport: not
// where it answered in the asked one.
func transportInDoubt(v *diag.View) bool {
	// An answer, and an alert of TLS, which says that TLS it is.
	if slices.ContainsFunc(askedConnects(v), func(o *diag.MQTTConnect) bool { return o.Answered() || o.Alert != nil }) {
		return false
	}
	if v.Target.Scheme.IsWebSocket() && len(openedAddresses(v, checkWS)) > 0 {
		return false // an upgrade is as clear as can be
	}
	for _, s := range diag.SeenBy[*diag.WSUpgrade](v, checkWS) {
		if s.Seen.HTTP() && brokenAt(v) == diag.LayerWS {
			// HTTP it is; TLS in front of it may be what is wrong ("plain HTTP request sent to HTTPS port" is a 400).
			return s.Seen.Status == 400 && !v.Target.Scheme.UsesTLS()
		}
	}
	if brokenAt(v) == diag.LayerTLS {
		return !slices.ContainsFunc(diag.SeenBy[*diag.TLSHandshake](v, checkTLS),
			func(s diag.Sight[*diag.TLSHandshake]) bool { return s.Seen.ServerHello })
	}
	return true
}

// peerListen connects, says nothing and listens: a server that speaks first names itself, and one that ends the connection
// unasked does so whatever is sent.
var peerListen = diag.Probe{
	ID: checkListen, Layer: diag.LayerTCP, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkResolve},
	Ready: func(v *diag.View) diag.Decision {
		return overdue(v, transportLayers, transportInDoubt, false)
	},
	Moot: transportKnown,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		address, _ := reachable(env.View)
		return listenOnce(ctx, env, listenFor(env.Options.Timeout, roundTrip(env.View, address)))
	},
}

// peerListenOn listens for longer, where what we sent was answered with the end of the connection, and that after longer than
// the first listening: a balancer that tries its dead backends for some seconds ends whatever it has accepted.
var peerListenOn = diag.Probe{
	ID: checkListenOn, Layer: diag.LayerTCP, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkListen},
	Ready: func(v *diag.View) diag.Decision {
		listened := diag.SeenBy[*diag.PeerAnswer](v, checkListen)
		switch at := brokenAt(v); {
		case len(listened) == 0 || listened[0].Seen.Outcome != diag.OutcomeSilent:
			return diag.Skip(diag.N("skip.not_the_question"))
		case at == "" && !connected(v):
			return diag.Wait()
		case !slices.Contains(transportLayers, at) || endedAfter(v) <= listened[0].Seen.Took:
			return diag.Skip(diag.N("skip.not_the_question"))
		}
		return diag.Run()
	},
	Moot: transportKnown,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		return listenOnce(ctx, env, min(env.Options.Timeout, endedAfter(env.View)*5/4+500*time.Millisecond))
	},
}

// endedAfter is how long after our first bytes the asked connection was ended without a byte in answer; 0: it was not.
func endedAfter(v *diag.View) time.Duration {
	var d time.Duration
	for _, o := range askedConnects(v) {
		if endedMute(o) {
			d = max(d, o.Took)
		}
	}
	for _, s := range diag.SeenBy[*diag.TLSHandshake](v, checkTLS) {
		if s.Seen.Outcome.Ended() && len(s.Seen.First) == 0 {
			d = max(d, s.Seen.Took)
		}
	}
	for _, s := range diag.SeenBy[*diag.WSUpgrade](v, checkWS) {
		if s.Seen.Outcome.Ended() && len(s.Seen.First) == 0 {
			d = max(d, s.Seen.Took)
		}
	}
	return d
}

// listenOnce connects, says nothing, and listens for d at most.
func listenOnce(ctx context.Context, env *diag.Env, d time.Duration) diag.Result {
	address, ok := reachable(env.View)
	if !ok {
		return diag.Skipped(diag.N("skip.no_tcp"))
	}
	r := askedRoute(env.Target, address).with(diag.PurposeListen, "", nil)
	tcp, conn := dialTCP(ctx, env, r)
	if conn == nil && tcp.Outcome == diag.OutcomeReset { // accepted, and reset before we could so much as look
		o := &diag.PeerAnswer{Purpose: diag.PurposeListen, Address: address, Sent: "nothing", Outcome: tcp.Outcome, Took: tcp.RTT, Error: tcp.Error}
		return diag.Warned(o, diag.N("step.peer.listen.ended", "address", address, "duration", diag.FormatMS(o.Took)+" ms"))
	}
	if conn == nil {
		return attemptResult(&diag.Attempt{Purpose: diag.PurposeListen, Address: address, Transport: r.Transport, TCP: tcp})
	}
	defer conn.Close()
	o := listen(ctx, conn, d)
	o.Purpose, o.Address, o.Sent = diag.PurposeListen, address, "nothing"
	args := []string{"address", address, "duration", diag.FormatMS(o.Took) + " ms"}
	switch {
	case len(o.First) > 0:
		return diag.Passed(o, diag.N("step.peer.listen.spoke", append(args, "protocol", orUnknown(o.Speaks), "banner", o.Banner)...))
	case o.Outcome == diag.OutcomeSilent:
		return diag.Passed(o, diag.N("step.peer.listen.silent", args...))
	case o.Outcome == diag.OutcomeCanceled:
		return diag.Skipped(diag.N("skip.canceled"))
	}
	return diag.Warned(o, diag.N("step.peer.listen.ended", args...))
}

// listenFor is how long a server that speaks first may take: SSH and SMTP greet at once, with a reverse lookup in a second.
func listenFor(timeout, rtt time.Duration) time.Duration {
	return min(timeout, 1200*time.Millisecond+2*rtt)
}

// listen reads what comes unasked.
func listen(ctx context.Context, conn net.Conn, d time.Duration) *diag.PeerAnswer {
	o := &diag.PeerAnswer{}
	defer waitAtMost(ctx, conn, d)()
	begun := time.Now()
	buf := make([]byte, maxFirstBytes)
	n, err := conn.Read(buf)
	o.Took = time.Since(begun)
	if n > 0 {
		o.Outcome, o.First = diag.OutcomeOK, buf[:n]
		o.Speaks, o.Banner = speaks(o.First)
		return o
	}
	o.Outcome = outcomeOf(err)
	if ctx.Err() != nil {
		o.Outcome = diag.OutcomeCanceled
	}
	if o.Outcome != diag.OutcomeSilent {
		o.Error = err.Error()
	}
	return o
}
