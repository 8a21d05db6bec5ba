package rule

import (
	_ "embed"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"mqttdoctor/diag"
)

//go:embed data/cdn_ranges.txt
var cdnRangesText string

// cdnRange is an address range that a web proxy or CDN says to be its own.
type cdnRange struct {
	prefix   netip.Prefix
	operator string
}

var cdnRanges = sync.OnceValue(func() []cdnRange {
	var out []cdnRange
	operator := ""
	for line := range strings.Lines(cdnRangesText) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "= "); ok {
			operator, _, _ = strings.Cut(name, " | ")
		} else if line != "" && line[0] != '#' {
			out = append(out, cdnRange{netip.MustParsePrefix(line), operator}) // a test reads the file
		}
	}
	return out
})

// cdnOf names the operator of an address:port.
func cdnOf(address string) (string, bool) {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return "", false
	}
	i := slices.IndexFunc(cdnRanges(), func(r cdnRange) bool { return r.prefix.Contains(ap.Addr().Unmap()) })
	if i < 0 {
		return "", false
	}
	return cdnRanges()[i].operator, true
}

// cdnSigns are header fields by which CDNs name themselves: in Server and Via, and fields of their own.
var cdnSigns = []struct {
	operator string
	sign     func(*diag.WSUpgrade) bool
	source   string
}{
	{"Cloudflare", func(w *diag.WSUpgrade) bool { return serverIs(w, "cloudflare") || signed(w, "CF-RAY") },
		"https://developers.cloudflare.com/fundamentals/reference/http-headers/"},
	{"Amazon CloudFront", func(w *diag.WSUpgrade) bool {
		return serverIs(w, "cloudfront") || strings.Contains(strings.ToLower(w.Via), "cloudfront") || signed(w, "X-Amz-Cf-Id")
	}, "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html"},
	{"Akamai", func(w *diag.WSUpgrade) bool { return serverIs(w, "akamaighost") || serverIs(w, "akamainetstorage") },
		"https://techdocs.akamai.com/property-mgr/docs/server-header"},
	{"Azure Front Door", func(w *diag.WSUpgrade) bool { return signed(w, "X-Azure-Ref") },
		"https://learn.microsoft.com/en-us/azure/frontdoor/front-door-http-headers-protocol"},
	{"Alibaba Cloud CDN", func(w *diag.WSUpgrade) bool { return signed(w, "EagleId") },
		"https://www.alibabacloud.com/help/en/cdn/"},
}

func serverIs(w *diag.WSUpgrade, name string) bool {
	return strings.HasPrefix(strings.ToLower(w.Server), name)
}

func signed(w *diag.WSUpgrade, header string) bool { return slices.Contains(w.ProxySigns, header) }

// webAnswers lists the HTTP answers of the target's host, on whatever port.
func webAnswers(v *diag.View) []diag.Sight[*diag.Attempt] {
	return slices.DeleteFunc(attempts(v), func(s diag.Sight[*diag.Attempt]) bool { return s.Seen.WS == nil || !s.Seen.WS.HTTP() })
}

// cdnInFront needs a CDN that is there, by its published addresses or by its own name in a web answer, answers as a web server,
// and lets no MQTT through on the asked port. A WebSocket upgrade that it did answer is a matter of what lies behind it.
func cdnInFront(v *diag.View) diag.Verdict {
	if c, ok := askedConnect(v); ok && c.Seen.Answered() {
		return diag.Excluded(diag.N("because.connack_came"))
	}
	if s, ok := otherTransport(v); ok {
		return diag.Excluded(diag.N("because.broker_in_other_transport", "transport", string(s.Seen.Transport)))
	}
	if up, ok := askedUpgrade(v); ok && up.Seen.HTTP() {
		return diag.Excluded(diag.N("because.upgrade_was_answered", "status", statusOf(up.Seen)))
	}
	tried := diag.SeenBy[*diag.TCPConnect](v, checkTCP)
	if len(tried) == 0 || !v.Ended(checkTCP) {
		return diag.Open()
	}
	web := webAnswers(v)
	operator, address := "", ""
	for _, s := range tried {
		if name, ok := cdnOf(s.Seen.Address); ok {
			operator, address = name, s.Seen.Address
		}
	}
	if operator == "" {
		for _, s := range web {
			for _, c := range cdnSigns {
				if operator == "" && c.sign(s.Seen.WS) {
					operator, address = c.operator, s.Seen.Address
				}
			}
		}
	}
	switch {
	case operator == "":
		return diag.Excluded(diag.N("because.no_known_cdn"))
	case len(web) == 0:
		return diag.Excluded(diag.N("because.no_web_answer", "provider", operator))
	}
	host, _ := netip.ParseAddrPort(address)
	f := diag.Finding{Step: tried[0].Step.ID, Args: diag.Args{"provider": operator, "address": host.Addr().String()},
		Evidence: append([]diag.Evidence{{Key: diag.EvCDN, Value: operator}}, append(slices.Clone(tried[0].Step.Evidence), web[0].Step.Evidence...)...)}
	if s, ok := first(attempts(v, diag.PurposePort), (*diag.Attempt).Accepted); ok && s.Seen.Transport.IsWebSocket() {
		port, _ := netip.ParseAddrPort(s.Seen.Address)
		if s.Seen.TLS == nil || trustedFully(s.Seen.TLS) {
			f.Variant, f.Args["found"] = "websocket", v.Target.URLFor(s.Seen.Transport, port.Port(), pathOf(s.Seen))
			f.Suggestion = suggestURL(v, s.Seen.Transport, port.Port(), pathOf(s.Seen))
		}
	}
	return diag.Holds(f)
}
