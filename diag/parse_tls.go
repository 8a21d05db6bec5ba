package diag

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
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
		if n, note := countCertificates(t.TLS.CAPEM); !note.IsZero() {
			errs.set("target.tls.ca_pem", note)
		} else if n == 0 {
			errs.set("target.tls.ca_pem", N("input.pem_no_certificate"))
		}
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
	cert, key := t.TLS.CertPEM, strings.TrimSpace(t.TLS.KeyPEM.Reveal())
	switch {
	case cert == "" && key == "":
		return
	case cert == "":
		errs.set("target.tls.cert_pem", N("input.cert_missing"))
		return
	case key == "":
		errs.set("target.tls.key_pem", N("input.key_missing"))
		return
	}
	if n, note := countCertificates(cert); !note.IsZero() {
		errs.set("target.tls.cert_pem", note)
		return
	} else if n == 0 {
		errs.set("target.tls.cert_pem", N("input.pem_no_certificate"))
		return
	}
	switch block := firstKeyBlock(key); {
	case block == nil:
		errs.set("target.tls.key_pem", N("input.pem_no_key"))
		return
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		errs.set("target.tls.key_pem", N("input.key_encrypted"))
		return
	}
	if _, err := tls.X509KeyPair([]byte(cert), []byte(key)); err != nil {
		if strings.Contains(err.Error(), "private key does not match") || strings.Contains(err.Error(), "type does not match") {
			errs.set("target.tls.key_pem", N("input.key_mismatch"))
			return
		}
		errs.set("target.tls.key_pem", N("input.pem_no_key"))
	}
}

// countCertificates counts the certificates of a PEM text; the note says what is wrong with it.
func countCertificates(text string) (int, Note) {
	rest, n := []byte(text), 0
	for {
		block, tail := pem.Decode(rest)
		if block == nil {
			break
		}
		rest = tail
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return n, N("input.pem_bad_certificate", "error", clip(err.Error(), 120))
		}
		n++
	}
	if n == 0 && !strings.Contains(text, "-----BEGIN") {
		return 0, N("input.pem_not_pem")
	}
	return n, Note{}
}

func firstKeyBlock(text string) *pem.Block {
	rest := []byte(text)
	for {
		block, tail := pem.Decode(rest)
		if block == nil || strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return block
		}
		rest = tail
	}
}
