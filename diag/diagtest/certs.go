package diagtest

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// CA is a certificate authority made by a test. Two CAs of the same name have different keys: that is how a false
// authority with the true one's name is made.
type CA struct {
	Cert *x509.Certificate
	Key  crypto.Signer
	// PEM is the CA's own certificate, without its parents: what a user would give as CA file.
	PEM string

	parent *CA // nil for a root
}

// NewCA makes a self-signed root authority with an ECDSA P-256 key, valid from a day ago for ten years.
func NewCA(t testing.TB, name string) *CA {
	t.Helper()
	return newCA(t, name, nil, time.Now().Add(-24*time.Hour), time.Now().AddDate(10, 0, 0))
}

// Intermediate makes an authority below ca. Leaves that it issues serve the intermediate unless told not to.
func (ca *CA) Intermediate(t testing.TB, name string) *CA {
	t.Helper()
	return newCA(t, name, ca, time.Now().Add(-24*time.Hour), time.Now().AddDate(5, 0, 0))
}

// ExpiredIntermediate makes an authority below ca whose validity ended an hour ago.
func (ca *CA) ExpiredIntermediate(t testing.TB, name string) *CA {
	t.Helper()
	return newCA(t, name, ca, time.Now().AddDate(-1, 0, 0), time.Now().Add(-time.Hour))
}

// Restricted makes an authority below ca (nil: a root) whose certificate change may alter before it is signed: name
// constraints, a path length, an extended key usage.
func (ca *CA) Restricted(t testing.TB, name string, change func(*x509.Certificate)) *CA {
	t.Helper()
	return newCA(t, name, ca, time.Now().Add(-24*time.Hour), time.Now().AddDate(5, 0, 0), change)
}

func newCA(t testing.TB, name string, parent *CA, notBefore, notAfter time.Time, changes ...func(*x509.Certificate)) *CA {
	t.Helper()
	key := newECDSAKey(t)
	template := &x509.Certificate{
		SerialNumber:          newSerial(t),
		Subject:               pkix.Name{CommonName: name, Organization: []string{"mqttdoctor test"}},
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	for _, change := range changes {
		change(template)
	}
	signer, signerKey := template, crypto.Signer(key)
	if parent != nil {
		signer, signerKey = parent.Cert, parent.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, key.Public(), signerKey)
	if err != nil {
		t.Fatalf("making CA %q: %v", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("reading CA %q back: %v", name, err)
	}
	return &CA{Cert: cert, Key: key, PEM: encodeCert(der), parent: parent}
}

// Pool holds this CA alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Cert)
	return pool
}

// File writes the CA's PEM into a temporary folder and returns its path.
func (ca *CA) File(t testing.TB) string {
	t.Helper()
	return writeFile(t, worldDir(t), "ca.pem", ca.PEM)
}

// CRL makes a DER revocation list, valid for a day, naming the given certificates as revoked an hour ago.
func (ca *CA) CRL(t testing.TB, revoked ...*Cert) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour),
		NextUpdate: time.Now().AddDate(0, 0, 1)}
	for _, cert := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: cert.Leaf.SerialNumber, RevocationTime: time.Now().Add(-time.Hour), ReasonCode: ocsp.KeyCompromise})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca.Cert, ca.Key)
	if err != nil {
		t.Fatalf("making CRL: %v", err)
	}
	return der
}

// OCSP makes a DER OCSP response for cert with a status of [ocsp.Good], [ocsp.Revoked] or [ocsp.Unknown], valid for a
// day. Put it into [tls.Certificate.OCSPStaple] to staple it.
func (ca *CA) OCSP(t testing.TB, cert *Cert, status int) []byte {
	t.Helper()
	template := ocsp.Response{Status: status, SerialNumber: cert.Leaf.SerialNumber,
		ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().AddDate(0, 0, 1)}
	if status == ocsp.Revoked {
		template.RevokedAt, template.RevocationReason = time.Now().Add(-time.Hour), ocsp.KeyCompromise
	}
	der, err := ocsp.CreateResponse(ca.Cert, ca.Cert, template, ca.Key)
	if err != nil {
		t.Fatalf("making OCSP response: %v", err)
	}
	return der
}

