package guard

import (
	"net/netip"
	"slices"
)

// block is an address block with a meaning of its own.
type block struct {
	prefix netip.Prefix
	class  Class
}

// blocks is the registry, most specific first, so that the first match is the right one.
var blocks = func() []block {
	all := slices.Concat(blocks4, blocks6, metadata)
	slices.SortStableFunc(all, func(a, b block) int { return b.prefix.Bits() - a.prefix.Bits() })
	return all
}()

// classify finds the block of an address that has no zone and is not IPv4-mapped.
func classify(addr netip.Addr) block {
	for _, b := range blocks {
		if b.prefix.Contains(addr) {
			return b
		}
	}
	if addr.Is4() {
		return block{netip.MustParsePrefix("0.0.0.0/0"), Global}
	}
	return block{netip.MustParsePrefix("::/0"), Reserved}
}

func in(prefix string, class Class) block { return block{netip.MustParsePrefix(prefix), class} }

// blocks4 is the IANA IPv4 special-purpose address registry with what lies beside it.
var blocks4 = []block{
	in("0.0.0.0/8", ThisNetwork),         // RFC 791 3.2; Linux reaches itself at 0.0.0.0
	in("0.0.0.0/32", Unspecified),        // RFC 1122 3.2.1.3
	in("10.0.0.0/8", Private),            // RFC 1918
	in("100.64.0.0/10", Shared),          // RFC 6598
	in("127.0.0.0/8", Loopback),          // RFC 1122 3.2.1.3
	in("169.254.0.0/16", LinkLocal),      // RFC 3927
	in("172.16.0.0/12", Private),         // RFC 1918
	in("192.0.0.0/24", Reserved),         // RFC 6890 2.1, IETF protocol assignments
	in("192.0.0.9/32", Global),           // RFC 7723, PCP anycast
	in("192.0.0.10/32", Global),          // RFC 8155, TURN anycast
	in("192.0.2.0/24", Documentation),    // RFC 5737
	in("192.88.99.0/24", Reserved),       // RFC 7526, the former 6to4 relay anycast
	in("192.168.0.0/16", Private),        // RFC 1918
	in("198.18.0.0/15", Benchmarking),    // RFC 2544
	in("198.51.100.0/24", Documentation), // RFC 5737
	in("203.0.113.0/24", Documentation),  // RFC 5737
	in("224.0.0.0/4", Multicast),         // RFC 5771
	in("240.0.0.0/4", Reserved),          // RFC 1112 4
	in("255.255.255.255/32", Broadcast),  // RFC 919 7
}

// blocks6 is the IANA IPv6 special-purpose address registry with what lies beside it. Whatever is neither here nor in
// 2000::/3 is not assigned to anybody (RFC 4291 2.4, IANA IPv6 address space registry) and is reserved.
var blocks6 = []block{
	in("2000::/3", Global),             // RFC 4291 2.4, global unicast
	in("::/128", Unspecified),          // RFC 4291 2.5.2
	in("::1/128", Loopback),            // RFC 4291 2.5.3
	in("::/96", Reserved),              // RFC 4291 2.5.5.1, IPv4-compatible, deprecated
	in("::ffff:0:0:0/96", Reserved),    // RFC 2765 2.1, IPv4-translated, dropped by RFC 6145
	in("64:ff9b::/96", Global),         // RFC 6052 2.1, NAT64: as global as the IPv4 address in it
	in("64:ff9b:1::/48", Global),       // RFC 8215, local NAT64: likewise
	in("100::/64", Reserved),           // RFC 6666, discard only
	in("100:0:0:1::/64", Reserved),     // RFC 9780, dummy prefix
	in("2001::/23", Reserved),          // RFC 2928, IETF protocol assignments, but for those that follow
	in("2001::/32", Global),            // RFC 4380, Teredo: as global as the IPv4 addresses in it
	in("2001:1::1/128", Global),        // RFC 7723, PCP anycast
	in("2001:1::2/128", Global),        // RFC 8155, TURN anycast
	in("2001:1::3/128", Global),        // RFC 9665, DNS-SD SRP anycast
	in("2001:2::/48", Benchmarking),    // RFC 5180
	in("2001:3::/32", Global),          // RFC 7450, AMT
	in("2001:4:112::/48", Global),      // RFC 7535, AS112-v6
	in("2001:10::/28", Reserved),       // RFC 4843, the former ORCHID
	in("2001:20::/28", Global),         // RFC 7343, ORCHIDv2
	in("2001:30::/28", Global),         // RFC 9374, drone remote id
	in("2001:db8::/32", Documentation), // RFC 3849
	in("2002::/16", Global),            // RFC 3056, 6to4: as global as the IPv4 address in it
	in("3fff::/20", Documentation),     // RFC 9637
	in("5f00::/16", Reserved),          // RFC 9602, SRv6 segment ids
	in("fc00::/7", Private),            // RFC 4193, unique local
	in("fe80::/10", LinkLocal),         // RFC 4291 2.5.6
	in("fec0::/10", Reserved),          // RFC 3879, the former site-local
	in("ff00::/8", Multicast),          // RFC 4291 2.7
}

// metadata is where clouds serve a machine its credentials, or are its host: refused even where the network around it is
// let through. Some of the IPv6 ones are taken from lists that others keep, not from the cloud's own documentation.
var metadata = []block{
	in("169.254.169.254/32", Metadata),     // AWS, Azure, Google, Oracle, DigitalOcean, Hetzner, OpenStack and others
	in("169.254.170.2/32", Metadata),       // AWS ECS task credentials
	in("169.254.170.23/32", Metadata),      // AWS EKS pod identity
	in("169.254.0.23/32", Metadata),        // Tencent
	in("169.254.42.42/32", Metadata),       // Scaleway
	in("100.100.100.200/32", Metadata),     // Alibaba
	in("192.0.0.192/32", Metadata),         // Oracle Classic
	in("168.63.129.16/32", Metadata),       // Azure WireServer, a global address
	in("fd00:ec2::/32", Metadata),          // AWS: ::254 metadata, ::23 pod identity, ::253 DNS, ::123 NTP
	in("fd20:ce::254/128", Metadata),       // Google, machines with IPv6 only
	in("fd00:c1::a9fe:a9fe/128", Metadata), // Oracle
	in("fd00:42::42/128", Metadata),        // Scaleway
	in("fd00:a9fe:a9fe::1/128", Metadata),  // Akamai (Linode)
	in("fd00:100::100:200/128", Metadata),  // Alibaba
	in("fe80::a9fe:a9fe/128", Metadata),    // OpenStack
}
