package diag

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

func init() {
	register(func() *TLSHandshake { return &TLSHandshake{} })
	register(func() *TLSHello { return &TLSHello{} })
	register(func() *ClockReading { return &ClockReading{} })
	register(func() *IssuerFetch { return &IssuerFetch{} })
	register(func() *Revocation { return &Revocation{} })
	register(func() *ClientCert { return &ClientCert{} })
	register(func() *DeviceSimulation { return &DeviceSimulation{} })
}

// TLSHandshake is one TLS handshake with one address: the outcome, and everything that was served whatever its faults.
type TLSHandshake struct {
	Purpose Purpose `json:"purpose"`
	Address string  `json:"address"`
	// What was offered.
	ServerName     string   `json:"server_name,omitempty"` // SNI; empty: none sent (also for address literals)
	OfferedALPN    []string `json:"offered_alpn,omitempty"`
	OfferedMin     string   `json:"offered_min,omitempty"` // "TLS 1.2"; empty: the library's default
	OfferedMax     string   `json:"offered_max,omitempty"`
	OfferedSuites  []string `json:"offered_suites,omitempty"`
	ClientCertSent bool     `json:"client_cert_sent"` // the server asked, and the given certificate was sent

	// Outcome: ok (completed; it says nothing of trust), refused (alert), silent, closed, reset, other_protocol, malformed.
	Outcome Outcome       `json:"outcome"`
	Took    time.Duration `json:"took"`
	Alert   *TLSAlert     `json:"alert,omitempty"`
	Error   string        `json:"error,omitempty"`
	First   []byte        `json:"first,omitempty"`  // first bytes that came, at most 512
	Speaks  string        `json:"speaks,omitempty"` // recognised protocol of First where it is not TLS
	// ServerHello tells that the peer spoke TLS: a handshake record or an alert came.
	ServerHello bool `json:"server_hello"`

	Version string     `json:"version,omitempty"` // negotiated
	Suite   string     `json:"suite,omitempty"`
	Curve   string     `json:"curve,omitempty"`
	ALPN    string     `json:"alpn,omitempty"`
	Resumed bool       `json:"resumed,omitempty"`
	Chain   []CertFact `json:"chain,omitempty"` // as served, leaf first
	// OCSPStaple is what a stapled OCSP response says: good, revoked, unknown, stale or invalid; empty: none came.
	OCSPStaple string    `json:"ocsp_staple,omitempty"`
	StapleAt   time.Time `json:"staple_at,omitzero"` // its thisUpdate: another clock, the issuer's

	CertRequested bool     `json:"cert_requested"`           // the server sent a CertificateRequest
	AcceptableCAs []string `json:"acceptable_cas,omitempty"` // the names it listed
	// AfterHandshake is what came on the first read after a completed handshake where that is known to have been an
	// alert: with TLS 1.3 the objection to a client certificate comes only then.
	AfterHandshake *TLSAlert `json:"after_handshake,omitempty"`

	Trust *TrustFact `json:"trust,omitempty"`
	// TCP_INFO after a handshake that hung, where the platform has it.
	TCP *TCPInfoFact `json:"tcp,omitempty"`
}

// TLSAlert is an alert of RFC 8446 6.
type TLSAlert struct {
	Number uint8  `json:"number"`
	Name   string `json:"name"` // as in RFC 8446 B.2, such as "certificate_required"
}

