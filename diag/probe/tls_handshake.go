package probe

import (
	"context"
	"net"
	"slices"
	"time"

	"mqttdoctor/diag"
)

// tlsHandshake makes the asked handshake on each address that accepted a connection. Where the certificate is not to be
// trusted the step has failed and the connection is handed on: what lies behind it can still be told.
var tlsHandshake = diag.Probe{
	ID: checkTLS, Layer: diag.LayerTLS, Depth: diag.DepthQuick,
	Follows: []diag.ProbeID{checkTCP},
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.Scheme.UsesTLS() },
	Each: func(_ *diag.View, before diag.Step) diag.Decision {
		if !opened(before) {
			return notReached(before)
		}
		return diag.Run()
	},
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		item, ok := env.Stash.Take(diag.StashTCP + s.Name)
		conn, isConn := item.(net.Conn)
		if !ok || !isConn {
			return diag.Skipped(diag.N("skip.no_connection"))
		}
		o, secured := handshakeTLS(ctx, env, askedRoute(env.Target, s.Name), conn)
		if secured != nil {
			env.Stash.Put(diag.StashTLS+s.Name, secured)
		} else {
			env.Stash.Put(stashFailed, mark{})
		}
		return tlsResult(env.Target, o)
	},
}

func tlsResult(t diag.Target, o *diag.TLSHandshake) diag.Result {
	args := []string{"address", o.Address, "duration", diag.FormatMS(o.Took) + " ms", "version", o.Version, "suite", o.Suite}
	if o.Outcome != diag.OutcomeOK {
		return handshakeFailed(o, args)
	}
	fault := certFault(t, o)
	if fault == "" {
		return diag.Passed(o, diag.N("step.tls.handshake.ok", args...))
	}
	leaf := o.Leaf()
	args = append(args, "name", nameOf(o), "subject", leaf.Subject, "issuer", leaf.Issuer,
		"not_before", dateOf(leaf.NotBefore), "not_after", dateOf(leaf.NotAfter))
	summary := diag.N("step.tls.handshake."+fault, args...)
	if t.TLS.Insecure {
		return diag.Warned(o, summary)
	}
	text := ""
	if o.Trust != nil {
		text = o.Trust.Error
	}
	return diag.Failed(o, summary, &diag.Failure{Op: "tls.verify", Code: fault, Text: text})
}

func handshakeFailed(o *diag.TLSHandshake, args []string) diag.Result {
	failure := &diag.Failure{Op: "tls.handshake", Code: string(o.Outcome), Text: o.Error}
	switch {
	case o.Alert != nil:
		failure.Code = o.Alert.Name
		return diag.Failed(o, diag.N("step.tls.handshake.alert", append(args, "alert", o.Alert.String())...), failure)
	case o.Outcome == diag.OutcomeOther:
		return diag.Failed(o, diag.N("step.tls.handshake.other", append(args, "protocol", orUnknown(o.Speaks))...), failure)
	case o.Outcome == diag.OutcomeSilent:
		return diag.Failed(o, diag.N("step.tls.handshake.silent", args...), failure)
	case o.Outcome == diag.OutcomeMalformed:
		return diag.Failed(o, diag.N("step.tls.handshake.malformed", append(args, "error", o.Error)...), failure)
	}
	return diag.Failed(o, diag.N("step.tls.handshake.ended", args...), failure)
}

// certFault names the first thing wrong with what was served, as a word of the step's summary. It is no judgement of the
// cause: rules make that, from more than one handshake.
func certFault(t diag.Target, o *diag.TLSHandshake) string {
	leaf, f := o.Leaf(), o.Trust
	switch {
	case leaf == nil || f == nil:
		return ""
	case f.Now.After(leaf.NotAfter):
		return "expired"
	case f.Now.Before(leaf.NotBefore):
		return "not_yet_valid"
	case !f.Trusted() && leaf.SelfIssued:
		return "self_signed"
	case !f.Trusted():
		return "untrusted"
	case !f.NameOK:
		return "wrong_name"
	case !f.PathNow:
		return "path_expired"
	case !leaf.ServerAuth:
		return "usage"
	case weakSignature(o):
		return "weak_signature"
	}
	return ""
}

// weakSignature tells whether a certificate on the path below its root bears a signature that current clients refuse.
func weakSignature(o *diag.TLSHandshake) bool {
	return slices.ContainsFunc(o.Chain, func(c diag.CertFact) bool {
		return c.WeakSignature() && !c.SelfIssued && slices.Contains(o.Trust.Path, c.SHA256)
	})
}

// dateOf writes a moment for people, in UTC.
func dateOf(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// nameOf is the name that was checked.
func nameOf(o *diag.TLSHandshake) string {
	if o.Trust == nil {
		return o.ServerName
	}
	return o.Trust.Name
}
