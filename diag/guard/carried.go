package guard

import "net/netip"

// carry is an IPv4 address that an IPv6 address carries: sending to the one may reach the other.
type carry struct {
	addr netip.Addr
	// bits is how far it reaches into the carrier: an allow entry at least that long means this very address in it.
	bits int
}

var (
	compatible     = netip.MustParsePrefix("::/96")           // RFC 4291 2.5.5.1
	translated     = netip.MustParsePrefix("::ffff:0:0:0/96") // RFC 2765 2.1
	nat64          = netip.MustParsePrefix("64:ff9b::/96")    // RFC 6052 2.1
	nat64Local     = netip.MustParsePrefix("64:ff9b:1::/48")  // RFC 8215
	teredo         = netip.MustParsePrefix("2001::/32")       // RFC 4380 4
	sixToFour      = netip.MustParsePrefix("2002::/16")       // RFC 3056 2
	thisNetwork    = netip.MustParsePrefix("0.0.0.0/8")
	ipv6Loopback   = netip.IPv6Loopback()
	ipv6AnyAddress = netip.IPv6Unspecified()
)

// carried lists the IPv4 addresses inside an address that has no zone and is not IPv4-mapped. NAT64 prefixes that a
// network picked for itself (RFC 6052 2.2) cannot be known here: whoever runs one denies it with --deny-cidr.
func carried(addr netip.Addr) []carry {
	if !addr.Is6() || addr == ipv6Loopback || addr == ipv6AnyAddress {
		return nil
	}
	b := addr.As16()
	v4 := func(i, j, k, l int) netip.Addr { return netip.AddrFrom4([4]byte{b[i], b[j], b[k], b[l]}) }
	var found []carry
	switch {
	case compatible.Contains(addr), translated.Contains(addr), nat64.Contains(addr):
		found = append(found, carry{v4(12, 13, 14, 15), 128})
	case nat64Local.Contains(addr):
		found = nat64LocalCarried(v4)
	case teredo.Contains(addr):
		// RFC 4380 4: the server in the clear, the client with all bits turned.
		client := netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})
		found = append(found, carry{v4(4, 5, 6, 7), 64}, carry{client, 128})
	case sixToFour.Contains(addr):
		found = append(found, carry{v4(2, 3, 4, 5), 48})
	}
	// RFC 5214 6.1: in any prefix, an interface identifier of ug bits, then 00-5E-FE, then the IPv4 address.
	if b[8]&^3 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe {
		found = append(found, carry{v4(12, 13, 14, 15), 128})
	}
	return found
}

// nat64LocalCarried reads an address in 64:ff9b:1::/48 in each of the ways that RFC 6052 2.2 has for a prefix of 48, 56,
// 64 and 96 bits, because which one the local translator uses is not known, and it ignores the bits behind. A reading in
// 0.0.0.0/8 is only padding of another one and is passed over, unless there is no other.
func nat64LocalCarried(v4 func(i, j, k, l int) netip.Addr) []carry {
	// Octet 8 is left out everywhere: it is the reserved one.
	readings := []carry{{v4(6, 7, 9, 10), 88}, {v4(7, 9, 10, 11), 96}, {v4(9, 10, 11, 12), 104}, {v4(12, 13, 14, 15), 128}}
	var found []carry
	for _, r := range readings {
		if !thisNetwork.Contains(r.addr) {
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		found = readings[3:]
	}
	return found
}
