package rule

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"mqttdoctor/diag"
)

var dnsRules = []diag.Rule{
	{Code: "dns.local_name", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 6762 3", "RFC 6761 6.3", "RFC 8375"},
		Awaits:     []diag.ProbeID{checkResolve},
		LookAlikes: []diag.Code{"dns.nxdomain", "dns.timeout", "dns.no_address"},
		Hides:      []diag.Code{"dns.nxdomain", "dns.no_address", "dns.server_failure"},
		When:       localName},
	{Code: "dns.nxdomain", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 1035 4.1.1", "RFC 2308 2.1"},
		Awaits:     []diag.ProbeID{checkResolve}, // near names are added when they are known
		LookAlikes: []diag.Code{"dns.no_address", "dns.server_failure", "dns.timeout", "dns.local_name"},
		When:       nxdomain},
	{Code: "dns.no_address", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 2308 2.2"},
		Awaits:     []diag.ProbeID{checkResolve},
		LookAlikes: []diag.Code{"dns.nxdomain", "dns.server_failure", "dns.timeout"},
		When:       noAddress},
	{Code: "dns.server_failure", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 1035 4.1.1", "RFC 8914"},
		Awaits:     []diag.ProbeID{checkResolve, "dns.compare"},
		LookAlikes: []diag.Code{"dns.nxdomain", "dns.timeout", "dns.no_address"},
		When:       serverFailure},
	{Code: "dns.timeout", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 1035 7.2"},
		Awaits:     []diag.ProbeID{checkResolve, "dns.compare"},
		LookAlikes: []diag.Code{"dns.nxdomain", "dns.server_failure", "dns.no_address"},
		When:       dnsTimeout},
	{Code: "dns.loopback_address", Severity: diag.SeverityCritical,
		Sources:    []string{"RFC 1122 3.2.1.3", "RFC 4291 2.5.3"},
		Awaits:     []diag.ProbeID{checkResolve, checkTCP},
		LookAlikes: []diag.Code{"tcp.refused", "dns.hosts_override"},
		Hides:      []diag.Code{"tcp.refused", "tcp.filtered", "net.unreachable"},
		When:       loopbackAddress},
	{Code: "dns.private_address", Severity: diag.SeverityInfo,
		Sources:    []string{"RFC 1918", "RFC 4193", "RFC 6598"},
		Awaits:     []diag.ProbeID{checkResolve, checkTCP, "tcp.ports", "net.echo"},
		LookAlikes: nil,
		When:       privateAddress},
	{Code: "dns.resolver_mismatch", Severity: diag.SeverityWarning,
		Awaits:     []diag.ProbeID{checkResolve, "dns.compare"},
		LookAlikes: []diag.Code{"dns.hosts_override"},
		When:       resolverMismatch},
	{Code: "dns.hosts_override", Severity: diag.SeverityInfo,
		Awaits: []diag.ProbeID{checkResolve, "dns.compare"},
		When:   hostsOverride},
	{Code: "dns.ipv6_broken", Severity: diag.SeverityWarning,
		Sources:    []string{"RFC 8305", "RFC 6724"},
		Awaits:     addressAwaits,
		MayHide:    saidOfOneAddress,
		LookAlikes: []diag.Code{"tcp.partial_addresses"},
		When:       ipv6Broken},
}

// resolution is what the name came to; ok is false for an address literal and where nothing was looked up.
func resolution(v *diag.View) (diag.Sight[*diag.Resolution], bool) {
	seen := diag.SeenBy[*diag.Resolution](v, checkResolve)
	if len(seen) == 0 || seen[0].Seen.Literal {
		return diag.Sight[*diag.Resolution]{}, false
	}
	return seen[0], true
}

// verdictOf is the answer that decides of those that the system's resolvers gave: one about the name rather than one about
// the resolver's trouble; nil where none came.
func verdictOf(r *diag.Resolution) *diag.DNSAnswer {
	var decisive *diag.DNSAnswer
	dotted := strings.Contains(r.Name, ".")
	for _, a := range r.Answers {
		// What is said of a search domain's name says nothing of one that was given whole.
		if !a.Configured || a.RCode == "" || dotted && slices.Contains(r.Searched, a.Name) && len(a.Addresses()) == 0 {
			continue
		}
		if decisive == nil || a.RCode == "NXDOMAIN" || a.RCode == "NOERROR" {
			if decisive == nil || decisive.RCode != "NOERROR" {
				decisive = a
			}
		}
	}
	return decisive
}