// CertFact is one certificate as served (RFC 5280).
type CertFact struct {
	Subject      string    `json:"subject"`
	Issuer       string    `json:"issuer"`
	CommonName   string    `json:"common_name,omitempty"`
	IssuerCN     string    `json:"issuer_cn,omitempty"`
	DNSNames     []string  `json:"dns_names,omitempty"`
	IPs          []string  `json:"ips,omitempty"`
	NotBefore    time.Time `json:"not_before"`
	NotAfter     time.Time `json:"not_after"`
	Serial       string    `json:"serial"`
	SHA256       string    `json:"sha256"` // fingerprint of the DER, hex
	KeyAlgorithm string    `json:"key_algorithm"`
	KeyBits      int       `json:"key_bits"`
	Curve        string    `json:"curve,omitempty"`
	Signature    string    `json:"signature"` // signature algorithm
	IsCA         bool      `json:"is_ca"`
	SelfIssued   bool      `json:"self_issued"` // subject equals issuer
	SelfSigned   bool      `json:"self_signed"` // and its own key verifies its signature
	HasEKU       bool      `json:"has_eku"`
	ServerAuth   bool      `json:"server_auth"`            // serverAuth or anyExtendedKeyUsage, or no EKU at all
	NoHandshake  bool      `json:"no_handshake,omitempty"` // its key usage names nothing that a handshake needs
	AIA          []string  `json:"aia,omitempty"`
	OCSP         []string  `json:"ocsp,omitempty"`
	CRL          []string  `json:"crl,omitempty"`
	PEM          string    `json:"pem"`
}

// TrustFact is what verifying the served chain yielded, each question by itself, so that one fault does not hide another.
// Every path is built with the clock ignored (at the leaf's own time) unless said otherwise.
type TrustFact struct {
	Now      time.Time `json:"now"`        // this machine's clock at the handshake
	Name     string    `json:"name"`       // the name that was checked
	NameOK   bool      `json:"name_ok"`    // in a SAN of the leaf
	NameInCN bool      `json:"name_in_cn"` // only in the CN
	HasSAN   bool      `json:"has_san"`
	// SystemOK: a path to a system (or Env.Roots) root exists from what was served.
	SystemOK bool `json:"system_ok"`
	// GivenOK: a path to the given CA file exists; GivenCA: there was one.
	GivenCA       bool     `json:"given_ca"`
	GivenSubjects []string `json:"given_subjects,omitempty"` // of the CA file's certificates
	GivenOK       bool     `json:"given_ok"`
	// CompletedBy is where a missing intermediate was found that makes a path: "aia", "given", "system"; empty: none.
	CompletedBy string `json:"completed_by,omitempty"`
	MissingName string `json:"missing_name,omitempty"` // the missing certificate's subject
	// Unlinked is the subject of a served authority that leads to the given CA, while nothing served leads from the leaf to it: the
	// chain has a gap, and the CA file is the right one.
	Unlinked string `json:"unlinked,omitempty"`
	// Objection is what a verifier minds about the one path there is, its dates, the name and the leaf's own usage apart: an
	// authority above that may not sign so. IssuerUsage: it is that one of them is not for servers.
	Objection   string `json:"objection,omitempty"`
	IssuerUsage bool   `json:"issuer_usage,omitempty"`
	// PathNow: the path that holds is also valid at Now for every certificate on it.
	PathNow bool   `json:"path_now"`
	Error   string `json:"error,omitempty"` // the verifier's words for the asked configuration
	// Path are the fingerprints of the path that holds, leaf first; where none does, of the longest way up that was served.
	Path []string `json:"path,omitempty"`
	// Anchor is the trusted certificate at the end of the path, where it was not served.
	Anchor *CertFact `json:"anchor,omitempty"`
}

// Served lists the certificates of the chain that are on the path.
func (t *TrustFact) Served(chain []CertFact) []CertFact {
	var out []CertFact
	for _, c := range chain {
		if slices.Contains(t.Path, c.SHA256) {
			out = append(out, c)
		}
	}
	return out
}

// WeakSignature tells a signature algorithm that current clients refuse below a root (RFC 9155, CA/Browser Forum BR 7.1.3.2).
func (c *CertFact) WeakSignature() bool {
	for _, weak := range []string{"MD2", "MD5", "SHA1"} {
		if strings.Contains(c.Signature, weak) {
			return true
		}
	}
	return false
}

