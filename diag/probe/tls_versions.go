package probe

import (
	"context"
	"crypto/tls"
	"slices"
	"time"

	"mqttdoctor/diag"
)

// checkTLSVersions tries versions one by one; others build on what it finds.
const checkTLSVersions diag.ProbeID = "tls.versions"

// protocolVersion is a version that is tried by itself.
type protocolVersion struct {
	name  string
	hello func(serverName string) hello
}

var protocolVersions = []protocolVersion{
	{"SSL 3.0", func(string) hello { return hello{version: 0x0300, suites: oldSuites(), bare: true} }},
	{"TLS 1.0", func(name string) hello { return olderHello(tls.VersionTLS10, name) }},
	{"TLS 1.1", func(name string) hello { return olderHello(tls.VersionTLS11, name) }},
	{"TLS 1.2", func(name string) hello { return olderHello(tls.VersionTLS12, name) }},
	{"TLS 1.3", func(name string) hello {
		return hello{version: tls.VersionTLS12, versions: []uint16{tls.VersionTLS13}, suites: suitesIn(isTLS13Suite),
			groups: usualGroups, signatures: usualSignatures, serverName: name}
	}},
}

// olderHello offers every suite that is known, so that the version alone decides.
func olderHello(version uint16, name string) hello {
	return hello{version: version, suites: suitesIn(func(id uint16) bool { return !isTLS13Suite(id) }), groups: usualGroups,
		signatures: usualSignatures, serverName: name}
}

func isTLS13Suite(id uint16) bool { return id>>8 == 0x13 }

// oldSuites are those that SSL 3.0 has.
func oldSuites() []uint16 { return suitesIn(func(id uint16) bool { return id < 0x0096 }) }

// suitesIn lists the known suites that fulfil a condition, the strongest numbers first as clients do.
func suitesIn(fulfils func(uint16) bool) []uint16 {
	var out []uint16
	for id := range suites {
		if fulfils(id) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	slices.Reverse(out)
	return out
}

// tlsVersions offers each version by itself, where the asked handshake failed; in deep runs always.
var tlsVersions = diag.Probe{
	ID: checkTLSVersions, Layer: diag.LayerTLS, Depth: diag.DepthQuick,
	Applies: ifTLS,
	Ready: func(v *diag.View) diag.Decision {
		return afterHandshake(v, func() diag.Decision {
			if _, ok := shookHands(v); ok && v.Options.Depth.Covers(diag.DepthDeep) {
				return diag.Run()
			}
			return doubtsOffer(v)
		})
	},
	Subjects: func(*diag.View) []diag.Subject {
		var out []diag.Subject
		for _, p := range protocolVersions {
			out = append(out, diag.Subject{Name: p.name, Value: p.hello})
		}
		return out
	},
	Budget: 12 * time.Second, // connect and answer, each of the usual time-out
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		address, ok := where(env.View)
		make, isHello := s.Value.(func(string) hello)
		if !ok || !isHello {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		r := askedRoute(env.Target, address).with(diag.PurposeTLSVersion, s.Name, nil)
		o := sayHello(ctx, env, r, s.Name, make(r.TLS.ServerName))
		if o.Outcome == diag.OutcomeOK && o.Version != s.Name {
			// It answered with another version than the only one offered: it does not take this one (RFC 8446 4.1.3).
			o.Outcome = diag.OutcomeMalformed
		}
		return helloResult(o)
	},
}

// helloResult makes the step of a hello that was said to learn what a server takes: that it does not take it is an answer
// too.
func helloResult(o *diag.TLSHello) diag.Result {
	args := []string{"address", o.Address, "value", o.Label, "version", o.Version, "suite", o.Suite}
	switch {
	case o.NoTCP:
		return diag.Warned(o, diag.N("step.tls.hello.no_tcp", append(args, "symbol", string(o.Outcome))...))
	case o.Outcome == diag.OutcomeOK:
		return diag.Passed(o, diag.N("step.tls.hello.taken", args...))
	case o.Alert != nil:
		return diag.Passed(o, diag.N("step.tls.hello.refused", append(args, "alert", o.Alert.String())...))
	case o.Outcome == diag.OutcomeSilent:
		return diag.Warned(o, diag.N("step.tls.hello.silent", args...))
	}
	return diag.Passed(o, diag.N("step.tls.hello.ended", append(args, "symbol", string(o.Outcome))...))
}
