package probe

import (
	"context"
	"net"
	"strconv"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/patience"
)

// absurdPorts are not assigned (IANA), outside of what systems hand out to clients, and nobody's default.
var absurdPorts = []uint16{64738 - 3, 57}

// tcpAbsurdPort tries a port where nothing can be meant to listen: something that accepts that too accepts everything.
var tcpAbsurdPort = diag.Probe{
	ID: "tcp.absurd_port", Layer: diag.LayerTCP, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkResolve},
	Ready: func(v *diag.View) diag.Decision {
		return overdue(v, transportLayers, transportInDoubt, false)
	},
	Subjects: func(v *diag.View) []diag.Subject {
		address, ok := reachable(v)
		if !ok {
			return nil
		}
		var out []diag.Subject
		for _, port := range absurdPorts {
			out = append(out, diag.Subject{Name: withPort(address, port)})
		}
		return out
	},
	Moot: transportKnown,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		o, conn := dialTCP(ctx, env, askedRoute(env.Target, s.Name).with(diag.PurposeAbsurdPort, "", nil))
		if conn != nil {
			conn.Close()
			return diag.Warned(o, diag.N("step.tcp.absurd_port.open", "address", s.Name))
		}
		return diag.Passed(o, diag.N("step.tcp.absurd_port.closed", "address", s.Name))
	},
}

// tcpProxyHeader repeats a CONNECT that ended mute with a PROXY protocol header in front (HAProxy's proxy-protocol.txt):
// version 1 and version 2, naming ourselves.
var tcpProxyHeader = diag.Probe{
	ID: "tcp.proxy_header", Layer: diag.LayerTCP, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkResolve},
	Ready: func(v *diag.View) diag.Decision {
		switch at := brokenAt(v); {
		case transportKnown(v):
			return diag.Skip(diag.N("skip.already_clear"))
		case at == "":
			// Some, such as EMQX, wait 3 s for the header before they close: longer than a client may have patience.
			if v.Ended("peer.listen") && stillSilent(v) && answeredNothing(v) {
				return diag.Run()
			}
			return diag.Wait()
		case at != diag.LayerTLS && at != diag.LayerWS && at != diag.LayerMQTT:
			return diag.Skip(diag.N("skip.no_tcp"))
		case !answeredNothing(v):
			return diag.Skip(diag.N("skip.not_the_question"))
		}
		return diag.Run()
	},
	Subjects: func(*diag.View) []diag.Subject { return []diag.Subject{{Name: "v1"}, {Name: "v2"}} },
	Moot:     transportKnown,
	Budget:   12 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		address, ok := reachable(env.View)
		if !ok {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		ctx, cancel := besideAsked(ctx, env)
		defer cancel()
		return variant(ctx, env, askedRoute(env.Target, address).with(diag.PurposeProxyHeader, "PROXY "+s.Name, func(r *route) {
			r.Prefix = proxyHeader(s.Name, address)
			if env.Target.Protocol == diag.VersionAuto {
				r.MQTT.Version = diag.Version311
			}
		}))
	},
}

// besideAsked bounds a try that was started after peer.listen while the asked path still waits: it ends with that.
func besideAsked(ctx context.Context, env *diag.Env) (context.Context, context.CancelFunc) {
	if brokenAt(env.View) != "" {
		return context.WithCancel(ctx)
	}
	timeout := env.Options.Timeout
	return patience.WithTimeout(ctx, max(timeout-listenFor(timeout, 0), timeout/3))
}

// answeredNothing tells whether the asked path was answered with nothing at all, or nothing but the end of the connection.
func answeredNothing(v *diag.View) bool {
	nothing := func(o diag.Outcome, first []byte) bool {
		return len(first) == 0 && (o.Ended() || o == diag.OutcomeSilent)
	}
	for _, s := range diag.SeenBy[*diag.TLSHandshake](v, checkTLS) {
		if s.Seen.ServerHello || !nothing(s.Seen.Outcome, s.Seen.First) {
			return false
		}
	}
	for _, s := range diag.SeenBy[*diag.WSUpgrade](v, checkWS) {
		if s.Seen.HTTP() || !nothing(s.Seen.Outcome, s.Seen.First) {
			return false
		}
	}
	for _, o := range askedConnects(v) {
		if o.Code >= 0 || o.Alert != nil || !nothing(o.Outcome, o.First) {
			return false
		}
	}
	return true
}

// proxyHeader says that the connection comes from and goes to where it does anyway.
func proxyHeader(version, address string) []byte {
	host, port, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	if err != nil || ip == nil {
		return nil
	}
	n, _ := strconv.Atoi(port)
	source := net.IPv4(192, 0, 2, 1).To4() // TEST-NET-1 (RFC 5737): it names nobody
	family, v2 := "TCP4", byte(0x11)
	to := ip.To4()
	if to == nil {
		source, family, v2, to = net.ParseIP("2001:db8::1"), "TCP6", 0x21, ip.To16()
	}
	if version == "v1" {
		return []byte("PROXY " + family + " " + source.String() + " " + ip.String() + " 40000 " + port + "\r\n")
	}
	body := append(append([]byte{}, source...), to...)
	body = append(body, 40000>>8, 40000&0xFF, byte(n>>8), byte(n))
	head := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x21, v2, byte(len(body)>>8), byte(len(body)))
	return append(head, body...)
}