// Trusted tells whether the client's configuration trusts the chain, whatever the dates and the name.
func (t *TrustFact) Trusted() bool {
	if t.GivenCA {
		return t.GivenOK
	}
	return t.SystemOK
}

// TCPInfoFact are the parts of TCP_INFO that tell a black hole from a silent peer.
type TCPInfoFact struct {
	RTT           time.Duration `json:"rtt"`
	Retransmits   int           `json:"retransmits"`
	Unacked       int           `json:"unacked"`
	BytesAcked    int64         `json:"bytes_acked"`
	BytesReceived int64         `json:"bytes_received"`
	OutOfOrder    int           `json:"out_of_order"` // segments received behind a gap
	SegmentsIn    int           `json:"segments_in"`
	SendMSS       int           `json:"send_mss"`
}

// Kind names the type in stored runs.
func (*TLSHandshake) Kind() string { return "tls.handshake" }

// Leaf is the first certificate served; nil where there was none.
func (h *TLSHandshake) Leaf() *CertFact {
	if len(h.Chain) == 0 {
		return nil
	}
	return &h.Chain[0]
}

// Facts lists what was seen.
func (h *TLSHandshake) Facts() []Evidence {
	f := facts{}
	f.add(EvAddress, h.Address)
	f.add(EvOutcome, string(h.Outcome))
	f.add(EvTLSServerName, h.ServerName)
	f.list(EvTLSOfferedALPN, h.OfferedALPN)
	if h.Alert != nil {
		f.add(EvTLSAlert, h.Alert.String())
	}
	if h.AfterHandshake != nil {
		f.add(EvTLSAlertAfter, h.AfterHandshake.String())
	}
	f.add(EvTLSVersion, h.Version)
	f.add(EvTLSSuite, h.Suite)
	f.add(EvTLSCurve, h.Curve)
	f.add(EvTLSALPN, h.ALPN)
	if leaf := h.Leaf(); leaf != nil {
		f.add(EvCertSubject, leaf.Subject)
		f.add(EvCertIssuer, leaf.Issuer)
		f.list(EvCertNames, append(append([]string{}, leaf.DNSNames...), leaf.IPs...))
		f.time(EvCertNotBefore, leaf.NotBefore)
		f.time(EvCertNotAfter, leaf.NotAfter)
		f.add(EvCertSHA256, leaf.SHA256)
		f.add(EvCertKey, strings.TrimSpace(leaf.KeyAlgorithm+" "+strconv.Itoa(leaf.KeyBits)))
		f.add(EvCertSignature, leaf.Signature)
		f.add(EvCertChain, strconv.Itoa(len(h.Chain)))
	}
	if h.CertRequested {
		f.add(EvTLSCertRequested, "yes")
		f.list(EvTLSAcceptableCAs, h.AcceptableCAs)
	}
	f.add(EvOCSP, h.OCSPStaple)
	if h.Trust != nil {
		f.add(EvTrustError, h.Trust.Error)
	}
	f.add(EvSpeaks, h.Speaks)
	if h.Outcome != OutcomeOK {
		f.bytes(EvFirstBytes, h.First)
	}
	f.ms(EvDuration, h.Took)
	f.add(EvError, h.Error)
	return f.items
}

// TLSHello is a hand-made ClientHello and the server's choice from it: the handshake went no further.
type TLSHello struct {
	Purpose    Purpose       `json:"purpose"`
	Label      string        `json:"label,omitempty"` // what was varied: a version, a group of suites, a device
	Address    string        `json:"address"`
	ServerName string        `json:"server_name,omitempty"`
	Outcome    Outcome       `json:"outcome"` // ok: a ServerHello came
	NoTCP      bool          `json:"no_tcp,omitempty"`
	Alert      *TLSAlert     `json:"alert,omitempty"`
	Version    string        `json:"version,omitempty"` // as chosen
	Suite      string        `json:"suite,omitempty"`
	Suites     []string      `json:"suites,omitempty"` // all that it takes of those offered, where they were tried one by one
	Group      string        `json:"group,omitempty"`
	ALPN       string        `json:"alpn,omitempty"`
	Took       time.Duration `json:"took"`
	Error      string        `json:"error,omitempty"`
}

