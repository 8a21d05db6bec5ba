package probe

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"

	"mqttdoctor/diag"
)

// Bounds of path building over certificates that a stranger chose: real paths have two to four.
const (
	maxPathLen   = 8
	maxPaths     = 16
	maxSigChecks = 200
)

// trust builds paths from a served chain to the roots of a client, link by link and without a look at any date, so that an
// expired certificate does not hide that nobody would trust it, and the other way round.
type trust struct {
	served []*x509.Certificate // leaf first
	extra  []*x509.Certificate // found elsewhere (AIA)
	given  []*x509.Certificate // the CA file
	system *x509.CertPool
	now    time.Time

	checks int
	linked map[[2]string]bool
}

// path is a chain from the leaf to an anchor of the CA file or of the system.
type path struct {
	certs []*x509.Certificate
	given bool // the anchor is of the CA file
}

func newTrust(env *diag.Env, served []*x509.Certificate) *trust {
	t := &trust{served: served, system: env.Roots, now: env.Now(), linked: map[[2]string]bool{}}
	if env.Target.TLS.CAPEM != "" {
		t.given = parsePEM(env.Target.TLS.CAPEM)
	}
	if t.system == nil {
		t.system, _ = x509.SystemCertPool() // nil where there is none: then nothing is trusted
	}
	if t.system == nil {
		t.system = x509.NewCertPool()
	}
	return t
}

// judge answers the questions of a [diag.TrustFact] for a name.
func (t *trust) judge(name string) *diag.TrustFact {
	leaf := t.served[0]
	f := &diag.TrustFact{Now: t.now, Name: name, GivenCA: len(t.given) > 0}
	for _, c := range t.given[:min(len(t.given), maxChain)] {
		f.GivenSubjects = append(f.GivenSubjects, printable(c.Subject.String(), 300))
	}
	f.HasSAN = hasSAN(leaf)
	f.NameOK = leaf.VerifyHostname(withoutZone(name)) == nil
	f.NameInCN = !f.NameOK && commonNameIs(leaf, name)

	var paths []path
	t.climb([]*x509.Certificate{leaf}, &paths)
	var best *path
	for i := range paths {
		p := &paths[i]
		if objection, usage := objectionTo(p.certs, t.now); objection != "" {
			if p.given == f.GivenCA {
				f.Objection, f.IssuerUsage = printable(objection, 300), usage
			}
			continue
		}
		f.GivenOK = f.GivenOK || p.given
		f.SystemOK = f.SystemOK || !p.given
		if p.given == f.GivenCA && (best == nil || (!t.validNow(best.certs) && t.validNow(p.certs))) {
			best = p
		}
	}
	f.Error = t.verifierSays(name, f.GivenCA)
	if best != nil {
		f.Objection, f.IssuerUsage = "", false
	} else if f.IssuerUsage {
		// For other purposes than a server's the path is a good one.
		f.GivenOK, f.SystemOK = f.GivenOK || f.GivenCA, f.SystemOK || !f.GivenCA
	}
	if best == nil {
		top := t.top(leaf)
		f.Path = fingerprints(top)
		if last := top[len(top)-1]; !bytes.Equal(last.RawSubject, last.RawIssuer) {
			f.MissingName = printable(last.Issuer.String(), 300)
			if c, ok := t.noAuthority(last); ok {
				f.MissingName, f.Objection = "", printable("x509: "+c.Subject.String()+" signed "+last.Subject.String()+
					" and is no authority (basicConstraints CA:FALSE)", 300)
			} else if c, ok := t.unlinked(top); ok {
				f.Unlinked = printable(c.Subject.String(), 300)
			}
		}
		return f
	}
	f.Path = fingerprints(best.certs)
	f.PathNow = t.validNow(best.certs)
	anchor := best.certs[len(best.certs)-1]
	if !slices.ContainsFunc(t.served, anchor.Equal) {
		fact := certFact(anchor)
		fact.PEM = ""
		f.Anchor = &fact
	}
	// The issuer of a served certificate is itself no root and was not served: it was found elsewhere.
	for _, c := range best.certs[1:] {
		if slices.ContainsFunc(t.served, c.Equal) || bytes.Equal(c.RawSubject, c.RawIssuer) {
			continue
		}
		switch {
		case slices.ContainsFunc(t.extra, c.Equal):
			f.CompletedBy = "aia"
		case best.given:
			f.CompletedBy = "given"
		default:
			f.CompletedBy = "system"
		}
		f.MissingName = printable(c.Subject.String(), 300)
		break
	}
	return f
}

