package probe

import (
	"context"
	"crypto/tls"
	"slices"
	"strings"
	"time"

	"mqttdoctor/diag"
)

// suiteGroup are suites that stand or fall together on most servers.
type suiteGroup struct {
	name    string
	fulfils func(name string) bool
}

var suiteGroups = []suiteGroup{
	{"ECDHE", func(n string) bool {
		return strings.HasPrefix(n, "TLS_ECDHE_RSA") || strings.HasPrefix(n, "TLS_ECDHE_ECDSA")
	}},
	{"DHE", func(n string) bool { return strings.HasPrefix(n, "TLS_DHE_RSA") || strings.HasPrefix(n, "TLS_DHE_DSS") }},
	{"RSA", func(n string) bool { return strings.HasPrefix(n, "TLS_RSA_") }},
	{"PSK, ECDH", func(n string) bool { return strings.Contains(n, "PSK") || strings.HasPrefix(n, "TLS_ECDH_") }},
	{"TLS 1.3", func(n string) bool { return !strings.Contains(n, "_WITH_") }},
}

// maxSuiteRounds bounds the connections for one group: a server that takes every suite of the largest group needs them.
const maxSuiteRounds = 24

// tlsCiphers finds out which suites a server takes that shares none with usual clients: group by group, and inside a group
// one by one, leaving out what it has chosen.
var tlsCiphers = diag.Probe{
	ID: "tls.ciphers", Layer: diag.LayerTLS, Depth: diag.DepthQuick,
	Applies: ifTLS,
	Ready: func(v *diag.View) diag.Decision {
		return afterHandshake(v, func() diag.Decision {
			h, failed := failedHandshake(v)
			switch {
			case !failed:
				return diag.Skip(diag.N("skip.handshake_worked"))
			case alertIs(h, 70, 112, 116, 120): // its own words name another matter
				return diag.Skip(diag.N("skip.already_clear"))
			}
			if d := doubtsOffer(v); !d.Runs() {
				return d
			}
			if !v.Ended(checkTLSVersions) {
				return diag.Wait()
			}
			if !takesVersion(v, "TLS 1.2") && !takesVersion(v, "TLS 1.3") {
				return diag.Skip(diag.N("skip.no_usual_version"))
			}
			return diag.Run()
		})
	},
	Subjects: func(*diag.View) []diag.Subject {
		var out []diag.Subject
		for _, g := range suiteGroups {
			out = append(out, diag.Subject{Name: g.name, Value: g.fulfils})
		}
		return out
	},
	Budget: 20 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		address, ok := where(env.View)
		fulfils, isFunc := s.Value.(func(string) bool)
		if !ok || !isFunc {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		left := suitesIn(func(id uint16) bool { return fulfils(suites[id]) })
		r := askedRoute(env.Target, address).with(diag.PurposeCipher, s.Name, nil)
		var all []string
		var last *diag.TLSHello
		for range maxSuiteRounds {
			if len(left) == 0 || ctx.Err() != nil {
				break
			}
			h := hello{version: tls.VersionTLS12, suites: left, groups: usualGroups, signatures: usualSignatures, serverName: r.TLS.ServerName}
			if isTLS13Suite(left[0]) {
				h.versions = []uint16{tls.VersionTLS13}
			}
			o := sayHello(ctx, env, r, s.Name, h)
			if o.Outcome != diag.OutcomeOK {
				if last == nil {
					last = o
				}
				break
			}
			last = o
			if slices.Contains(all, o.Suite) {
				break // it chooses what was not offered
			}
			all = append(all, o.Suite)
			left = slices.DeleteFunc(left, func(id uint16) bool { return suiteName(id) == o.Suite })
		}
		if last == nil {
			return diag.Skipped(diag.N("skip.canceled"))
		}
		last.Suites = all
		if len(all) > 0 {
			return diag.Passed(last, diag.N("step.tls.ciphers.taken", "address", address, "value", s.Name, "suites", strings.Join(all, ", ")))
		}
		return helloResult(last)
	},
}

// takesVersion tells whether a version offered by itself was taken.
func takesVersion(v *diag.View, name string) bool {
	for _, s := range diag.SeenBy[*diag.TLSHello](v, checkTLSVersions) {
		if s.Seen.Label == name && s.Seen.Outcome == diag.OutcomeOK {
			return true
		}
	}
	return false
}