// CertOptions says what to issue. The zero value is a healthy server certificate for localhost, 127.0.0.1 and ::1 with
// an ECDSA P-256 key, valid from an hour ago for 90 days.
type CertOptions struct {
	CommonName string   // empty: the first name, or "localhost"
	Names      []string // subject alternative names, DNS names and IP addresses; nil: localhost, 127.0.0.1, ::1
	CNOnly     bool     // no subject alternative name at all, only the common name (refused since RFC 9525)

	NotBefore, NotAfter time.Time // zero: an hour ago, in 90 days
	Expired             bool      // valid until an hour ago
	NotYetValid         bool      // valid from tomorrow on

	RSABits int  // 0: ECDSA P-256; 1024 is the weak key of the catalogue
	SHA1    bool // SHA-1 in the signature. The CA's key must be able to, as ECDSA is

	Usage      []x509.ExtKeyUsage // nil: serverAuth and clientAuth
	ClientOnly bool               // clientAuth alone: no server may use it (RFC 5280 4.2.1.12)

	KeyUsage x509.KeyUsage // 0: digitalSignature and keyEncipherment (RFC 5280 4.2.1.3)

	OmitIntermediate bool     // serve the leaf without the intermediate that issued it
	AIA              string   // URL of the issuer's certificate (caIssuers, RFC 5280 4.2.2.1)
	OCSPServers      []string // URLs of OCSP responders
	CRLs             []string // URLs of revocation lists
	MustStaple       bool     // TLS feature status_request (RFC 7633)
}

// Cert is an issued certificate with its key.
type Cert struct {
	// TLS is ready for [tls.Config.Certificates]; its chain is what a server would serve.
	TLS  tls.Certificate
	Leaf *x509.Certificate
	// CertPEM is the served chain, leaf first; KeyPEM the leaf's key in PKCS #8.
	CertPEM, KeyPEM string
}

// Issue makes a certificate signed by ca.
func (ca *CA) Issue(t testing.TB, o CertOptions) *Cert {
	t.Helper()
	return issue(t, ca, o)
}

// SelfSigned makes a leaf that is signed by its own key and is no CA: what a broker's install script often makes.
func SelfSigned(t testing.TB, o CertOptions) *Cert {
	t.Helper()
	return issue(t, nil, o)
}

