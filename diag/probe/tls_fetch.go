package probe

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"

	"mqttdoctor/diag"
	"mqttdoctor/diag/patience"
)

// Bounds of what is fetched from places that a certificate names. They are strangers' choice: everything is dialled through
// the guard, over http alone (RFC 5280 8 warns of https there), and nothing is awaited for long.
const (
	maxIssuerBytes = 64 << 10
	maxCRLBytes    = 1 << 20
	maxFetchWait   = 1500 * time.Millisecond
	maxIssuerHops  = 3
)

var errNotHTTP = errors.New("not an http URL")

// fetch gets or posts one small thing; status is 0 where no answer came.
func fetch(ctx context.Context, env *diag.Env, rawURL string, body []byte, contentType string, limit int64) (data []byte, status int, err error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.User != nil {
		return nil, 0, errNotHTTP
	}
	ctx, cancel := patience.WithTimeout(ctx, min(env.Options.Timeout, maxFetchWait))
	defer cancel()
	transport := &http.Transport{DialContext: env.Dial, DisableKeepAlives: true, Proxy: nil, MaxResponseHeaderBytes: 16 << 10}
	client := &http.Client{Transport: transport, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) > 2 || req.URL.Scheme != "http" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	method, reader := http.MethodGet, io.Reader(nil)
	if body != nil {
		method, reader = http.MethodPost, bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), reader)
	if err != nil {
		return nil, 0, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	data, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = errors.New("the answer is too large")
	}
	return data, resp.StatusCode, err
}

// fetchOutcome classes a failed fetch.
func fetchOutcome(err error, status int) diag.Outcome {
	switch {
	case errors.Is(err, errNotHTTP):
		return diag.OutcomeUnreachable
	case status != 0:
		return diag.OutcomeRefused
	}
	return outcomeOf(err)
}

// chainOf reads a served chain back from its observation.
func chainOf(h *diag.TLSHandshake) []*x509.Certificate {
	var out []*x509.Certificate
	for _, c := range h.Chain {
		out = append(out, parsePEM(c.PEM)...)
	}
	return out
}

// lacksIssuer tells whether a served chain ends in a certificate whose issuer nobody has, and which says where that is.
func lacksIssuer(h *diag.TLSHandshake) bool {
	return !h.Trust.Trusted() && h.Trust.MissingName != "" && len(topOf(h).AIA) > 0
}

// topOf is the certificate at the upper end of what was served.
func topOf(h *diag.TLSHandshake) diag.CertFact {
	served := h.Trust.Served(h.Chain)
	if len(served) == 0 {
		return *h.Leaf()
	}
	return served[len(served)-1]
}

// tlsAIA looks for a missing intermediate where the certificate below it says that it is (RFC 5280 4.2.2.1).
var tlsAIA = diag.Probe{
	ID: "tls.aia", Layer: diag.LayerTLS, Depth: diag.DepthQuick,
	Applies: ifTLS,
	Ready: func(v *diag.View) diag.Decision {
		return afterHandshake(v, func() diag.Decision {
			if _, ok := judgedHandshake(v, lacksIssuer); !ok {
				return diag.Skip(diag.N("skip.chain_has_no_gap"))
			}
			return diag.Run()
		})
	},
	Budget: maxIssuerHops * 2 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		h, ok := judgedHandshake(env.View, lacksIssuer)
		if !ok {
			return diag.Skipped(diag.N("skip.chain_has_no_gap"))
		}
		o := completeChain(ctx, env, h)
		args := []string{"address", o.Address, "url", o.URL, "error", o.Error}
		switch {
		case o.Outcome != diag.OutcomeOK:
			return diag.Warned(o, diag.N("step.tls.aia.not_fetched", args...))
		case o.GivenOK || o.SystemOK:
			return diag.Passed(o, diag.N("step.tls.aia.completes", append(args, "subject", o.Found[0].Subject)...))
		}
		return diag.Passed(o, diag.N("step.tls.aia.leads_nowhere", append(args, "subject", o.Found[0].Subject)...))
	},
}

func completeChain(ctx context.Context, env *diag.Env, h *diag.TLSHandshake) *diag.IssuerFetch {
	o := &diag.IssuerFetch{Address: h.Address, URL: topOf(h).AIA[0]}
	begun := time.Now()
	defer func() { o.Took = time.Since(begun) }()
	t := newTrust(env, chainOf(h))
	if len(t.served) == 0 {
		o.Outcome = diag.OutcomeMalformed
		return o
	}
	urls := topOf(h).AIA
	for range maxIssuerHops {
		found, failure := fetchIssuer(ctx, env, o, urls)
		if found == nil {
			if len(o.Found) == 0 {
				o.Outcome, o.Error = fetchOutcome(failure, o.Status), errorText(failure)
			}
			return o
		}
		o.Outcome = diag.OutcomeOK
		o.Found = append(o.Found, certFact(found))
		t.extra = append(t.extra, found)
		f := t.judge(h.Trust.Name)
		o.GivenOK, o.SystemOK = f.GivenOK, f.SystemOK
		if f.Trusted() || bytes.Equal(found.RawSubject, found.RawIssuer) {
			return o
		}
		if urls = httpURLs(found.IssuingCertificateURL); len(urls) == 0 {
			return o
		}
	}
	return o
}

