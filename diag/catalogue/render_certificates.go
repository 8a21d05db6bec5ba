package catalogue

import (
	"time"

	"mqttdoctor/diag"
)

// CertificateView is a certificate as it was served (RFC 5280), to be compared and kept.
type CertificateView struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	SHA256    string    `json:"sha256"` // fingerprint of the DER, hex
	PEM       string    `json:"pem"`
}

// certificates are what the asked handshake was served, leaf first. The other handshakes show fingerprints alone: a deep run
// makes dozens of them, nearly all with the same chain.
func certificates(s diag.Step) []CertificateView {
	h, ok := s.Observation.(*diag.TLSHandshake)
	if !ok || s.Check != "tls.handshake" {
		return nil
	}
	var out []CertificateView
	for _, c := range h.Chain {
		out = append(out, CertificateView{Subject: clean(c.Subject), Issuer: clean(c.Issuer), NotBefore: c.NotBefore, NotAfter: c.NotAfter,
			SHA256: c.SHA256, PEM: c.PEM})
	}
	return out
}
