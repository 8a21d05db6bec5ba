package diag

import (
	"slices"
	"time"
)

// onTheWay are the checks that a connection goes through on the asked way, after the name was looked up: a cache may answer
// for that one or not, so it is left out of what is compared from run to run.
var onTheWay = []ProbeID{"tcp.connect", "tls.handshake", "ws.upgrade", "mqtt.connect"}

// onItsOwn is the check that goes the whole way again, in an older version, where the newest one was not accepted.
const onItsOwn ProbeID = "mqtt.connect_older"

// ConnectTime is how long a client waits from dialling until the broker has accepted it: TCP, TLS, WebSocket and CONNECT on
// the address that the run went on with. ok is false where no CONNECT as asked was accepted.
func (r Report) ConnectTime() (took time.Duration, ok bool) {
	accepted := slices.IndexFunc(r.Steps, func(s Step) bool {
		o, is := s.Observation.(*MQTTConnect)
		return is && o.Accepted() && (s.Check == onTheWay[len(onTheWay)-1] || s.Check == onItsOwn)
	})
	switch {
	case accepted < 0:
		return 0, false
	case r.Steps[accepted].Check == onItsOwn:
		return r.Steps[accepted].Duration, true
	}
	for _, s := range r.Steps {
		if s.Subject == r.Steps[accepted].Subject && slices.Contains(onTheWay, s.Check) {
			took += s.Duration
		}
	}
	return took, true
}
