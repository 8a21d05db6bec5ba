package demo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Authority is a CA of the demo broker's own, made in memory. Its fields are PEM, the key in PKCS #8. A [Child] makes one
// and hands it to each process that it starts, so that the CA stays the same when the broker is started anew. The key
// protects nothing but the demo.
type Authority struct {
	CertPEM string `json:"cert_pem"`
	KeyPEM  string `json:"key_pem"`
}

// NewAuthority makes a CA that is valid for a year.
func NewAuthority() (Authority, error) {
	now := time.Now()
	certDER, keyDER, err := newCertificate(&x509.Certificate{
		Subject:   pkix.Name{CommonName: "mqttdoctor demo CA"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	if err != nil {
		return Authority{}, fmt.Errorf("making the demo CA: %w", err)
	}
	return Authority{CertPEM: encodePEM("CERTIFICATE", certDER), KeyPEM: encodePEM("PRIVATE KEY", keyDER)}, nil
}

// issue makes a server's TLS configuration with a certificate for localhost and the loopback addresses.
func (a Authority) issue(host string, notBefore, notAfter time.Time) (*tls.Config, error) {
	pair, err := tls.X509KeyPair([]byte(a.CertPEM), []byte(a.KeyPEM))
	if err != nil {
		return nil, fmt.Errorf("the demo CA: %w", err)
	}
	key, isECDSA := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !isECDSA {
		return nil, errors.New("the demo CA: not an ECDSA key")
	}
	certDER, keyDER, err := newCertificate(&x509.Certificate{
		Subject:   pkix.Name{CommonName: "mqttdoctor demo broker"},
		NotBefore: notBefore, NotAfter: notAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.ParseIP(host), net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}, pair.Leaf, key)
	if err != nil {
		return nil, fmt.Errorf("issuing a demo certificate: %w", err)
	}
	leaf, err := tls.X509KeyPair([]byte(encodePEM("CERTIFICATE", certDER)), []byte(encodePEM("PRIVATE KEY", keyDER)))
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: tls.VersionTLS12}, nil
}

// newCertificate makes a key and a certificate, self-signed where parent is nil.
func newCertificate(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (certDER, keyDER []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	// Positive and at most 20 octets, RFC 5280 4.1.2.2.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1))
	certDER, err = x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err = x509.MarshalPKCS8PrivateKey(key)
	return certDER, keyDER, err
}

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