func dnsFinding(s diag.Sight[*diag.Resolution]) diag.Finding {
	f := diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{"name": s.Seen.Name}}
	if a := verdictOf(s.Seen); a != nil {
		f.Args["resolver"], f.Args["rcode"] = a.Resolver, a.RCode
		if len(a.CNAMEs) > 0 {
			f.Args["chain"] = strings.Join(append([]string{a.Name}, a.CNAMEs...), " → ")
		}
	}
	return f
}

// excludedByAnswer says what the resolver did answer.
func excludedByAnswer(r *diag.Resolution, a *diag.DNSAnswer) diag.Verdict {
	switch {
	case len(r.Addresses) > 0 && r.Through == "":
		return diag.Excluded(diag.N("because.name_resolves", "addresses", strings.Join(r.Addresses, ", ")))
	case a == nil:
		return diag.Excluded(diag.N("because.no_resolver_answered"))
	}
	return diag.Excluded(diag.N("because.resolver_answered", "resolver", a.Resolver, "rcode", a.RCode))
}

// localSuffixes are names that exist inside one network alone: multicast DNS, home networks, Docker and Kubernetes, what companies
// call their own networks (RFC 6762, appendix G), and the routers and overlays that give names of their own.
var localSuffixes = []string{".local", ".home.arpa", ".lan", ".internal", ".localdomain", ".home", ".docker", ".svc",
	".intranet", ".private", ".corp", ".consul", ".fritz.box", ".ts.net"}

func looksLocal(name string) bool {
	return !strings.Contains(name, ".") || slices.ContainsFunc(localSuffixes, func(s string) bool { return strings.HasSuffix(name, s) })
}

// clusterName tells the names of services inside a Kubernetes cluster.
func clusterName(name string) bool {
	return strings.HasSuffix(name, ".cluster.local") || strings.HasSuffix(name, ".svc")
}

func localName(v *diag.View) diag.Verdict {
	s, ok := resolution(v)
	switch {
	case !ok:
		return diag.Open()
	case len(s.Seen.Addresses) > 0 && s.Seen.Through == "":
		return excludedByAnswer(s.Seen, nil)
	case !looksLocal(s.Seen.Name):
		return diag.Excluded(diag.N("because.public_name", "name", s.Seen.Name))
	}
	a := verdictOf(s.Seen)
	// Some resolvers will not even ask for a name without a dot, or for one of multicast DNS (RFC 6762 22.1): systemd-resolved
	// answers SERVFAIL, others REFUSED.
	kept := !strings.Contains(s.Seen.Name, ".") || strings.HasSuffix(s.Seen.Name, ".local")
	declined := a != nil && kept && (a.RCode == "SERVFAIL" || a.RCode == "REFUSED")
	if a == nil || (a.RCode != "NXDOMAIN" && a.RCode != "NOERROR" && !declined) {
		return excludedByAnswer(s.Seen, a)
	}
	f := dnsFinding(s)
	if declined {
		f.Confidence = diag.Likely
	}
	switch {
	case clusterName(s.Seen.Name):
		f.Variant = "cluster"
	case strings.HasSuffix(s.Seen.Name, ".local"):
		f.Variant = "mdns"
	case !strings.Contains(s.Seen.Name, "."):
		f.Variant = "single_label"
	}
	return diag.Holds(f)
}

func nxdomain(v *diag.View) diag.Verdict {
	s, ok := resolution(v)
	if !ok {
		return diag.Open()
	}
	a := verdictOf(s.Seen)
	dangling := a != nil && a.ChainRCode == "NXDOMAIN"
	if len(s.Seen.Addresses) > 0 && s.Seen.Through == "" || a == nil || (a.RCode != "NXDOMAIN" && !dangling) {
		return excludedByAnswer(s.Seen, a)
	}
	f := dnsFinding(s)
	if dangling || len(a.CNAMEs) > 0 {
		f.Variant = "alias"
	}
	for _, near := range diag.Seen[*diag.NearNames](v) {
		if len(near.Seen.Found) > 0 {
			f.Args["near"] = strings.Join(near.Seen.Found, ", ")
			f.Evidence = append(slices.Clone(f.Evidence), near.Step.Evidence...)
		}
	}
	return diag.Holds(f)
}

