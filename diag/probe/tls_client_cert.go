package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"slices"
	"time"

	"mqttdoctor/diag"
)

// tlsClientCert looks at the given client certificate and key before any connection: what is wrong with them is wrong
// whatever the server says.
var tlsClientCert = diag.Probe{
	ID: "tls.client_cert", Layer: diag.LayerTLS, Depth: diag.DepthQuick,
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.Scheme.UsesTLS() && t.TLS.CertPEM != "" },
	Run: func(_ context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		o := clientCertFact(env.Target, env.Now())
		if len(o.Chain) == 0 {
			return diag.Failed(o, diag.N("step.tls.client_cert.unreadable"), &diag.Failure{Op: "tls.client_cert", Code: "unreadable", Text: o.Error})
		}
		leaf := o.Chain[0]
		args := []string{"subject", leaf.Subject, "issuer", leaf.Issuer, "not_before", dateOf(leaf.NotBefore), "not_after", dateOf(leaf.NotAfter)}
		switch {
		case !o.KeyMatches:
			return diag.Failed(o, diag.N("step.tls.client_cert.key_mismatch", args...), &diag.Failure{Op: "tls.client_cert", Code: "key_mismatch", Text: o.Error})
		case o.Now.After(leaf.NotAfter):
			return diag.Warned(o, diag.N("step.tls.client_cert.expired", args...))
		case o.Now.Before(leaf.NotBefore):
			return diag.Warned(o, diag.N("step.tls.client_cert.not_yet_valid", args...))
		case !o.ClientAuth:
			return diag.Warned(o, diag.N("step.tls.client_cert.usage", args...))
		}
		return diag.Passed(o, diag.N("step.tls.client_cert.ok", args...))
	},
}

func clientCertFact(t diag.Target, now time.Time) *diag.ClientCert {
	o := &diag.ClientCert{Now: now}
	chain := parsePEM(t.TLS.CertPEM)
	for _, c := range chain[:min(len(chain), maxChain)] {
		o.Chain = append(o.Chain, certFact(c))
	}
	if len(chain) > 0 {
		usage := chain[0].ExtKeyUsage
		o.ClientAuth = len(usage)+len(chain[0].UnknownExtKeyUsage) == 0 ||
			slices.Contains(usage, x509.ExtKeyUsageClientAuth) || slices.Contains(usage, x509.ExtKeyUsageAny)
	}
	_, err := tls.X509KeyPair([]byte(t.TLS.CertPEM), []byte(t.TLS.KeyPEM.Reveal()))
	o.KeyMatches = err == nil
	if err != nil {
		o.Error = printable(err.Error(), 200) // the library's words name no part of a key
	}
	return o
}

// tlsNoClientCert goes the asked way without the given client certificate, where a server that asked for one ended the
// connection: what works without it was refused because of it.
var tlsNoClientCert = diag.Probe{
	ID: "tls.no_client_cert", Layer: diag.LayerTLS, Depth: diag.DepthQuick,
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.Scheme.UsesTLS() && t.TLS.CertPEM != "" },
	Ready: func(v *diag.View) diag.Decision {
		return afterHandshake(v, func() diag.Decision {
			if _, sent := firstHandshake(v, func(h *diag.TLSHandshake) bool { return h.ClientCertSent }); !sent {
				return diag.Skip(diag.N("skip.no_cert_sent"))
			}
			if _, failed := failedHandshake(v); failed {
				return diag.Run()
			}
			switch {
			case connected(v):
				return diag.Skip(diag.N("skip.connected"))
			case brokenAt(v) == "":
				return diag.Wait()
			case slices.ContainsFunc(askedConnects(v), func(o *diag.MQTTConnect) bool { return o.Answered() || o.Outcome == diag.OutcomeSilent }):
				return diag.Skip(diag.N("skip.not_the_question"))
			}
			return diag.Run()
		})
	},
	Budget: 18 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		address, ok := where(env.View)
		if !ok {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		return variant(ctx, env, askedRoute(env.Target, address).with(diag.PurposeNoClientCert, "", func(r *route) { r.TLS.NoCert = true }))
	},
}
