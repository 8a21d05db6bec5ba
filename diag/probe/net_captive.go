package probe

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"mqttdoctor/diag"
)

// nobody is an address that must not exist (TEST-NET-1, RFC 5737): what answers there answers for everyone.
const nobody = "192.0.2.1:80"

// netCaptive asks for a web page where there can be none, once a web server has answered in the broker's place: at an address
// that is nobody's, and on a port of the host where nothing can be meant to listen. A network that wants a login first gives
// the same answer everywhere.
var netCaptive = diag.Probe{
	ID: "net.captive", Layer: diag.LayerNet, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkResolve},
	Ready: func(v *diag.View) diag.Decision {
		switch {
		case transportKnown(v):
			return diag.Skip(diag.N("skip.already_clear"))
		case webAnswered(v):
			return diag.Run()
		case brokenAt(v) == diag.LayerDNS:
			return diag.Skip(diag.N("skip.not_resolved"))
		case brokenAt(v) != "" && v.Ended("tcp.ports") && v.Ended(checkPeerMQTT) && v.Ended("peer.paths"):
			return diag.Skip(diag.N("skip.no_web_server"))
		}
		return diag.Wait()
	},
	Subjects: func(v *diag.View) []diag.Subject {
		out := []diag.Subject{{Name: nobody}}
		if address := mainAddress(v); address != "" {
			out = append(out, diag.Subject{Name: withPort(address, absurdPorts[0])})
		}
		return out
	},
	Moot:   transportKnown,
	Budget: 8 * time.Second, // one time-out, and a little
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		a, l := walk(ctx, env, askedRoute(env.Target, s.Name).with(diag.PurposeAbsurdPort, "", func(r *route) {
			r.Transport, r.SYNWait = diag.SchemeWS, max(portalWait, 2*roundTrip(env.View, mainAddress(env.View)))
			r.WS = wsOffer{Path: "/", Subprotocols: subprotocolsFor(diag.Version311), NoHeaders: true}
		}), upToWS)
		_ = l.Close()
		if a.TCP != nil && a.TCP.Outcome == diag.OutcomeForbidden {
			return diag.Skipped(diag.N("skip.not_permitted"))
		}
		if a.WS == nil || !a.WS.HTTP() {
			return diag.Passed(a, diag.N("step.net.captive.none", "address", s.Name))
		}
		return diag.Warned(a, diag.N("step.net.captive.answered", "address", s.Name, "status", statusText(a.WS), "location", a.WS.Location))
	},
}

// portalWait is how long a SYN to nobody may stay unanswered: who answers in everybody's place stands close by, in the network
// that the run itself is in. Who answers the asked port so late will not answer others any sooner.
const portalWait = 700 * time.Millisecond

// webAnswered tells whether something on the target's host has answered with a page of its own in place of an upgrade, or sent
// elsewhere: what a network does that wants a login first (RFC 8952 2.1), and some web servers too.
func webAnswered(v *diag.View) bool {
	page := func(w *diag.WSUpgrade) bool {
		if w == nil {
			return false
		}
		to, err := url.Parse(w.Location)
		elsewhere := err == nil && w.Status/100 == 3 && to.Hostname() != "" && !strings.EqualFold(to.Hostname(), v.Target.Host)
		return elsewhere || w.Status == http.StatusOK || w.Status == http.StatusNetworkAuthenticationRequired
	}
	return slices.ContainsFunc(v.Steps, func(s diag.Step) bool {
		switch o := s.Observation.(type) {
		case *diag.WSUpgrade:
			return page(o)
		case *diag.Attempt:
			return page(o.WS)
		}
		return false
	})
}
