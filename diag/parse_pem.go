package diag

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"strings"
)

// certificatesIn takes the certificates out of a PEM text, and nothing else: a private key that stands beside them must not be
// shown or stored as part of a certificate. The note says what the text is instead where it holds none that can be read.
func certificatesIn(text string) (clean string, problem Note) {
	var out bytes.Buffer
	var other string // the type of the first block that is no certificate
	for rest := []byte(text); ; {
		block, tail := pem.Decode(rest)
		if block == nil {
			break
		}
		rest = tail
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
		default:
			if other == "" {
				other = block.Type
			}
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "", N("input.pem_bad_certificate", "error", clip(err.Error(), 120))
		}
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes}) // a buffer takes everything
	}
	if out.Len() > 0 {
		return strings.TrimSpace(out.String()), Note{}
	}
	switch {
	case isKeyType(other):
		return "", N("input.cert_is_key")
	case other == "CERTIFICATE REQUEST" || other == "NEW CERTIFICATE REQUEST":
		return "", N("input.cert_is_request")
	case other == "PKCS7" || other == "CMS":
		return "", N("input.cert_is_pkcs7")
	case other != "":
		return "", N("input.pem_no_certificate")
	}
	if key, found := binaryProblem(text, "input.der_certificate"); found {
		return "", N(key)
	}
	if strings.Contains(text, "-----BEGIN") {
		return "", N("input.pem_no_certificate")
	}
	return "", N("input.pem_not_pem")
}

// keyProblem says why a text has no private key that can be used; the zero note: it has one, as far as its lines tell.
func keyProblem(text string) Note {
	var other string
	for rest := []byte(text); ; {
		block, tail := pem.Decode(rest)
		if block == nil {
			break
		}
		rest = tail
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "": // RFC 5958 3; RFC 1421 4.6.1.3
			return N("input.key_encrypted")
		case block.Type == "OPENSSH PRIVATE KEY":
			return N("input.key_openssh")
		case isKeyType(block.Type):
			return Note{}
		case other == "" && !strings.HasSuffix(block.Type, "PARAMETERS"):
			other = block.Type
		}
	}
	switch {
	case strings.HasSuffix(other, "CERTIFICATE"):
		return N("input.key_is_certificate")
	case strings.HasSuffix(other, "PUBLIC KEY"):
		return N("input.key_is_public")
	case other != "":
		return N("input.pem_no_key")
	}
	if key, found := binaryProblem(text, "input.der_key"); found {
		return N(key)
	}
	return N("input.pem_no_key")
}

func isKeyType(block string) bool { return strings.HasSuffix(block, "PRIVATE KEY") }

// binaryProblem recognises what is no PEM text but what PEM is made of: DER in binary form, of which a browser that reads it as
// text leaves U+FFFD in place of many bytes, or its base64 without the lines around it. plain is the note for DER that is not
// recognised any further.
func binaryProblem(text, plain string) (key string, found bool) {
	if strings.HasPrefix(text, "MII") {
		return "input.pem_no_lines", true
	}
	// Every one of them is a SEQUENCE: 0x30 0x82 and two bytes of length, 0x30 0x81 and one, or a length under 0x80, which leaves
	// room for keys on curves alone (X.690 8.1.3).
	head := []rune(text[:min(len(text), 64)])
	if len(head) < 5 || head[0] != 0x30 {
		return "", false
	}
	if head[1] != '\uFFFD' { // 0x81 and 0x82 alone are no UTF-8
		return "input.der_key", head[1] < 0x80 && head[2] == 0x02 && head[3] == 0x01 && head[4] <= 1
	}
	for i := 2; i < min(len(head)-2, 6); i++ {
		if head[i] != 0x02 || head[i+1] != 0x01 { // INTEGER of one byte: the version
			continue
		}
		switch head[i+2] {
		case 3:
			return "input.der_pkcs12", true // RFC 7292 4
		case 0, 1:
			return "input.der_key", true // RFC 5958 2, RFC 8017 A.1.2, RFC 5915 3
		}
	}
	return plain, true
}