// climb collects the paths that begin as given.
func (t *trust) climb(so []*x509.Certificate, paths *[]path) {
	last := so[len(so)-1]
	if len(*paths) >= maxPaths || len(so) > maxPathLen {
		return
	}
	if slices.ContainsFunc(t.given, last.Equal) {
		*paths = append(*paths, path{certs: slices.Clone(so), given: true})
	}
	for _, g := range t.given {
		if !g.Equal(last) && t.links(last, g) {
			*paths = append(*paths, path{certs: append(slices.Clone(so), g), given: true})
		}
	}
	if root, ok := t.systemRoot(last); ok {
		p := path{certs: slices.Clone(so)}
		if !root.Equal(last) {
			p.certs = append(p.certs, root)
		}
		*paths = append(*paths, p)
	}
	for _, c := range slices.Concat(t.served[1:], t.extra) {
		if !slices.ContainsFunc(so, c.Equal) && t.links(last, c) {
			t.climb(append(slices.Clone(so), c), paths)
		}
	}
}

// noAuthority is a served certificate that signed another without the right to, and that leads to an authority of the client.
func (t *trust) noAuthority(child *x509.Certificate) (*x509.Certificate, bool) {
	for _, c := range slices.Concat(t.served[1:], t.extra) {
		if !bytes.Equal(c.RawSubject, child.RawIssuer) || c.Equal(child) || t.links(child, c) {
			continue
		}
		if t.checks++; t.checks > maxSigChecks || !signedBy(child, c) {
			continue
		}
		known := slices.ContainsFunc(t.given, func(g *x509.Certificate) bool { return t.links(c, g) })
		if len(t.given) == 0 {
			_, known = t.systemRoot(c)
		}
		if known {
			return c, true
		}
	}
	return nil, false
}

// unlinked is a served authority beside the way up from the leaf that is the given CA, or that it issued.
func (t *trust) unlinked(way []*x509.Certificate) (*x509.Certificate, bool) {
	for _, c := range t.served[1:] {
		if !c.IsCA || slices.ContainsFunc(way, c.Equal) {
			continue
		}
		if slices.ContainsFunc(t.given, func(g *x509.Certificate) bool { return g.Equal(c) || t.links(c, g) }) {
			return c, true
		}
	}
	return nil, false
}

// top is the longest way up that was served.
func (t *trust) top(leaf *x509.Certificate) []*x509.Certificate {
	way := []*x509.Certificate{leaf}
	for len(way) < maxPathLen {
		last := way[len(way)-1]
		i := slices.IndexFunc(slices.Concat(t.served[1:], t.extra), func(c *x509.Certificate) bool {
			return !slices.ContainsFunc(way, c.Equal) && t.links(last, c)
		})
		if i < 0 {
			break
		}
		way = append(way, slices.Concat(t.served[1:], t.extra)[i])
	}
	return way
}

func (t *trust) links(child, parent *x509.Certificate) bool {
	if !bytes.Equal(child.RawIssuer, parent.RawSubject) {
		return false
	}
	key := [2]string{string(child.Raw), string(parent.Raw)}
	known, done := t.linked[key]
	if done {
		return known
	}
	if t.checks++; t.checks > maxSigChecks {
		return false
	}
	t.linked[key] = issued(child, parent)
	return t.linked[key]
}

