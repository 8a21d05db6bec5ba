package probe

import (
	"context"
	"slices"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/patience"
)

// transportLayers are those at which a wrong transport shows.
var transportLayers = []diag.Layer{diag.LayerTLS, diag.LayerWS, diag.LayerMQTT}

// farAway is the round trip from which on it matters to anyone that the look-alikes are tried a little sooner.
const farAway = 50 * time.Millisecond

// firstTries are the transports that are tried before the others, while the asked path still waits for an answer, and how long
// after that answer was due; every other one waits for the usual slack. A healthy broker that is slow to answer hears one
// knock at most.
//
// Where the port is usual for other transports than the asked one, these are tried beside the asked path from the start: the
// doubt is there before anything was sent. Elsewhere silence is how web servers take what is no HTTP, waiting for the end of a
// line, while TLS listeners and brokers end the connection: so WebSocket comes first.
func firstTries(v *diag.View) (first []diag.Scheme, slack time.Duration) {
	if i := slices.IndexFunc(usualPorts, func(p usualPort) bool { return p.port == v.Target.Port }); i >= 0 {
		if usual := usualPorts[i].schemes; !slices.Contains(usual, v.Target.Scheme) {
			return usual, -time.Minute
		}
	}
	address, _ := reachable(v)
	if rtt := roundTrip(v, address); rtt >= farAway && v.Target.Scheme != diag.SchemeWS {
		return []diag.Scheme{diag.SchemeWS}, min(rtt/3, hedgeSlack)
	}
	return nil, hedgeSlack
}

// holdBack lets a transport that is not among the first tries wait for its turn: until the asked path has failed, or its answer
// is overdue by the usual slack. False: the run needs it no more.
func holdBack(ctx context.Context, env *diag.Env, scheme diag.Scheme) bool {
	v := env.View
	first, _ := firstTries(v)
	if slices.Contains(first, scheme) || brokenAt(v) != "" || slices.ContainsFunc(askedConnects(v), endedMute) {
		return true
	}
	turn, cancel := patience.WithTimeout(ctx, time.Until(answerDue(v, time.Now()).Add(hedgeSlack)))
	defer cancel()
	for {
		if _, there := env.Stash.Borrow(stashFailed); there {
			return true
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-turn.Done():
			if ctx.Err() != nil {
				return false
			}
			_, answered := env.Stash.Borrow(stashAnswered) // by a broker: the run is about to end this
			return !answered
		}
	}
}
