package probe

import (
	"context"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/patience"
)

const (
	lossPings    = 40
	lossPingPace = 15 * time.Millisecond
	lossPingTime = 6 * time.Second
)

// pingSeries exchanges PINGREQ and PINGRESP on a connection of its own, one after the other, and tells how many were answered and
// how many segments the run's connections had to send again meanwhile: a path that loses packets loses them there too, while a
// listener whose queue is full loses those of new connections alone. It tells nothing (0) where no broker takes a connection.
func pingSeries(ctx context.Context, env *diag.Env, address string) (answered, again int) {
	ctx, cancel := patience.WithTimeout(ctx, lossPingTime)
	defer cancel()
	r := askedRoute(env.Target, address).with(diag.PurposeOtherClientID, "loss", func(r *route) {
		for _, s := range diag.Seen[*diag.MQTTConnect](env.View) {
			if s.Seen.Accepted() {
				r.MQTT.Version, r.WS.Subprotocols = s.Seen.Version, subprotocolsFor(s.Seen.Version)
			}
		}
	})
	_, l := walk(ctx, env, r, upToMQTT)
	if l == nil || l.Session == nil {
		return 0, 0
	}
	defer l.Session.Close()
	before := env.Repeats.Total()
	pace := time.NewTicker(lossPingPace)
	defer pace.Stop()
	for range lossPings {
		if _, failure := l.Session.Ping(ctx); failure != nil {
			break
		}
		answered++
		select {
		case <-pace.C:
		case <-ctx.Done():
			return answered, env.Repeats.Total() - before
		}
	}
	return answered, env.Repeats.Total() - before
}