func noAddress(v *diag.View) diag.Verdict {
	s, ok := resolution(v)
	if !ok {
		return diag.Open()
	}
	a := verdictOf(s.Seen)
	if len(s.Seen.Addresses) > 0 && s.Seen.Through == "" || a == nil || a.RCode != "NOERROR" || a.ChainRCode == "NXDOMAIN" || len(a.Addresses()) > 0 {
		return excludedByAnswer(s.Seen, a)
	}
	f := dnsFinding(s)
	if len(a.CNAMEs) > 0 {
		f.Variant = "alias"
	}
	return diag.Holds(f)
}

func serverFailure(v *diag.View) diag.Verdict {
	s, ok := resolution(v)
	if !ok {
		return diag.Open()
	}
	a := verdictOf(s.Seen)
	if len(s.Seen.Addresses) > 0 && s.Seen.Through == "" || a == nil || a.RCode == "NXDOMAIN" || a.RCode == "NOERROR" {
		return excludedByAnswer(s.Seen, a)
	}
	f := dnsFinding(s)
	if by, found := othersAnswer(v, s.Seen); found {
		f.Variant, f.Args["good"] = "other_answers", by
	}
	return diag.Holds(f)
}

func dnsTimeout(v *diag.View) diag.Verdict {
	s, ok := resolution(v)
	if !ok {
		return diag.Open()
	}
	configured := slices.ContainsFunc(s.Seen.Answers, func(a *diag.DNSAnswer) bool { return a.Configured })
	a := verdictOf(s.Seen)
	if len(s.Seen.Addresses) > 0 && s.Seen.Through == "" || a != nil || !configured {
		return excludedByAnswer(s.Seen, a)
	}
	f := dnsFinding(s)
	var silent []string
	for _, a := range s.Seen.Answers {
		if a.Configured && !slices.Contains(silent, a.Resolver) {
			silent = append(silent, a.Resolver)
		}
	}
	f.Args["resolver"] = strings.Join(silent, ", ")
	f.Args["limit"] = strconv.FormatFloat(v.Options.Timeout.Seconds(), 'f', -1, 64) + " s"
	if by, found := othersAnswer(v, s.Seen); found {
		f.Variant, f.Args["good"] = "other_answers", by
	} else {
		f.Variant = whyNoAnswer(s.Seen)
	}
	return diag.Holds(f)
}

// whyNoAnswer tells how no resolver answered: "" for silence.
func whyNoAnswer(r *diag.Resolution) string {
	every := func(outcomes ...diag.Outcome) bool {
		return !slices.ContainsFunc(r.Answers, func(a *diag.DNSAnswer) bool { return a.Configured && !slices.Contains(outcomes, a.Outcome) })
	}
	switch {
	case slices.ContainsFunc(r.Answers, func(a *diag.DNSAnswer) bool { return a.Configured && a.Cut }):
		return "cut"
	case every(diag.OutcomeUnreachable):
		return "no_way"
	case every(diag.OutcomeUnreachable, diag.OutcomeRefused, diag.OutcomeICMP):
		return "unreachable"
	}
	return ""
}

// othersAnswer names a further resolver that gave addresses.
func othersAnswer(v *diag.View, r *diag.Resolution) (string, bool) {
	if r.Through != "" {
		return r.Through, true
	}
	s, ok := first(diag.SeenBy[*diag.DNSAnswer](v, "dns.compare"), func(a *diag.DNSAnswer) bool { return len(a.Addresses()) > 0 })
	if !ok {
		return "", false
	}
	return s.Seen.Resolver, true
}

func parsed(addresses []string) []netip.Addr {
	var out []netip.Addr
	for _, a := range addresses {
		if ip, err := netip.ParseAddr(a); err == nil {
			out = append(out, ip.Unmap())
		}
	}
	return out
}

func isThisMachine(a netip.Addr) bool { return a.IsLoopback() || a.IsUnspecified() }

// reached tells whether any asked TCP connection was accepted.
func reached(v *diag.View) bool {
	_, ok := first(diag.SeenBy[*diag.TCPConnect](v, checkTCP), func(c *diag.TCPConnect) bool { return c.Outcome == diag.OutcomeOK })
	return ok
}