// Kind names the type in stored runs.
func (*TLSHello) Kind() string { return "tls.hello" }

// Facts lists what was seen.
func (h *TLSHello) Facts() []Evidence {
	f := facts{}
	f.add(EvVaried, h.Label)
	f.add(EvAddress, h.Address)
	f.add(EvOutcome, string(h.Outcome))
	if h.Alert != nil {
		f.add(EvTLSAlert, h.Alert.String())
	}
	f.add(EvTLSVersion, h.Version)
	f.add(EvTLSSuite, h.Suite)
	f.list(EvTLSSuites, h.Suites)
	f.add(EvTLSCurve, h.Group)
	f.add(EvTLSALPN, h.ALPN)
	f.ms(EvDuration, h.Took)
	f.add(EvError, h.Error)
	return f.items
}

// ClockReading is what another clock said.
type ClockReading struct {
	Source  string        `json:"source"` // whose: an address, a URL
	Outcome Outcome       `json:"outcome"`
	Date    string        `json:"date,omitempty"` // as in HTTP (RFC 9110 5.6.7)
	Local   time.Time     `json:"local,omitzero"` // this machine's clock at that moment
	Took    time.Duration `json:"took"`
	Error   string        `json:"error,omitempty"`
}

// Kind names the type in stored runs.
func (*ClockReading) Kind() string { return "tls.clock" }

// Facts lists what was seen.
func (c *ClockReading) Facts() []Evidence {
	f := facts{}
	f.add(EvAddress, c.Source)
	f.add(EvOutcome, string(c.Outcome))
	f.add(EvHTTPDate, c.Date)
	f.time(EvLocalClock, c.Local)
	f.ms(EvDuration, c.Took)
	f.add(EvError, c.Error)
	return f.items
}

// IssuerFetch is the search for a missing intermediate at the place that the certificate below it names (RFC 5280 4.2.2.1).
type IssuerFetch struct {
	Address string  `json:"address"` // whose chain it completes
	URL     string  `json:"url"`
	Outcome Outcome `json:"outcome"` // ok: a certificate came
	Status  int     `json:"status,omitempty"`
	// Found are the certificates that were fetched, the direct issuer first.
	Found []CertFact `json:"found,omitempty"`
	// GivenOK and SystemOK tell whether with them a path to the CA file, or to a system root, exists.
	GivenOK  bool          `json:"given_ok"`
	SystemOK bool          `json:"system_ok"`
	Took     time.Duration `json:"took"`
	Error    string        `json:"error,omitempty"`
}

// Kind names the type in stored runs.
func (*IssuerFetch) Kind() string { return "tls.aia" }

// Facts lists what was seen.
func (i *IssuerFetch) Facts() []Evidence {
	f := facts{}
	f.add(EvIssuerURL, i.URL)
	f.add(EvOutcome, string(i.Outcome))
	if i.Status != 0 {
		f.add(EvHTTPStatus, strconv.Itoa(i.Status))
	}
	for _, c := range i.Found {
		f.add(EvCertSubject, c.Subject)
		f.add(EvCertIssuer, c.Issuer)
		f.add(EvCertSHA256, c.SHA256)
	}
	f.ms(EvDuration, i.Took)
	f.add(EvError, i.Error)
	return f.items
}

