package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"mqttdoctor/diag"
	"mqttdoctor/handlers"
)

// meterDoor tells who may have the metrics: whoever sends the token, or where there is none, programs on this machine. The
// figures name nobody, but they tell how much a helpdesk has to do and which version it runs.
func meterDoor(token diag.Secret) func(*http.Request) error {
	if !token.Given() {
		return func(r *http.Request) error {
			if !fromHere(r) {
				return handlers.ErrMetricsClosed
			}
			return nil
		}
	}
	want := sha256.Sum256([]byte(token.Reveal())) // of one length, so that comparing tells nothing
	return func(r *http.Request) error {
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		have := sha256.Sum256([]byte(strings.TrimSpace(given)))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(have[:], want[:]) != 1 {
			return handlers.ErrMetricsToken
		}
		return nil
	}
}

// fromHere tells whether a program on this machine asks for itself. A proxy on this machine asks for others: it says so in a
// header, or passes on the name that they asked for.
func fromHere(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	return handlers.PeerAddr(r).IsLoopback() && isLoopbackHost(r.Host)
}
