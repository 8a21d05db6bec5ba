package probe

import (
	"bytes"
	//lint:ignore SA1019 old servers still serve such keys, and a report names them
	"crypto/dsa"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"mqttdoctor/diag"
)

// Bounds of what is kept of a served chain. Real chains hold two to four certificates.
const (
	maxChain     = 16
	maxCertNames = 100
	maxCertURLs  = 8
)

// certFact tells what a certificate says.
func certFact(c *x509.Certificate) diag.CertFact {
	sum := sha256.Sum256(c.Raw)
	f := diag.CertFact{
		Subject: printable(c.Subject.String(), 300), Issuer: printable(c.Issuer.String(), 300),
		CommonName: printable(c.Subject.CommonName, 200), IssuerCN: printable(c.Issuer.CommonName, 200),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, Serial: c.SerialNumber.Text(16), SHA256: hex.EncodeToString(sum[:]),
		Signature: c.SignatureAlgorithm.String(), IsCA: c.IsCA,
		SelfIssued: bytes.Equal(c.RawSubject, c.RawIssuer), HasEKU: len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0,
		AIA: httpURLs(c.IssuingCertificateURL), OCSP: httpURLs(c.OCSPServer), CRL: httpURLs(c.CRLDistributionPoints),
		PEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})),
	}
	f.SelfSigned = f.SelfIssued && signedBy(c, c)
	f.ServerAuth = forServers(c)
	f.NoHandshake = c.KeyUsage != 0 && c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment|x509.KeyUsageKeyAgreement) == 0
	for _, name := range c.DNSNames[:min(len(c.DNSNames), maxCertNames)] {
		f.DNSNames = append(f.DNSNames, printable(name, 253))
	}
	for _, ip := range c.IPAddresses[:min(len(c.IPAddresses), maxCertNames)] {
		f.IPs = append(f.IPs, ip.String())
	}
	f.KeyAlgorithm, f.KeyBits, f.Curve = keyFact(c.PublicKey)
	if f.KeyAlgorithm == "" {
		f.KeyAlgorithm = c.PublicKeyAlgorithm.String()
	}
	return f
}

// forServers tells whether a certificate's extended key usage, if it has one, lets a server use it (RFC 5280 4.2.1.12).
func forServers(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

func keyFact(key any) (algorithm string, bits int, curve string) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return "RSA", k.N.BitLen(), ""
	case *ecdsa.PublicKey:
		return "ECDSA", k.Curve.Params().BitSize, k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519", 256, ""
	case *dsa.PublicKey:
		return "DSA", k.P.BitLen(), ""
	}
	return "", 0, ""
}

// httpURLs keeps a few URLs that http can fetch, as they are shown and dialled.
func httpURLs(urls []string) []string {
	var out []string
	for _, u := range urls {
		if len(out) < maxCertURLs && len(u) < 500 && (strings.HasPrefix(u, "http://") || strings.HasPrefix(u, "https://")) {
			out = append(out, printable(u, 500))
		}
	}
	return out
}

// signedBy tells whether the parent's key made the certificate's signature, SHA-1 included: whether that is good enough is
// another question.
func signedBy(child, parent *x509.Certificate) bool {
	return parent.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature) == nil
}

// issued tells whether parent issued child (RFC 5280 6.1): names, an authority's right to sign, and the signature. Dates
// are not looked at.
func issued(child, parent *x509.Certificate) bool {
	if !bytes.Equal(child.RawIssuer, parent.RawSubject) {
		return false
	}
	if parent.Version == 3 && parent.BasicConstraintsValid && !parent.IsCA && !parent.Equal(child) {
		return false
	}
	return signedBy(child, parent)
}

// parsePEM reads the certificates of a PEM text; what is no certificate is left out, the input's check has named it.
func parsePEM(text string) []*x509.Certificate {
	var out []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return out
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			out = append(out, c)
		}
	}
}

// distinguishedName writes a DER name for people; empty where it is none.
func distinguishedName(der []byte) string {
	var rdn pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &rdn); err != nil || len(rest) > 0 {
		return ""
	}
	return printable(rdn.String(), 200)
}

// validAt tells whether a certificate's dates allow a time.
func validAt(c *x509.Certificate, at time.Time) bool {
	return !at.Before(c.NotBefore) && !at.After(c.NotAfter)
}
