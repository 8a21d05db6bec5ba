package web

import (
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"

	"mqttdoctor/handlers"
)

func mustPrefixes(t *testing.T, s string) []netip.Prefix {
	t.Helper()
	var p prefixes
	if err := p.Set(s); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestClientAddressIsNotForged(t *testing.T) {
	o := origin{trusted: mustPrefixes(t, "127.0.0.1,10.0.0.0/8,::1")}
	for name, c := range map[string]struct {
		peer, forwarded, want string
	}{
		"no proxy":             {"192.0.2.7:1234", "", "192.0.2.7"},
		"stranger claims":      {"192.0.2.7:1234", "198.51.100.1", "192.0.2.7"},
		"proxy says":           {"127.0.0.1:1234", "198.51.100.1", "198.51.100.1"},
		"forged before proxy":  {"127.0.0.1:1234", "203.0.113.9, 198.51.100.1", "198.51.100.1"},
		"two proxies":          {"127.0.0.1:1234", "198.51.100.1, 10.1.1.1", "198.51.100.1"},
		"no address":           {"127.0.0.1:1234", "unknown", "127.0.0.1"},
		"empty":                {"127.0.0.1:1234", "", "127.0.0.1"},
		"IPv4 in IPv6":         {"[::ffff:127.0.0.1]:1", "::ffff:198.51.100.1", "198.51.100.1"},
		"nonsense on the left": {"[::1]:1", "nonsense, 198.51.100.1", "198.51.100.1"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := o.addr(r).String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestSecure(t *testing.T) {
	o := origin{trusted: mustPrefixes(t, "127.0.0.1"), public: &url.URL{Scheme: "https", Host: "mqtt.example.com"}}
	r := httptest.NewRequest("GET", "http://mqtt.example.com/", nil)
	r.RemoteAddr = "192.0.2.1:1"
	if !o.secure(r) {
		t.Error("the public address is https")
	}
	r = httptest.NewRequest("GET", "http://other/", nil)
	r.RemoteAddr = "192.0.2.1:1"
	r.Header.Set("X-Forwarded-Proto", "https")
	if o.secure(r) {
		t.Error("a stranger's word was taken")
	}
	r.RemoteAddr = "127.0.0.1:1"
	if !o.secure(r) {
		t.Error("the proxy's word was not taken")
	}
}

func TestOneIPv6NetworkIsOneClient(t *testing.T) {
	p := newPlaces(nil, 10, 1)
	from := func(addr string) handlers.Actor { return handlers.Actor{Addr: netip.MustParseAddr(addr)} }
	release, err := p.take(t.Context(), from("2001:db8::1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.take(t.Context(), from("2001:db8::ffff")); err == nil {
		t.Error("another address of the same network is another client")
	}
	if _, err := p.take(t.Context(), from("2001:db8:0:1::1")); err != nil {
		t.Error(err)
	}
	release()
	release() // twice does no harm
	if _, err := p.take(t.Context(), from("2001:db8::2")); err != nil {
		t.Error(err)
	}
	if p.taken != 2 {
		t.Errorf("%d taken", p.taken)
	}
}