// Revocation is what an issuer says about a certificate of its own.
type Revocation struct {
	Address   string        `json:"address"` // where the certificate was served
	Method    string        `json:"method"`  // ocsp, crl
	URL       string        `json:"url"`
	Outcome   Outcome       `json:"outcome"`          // ok: it answered, and its signature is the issuer's
	Status    string        `json:"status,omitempty"` // good, revoked, unknown
	RevokedAt time.Time     `json:"revoked_at,omitzero"`
	Reason    int           `json:"reason,omitempty"` // RFC 5280 5.3.1
	Took      time.Duration `json:"took"`
	Error     string        `json:"error,omitempty"`
}

// Kind names the type in stored runs.
func (*Revocation) Kind() string { return "tls.revocation" }

// Facts lists what was seen.
func (r *Revocation) Facts() []Evidence {
	f := facts{}
	f.add(EvIssuerURL, r.URL)
	f.add(EvOutcome, string(r.Outcome))
	f.add(EvOCSP, r.Status)
	f.time(EvRevokedAt, r.RevokedAt)
	f.ms(EvDuration, r.Took)
	f.add(EvError, r.Error)
	return f.items
}

// ClientCert is what the user's own certificate says, and whether the key belongs to it. The key itself is in no observation.
type ClientCert struct {
	Now        time.Time  `json:"now"`
	Chain      []CertFact `json:"chain,omitempty"`
	KeyMatches bool       `json:"key_matches"`
	ClientAuth bool       `json:"client_auth"` // clientAuth or anyExtendedKeyUsage, or no EKU at all
	Error      string     `json:"error,omitempty"`
}

// Kind names the type in stored runs.
func (*ClientCert) Kind() string { return "tls.client_cert" }

// Facts lists what was seen.
func (c *ClientCert) Facts() []Evidence {
	f := facts{}
	if len(c.Chain) > 0 {
		leaf := c.Chain[0]
		f.add(EvCertSubject, leaf.Subject)
		f.add(EvCertIssuer, leaf.Issuer)
		f.time(EvCertNotBefore, leaf.NotBefore)
		f.time(EvCertNotAfter, leaf.NotAfter)
		f.add(EvCertSHA256, leaf.SHA256)
		f.add(EvCertKey, strings.TrimSpace(leaf.KeyAlgorithm+" "+strconv.Itoa(leaf.KeyBits)))
		f.yesno(EvClientAuth, c.ClientAuth)
	}
	f.yesno(EvKeyMatches, c.KeyMatches)
	f.add(EvError, c.Error)
	return f.items
}

// DeviceSimulation is what became of the hellos of usual clients.
type DeviceSimulation struct {
	Address string         `json:"address"`
	Results []DeviceResult `json:"results"`
}

// DeviceResult is what became of one of them.
type DeviceResult struct {
	Device  string    `json:"device"`
	Source  string    `json:"source"` // of what it offers
	OK      bool      `json:"ok"`
	Unknown bool      `json:"unknown,omitempty"` // no answer came that would tell
	Why     string    `json:"why,omitempty"`     // version, suites, server_name, key_size, root
	Alert   *TLSAlert `json:"alert,omitempty"`
	Newest  string    `json:"newest,omitempty"`  // version that the device speaks
	Version string    `json:"version,omitempty"` // as chosen
	Suite   string    `json:"suite,omitempty"`
}

// Kind names the type in stored runs.
func (*DeviceSimulation) Kind() string { return "tls.devices" }

// Facts lists each device and what it would come to.
func (d *DeviceSimulation) Facts() []Evidence {
	f := facts{}
	f.add(EvAddress, d.Address)
	for _, r := range d.Results {
		switch {
		case r.Unknown:
		case r.OK:
			f.add(EvDeviceOK, r.Device+": "+r.Version+", "+r.Suite)
		case r.Alert != nil:
			f.add(EvDeviceFails, r.Device+": "+r.Why+", "+r.Alert.String())
		default:
			f.add(EvDeviceFails, r.Device+": "+r.Why)
		}
	}
	return f.items
}

// String is name and number.
func (a *TLSAlert) String() string { return a.Name + " (" + strconv.Itoa(int(a.Number)) + ")" }
