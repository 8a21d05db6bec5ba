package probe

import (
	"context"
	"slices"
	"strconv"
	"time"

	"mqttdoctor/diag"
)

// smallSegment is a segment size that fits any path in use: IPv6 demands 1280 bytes (RFC 8200 5), of which 60 are headers,
// and tunnels in tunnels take some more.
const smallSegment = 1100

// smallestSegment fits the odd link that takes less: IPv4 itself demands no more than packets of 68 bytes of a link, and 576 of
// a host (RFC 791 3.2); serial and radio links are set to 296 and the like (RFC 1144 5).
const smallestSegment = 216

// smallPieces is how the check repeats a connection that hangs, each on one of its own, side by side.
var smallPieces = []struct {
	name    string
	purpose diag.Purpose
	change  func(*route)
	tlsOnly bool
}{
	// The same once more: where that gets through it was no hole, but packets that are lost now and then.
	{"again", diag.PurposeRetry, func(*route) {}, false},
	// TCP_MAXSEG bounds both directions: it is also what our SYN announces.
	{strconv.Itoa(smallSegment), diag.PurposeSmallSegments, func(r *route) { r.MaxSegment = smallSegment }, false},
	{strconv.Itoa(smallestSegment), diag.PurposeSmallSegments, func(r *route) { r.MaxSegment = smallestSegment }, false},
	// Go's usual hello is larger than one segment. A peer that takes the small one and not the usual one even in small
	// segments has trouble with hellos in two pieces, and the path is in order.
	{"X25519", diag.PurposeSmallHello, func(r *route) { r.TLS.SmallHello = true }, true},
}

// netMTU repeats a connection that hangs as soon as something large is sent, in small segments: what then gets through shows
// that large packets vanish on the way.
var netMTU = diag.Probe{
	ID: "net.mtu", Layer: diag.LayerNet, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkResolve},
	Ready: func(v *diag.View) diag.Decision {
		d := overdue(v, transportLayers, sentMuch, false)
		if d.Runs() && !sentMuch(v) {
			return diag.Skip(diag.N("skip.nothing_large"))
		}
		return d
	},
	Subjects: func(v *diag.View) []diag.Subject {
		var out []diag.Subject
		for i, p := range smallPieces {
			if v.Target.Scheme.UsesTLS() || !p.tlsOnly {
				out = append(out, diag.Subject{Name: p.name, Value: i})
			}
		}
		return out
	},
	Moot:   transportKnown,
	Budget: 3 * 6 * time.Second, // TCP, TLS or WebSocket, and CONNECT, each of the usual time-out
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		address, ok := reachable(env.View)
		i, isIndex := s.Value.(int)
		if !ok || !isIndex {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		return variant(ctx, env, askedRoute(env.Target, address).with(smallPieces[i].purpose, s.Name, func(r *route) {
			smallPieces[i].change(r)
			if env.Target.Protocol == diag.VersionAuto {
				r.MQTT.Version = diag.Version311
			}
		}))
	},
}

// onePacket is what surely fits one packet: a request below it hangs for another reason.
const onePacket = 1000

// sentMuch tells whether what hangs asked for a large packet in either direction, and has not been answered or ended: a
// handshake always does, by its hello and the certificates; the rest only where the user gave long values.
func sentMuch(v *diag.View) bool {
	answered := func(s diag.Step) bool {
		switch o := s.Observation.(type) {
		case *diag.TLSHandshake:
			return o.Outcome != diag.OutcomeSilent
		case *diag.WSUpgrade:
			return o.Outcome != diag.OutcomeSilent
		case *diag.MQTTConnect:
			return o.Outcome != diag.OutcomeSilent
		}
		return false
	}
	at := brokenAt(v)
	if at != "" && !slices.ContainsFunc(v.Steps, func(s diag.Step) bool {
		return s.Layer == at && s.Check == checkOf(at) && !answered(s)
	}) {
		return false
	}
	if v.Target.Scheme.UsesTLS() && (at == diag.LayerTLS || at == "" && len(openedAddresses(v, checkTLS)) == 0) {
		return true
	}
	t := v.Target
	length := len(t.ClientID) + len(t.Username) + len(t.Password.Reveal()) + len(t.WS.Query.Reveal())
	for name, value := range t.WS.Headers {
		length += len(name) + len(value.Reveal())
	}
	return length > onePacket
}
