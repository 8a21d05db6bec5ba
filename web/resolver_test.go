package web

import (
	"testing"

	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
)

// A server for strangers still asks the resolver of its own system, which listens on loopback more often than not.
func TestPublicPolicyLetsTheSystemsOwnResolverBeAsked(t *testing.T) {
	policy, err := guard.ParsePolicy("public", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	resolver := diagtest.DNSServer(t, diagtest.NXDomain).Addr
	e := NewEngine(policy, "", nil)
	if conn, err := e.Dial(t.Context(), "udp", resolver); err == nil {
		conn.Close()
		t.Error("a target on loopback was dialled")
	}
	conn, err := e.DialResolver(t.Context(), "udp", resolver)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
