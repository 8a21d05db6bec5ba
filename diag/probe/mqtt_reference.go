package probe

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
)

// mqttReference tries the server that a refusal names (MQTT 5.0 4.11), if that is the same host: another host would be another
// target.
var mqttReference = diag.Probe{
	ID: "mqtt.server_reference", Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkMQTT},
	Ready: afterRefusal(func(t diag.Target, o *diag.MQTTConnect) bool {
		_, ok := referenceRoute(t, o)
		return ok
	}),
	Budget: 3 * 6 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		seen := askedConnects(env.View)
		r, ok := referenceRoute(env.Target, seen[len(seen)-1])
		if !ok {
			return diag.Skipped(diag.N("skip.not_the_question"))
		}
		return variant(ctx, env, r)
	},
}

// referenceRoute is the way to the first server named that is on the target's host.
func referenceRoute(t diag.Target, o *diag.MQTTConnect) (route, bool) {
	if o.Props == nil {
		return route{}, false
	}
	for _, reference := range strings.Fields(o.Props.ServerReference) {
		host, portText, err := net.SplitHostPort(reference)
		if err != nil {
			host, portText = strings.Trim(reference, "[]"), strconv.Itoa(int(t.Port))
		}
		port, err := strconv.ParseUint(portText, 10, 16)
		if err != nil || port == 0 || !strings.EqualFold(strings.TrimSuffix(host, "."), t.Host) && !sameLiteral(host, o.Address) {
			continue
		}
		address := withPort(o.Address, uint16(port))
		if address == o.Address {
			continue
		}
		return askedRoute(t, address).with(diag.PurposeRetry, "server_reference", func(r *route) {
			r.MQTT.Version, r.WS.Subprotocols = o.Version, subprotocolsFor(o.Version)
		}), true
	}
	return route{}, false
}

// sameLiteral tells whether a host is the address that was dialled.
func sameLiteral(host, dialled string) bool {
	a, errA := netip.ParseAddr(host)
	b, errB := netip.ParseAddrPort(dialled)
	return errA == nil && errB == nil && a == b.Addr()
}