// systemRoot asks the system's pool, which does not list its certificates, for the root that issued a certificate. It is
// asked at several times inside the certificate's validity, since the pool looks at dates.
func (t *trust) systemRoot(c *x509.Certificate) (*x509.Certificate, bool) {
	middle := c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 2)
	for _, at := range []time.Time{t.now, c.NotAfter, middle, c.NotBefore} {
		if t.checks++; t.checks > maxSigChecks || !validAt(c, at) {
			continue
		}
		chains, err := c.Verify(x509.VerifyOptions{Roots: t.system, Intermediates: x509.NewCertPool(), CurrentTime: at,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if err == nil && len(chains) > 0 {
			return chains[0][len(chains[0])-1], true
		}
	}
	return nil, false
}

// objectionTo is what the library's verifier minds about a path whose signatures hold, its dates apart: an authority that may
// not sign for this name, or not so far down, or not for servers (usage). It is silent on paths whose certificates were never
// valid together, and on what has findings of its own: the leaf's own usage, and signatures that are too weak.
func objectionTo(certs []*x509.Certificate, now time.Time) (objection string, usage bool) {
	at, until := now, certs[0].NotAfter
	for _, c := range certs {
		if c.NotAfter.Before(until) {
			until = c.NotAfter
		}
	}
	if at.After(until) {
		at = until
	}
	for _, c := range certs {
		if at.Before(c.NotBefore) {
			at = c.NotBefore
		}
	}
	if at.After(until) {
		return "", false
	}
	opts := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	opts.Roots.AddCert(certs[len(certs)-1])
	for _, c := range certs[1:] {
		opts.Intermediates.AddCert(c)
	}
	var invalid x509.CertificateInvalidError
	if _, err := certs[0].Verify(opts); errors.As(err, &invalid) && invalid.Reason != x509.Expired {
		return err.Error(), false
	}
	opts.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if _, err := certs[0].Verify(opts); errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage && forServers(certs[0]) {
		return err.Error(), true
	}
	return "", false
}

func (t *trust) validNow(certs []*x509.Certificate) bool {
	return !slices.ContainsFunc(certs, func(c *x509.Certificate) bool { return !validAt(c, t.now) })
}

// verifierSays is what the library's own verifier, asked as a client asks it, has to say; empty: nothing.
func (t *trust) verifierSays(name string, given bool) string {
	opts := x509.VerifyOptions{DNSName: withoutZone(name), Roots: t.system, Intermediates: x509.NewCertPool(), CurrentTime: t.now}
	if given {
		opts.Roots = x509.NewCertPool()
		for _, c := range t.given {
			opts.Roots.AddCert(c)
		}
	}
	for _, c := range t.served[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := t.served[0].Verify(opts); err != nil {
		return printable(err.Error(), 300)
	}
	return ""
}

// readOCSP reads a stapled OCSP response for the leaf (RFC 6960): what it says, and when it was made. "invalid": it is none,
// or its signature is not the issuer's; "stale": it was good, and its time is over.
func (t *trust) readOCSP(der []byte) (status string, made time.Time) {
	var issuer *x509.Certificate
	for _, c := range slices.Concat(t.served[1:], t.extra, t.given) {
		if issued(t.served[0], c) {
			issuer = c
			break
		}
	}
	answer, err := ocsp.ParseResponseForCert(der, t.served[0], issuer)
	if err != nil {
		return "invalid", time.Time{}
	}
	switch {
	case answer.Status == ocsp.Revoked:
		return "revoked", answer.ThisUpdate
	case !answer.NextUpdate.IsZero() && t.now.After(answer.NextUpdate):
		return "stale", answer.ThisUpdate
	case answer.Status == ocsp.Good:
		return "good", answer.ThisUpdate
	}
	return "unknown", answer.ThisUpdate
}

var oidSAN = asn1.ObjectIdentifier{2, 5, 29, 17}

// hasSAN tells whether there is a subject alternative name at all (RFC 5280 4.2.1.6).
func hasSAN(c *x509.Certificate) bool {
	for _, ext := range c.Extensions {
		if ext.Id.Equal(oidSAN) {
			return true
		}
	}
	return false
}

// commonNameIs tells whether the common name is the name, as clients before RFC 6125 took it.
func commonNameIs(c *x509.Certificate, name string) bool {
	cn := c.Subject.CommonName
	if ip := net.ParseIP(withoutZone(name)); ip != nil {
		return ip.Equal(net.ParseIP(cn))
	}
	return cn != "" && (&x509.Certificate{DNSNames: []string{cn}}).VerifyHostname(name) == nil
}

// withoutZone cuts the zone of an IPv6 literal: no certificate names one.
func withoutZone(name string) string {
	address, _, _ := strings.Cut(name, "%")
	return address
}

func fingerprints(certs []*x509.Certificate) []string {
	var out []string
	for _, c := range certs {
		sum := sha256.Sum256(c.Raw)
		out = append(out, hex.EncodeToString(sum[:]))
	}
	return out
}
