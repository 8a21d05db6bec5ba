package relay

import "testing"

func TestLookUpsDoNotNameTheResolver(t *testing.T) {
	for text, want := range map[string]string{
		"no such host": "no such host",
		"dial udp 10.0.0.53:53: connect: network is unreachable":                  "network is unreachable",
		"read udp 10.0.0.1:40112->10.0.0.53:53: read: connection refused":         "connection refused",
		"read udp [fd00::1]:40112->[fd00::53]:53: read: connection reset by peer": "connection reset by peer",
		"server misbehaving": "server misbehaving",
	} {
		if got := withoutResolver(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
