package guard

import (
	"fmt"
	"net/netip"
	"strings"
)

// Class is what kind of address an address is. The texts are for people and stay the same.
type Class string

// The classes. All but Global are refused by Public.
const (
	Global        Class = "global"
	Unspecified   Class = "unspecified"
	ThisNetwork   Class = "this-network"
	Loopback      Class = "loopback"
	Private       Class = "private"
	Shared        Class = "shared"
	LinkLocal     Class = "link-local"
	Metadata      Class = "cloud metadata"
	Multicast     Class = "multicast"
	Broadcast     Class = "broadcast"
	Benchmarking  Class = "benchmarking"
	Documentation Class = "documentation"
	Reserved      Class = "reserved"

	// Denied is whatever the deny list holds.
	Denied Class = "denied"
	// Invalid is no address at all; every policy refuses it.
	Invalid Class = "invalid"
)

// Forbidden says that the policy refuses an address: nothing was sent to it.
type Forbidden struct {
	Addr    netip.Addr   // as judged: without zone, IPv4-mapped as IPv4
	Class   Class        // of Addr, or of Carried where that is set
	Policy  string       // the name of the policy that refused
	Flag    string       // the flag to change first; empty: none helps, since Addr is invalid
	Range   netip.Prefix // the registered block or the denied range that it is in
	Carried netip.Addr   // the IPv4 address inside Addr that is the reason; invalid: Addr itself is
}

// Error says that it is policy, and which flags change it.
func (f *Forbidden) Error() string {
	if f.Class == Invalid {
		return "target policy: not an IP address"
	}
	what := f.Addr.String()
	if f.Carried.IsValid() {
		what += " (which carries " + f.Carried.String() + ")"
	}
	if f.Class == Denied {
		return fmt.Sprintf("target policy: %s is in %s, which this server is told not to reach; its administrator changes that with %s (%s)",
			what, f.Range, FlagDeny, EnvDeny)
	}
	change := []string{fmt.Sprintf("%s %s (%s)", FlagAllow, netip.PrefixFrom(f.Addr, f.Addr.BitLen()), EnvAllow)}
	if f.Flag == FlagPolicy {
		change = append([]string{fmt.Sprintf("%s %s (%s)", FlagPolicy, Intranet, EnvPolicy)}, change...)
	}
	return fmt.Sprintf("target policy: %s is a %s address (%s), which the policy %q of this server does not let it reach; its administrator changes that with %s",
		what, f.Class, f.Range, f.Policy, strings.Join(change, " or "))
}
