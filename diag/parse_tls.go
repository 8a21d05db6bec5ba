package diag

import (
	"crypto/tls"
	"strconv"
	"strings"
)

// parseTLS checks CA, certificate and key before any connection is made. A key that does not belong to its certificate
// is refused here and not diagnosed later: nothing would ever be sent with it.
func parseTLS(in TargetInput, t *Target, errs FieldErrors) {
	for field, text := range map[string]string{
		"target.tls.ca_pem": in.TLS.CAPEM, "target.tls.cert_pem": in.TLS.CertPEM, "target.tls.key_pem": in.TLS.KeyPEM.Reveal(),
	} {
		if len(text) > maxPEMBytes {
			errs.set(field, N("input.too_long", "limit", strconv.Itoa(maxPEMBytes)))
			return
		}
	}
	if t.TLS.CAPEM != "" {
		clean, problem := certificatesIn(t.TLS.CAPEM)
		if !problem.IsZero() {
			errs.set("target.tls.ca_pem", problem)
		}
		t.TLS.CAPEM = clean
	}
	parseClientCertificate(t, errs)
	if name := strings.TrimSpace(in.TLS.ServerName); name != "" {
		clean, note := CleanHost(name)
		if !note.IsZero() {
			errs.set("target.tls.server_name", note)
		}
		t.TLS.ServerName = clean
	}
	for _, proto := range in.TLS.ALPN {
		proto = strings.TrimSpace(proto)
		if proto == "" {
			continue
		}
		if len(proto) > 255 { // RFC 7301 3.1
			errs.set("target.tls.alpn", N("input.too_long", "limit", "255"))
			return
		}
		t.TLS.ALPN = append(t.TLS.ALPN, proto)
	}
	if len(t.TLS.ALPN) > 16 {
		errs.set("target.tls.alpn", N("input.too_many", "limit", "16"))
	}
}

func parseClientCertificate(t *Target, errs FieldErrors) {
	given, key := t.TLS.CertPEM, strings.TrimSpace(t.TLS.KeyPEM.Reveal())
	if given == "" && key == "" {
		return
	}
	if given == "" {
		errs.set("target.tls.cert_pem", N("input.cert_missing"))
		return
	}
	cert, certProblem := certificatesIn(given)
	t.TLS.CertPEM = cert // what else stands there is secret, and this field is none
	if key == "" {
		// Many programs take both in one file.
		if certProblem.IsZero() && keyProblem(given).IsZero() {
			key = given
			t.TLS.KeyPEM = NewSecret(given)
		} else {
			errs.set("target.tls.key_pem", N("input.key_missing"))
			if !certProblem.IsZero() {
				errs.set("target.tls.cert_pem", certProblem)
			}
			return
		}
	}
	wrongKey := keyProblem(key)
	if certProblem.Key == "input.cert_is_key" && wrongKey.Key == "input.key_is_certificate" {
		errs.set("target.tls.cert_pem", N("input.cert_key_swapped"))
		errs.set("target.tls.key_pem", N("input.cert_key_swapped"))
		return
	}
	if !certProblem.IsZero() {
		errs.set("target.tls.cert_pem", certProblem)
	}
	if !wrongKey.IsZero() {
		errs.set("target.tls.key_pem", wrongKey)
	}
	if !certProblem.IsZero() || !wrongKey.IsZero() {
		return
	}
	if _, err := tls.X509KeyPair([]byte(cert), []byte(key)); err != nil {
		if strings.Contains(err.Error(), "private key does not match") || strings.Contains(err.Error(), "type does not match") {
			errs.set("target.tls.key_pem", N("input.key_mismatch"))
			return
		}
		errs.set("target.tls.key_pem", N("input.key_unusable"))
	}
}
