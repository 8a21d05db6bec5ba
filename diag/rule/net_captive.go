package rule

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"mqttdoctor/diag"
)

const checkCaptive diag.ProbeID = "net.captive"

// captivePortal needs a web answer where nobody can give one: at an address that does not exist, or, where that could not be
// asked, the same redirect to a foreign page, or the same page, on a senseless port of the host.
func captivePortal(v *diag.View) diag.Verdict {
	if accepted(v) {
		return diag.Open()
	}
	if c, ok := askedConnect(v); ok && c.Seen.Answered() {
		return diag.Excluded(diag.N("because.connack_came"))
	}
	controls := diag.SeenBy[*diag.Attempt](v, checkCaptive)
	web := slices.DeleteFunc(webAnswers(v), func(s diag.Sight[*diag.Attempt]) bool { return s.Step.Check == checkCaptive })
	asked := webOfHost(v, web)
	if len(controls) == 0 || asked == nil {
		return diag.Open()
	}
	f := diag.Finding{Args: diag.Args{}}
	for _, c := range controls {
		if c.Seen.WS == nil || !c.Seen.WS.HTTP() {
			continue
		}
		elsewhere := !sameHost(v, c.Seen.Address)
		if !elsewhere && !(leadsAway(v, c.Seen.WS) && alike(asked, c.Seen.WS)) && !samePage(asked, c.Seen.WS) {
			continue
		}
		if f.Step == "" || elsewhere {
			f.Step, f.Confidence = c.Step.ID, diag.Likely
			f.Args["address"], f.Args["location"] = c.Seen.Address, c.Seen.WS.Location
		}
		f.Evidence = append(f.Evidence, c.Step.Evidence...)
		if elsewhere {
			f.Confidence = diag.Certain
		}
	}
	if f.Step == "" {
		return diag.Excluded(diag.N("because.answers_for_itself_alone"))
	}
	if f.Args["location"] == "" {
		f.Args["location"] = asked.Location
	}
	f.Args["status"] = statusOf(asked)
	if f.Confidence == diag.Likely {
		f.Variant = "port" // no other host was asked
	}
	return diag.Holds(f)
}

// webOfHost is a web answer of the target's host, the most telling first: one that leads away, else the first.
func webOfHost(v *diag.View, web []diag.Sight[*diag.Attempt]) *diag.WSUpgrade {
	var all []*diag.WSUpgrade
	for _, s := range diag.SeenBy[*diag.WSUpgrade](v, checkWS) {
		if s.Seen.HTTP() {
			all = append(all, s.Seen)
		}
	}
	for _, s := range web {
		all = append(all, s.Seen.WS)
	}
	if i := slices.IndexFunc(all, func(w *diag.WSUpgrade) bool { return leadsAway(v, w) }); i >= 0 {
		return all[i]
	}
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

// leadsAway tells an answer that sends to a page of somebody else, or says outright that the network wants a login (RFC 6585 6).
func leadsAway(v *diag.View, w *diag.WSUpgrade) bool {
	if w.Status == http.StatusNetworkAuthenticationRequired {
		return true
	}
	to, err := url.Parse(w.Location)
	if err != nil || w.Status/100 != 3 || to.Hostname() == "" {
		return false
	}
	return !related(strings.ToLower(to.Hostname()), v.Target.Host)
}

// related tells names of one owner, as far as their last two labels tell: www.example.com and example.com.
func related(a, b string) bool {
	return a == b || lastLabels(a) == lastLabels(b)
}

func lastLabels(name string) string {
	if _, err := netip.ParseAddr(name); err == nil {
		return name
	}
	labels := strings.Split(name, ".")
	return strings.Join(labels[max(0, len(labels)-2):], ".")
}

// alike tells whether two answers are the same one: what they send to may carry the address that was asked for.
func alike(a, b *diag.WSUpgrade) bool {
	to := func(w *diag.WSUpgrade) string {
		u, err := url.Parse(w.Location)
		if err != nil {
			return w.Location
		}
		return u.Host
	}
	return a.Status == b.Status && to(a) == to(b)
}

// samePage tells whether two answers are the same page of text, which no two ports of a host share that mean something.
func samePage(a, b *diag.WSUpgrade) bool {
	return a.Status == http.StatusOK && b.Status == http.StatusOK && a.BodyStart != "" && a.BodyStart == b.BodyStart
}

func sameHost(v *diag.View, address string) bool {
	host, _ := netip.ParseAddrPort(address)
	_, ok := first(diag.SeenBy[*diag.TCPConnect](v, checkTCP), func(c *diag.TCPConnect) bool {
		asked, _ := netip.ParseAddrPort(c.Address)
		return asked.Addr() == host.Addr()
	})
	return ok
}
