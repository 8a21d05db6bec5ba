package guard

import (
	"fmt"
	"net/netip"
	"strings"
)

// The names of the policies.
const (
	// Laptop lets everything be dialled: for a server that only its own user reaches.
	Laptop = "laptop"
	// Public refuses every address that is not globally reachable, and cloud metadata.
	Public = "public"
	// Intranet is Public, but private networks are let through: RFC 1918, RFC 4193 and 100.64.0.0/10 (RFC 6598).
	Intranet = "intranet"
)

// The flags and environment variables that set a policy; a refusal names them.
const (
	FlagPolicy = "--policy"
	FlagAllow  = "--allow-cidr"
	FlagDeny   = "--deny-cidr"

	EnvPolicy = "MQTTDOCTOR_POLICY"
	EnvAllow  = "MQTTDOCTOR_ALLOW_CIDR"
	EnvDeny   = "MQTTDOCTOR_DENY_CIDR"
)

// Policy says which addresses may be dialled. The zero Policy, and one with an unknown name, judge as Public does.
type Policy struct {
	Name string
	// Allow adds to what the named policy lets through. Two things need an entry of their own, since whoever allows a
	// wide range hardly means them: cloud metadata (an entry no wider than the metadata range itself), and an IPv4
	// address carried in an IPv6 one (an entry for the IPv4 address, or one long enough to spell it out in the carrier).
	Allow []netip.Prefix
	// Deny wins over everything, in every spelling of the address.
	Deny []netip.Prefix
}

// ParsePolicy makes a policy from what a person writes: a name, and lists of CIDR ranges or single addresses. One entry
// may hold several, separated by commas or blanks, as they come from an environment variable; empty ones are ignored.
// The error names the flag and the entry that is wrong.
func ParsePolicy(name string, allow, deny []string) (Policy, error) {
	p := Policy{Name: strings.ToLower(strings.TrimSpace(name))}
	switch p.Name {
	case Laptop, Public, Intranet:
	default:
		return Policy{}, fmt.Errorf("%s (%s): %q is none of %s, %s, %s", FlagPolicy, EnvPolicy, name, Laptop, Public, Intranet)
	}
	var err error
	if p.Allow, err = parsePrefixes(allow); err != nil {
		return Policy{}, fmt.Errorf("%s (%s): %w", FlagAllow, EnvAllow, err)
	}
	if p.Deny, err = parsePrefixes(deny); err != nil {
		return Policy{}, fmt.Errorf("%s (%s): %w", FlagDeny, EnvDeny, err)
	}
	return p, nil
}

func parsePrefixes(entries []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, entry := range entries {
		for _, text := range strings.FieldsFunc(entry, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' }) {
			prefix, err := parsePrefix(text)
			if err != nil {
				return nil, err
			}
			prefixes = append(prefixes, prefix)
		}
	}
	return prefixes, nil
}

// parsePrefix reads a range or a single address. Host bits are dropped, and an IPv4-mapped range becomes the IPv4 range
// that it means, because that is what addresses are compared as.
func parsePrefix(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		addr, addrErr := netip.ParseAddr(text)
		if addrErr != nil || addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is neither a CIDR range such as 10.0.0.0/8 nor an IP address", text)
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
	}
	return prefix.Masked(), nil
}

// Check tells whether the policy lets an address be dialled. The only error is a *[Forbidden]. An address is judged as
// what it reaches: zones are dropped, IPv4-mapped IPv6 is IPv4, and where an IPv6 address carries IPv4 addresses (6to4,
// Teredo, NAT64, ISATAP, IPv4-compatible) each of them must be let through as well.
func (p Policy) Check(addr netip.Addr) error {
	if !addr.IsValid() {
		return &Forbidden{Addr: addr, Class: Invalid, Policy: p.name()}
	}
	written := addr.WithZone("")
	canonical := written.Unmap()
	inner := carried(canonical)

	// All denials first: no other rule may hide one.
	for _, denied := range p.Deny {
		// The written form too: an IPv6 range such as ::/0 also means the IPv4-mapped addresses in it.
		if denied.Contains(canonical) || denied.Contains(written) {
			return p.forbid(canonical, Denied, denied, netip.Addr{})
		}
		for _, c := range inner {
			if denied.Contains(c.addr) {
				return p.forbid(canonical, Denied, denied, c.addr)
			}
		}
	}
	if p.Name == Laptop {
		return nil
	}
	// The carried addresses before the carrier: "loopback" tells more than "reserved" where it is both.
	for _, c := range inner {
		where := classify(c.addr)
		if !p.permits(c.addr, where) && !p.allowed(canonical, c.bits) {
			return p.forbid(canonical, where.class, where.prefix, c.addr)
		}
	}
	if where := classify(canonical); !p.permits(canonical, where) {
		return p.forbid(canonical, where.class, where.prefix, netip.Addr{})
	}
	return nil
}

// permits judges one address for itself, whatever it carries.
func (p Policy) permits(addr netip.Addr, where block) bool {
	switch where.class {
	case Global:
		return true
	case Private, Shared:
		return p.Name == Intranet || p.allowed(addr, 0)
	case Metadata:
		return p.allowed(addr, where.prefix.Bits())
	}
	return p.allowed(addr, 0)
}

// allowed tells whether an entry of the allow list, at least bits long, holds the address.
func (p Policy) allowed(addr netip.Addr, bits int) bool {
	for _, prefix := range p.Allow {
		if prefix.Bits() >= bits && prefix.Contains(addr) {
			return true
		}
	}
	return false
}

func (p Policy) name() string {
	switch p.Name {
	case Laptop, Intranet:
		return p.Name
	}
	return Public
}

func (p Policy) forbid(addr netip.Addr, class Class, within netip.Prefix, inner netip.Addr) *Forbidden {
	f := &Forbidden{Addr: addr, Class: class, Policy: p.name(), Flag: FlagAllow, Range: within, Carried: inner}
	switch {
	case class == Denied:
		f.Flag = FlagDeny
	case p.name() == Public && Policy{Name: Intranet, Allow: p.Allow, Deny: p.Deny}.Check(addr) == nil:
		f.Flag = FlagPolicy
	}
	return f
}
