package probe

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/netprobe"
	"mqttdoctor/diag/patience"
)

const maxHops = 30

// netTrace traces the way to a port that does not answer, beside the wait for its answer: the last hop that does.
var netTrace = diag.Probe{
	ID: "net.trace", Layer: diag.LayerNet, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkResolve},
	Ready: func(v *diag.View) diag.Decision {
		if len(openedAddresses(v, checkTCP)) > 0 {
			return diag.Skip(diag.N("skip.connected_tcp"))
		}
		if v.Ended(checkTCP) {
			for _, s := range diag.SeenBy[*diag.TCPConnect](v, checkTCP) {
				// An ICMP error names its sender, and routers send only a few a second.
				if s.Seen.Outcome == diag.OutcomeSilent {
					return diag.Run()
				}
			}
			return diag.Skip(diag.N("skip.not_the_question"))
		}
		since, running := v.RunningSince(checkTCP)
		if !running {
			return diag.Wait()
		}
		// A trace beside an unanswered SYN costs no time: it needs what the SYN's own patience leaves.
		if at := since.Add(300 * time.Millisecond); v.Now.Before(at) {
			return diag.WaitUntil(at)
		}
		return diag.Run()
	},
	Moot: func(v *diag.View) bool { return len(openedAddresses(v, checkTCP)) > 0 },
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		address := mainAddress(env.View)
		target, err := netip.ParseAddrPort(address)
		if err != nil {
			return diag.Skipped(diag.N("skip.not_resolved"))
		}
		if target.Addr().IsLoopback() {
			return diag.Skipped(diag.N("skip.own_machine"))
		}
		// It ends with the wait that it runs beside, and has by then given every hop two chances (see netprobe).
		if since, running := env.View.RunningSince(checkTCP); running {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, since.Add(synBound(env.Options.Timeout)))
			defer cancel()
		}
		hops, err := netprobe.TraceTCP(ctx, target, maxHops, func(a netip.Addr) error {
			return env.Allowed(netip.AddrPortFrom(a, target.Port()).String())
		})
		if errors.Is(err, netprobe.ErrUnsupported) {
			return diag.Skipped(diag.N("skip.platform_trace"))
		}
		o := &diag.Trace{Address: address}
		for _, h := range hops {
			hop := diag.Hop{TTL: h.TTL, RTT: h.RTT, What: string(h.Kind)}
			if h.Addr.IsValid() {
				hop.Address = h.Addr.String()
			}
			o.Hops = append(o.Hops, hop)
			o.Reached = o.Reached || h.Reached()
		}
		if last, ok := netprobe.LastAnswering(hops); ok {
			o.LastHop, o.LastTTL = last.Addr.String(), last.TTL
			o.Hops = o.Hops[:min(len(o.Hops), last.TTL+3)] // what follows is silence
		}
		args := []string{"address", address, "hop", o.LastHop, "count", strconv.Itoa(o.LastTTL)}
		if o.LastHop == "" {
			return diag.Warned(o, diag.N("step.net.trace.silent", args...))
		}
		return diag.Passed(o, diag.N("step.net.trace.ok", args...))
	},
}

// netEcho asks for an ICMP echo where TCP gave no answer: a host that echoes is up. Many hosts do not, which says nothing.
var netEcho = diag.Probe{
	ID: "net.echo", Layer: diag.LayerNet, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkResolve},
	Ready: netTrace.Ready,
	Moot:  netTrace.Moot,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		address := mainAddress(env.View)
		target, err := netip.ParseAddrPort(address)
		if err != nil {
			return diag.Skipped(diag.N("skip.not_resolved"))
		}
		ctx, cancel := patience.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		rtt, err := netprobe.Echo(ctx, target.Addr(), func(a netip.Addr) error {
			return env.Allowed(netip.AddrPortFrom(a, target.Port()).String())
		})
		o := &diag.Echo{Address: target.Addr().String(), Sent: 1}
		switch {
		case errors.Is(err, netprobe.ErrUnsupported):
			return diag.Skipped(diag.N("skip.platform_echo"))
		case err != nil:
			return diag.Passed(o, diag.N("step.net.echo.silent", "address", o.Address))
		}
		o.Answered, o.RTTs = 1, []time.Duration{rtt}
		return diag.Passed(o, diag.N("step.net.echo.ok", "address", o.Address, "rtt", diag.FormatMS(rtt)+" ms"))
	},
}
