package diag

import (
	"strconv"
	"strings"
	"time"
)

func init() {
	register(func() *DNSAnswer { return &DNSAnswer{} })
	register(func() *Resolution { return &Resolution{} })
}

// DNSAnswer is one resolver's answer for the target's name (both address families together).
type DNSAnswer struct {
	Name     string   `json:"name"`
	Resolver string   `json:"resolver"` // host:port; "hosts" for the hosts file, "mdns", "system" for the OS library
	RCode    string   `json:"rcode"`    // NOERROR, NXDOMAIN, SERVFAIL, REFUSED, …; empty where nothing came
	Outcome  Outcome  `json:"outcome"`  // ok, silent, refused (any rcode but NOERROR), malformed, unreachable, forbidden
	A        []string `json:"a,omitempty"`
	AAAA     []string `json:"aaaa,omitempty"`
	CNAMEs   []string `json:"cnames,omitempty"` // the chain in order, without the name itself
	// ChainRCode is what the end of the alias chain answered, where it differs: an alias that leads nowhere.
	ChainRCode string        `json:"chain_rcode,omitempty"`
	TTL        *uint32       `json:"ttl,omitempty"` // lowest of the answer, seconds
	Took       time.Duration `json:"took"`
	Error      string        `json:"error,omitempty"`
	// Configured tells that it is one of the resolvers that the client's system uses, not one to compare with.
	Configured bool `json:"configured"`
	// Cut tells that the answer came over UDP cut short, and could not be had over TCP.
	Cut bool `json:"cut,omitempty"`
}

// Addresses lists both families, IPv6 first as RFC 6724 would mostly have it.
func (d *DNSAnswer) Addresses() []string { return append(append([]string{}, d.AAAA...), d.A...) }

// Kind names the type in stored runs.
func (*DNSAnswer) Kind() string { return "dns.answer" }

// Facts lists what was seen.
func (d *DNSAnswer) Facts() []Evidence {
	f := facts{}
	f.add(EvDNSName, d.Name)
	f.add(EvDNSResolver, d.Resolver)
	f.add(EvDNSRCode, d.RCode)
	f.list(EvDNSA, d.A)
	f.list(EvDNSAAAA, d.AAAA)
	if len(d.CNAMEs) > 0 {
		f.add(EvDNSChain, strings.Join(append([]string{d.Name}, d.CNAMEs...), " → "))
	}
	f.add(EvDNSChainRCode, d.ChainRCode)
	if d.TTL != nil {
		f.unit(EvDNSTTL, strconv.FormatUint(uint64(*d.TTL), 10), "s")
	}
	f.ms(EvDuration, d.Took)
	f.add(EvError, d.Error)
	return f.items
}

// Resolution is what the target's name came to: the addresses that are dialled, and from where.
type Resolution struct {
	Name    string  `json:"name"`
	Literal bool    `json:"literal"` // an address was typed; nothing was looked up
	Outcome Outcome `json:"outcome"` // ok: there is at least one address
	// Addresses to dial, in the order in which a client would try them (RFC 6724, RFC 8305), at most 16.
	Addresses []string `json:"addresses,omitempty"`
	Source    string   `json:"source,omitempty"` // literal, hosts, dns, mdns, system
	// HostsAddresses are the hosts file's, where it names the host.
	HostsAddresses []string `json:"hosts_addresses,omitempty"`
	// NearNames exist and differ little from the one asked for.
	NearNames []string `json:"near_names,omitempty"`
	Dropped   int      `json:"dropped,omitempty"` // addresses beyond the 16 that are dialled
	// Answers are what the resolvers that were asked said, in the order of asking.
	Answers []*DNSAnswer `json:"answers,omitempty"`
	// Through is the further resolver that the addresses came from, where the system's gave none.
	Through string `json:"through,omitempty"`
	// Searched are the names tried with the system's search domains.
	Searched []string      `json:"searched,omitempty"`
	Took     time.Duration `json:"took"`
}

// Kind names the type in stored runs.
func (*Resolution) Kind() string { return "dns.resolution" }

// Facts lists what was seen.
func (r *Resolution) Facts() []Evidence {
	f := facts{}
	f.add(EvDNSName, r.Name)
	f.list(EvDNSAddresses, r.Addresses)
	f.add(EvDNSSource, r.Source)
	f.list(EvDNSHosts, r.HostsAddresses)
	f.list(EvDNSNear, r.NearNames)
	for _, a := range r.Answers {
		f.add(EvDNSResolver, a.Resolver)
		f.add(EvDNSRCode, a.RCode)
		if len(a.CNAMEs) > 0 {
			f.add(EvDNSChain, strings.Join(append([]string{a.Name}, a.CNAMEs...), " → "))
		}
		f.add(EvError, a.Error)
	}
	if r.Dropped > 0 {
		f.add(EvDNSDropped, strconv.Itoa(r.Dropped))
	}
	if !r.Literal {
		f.ms(EvDuration, r.Took)
	}
	return f.items
}

func init() {
	register(func() *NearNames { return &NearNames{} })
}

// NearNames are names that differ little from one that does not exist, and whether they do.
type NearNames struct {
	Name  string   `json:"name"`
	Tried []string `json:"tried"`
	Found []string `json:"found,omitempty"`
}

// Kind names the type in stored runs.
func (*NearNames) Kind() string { return "dns.near" }

// Facts lists what was seen.
func (n *NearNames) Facts() []Evidence {
	f := facts{}
	f.add(EvDNSName, n.Name)
	f.list(EvDNSNear, n.Found)
	return f.items
}
