package probe

import (
	"context"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/patience"
)

// beat is how often an idle client pings: three times in its keep alive, where the server's own overrides ours
// (MQTT 5.0 3.2.2.3.14); 0: never.
func beat(o *diag.MQTTConnect) time.Duration {
	s := o.KeepAliveS
	if o.Props != nil && o.Props.ServerKeepAliveS != nil {
		s = int(*o.Props.ServerKeepAliveS)
	}
	return time.Duration(s) * time.Second / 3
}

// keepAlive pings every so often until the session ends. Without it the broker may end one that our checks leave alone for
// longer than its keep alive.
func keepAlive(s mqttwire.Session, every time.Duration) {
	if every <= 0 {
		return
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-s.Done():
			return
		case <-ticker.C:
			ctx, cancel := patience.WithTimeout(context.Background(), every)
			_, _ = s.Ping(ctx) // who measures notices an end by itself
			cancel()
		}
	}
}