func issue(t testing.TB, ca *CA, o CertOptions) *Cert {
	t.Helper()
	template := leafTemplate(t, o)
	key := newKey(t, o.RSABits)
	signer, signerKey := template, key
	if ca != nil {
		signer, signerKey = ca.Cert, ca.Key
	}
	if o.SHA1 {
		template.SignatureAlgorithm = x509.ECDSAWithSHA1
		if _, isRSA := signerKey.(*rsa.PrivateKey); isRSA {
			template.SignatureAlgorithm = x509.SHA1WithRSA
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, key.Public(), signerKey)
	if err != nil {
		t.Fatalf("issuing certificate: %v", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("reading certificate back: %v", err)
	}
	cert := &Cert{Leaf: leaf, CertPEM: encodeCert(der), KeyPEM: encodeKey(t, key)}
	cert.TLS = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	if !o.OmitIntermediate {
		for up := ca; up != nil && up.parent != nil; up = up.parent {
			cert.TLS.Certificate = append(cert.TLS.Certificate, up.Cert.Raw)
			cert.CertPEM += up.PEM
		}
	}
	return cert
}

func leafTemplate(t testing.TB, o CertOptions) *x509.Certificate {
	t.Helper()
	names := o.Names
	if names == nil {
		names = []string{"localhost", "127.0.0.1", "::1"}
	}
	commonName := o.CommonName
	if commonName == "" {
		commonName = slices.Concat(names, []string{"localhost"})[0]
	}
	notBefore, notAfter := time.Now().Add(-time.Hour), time.Now().AddDate(0, 0, 90)
	switch {
	case o.Expired:
		notBefore, notAfter = time.Now().AddDate(0, 0, -90), time.Now().Add(-time.Hour)
	case o.NotYetValid:
		notBefore = time.Now().AddDate(0, 0, 1)
	}
	if !o.NotBefore.IsZero() {
		notBefore = o.NotBefore
	}
	if !o.NotAfter.IsZero() {
		notAfter = o.NotAfter
	}
	usage := o.Usage
	if usage == nil {
		usage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	if o.ClientOnly {
		usage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	template := &x509.Certificate{
		SerialNumber:          newSerial(t),
		Subject:               pkix.Name{CommonName: commonName},
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		KeyUsage:              cmp.Or(o.KeyUsage, x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment),
		ExtKeyUsage:           usage,
		BasicConstraintsValid: true,
		OCSPServer:            o.OCSPServers,
		CRLDistributionPoints: o.CRLs,
	}
	if !o.CNOnly {
		for _, name := range names {
			if ip := net.ParseIP(name); ip != nil {
				template.IPAddresses = append(template.IPAddresses, ip)
			} else {
				template.DNSNames = append(template.DNSNames, name)
			}
		}
	}
	if o.AIA != "" {
		template.IssuingCertificateURL = []string{o.AIA}
	}
	if o.MustStaple {
		// SEQUENCE of the one feature status_request(5), RFC 7633 4.
		template.ExtraExtensions = []pkix.Extension{{
			Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 0x03, 0x02, 0x01, 0x05}}}
	}
	return template
}

// Files writes the served chain and the key into a temporary folder and returns their paths.
func (c *Cert) Files(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	dir := worldDir(t)
	return writeFile(t, dir, "cert.pem", c.CertPEM), writeFile(t, dir, "key.pem", c.KeyPEM)
}

// Server is a server's TLS configuration with this certificate. Each function may change it, as [ClientCertRequired]
// does.
func (c *Cert) Server(changes ...func(*tls.Config)) *tls.Config {
	config := &tls.Config{Certificates: []tls.Certificate{c.TLS}}
	for _, change := range changes {
		change(config)
	}
	return config
}

// ClientCertRequired makes a server ask for a client certificate of ca and end the handshake without one.
func ClientCertRequired(ca *CA) func(*tls.Config) {
	return func(config *tls.Config) {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	}
}

// MaxTLS holds a server to at most the given version ([tls.VersionTLS10] and so on), and lets it go down to TLS 1.0.
func MaxTLS(version uint16) func(*tls.Config) {
	return func(config *tls.Config) { config.MinVersion, config.MaxVersion = tls.VersionTLS10, version }
}

func newKey(t testing.TB, rsaBits int) crypto.Signer {
	t.Helper()
	if rsaBits == 0 {
		return newECDSAKey(t)
	}
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		t.Fatalf("making an RSA key of %d bits: %v", rsaBits, err)
	}
	return key
}

func newECDSAKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("making an ECDSA key: %v", err)
	}
	return key
}

func newSerial(t testing.TB) *big.Int {
	t.Helper()
	// At most 20 octets and positive, RFC 5280 4.1.2.2.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatalf("making a serial number: %v", err)
	}
	return serial.Add(serial, big.NewInt(1))
}

func encodeCert(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func encodeKey(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatalf("encoding a key: %v", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// worldDir is a temporary folder that other users may enter, which t.TempDir is not: RabbitMQ runs as its own user.
func worldDir(t testing.TB) string {
	t.Helper()
	dir := makeWorldDir(t)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func makeWorldDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "diagtest-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatalf("making a folder: %v", err)
	}
	reap("remove", dir) // should the test binary die before it cleans up
	return dir
}

func writeFile(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	// Readable by all: the keys in here are worth nothing and a broker under another user reads them.
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
