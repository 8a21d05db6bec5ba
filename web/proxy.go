package web

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"mqttdoctor/handlers"
)

// origin tells who asks and how, seen through the reverse proxies that are trusted, and through no others: anybody can
// send X-Forwarded-For.
type origin struct {
	trusted []netip.Prefix
	public  *url.URL
}

// addr is the client's address: the last one in the chain that is no trusted proxy.
func (o origin) addr(r *http.Request) netip.Addr {
	peer := handlers.PeerAddr(r)
	if !o.trusts(peer) {
		return peer
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break // what stands before it was not written by a proxy of ours
		}
		peer = addr.Unmap()
		if !o.trusts(peer) {
			break
		}
	}
	return peer
}

// secure tells whether the browser speaks HTTPS, with this server or with a proxy before it.
func (o origin) secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	if o.trusts(handlers.PeerAddr(r)) {
		if proto := r.Header.Get("X-Forwarded-Proto"); proto != "" {
			return strings.EqualFold(proto, "https")
		}
	}
	return o.public != nil && o.public.Scheme == "https" && strings.EqualFold(o.public.Host, r.Host)
}

func (o origin) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(o.trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// base is the address under which the browser reaches this server, without a slash at the end.
func (o origin) base(r *http.Request) string {
	if o.public != nil {
		return o.public.Scheme + "://" + o.public.Host
	}
	scheme := "http"
	if o.secure(r) {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}
