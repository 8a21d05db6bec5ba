package mask

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"mqttdoctor/diag"
)

// Hidden stands for what has no shape worth keeping, such as a certificate.
const Hidden = "[hidden]"

// The kinds of names that stand for what is hidden.
const (
	kindHost    = "host"
	kindAddress = "address"
	kindUser    = "user"
	kindTopic   = "topic"
)

// Mask hides. The zero value hides nothing. It is safe for concurrent use.
type Mask struct {
	hide  []diag.Hide
	key   []byte
	known []known
	// find finds every known value, the longest first; nil: there is none.
	find *regexp.Regexp
}

// known is a value of the target that must not stand anywhere.
type known struct{ value, name string }

// New makes a mask for a run. The key makes the names: who knows it can find out by trying what a name stands for, so it
// is no part of anything that is shown.
func New(hide []diag.Hide, key []byte, target diag.TargetInput, plan diag.PlanOptions) *Mask {
	m := &Mask{hide: hide, key: key}
	if m.Hides(diag.HideHost) {
		for _, link := range slices.Concat([]string{target.URL, target.BridgeURL, target.WS.Origin}, target.Nodes) {
			m.knowHost(hostOf(link))
		}
		m.knowHost(target.TLS.ServerName)
		for _, resolver := range plan.Resolvers {
			m.knowHost(hostOf(resolver))
		}
	}
	if m.Hides(diag.HideUser) {
		m.know(target.Username, m.name(kindUser, target.Username))
	}
	if m.Hides(diag.HideTopics) {
		for _, topic := range append([]string{target.Topics.Publish}, target.Topics.Subscribe...) {
			m.know(topic, m.topic(topic))
		}
	}
	m.compile()
	return m
}

// Any tells whether anything is hidden.
func (m *Mask) Any() bool { return len(m.hide) > 0 }

func (m *Mask) know(value, name string) {
	if value != "" && value != name && !slices.ContainsFunc(m.known, func(k known) bool { return k.value == value }) {
		m.known = append(m.known, known{value, name})
	}
}

// knowHost knows a host in both its spellings (RFC 5890), and where it is a name of several labels also the domain that it
// stands in: other names of the same organisation tell as much.
func (m *Mask) knowHost(host string) {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "" {
		return
	}
	name := m.host(host)
	m.know(host, name)
	if u, err := idna.ToUnicode(host); err == nil {
		m.know(u, name)
	}
	if a, err := idna.ToASCII(host); err == nil {
		m.know(a, name)
	}
}

// compile makes one expression of all known values. A value is found where it stands for itself: the user "a" is not in "at".
func (m *Mask) compile() {
	if len(m.known) == 0 {
		return
	}
	slices.SortStableFunc(m.known, func(a, b known) int { return len(b.value) - len(a.value) })
	parts := make([]string, len(m.known))
	for i, k := range m.known {
		parts[i] = regexp.QuoteMeta(k.value)
	}
	m.find = regexp.MustCompile(`(?i)` + strings.Join(parts, "|"))
}

// name is what stands for a value.
func (m *Mask) name(kind, value string) string {
	if value == "" {
		return ""
	}
	sum := hmac.New(sha256.New, m.key)
	sum.Write([]byte(kind + "\x00" + value))
	return kind + "-" + hex.EncodeToString(sum.Sum(nil)[:2])
}

// host is what stands for a host: a name, or an address in any spelling that names the same.
func (m *Mask) host(host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return m.name(kindAddress, addr.Unmap().WithZone("").String())
	}
	if a, err := idna.ToASCII(host); err == nil {
		host = a
	}
	return m.name(kindHost, host)
}

// topic keeps the shape of a topic or filter (MQTT 5.0 4.7): its levels, wildcards and a leading $share or $SYS. Our own
// scratch topics tell nothing.
func (m *Mask) topic(topic string) string {
	if strings.HasPrefix(topic, "mqttdoctor/") {
		return topic
	}
	levels := strings.Split(topic, "/")
	for i, level := range levels {
		if level != "" && level != "+" && level != "#" && !strings.HasPrefix(level, "$") {
			levels[i] = m.name(kindTopic, level)
		}
	}
	return strings.Join(levels, "/")
}

// pem keeps that something was given.
func pem(s string) string {
	if s == "" {
		return ""
	}
	return Hidden
}

// link hides the host of a URL, or of host[:port].
func (m *Mask) link(s string) string {
	host := hostOf(s)
	if host == "" {
		return m.text(s)
	}
	// The host stands once, before everything else that could hold it.
	at := strings.Index(s, host)
	from, to := at, at+len(host)
	if strings.HasPrefix(s[max(0, at-1):], "[") && to < len(s) && s[to] == ']' { // an IPv6 literal and its brackets
		from, to = at-1, to+1
	}
	return s[:from] + m.host(host) + m.text(s[to:])
}

// hostOf is the host of a URL or of host[:port], as it is written; empty: there is none.
func hostOf(s string) string {
	if !strings.Contains(s, "://") {
		if host, _, err := net.SplitHostPort(s); err == nil {
			return host
		}
		return strings.Trim(s, "[]")
	}
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	if host := u.Hostname(); strings.Contains(s, host) {
		return host
	}
	return ""
}

var (
	// ipv4 and ipv6 find what may be an address; netip decides.
	ipv4 = regexp.MustCompile(`[0-9]{1,3}(?:\.[0-9]{1,3}){3}`)
	ipv6 = regexp.MustCompile(`[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*`)
	// domain finds names of two labels or more that do not end in a number (RFC 3696 2), and leaves a wildcard before them.
	domain = regexp.MustCompile(`(?:[\p{L}\p{N}_](?:[\p{L}\p{N}_-]*[\p{L}\p{N}_])?\.)+(?:xn--[0-9A-Za-z-]+|\p{L}[\p{L}\p{N}-]*\p{L})`)
)

