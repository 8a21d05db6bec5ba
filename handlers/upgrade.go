package handlers

import (
	"net/http"
	"strings"
)

// isUpgrade tells whether the request asks for a websocket (RFC 6455 4.1).
func isUpgrade(r *http.Request) bool {
	return hasToken(r.Header, "Connection", "upgrade") && hasToken(r.Header, "Upgrade", "websocket")
}

func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

func equalHost(a, b string) bool { return a != "" && strings.EqualFold(a, b) }