// fetchIssuer gets the first certificate of the given places.
func fetchIssuer(ctx context.Context, env *diag.Env, o *diag.IssuerFetch, urls []string) (*x509.Certificate, error) {
	var last error
	for _, u := range urls[:min(len(urls), 2)] {
		data, status, err := fetch(ctx, env, u, nil, "", maxIssuerBytes)
		if o.Status == 0 {
			o.Status = status
		}
		if err == nil && status == http.StatusOK {
			if c, parseErr := x509.ParseCertificate(data); parseErr == nil {
				return c, nil
			}
			if list := parsePEM(string(data)); len(list) > 0 { // against RFC 5280, and done
				return list[0], nil
			}
			err = errors.New("no certificate in the answer")
		}
		if err == nil {
			err = errors.New(http.StatusText(status))
		}
		last = err
	}
	return nil, last
}

// tlsRevocation asks the issuer whether the leaf was revoked: its OCSP responder and its revocation list.
var tlsRevocation = diag.Probe{
	ID: "tls.revocation", Layer: diag.LayerTLS, Depth: diag.DepthStandard,
	Symptoms: []diag.Symptom{diag.SymptomTLS, diag.SymptomSecurity},
	Applies:  ifTLS,
	Ready: func(v *diag.View) diag.Decision {
		return afterHandshake(v, func() diag.Decision {
			if len(revocationPlaces(v)) == 0 {
				return diag.Skip(diag.N("skip.no_revocation_place"))
			}
			return diag.Run()
		})
	},
	Subjects: revocationPlaces,
	Budget:   2 * maxFetchWait,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		kind, _ := s.Value.(string)
		h, ok := judgedHandshake(env.View, namesRevocation)
		if !ok {
			return diag.Skipped(diag.N("skip.no_revocation_place"))
		}
		o := askRevocation(ctx, env, h, kind, s.Name)
		args := []string{"url", o.URL, "method", kind, "error", o.Error}
		switch {
		case o.Status == "revoked":
			return diag.Warned(o, diag.N("step.tls.revocation.revoked", args...))
		case o.Outcome != diag.OutcomeOK:
			return diag.Warned(o, diag.N("step.tls.revocation.not_asked", args...))
		}
		return diag.Passed(o, diag.N("step.tls.revocation.good", args...))
	},
}

func namesRevocation(h *diag.TLSHandshake) bool {
	return h.OCSPStaple != "good" && h.OCSPStaple != "revoked" && len(h.Leaf().OCSP)+len(h.Leaf().CRL) > 0
}

// revocationPlaces are at most one responder and one list.
func revocationPlaces(v *diag.View) []diag.Subject {
	h, ok := judgedHandshake(v, namesRevocation)
	if !ok {
		return nil
	}
	var out []diag.Subject
	if urls := h.Leaf().OCSP; len(urls) > 0 {
		out = append(out, diag.Subject{Name: urls[0], Value: "ocsp"})
	}
	if urls := h.Leaf().CRL; len(urls) > 0 {
		out = append(out, diag.Subject{Name: urls[0], Value: "crl"})
	}
	return out
}

func askRevocation(ctx context.Context, env *diag.Env, h *diag.TLSHandshake, kind, place string) *diag.Revocation {
	o := &diag.Revocation{Address: h.Address, Method: kind, URL: place}
	begun := time.Now()
	defer func() { o.Took = time.Since(begun) }()
	fail := func(outcome diag.Outcome, err error) *diag.Revocation {
		o.Outcome, o.Error = outcome, errorText(err)
		return o
	}
	t := newTrust(env, chainOf(h))
	if len(t.served) == 0 {
		return fail(diag.OutcomeMalformed, errors.New("no certificate"))
	}
	leaf := t.served[0]
	i := slices.IndexFunc(slices.Concat(t.served, t.given), func(c *x509.Certificate) bool { return issued(leaf, c) })
	if i < 0 {
		return fail(diag.OutcomeMalformed, errors.New("the issuer's certificate is not at hand"))
	}
	issuer := slices.Concat(t.served, t.given)[i]
	if kind == "crl" {
		data, status, err := fetch(ctx, env, place, nil, "", maxCRLBytes)
		if err != nil || status != http.StatusOK {
			return fail(fetchOutcome(err, status), err)
		}
		list, err := x509.ParseRevocationList(data)
		if err == nil {
			err = list.CheckSignatureFrom(issuer)
		}
		if err != nil {
			return fail(diag.OutcomeMalformed, err)
		}
		o.Outcome, o.Status = diag.OutcomeOK, "good"
		for _, entry := range list.RevokedCertificateEntries {
			if entry.SerialNumber.Cmp(leaf.SerialNumber) == 0 {
				o.Status, o.RevokedAt, o.Reason = "revoked", entry.RevocationTime, entry.ReasonCode
			}
		}
		return o
	}
	question, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return fail(diag.OutcomeMalformed, err)
	}
	data, status, err := fetch(ctx, env, place, question, "application/ocsp-request", maxIssuerBytes)
	if err != nil || status != http.StatusOK {
		return fail(fetchOutcome(err, status), err)
	}
	answer, err := ocsp.ParseResponseForCert(data, leaf, issuer)
	if err != nil {
		return fail(diag.OutcomeMalformed, err)
	}
	o.Outcome = diag.OutcomeOK
	switch answer.Status {
	case ocsp.Good:
		o.Status = "good"
	case ocsp.Revoked:
		o.Status, o.RevokedAt, o.Reason = "revoked", answer.RevokedAt, answer.RevocationReason
	default:
		o.Status = "unknown"
	}
	return o
}