// loopbackAddress counts only where nothing accepts there: on a broker's own machine, and in tests, a name for the loopback
// address is as good as any.
func loopbackAddress(v *diag.View) diag.Verdict {
	s, ok := resolution(v)
	if !ok || len(s.Seen.Addresses) == 0 {
		return diag.Open()
	}
	name := s.Seen.Name
	switch all := parsed(s.Seen.Addresses); {
	case name == "localhost" || strings.HasSuffix(name, ".localhost"):
		return diag.Excluded(diag.N("because.loopback_was_asked"))
	case slices.ContainsFunc(all, func(a netip.Addr) bool { return !isThisMachine(a) }):
		return diag.Excluded(diag.N("because.name_resolves", "addresses", strings.Join(s.Seen.Addresses, ", ")))
	case reached(v):
		return diag.Excluded(diag.N("because.something_listens_there"))
	case !v.Ended(checkTCP):
		return diag.Open()
	}
	f := dnsFinding(s)
	f.Args["addresses"] = strings.Join(s.Seen.Addresses, ", ")
	if s.Seen.Source == "hosts" {
		f.Variant = "hosts"
	}
	return diag.Holds(f)
}

func privateAddress(v *diag.View) diag.Verdict {
	s, ok := resolution(v)
	if !ok || len(s.Seen.Addresses) == 0 || s.Seen.Source == "hosts" {
		return diag.Open()
	}
	shared := netip.MustParsePrefix("100.64.0.0/10")
	if !slices.ContainsFunc(parsed(s.Seen.Addresses), func(a netip.Addr) bool { return a.IsPrivate() || shared.Contains(a) }) {
		return diag.Excluded(diag.N("because.name_resolves", "addresses", strings.Join(s.Seen.Addresses, ", ")))
	}
	f := dnsFinding(s)
	f.Args["addresses"] = strings.Join(s.Seen.Addresses, ", ")
	// A RST shows that there is a way to the address, and so does whatever it says on another port.
	_, answers := first(diag.SeenBy[*diag.TCPConnect](v, checkTCP), func(c *diag.TCPConnect) bool {
		return c.Outcome != diag.OutcomeSilent && c.Outcome != diag.OutcomeUnreachable && c.Outcome != diag.OutcomeICMP
	})
	if _, elsewhere := hostAnswers(v); v.Ended(checkTCP) && !answers && !elsewhere {
		f.Severity, f.Variant = diag.SeverityWarning, "unreachable"
	}
	return diag.Holds(f)
}

func resolverMismatch(v *diag.View) diag.Verdict {
	s, ok := resolution(v)
	if !ok || len(s.Seen.Addresses) == 0 || s.Seen.Source == "hosts" || s.Seen.Through != "" {
		return diag.Open()
	}
	for _, other := range diag.SeenBy[*diag.DNSAnswer](v, "dns.compare") {
		theirs := other.Seen.Addresses()
		if len(theirs) == 0 || slices.ContainsFunc(theirs, func(a string) bool { return slices.Contains(s.Seen.Addresses, a) }) {
			continue
		}
		f := dnsFinding(s)
		f.Evidence = append(slices.Clone(f.Evidence), other.Step.Evidence...)
		f.Args["good"], f.Args["bad"], f.Args["resolver"] = strings.Join(s.Seen.Addresses, ", "), strings.Join(theirs, ", "), other.Seen.Resolver
		for _, a := range s.Seen.Answers {
			if a.TTL != nil {
				f.Args["ttl"] = strconv.FormatUint(uint64(*a.TTL), 10)
			}
		}
		return diag.Holds(f)
	}
	return diag.Excluded(diag.N("because.resolvers_agree"))
}

func hostsOverride(v *diag.View) diag.Verdict {
	s, ok := resolution(v)
	switch {
	case !ok || len(s.Seen.Addresses) == 0:
		return diag.Open()
	case s.Seen.Source != "hosts":
		return diag.Excluded(diag.N("because.not_from_hosts"))
	}
	answers := diag.SeenBy[*diag.DNSAnswer](v, "dns.compare")
	for _, other := range answers {
		theirs := other.Seen.Addresses()
		if len(theirs) > 0 && !slices.ContainsFunc(theirs, func(a string) bool { return slices.Contains(s.Seen.Addresses, a) }) {
			f := dnsFinding(s)
			f.Args["good"], f.Args["bad"], f.Args["resolver"] = strings.Join(s.Seen.Addresses, ", "), strings.Join(theirs, ", "), other.Seen.Resolver
			return diag.Holds(f)
		}
	}
	return diag.Open()
}

// ipv6Broken needs an IPv4 address that works and every IPv6 address failing. The names of this machine are excepted: a
// listener on 127.0.0.1 alone is how most programs are set up.