// text hides every known value in what somebody wrote or sent, and where hosts are hidden every name and address.
func (m *Mask) text(s string) string {
	if s == "" || !m.Any() {
		return s
	}
	if m.find != nil {
		s = m.replaceKnown(s)
	}
	if !m.Hides(diag.HideHost) {
		return s
	}
	address := func(s string) string {
		addr, err := netip.ParseAddr(strings.TrimRight(s, ".:"))
		if err != nil {
			if addr, err = netip.ParseAddr(s); err != nil {
				return s
			}
		}
		return m.name(kindAddress, addr.Unmap().String())
	}
	s = ipv6.ReplaceAllStringFunc(s, address)
	s = ipv4.ReplaceAllStringFunc(s, address)
	return domain.ReplaceAllStringFunc(s, m.host)
}

func (m *Mask) replaceKnown(s string) string {
	var b strings.Builder
	for at := 0; at < len(s); {
		found := m.find.FindStringIndex(s[at:])
		if found == nil {
			b.WriteString(s[at:])
			break
		}
		from, to := at+found[0], at+found[1]
		b.WriteString(s[at:from])
		if wordy(s[:from], true) && wordy(s[from:to], false) || wordy(s[from:to], true) && wordy(s[to:], false) { // in the middle of a word
			_, size := utf8.DecodeRuneInString(s[from:])
			b.WriteString(s[from : from+size])
			at = from + size
			continue
		}
		b.WriteString(m.nameOf(s[from:to]))
		at = to
	}
	return b.String()
}

// wordy tells whether a text ends (or begins) with a letter or digit.
func wordy(s string, end bool) bool {
	r, _ := utf8.DecodeRuneInString(s)
	if end {
		r, _ = utf8.DecodeLastRuneInString(s)
	}
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

func (m *Mask) nameOf(value string) string {
	for _, k := range m.known {
		if strings.EqualFold(k.value, value) {
			return k.name
		}
	}
	return Hidden
}

// hostArgs and topicArgs are the arguments of texts that are hidden as a whole: names of one label are no other way to be
// told from words.
var (
	hostArgs   = []diag.Arg{"subject", "issuer", "serial", "fingerprint"}
	listArgs   = []diag.Arg{"host", "address", "addresses", "name", "names", "near", "chain", "resolver", "hop", "reference"}
	topicArgs  = []diag.Arg{"topic", "filter"}
	closedArgs = []diag.Arg{"check", "field", "symbol", "rcode", "icmp"}
)

func (m *Mask) args(args diag.Args) diag.Args {
	out := maps.Clone(args)
	for name, value := range out {
		switch {
		case value == "", slices.Contains(closedArgs, name):
		case m.Hides(diag.HideHost) && slices.Contains(hostArgs, name):
			out[name] = Hidden
		case m.Hides(diag.HideHost) && slices.Contains(listArgs, name):
			out[name] = m.hosts(value)
		case m.Hides(diag.HideTopics) && slices.Contains(topicArgs, name):
			out[name] = m.topic(value)
		case m.Hides(diag.HideUser) && name == "username":
			out[name] = m.name(kindUser, value)
		default:
			out[name] = m.text(value)
		}
	}
	return out
}

// hosts hides every entry of a list of names and addresses, those of one label too.
func (m *Mask) hosts(s string) string {
	return hostEntry.ReplaceAllStringFunc(s, func(entry string) string {
		if slices.Contains(noHosts, entry) || strings.Trim(entry, "0123456789") == "" {
			return entry
		}
		return m.link(entry)
	})
}

// noHosts stand where a resolver stands.
var noHosts = []string{"hosts", "mdns", "system", "yes", "no", "ms"}

// hostEntry is an entry of a list, which may carry a port or a wildcard.
var hostEntry = regexp.MustCompile(`[^\s,;>→()*]+`)

// Facts that are hidden as a whole, or as lists, like the arguments above.
var (
	hostFacts = []diag.EvidenceKey{diag.EvCertSubject, diag.EvCertIssuer, diag.EvCertSHA256, diag.EvCertChain, diag.EvTLSAcceptableCAs,
		diag.EvIssuerURL, diag.EvFirstBytes, diag.EvConnack, diag.EvHTTPBody}
	listFacts = []diag.EvidenceKey{diag.EvAddress, diag.EvDNSName, diag.EvDNSResolver, diag.EvDNSA, diag.EvDNSAAAA, diag.EvDNSChain,
		diag.EvDNSAddresses, diag.EvDNSHosts, diag.EvDNSNear, diag.EvICMPOffender, diag.EvLastHop, diag.EvTLSServerName, diag.EvCertNames,
		diag.EvServerReference, diag.EvHTTPVia}
	topicFacts = []diag.EvidenceKey{diag.EvTopic, diag.EvRetainedTopic}
)

func (m *Mask) evidence(e diag.Evidence) diag.Evidence {
	switch {
	case e.Value == "":
	case m.Hides(diag.HideHost) && slices.Contains(hostFacts, e.Key):
		e.Value, e.Unit = Hidden, ""
	case m.Hides(diag.HideHost) && slices.Contains(listFacts, e.Key):
		e.Value = m.hosts(e.Value)
	case m.Hides(diag.HideTopics) && slices.Contains(topicFacts, e.Key):
		e.Value = m.topic(e.Value)
	case m.Hides(diag.HideTopics) && e.Key == diag.EvFilter: // a list
		filters := strings.Split(e.Value, ", ")
		for i, filter := range filters {
			filters[i] = m.topic(filter)
		}
		e.Value = strings.Join(filters, ", ")
	default:
		e.Value = m.text(e.Value)
	}
	return e
}
