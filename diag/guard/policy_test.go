package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func mustPolicy(t testing.TB, name string, allow, deny []string) Policy {
	t.Helper()
	p, err := ParsePolicy(name, allow, deny)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// edges has the first and last address of every block, and the neighbours outside.
var edges = []struct {
	addr     string
	public   Class
	intranet Class // empty: as public
}{
	{"0.0.0.0", Unspecified, ""},
	{"0.0.0.1", ThisNetwork, ""},
	{"0.255.255.255", ThisNetwork, ""},
	{"1.0.0.0", Global, ""},
	{"9.255.255.255", Global, ""},
	{"10.0.0.0", Private, Global},
	{"10.255.255.255", Private, Global},
	{"11.0.0.0", Global, ""},
	{"100.63.255.255", Global, ""},
	{"100.64.0.0", Shared, Global},
	{"100.100.100.199", Shared, Global},
	{"100.100.100.200", Metadata, Metadata},
	{"100.100.100.201", Shared, Global},
	{"100.127.255.255", Shared, Global},
	{"100.128.0.0", Global, ""},
	{"126.255.255.255", Global, ""},
	{"127.0.0.0", Loopback, ""},
	{"127.0.0.1", Loopback, ""},
	{"127.255.255.255", Loopback, ""},
	{"128.0.0.0", Global, ""},
	{"168.63.129.15", Global, ""},
	{"168.63.129.16", Metadata, ""},
	{"168.63.129.17", Global, ""},
	{"169.253.255.255", Global, ""},
	{"169.254.0.0", LinkLocal, ""},
	{"169.254.0.23", Metadata, ""},
	{"169.254.42.42", Metadata, ""},
	{"169.254.169.253", LinkLocal, ""},
	{"169.254.169.254", Metadata, ""},
	{"169.254.169.255", LinkLocal, ""},
	{"169.254.170.2", Metadata, ""},
	{"169.254.170.23", Metadata, ""},
	{"169.254.255.255", LinkLocal, ""},
	{"169.255.0.0", Global, ""},
	{"172.15.255.255", Global, ""},
	{"172.16.0.0", Private, Global},
	{"172.31.255.255", Private, Global},
	{"172.32.0.0", Global, ""},
	{"191.255.255.255", Global, ""},
	{"192.0.0.0", Reserved, ""},
	{"192.0.0.8", Reserved, ""},
	{"192.0.0.9", Global, ""},
	{"192.0.0.10", Global, ""},
	{"192.0.0.11", Reserved, ""},
	{"192.0.0.192", Metadata, ""},
	{"192.0.0.255", Reserved, ""},
	{"192.0.1.0", Global, ""},
	{"192.0.1.255", Global, ""},
	{"192.0.2.0", Documentation, ""},
	{"192.0.2.255", Documentation, ""},
	{"192.0.3.0", Global, ""},
	{"192.88.98.255", Global, ""},
	{"192.88.99.0", Reserved, ""},
	{"192.88.99.255", Reserved, ""},
	{"192.88.100.0", Global, ""},
	{"192.167.255.255", Global, ""},
	{"192.168.0.0", Private, Global},
	{"192.168.255.255", Private, Global},
	{"192.169.0.0", Global, ""},
	{"198.17.255.255", Global, ""},
	{"198.18.0.0", Benchmarking, ""},
	{"198.19.255.255", Benchmarking, ""},
	{"198.20.0.0", Global, ""},
	{"198.51.99.255", Global, ""},
	{"198.51.100.0", Documentation, ""},
	{"198.51.100.255", Documentation, ""},
	{"198.51.101.0", Global, ""},
	{"203.0.112.255", Global, ""},
	{"203.0.113.0", Documentation, ""},
	{"203.0.113.255", Documentation, ""},
	{"203.0.114.0", Global, ""},
	{"223.255.255.255", Global, ""},
	{"224.0.0.0", Multicast, ""},
	{"239.255.255.255", Multicast, ""},
	{"240.0.0.0", Reserved, ""},
	{"255.255.255.254", Reserved, ""},
	{"255.255.255.255", Broadcast, ""},

	{"::", Unspecified, ""},
	{"::1", Loopback, ""},
	{"64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", Reserved, ""},
	{"64:ff9b:0:0:0:1::", Reserved, ""},
	{"64:ff9b:2::", Reserved, ""},
	{"ff:ffff::", Reserved, ""},
	{"100::", Reserved, ""},
	{"100:0:0:1::", Reserved, ""},
	{"100:0:0:2::", Reserved, ""},
	{"1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved, ""},
	{"2000::", Global, ""},
	{"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Global, ""},
	{"2001:1::", Reserved, ""},
	{"2001:1::1", Global, ""},
	{"2001:1::2", Global, ""},
	{"2001:1::3", Global, ""},
	{"2001:1::4", Reserved, ""},
	{"2001:2::", Benchmarking, ""},
	{"2001:2:0:ffff:ffff:ffff:ffff:ffff", Benchmarking, ""},
	{"2001:2:1::", Reserved, ""},
	{"2001:3::", Global, ""},
	{"2001:4:111:ffff:ffff:ffff:ffff:ffff", Reserved, ""},
	{"2001:4:112::", Global, ""},
	{"2001:4:113::", Reserved, ""},
	{"2001:10::", Reserved, ""},
	{"2001:1f:ffff::", Reserved, ""},
	{"2001:20::", Global, ""},
	{"2001:3f:ffff::", Global, ""},
	{"2001:40::", Reserved, ""},
	{"2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved, ""},
	{"2001:200::", Global, ""},
	{"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", Global, ""},
	{"2001:db8::", Documentation, ""},
	{"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Documentation, ""},
	{"2001:db9::", Global, ""},
	{"2003::", Global, ""},
	{"2606:4700::1111", Global, ""},
	{"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Global, ""},
	{"3fff::", Documentation, ""},
	{"3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Documentation, ""},
	{"3fff:1000::", Global, ""},
	{"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Global, ""},
	{"4000::", Reserved, ""},
	{"5f00::", Reserved, ""},
	{"fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved, ""},
	{"fc00::", Private, Global},
	{"fd00:ec1:ffff:ffff:ffff:ffff:ffff:ffff", Private, Global},
	{"fd00:ec2::", Metadata, ""},
	{"fd00:ec2::23", Metadata, ""},
	{"fd00:ec2::254", Metadata, ""},
	{"fd00:ec2:ffff:ffff:ffff:ffff:ffff:ffff", Metadata, ""},
	{"fd00:ec3::", Private, Global},
	{"fd20:ce::253", Private, Global},
	{"fd20:ce::254", Metadata, ""},
	{"fd20:ce::255", Private, Global},
	{"fd00:c1::a9fe:a9fe", Metadata, ""},
	{"fd00:42::42", Metadata, ""},
	{"fd00:a9fe:a9fe::1", Metadata, ""},
	{"fd00:100::100:200", Metadata, ""},
	{"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private, Global},
	{"fe00::", Reserved, ""},
	{"fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved, ""},
	{"fe80::", LinkLocal, ""},
	{"fe80::a9fe:a9fe", Metadata, ""},
	{"fe80::1%eth0", LinkLocal, ""},
	{"febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", LinkLocal, ""},
	{"fec0::", Reserved, ""},
	{"feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved, ""},
	{"ff00::", Multicast, ""},
	{"ff02::1%eth0", Multicast, ""},
	{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Multicast, ""},
}

func classOf(err error) Class {
	var f *Forbidden
	switch {
	case err == nil:
		return Global
	case errors.As(err, &f):
		return f.Class
	}
	return Class("not a *Forbidden: " + err.Error())
}

func TestCheckOnEveryEdge(t *testing.T) {
	public, intranet := mustPolicy(t, Public, nil, nil), mustPolicy(t, Intranet, nil, nil)
	laptop := mustPolicy(t, Laptop, nil, nil)
	for _, tt := range edges {
		addr := netip.MustParseAddr(tt.addr)
		if got := classOf(public.Check(addr)); got != tt.public {
			t.Errorf("public: %s is %q, want %q", addr, got, tt.public)
		}
		if got := classOf(Policy{}.Check(addr)); got != tt.public {
			t.Errorf("the zero policy: %s is %q, want %q as for public", addr, got, tt.public)
		}
		want := tt.intranet
		if want == "" {
			want = tt.public
		}
		if got := classOf(intranet.Check(addr)); got != want {
			t.Errorf("intranet: %s is %q, want %q", addr, got, want)
		}
		if err := laptop.Check(addr); err != nil {
			t.Errorf("laptop: %s: %v", addr, err)
		}
	}
}

// carriers are the ways to write an IPv4 address inside an IPv6 one.
var carriers = []struct {
	name string
	// alone: the carrier is refused whatever it carries.
	alone bool
	// padded: there are other ways to read the carrier, and 0.0.0.0/8 is taken for their padding.
	padded bool
	write  func(v4 [4]byte) netip.Addr
}{
	{"mapped", false, false, func(v [4]byte) netip.Addr { return netip.AddrFrom16(netip.AddrFrom4(v).As16()) }},
	{"mapped with zone", false, false, func(v [4]byte) netip.Addr {
		return netip.AddrFrom16(netip.AddrFrom4(v).As16()).WithZone("eth0")
	}},
	{"compatible", true, false, func(v [4]byte) netip.Addr { return within("::", 12, v) }},
	{"translated", true, false, func(v [4]byte) netip.Addr { return within("::ffff:0:0:0", 12, v) }},
	{"6to4", false, false, func(v [4]byte) netip.Addr { return within("2002::1", 2, v) }},
	{"6to4 with zone", false, false, func(v [4]byte) netip.Addr { return within("2002::1", 2, v).WithZone("x") }},
	{"Teredo server", false, false, func(v [4]byte) netip.Addr { return within("2001:0:0:0:0:0:f7f7:f7f7", 4, v) }},
	{"Teredo client", false, false, func(v [4]byte) netip.Addr {
		return within("2001:0:808:808::", 12, [4]byte{^v[0], ^v[1], ^v[2], ^v[3]})
	}},
	{"NAT64", false, false, func(v [4]byte) netip.Addr { return within("64:ff9b::", 12, v) }},
	{"local NAT64 /96", false, false, func(v [4]byte) netip.Addr { return within("64:ff9b:1::", 12, v) }},
	{"local NAT64 /64", false, true, func(v [4]byte) netip.Addr { return within("64:ff9b:1::", 9, v) }},
	{"local NAT64 /56", false, true, func(v [4]byte) netip.Addr {
		return within(within("64:ff9b:1::", 7, [4]byte{v[0]}).String(), 9, [4]byte{v[1], v[2], v[3]})
	}},
	{"local NAT64 /48", false, true, func(v [4]byte) netip.Addr {
		return within(within("64:ff9b:1::", 6, [4]byte{v[0], v[1]}).String(), 9, [4]byte{v[2], v[3]})
	}},
	{"ISATAP", false, false, func(v [4]byte) netip.Addr { return within("2606:4700::5efe:0:0", 12, v) }},
	{"ISATAP, universal bit", false, false, func(v [4]byte) netip.Addr { return within("2606:4700::200:5efe:0:0", 12, v) }},
}

// within writes an IPv4 address into an IPv6 one at a byte.
func within(base string, at int, v4 [4]byte) netip.Addr {
	b := netip.MustParseAddr(base).As16()
	copy(b[at:], v4[:])
	return netip.AddrFrom16(b)
}

func TestCheckJudgesCarriedIPv4(t *testing.T) {
	public, intranet := mustPolicy(t, Public, nil, nil), mustPolicy(t, Intranet, nil, nil)
	for _, tt := range edges {
		v4 := netip.MustParseAddr(tt.addr)
		if !v4.Is4() {
			continue
		}
		for _, c := range carriers {
			if c.padded && v4.As4()[0] == 0 {
				continue
			}
			addr := c.write(v4.As4())
			if tt.public != Global && public.Check(addr) == nil {
				t.Errorf("public lets %s through, which is %s as %s", addr, v4, c.name)
			}
			if intranet.Check(v4) != nil && intranet.Check(addr) == nil {
				t.Errorf("intranet lets %s through, which is %s as %s", addr, v4, c.name)
			}
		}
	}
	// And what carries a global address is not refused for the way it is written.
	for _, c := range carriers {
		addr := c.write([4]byte{8, 8, 4, 4})
		if err := public.Check(addr); (err != nil) != c.alone {
			t.Errorf("8.8.4.4 as %s (%s): %v", c.name, addr, err)
		}
	}
}

func TestAllowAndDeny(t *testing.T) {
	tests := []struct {
		name        string
		policy      string
		allow, deny []string
		addr        string
		want        Class
	}{
		{"allow adds", Public, []string{"10.1.0.0/16"}, nil, "10.1.255.255", Global},
		{"allow ends at its edge", Public, []string{"10.1.0.0/16"}, nil, "10.2.0.0", Private},
		{"allow drops host bits", Public, []string{"10.1.2.3/16"}, nil, "10.1.0.0", Global},
		{"a single address", Public, []string{"127.0.0.1"}, nil, "127.0.0.1", Global},
		{"a single address has neighbours", Public, []string{"127.0.0.1"}, nil, "127.0.0.2", Loopback},
		{"several in one entry", Public, []string{" 10.0.0.0/8, ::1\tfc00::/7 "}, nil, "::1", Global},
		{"allow means the mapped spelling too", Public, []string{"10.0.0.0/8"}, nil, "::ffff:10.0.0.1", Global},
		{"a mapped range is its IPv4 range", Public, []string{"::ffff:10.0.0.0/104"}, nil, "10.0.0.1", Global},
		{"allow means the carried spelling too", Public, []string{"10.0.0.0/8"}, nil, "64:ff9b::10.0.0.1", Global},
		{"a wide IPv6 range does not open what is carried", Public, []string{"::/0"}, nil, "2002:7f00:1::1", Loopback},
		{"nor does a scheme's prefix", Public, []string{"64:ff9b::/96"}, nil, "64:ff9b::169.254.169.254", Metadata},
		{"the exact carrier does", Public, []string{"2002:7f00:1::/48"}, nil, "2002:7f00:1::1", Global},
		{"a wide range does not open metadata", Public, []string{"169.254.0.0/16"}, nil, "169.254.169.254", Metadata},
		{"nor on an intranet", Intranet, []string{"fc00::/7"}, nil, "fd00:ec2::254", Metadata},
		{"an entry of its own does", Public, []string{"169.254.169.254/32"}, nil, "169.254.169.254", Global},
		{"link-local can be allowed", Public, []string{"169.254.0.0/16"}, nil, "169.254.1.1", Global},
		{"deny on laptop", Laptop, nil, []string{"10.0.0.0/8"}, "10.0.0.1", Denied},
		{"deny wins over allow", Public, []string{"10.0.0.1/32"}, []string{"10.0.0.0/8"}, "10.0.0.1", Denied},
		{"deny wins over global", Public, nil, []string{"8.8.8.0/24"}, "8.8.8.8", Denied},
		{"deny ends at its edge", Public, nil, []string{"8.8.8.0/24"}, "8.8.9.0", Global},
		{"deny in the mapped spelling", Laptop, nil, []string{"10.0.0.0/8"}, "::ffff:a00:1", Denied},
		{"deny in 6to4", Laptop, nil, []string{"10.0.0.0/8"}, "2002:a00:1::", Denied},
		{"deny wins over the allowed carrier", Public, []string{"2002:a00:1::/48"}, []string{"10.0.0.0/8"}, "2002:a00:1::", Denied},
		{"deny of all IPv6 holds the mapped spelling", Laptop, nil, []string{"::/0"}, "::ffff:8.8.8.8", Denied},
		{"deny of all IPv6 leaves IPv4", Laptop, nil, []string{"::/0"}, "8.8.8.8", Global},
		{"deny ignores zones", Laptop, nil, []string{"fe80::/10"}, "fe80::1%eth0", Denied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustPolicy(t, tt.policy, tt.allow, tt.deny)
			if got := classOf(p.Check(netip.MustParseAddr(tt.addr))); got != tt.want {
				t.Errorf("%s is %q, want %q", tt.addr, got, tt.want)
			}
		})
	}
}

func TestParsePolicyRefuses(t *testing.T) {
	tests := []struct {
		name        string
		allow, deny []string
		mentions    string
	}{
		{"", nil, nil, FlagPolicy},
		{"private", nil, nil, FlagPolicy},
		{Public, []string{"10.0.0.0/33"}, nil, FlagAllow},
		{Public, []string{"10.0.0"}, nil, FlagAllow},
		{Public, []string{"example.com"}, nil, FlagAllow},
		{Public, nil, []string{"fe80::1%eth0"}, FlagDeny},
		{Public, nil, []string{"10.0.0.0/8;11.0.0.0/8"}, FlagDeny},
	}
	for _, tt := range tests {
		_, err := ParsePolicy(tt.name, tt.allow, tt.deny)
		if err == nil || !strings.Contains(err.Error(), tt.mentions) {
			t.Errorf("ParsePolicy(%q, %q, %q): %v, want an error that mentions %s", tt.name, tt.allow, tt.deny, err, tt.mentions)
		}
	}
	if p, err := ParsePolicy(" Intranet ", []string{"", " , "}, nil); err != nil || p.Name != Intranet || len(p.Allow) != 0 {
		t.Errorf("a name in capitals and empty entries: %+v, %v", p, err)
	}
}

// TestForbiddenHelps follows the advice of each refusal and must get through.
func TestForbiddenHelps(t *testing.T) {
	tests := []struct {
		policy string
		deny   []string
		addr   string
		flag   string
		says   []string
	}{
		{Public, nil, "10.1.2.3", FlagPolicy, []string{"private", `"public"`, "--policy intranet (MQTTDOCTOR_POLICY)", "--allow-cidr 10.1.2.3/32 (MQTTDOCTOR_ALLOW_CIDR)"}},
		{Public, nil, "127.0.0.1", FlagAllow, []string{"loopback", "127.0.0.0/8", "--allow-cidr 127.0.0.1/32"}},
		{Intranet, nil, "fd00:ec2::254", FlagAllow, []string{"cloud metadata", `"intranet"`, "--allow-cidr fd00:ec2::254/128"}},
		{Public, nil, "2002:a00:1::1", FlagPolicy, []string{"which carries 10.0.0.1", "--policy intranet"}},
		{Public, nil, "::ffff:127.0.0.1", FlagAllow, []string{"127.0.0.1/32"}},
		{Public, nil, "::127.0.0.1", FlagAllow, []string{"which carries 127.0.0.1", "loopback"}},
		{Laptop, []string{"8.0.0.0/8"}, "8.8.8.8", FlagDeny, []string{"8.0.0.0/8", "--deny-cidr (MQTTDOCTOR_DENY_CIDR)"}},
	}
	for _, tt := range tests {
		p, addr := mustPolicy(t, tt.policy, nil, tt.deny), netip.MustParseAddr(tt.addr)
		err := p.Check(addr)
		var f *Forbidden
		if !errors.As(err, &f) || f.Flag != tt.flag || f.Policy != tt.policy {
			t.Errorf("%s: %#v, want flag %s", tt.addr, err, tt.flag)
			continue
		}
		for _, says := range append(tt.says, "policy") {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %q does not say %q", tt.addr, err, says)
			}
		}
		changed := p
		switch f.Flag {
		case FlagPolicy:
			changed.Name = Intranet
		case FlagAllow:
			changed.Allow = []netip.Prefix{netip.PrefixFrom(f.Addr, f.Addr.BitLen())}
		case FlagDeny:
			changed.Deny = nil
		}
		if err := changed.Check(addr); err != nil {
			t.Errorf("%s: %s was changed as advised, and still: %v", tt.addr, f.Flag, err)
		}
	}
	if err := mustPolicy(t, Laptop, nil, nil).Check(netip.Addr{}); classOf(err) != Invalid {
		t.Errorf("no address at all: %v", err)
	}
}

func TestCheckHostPort(t *testing.T) {
	p := mustPolicy(t, Public, nil, nil)
	for target, want := range map[string]Class{
		"127.0.0.1:1883": Loopback, "127.0.0.1": Loopback, "[::1]:1883": Loopback, "[::1]": Loopback, "::1": Loopback,
		"localhost": Loopback, "LOCALHOST.:1883": Loopback, "a.localhost:1": Loopback, ":1883": Unspecified, "": Unspecified,
		"[fe80::1%eth0]:1": LinkLocal, "8.8.8.8:1883": Global, "broker.example.com:1883": Global, "notlocalhost:1": Global,
	} {
		if got := classOf(p.CheckHostPort(target)); got != want {
			t.Errorf("%q is %q, want %q", target, got, want)
		}
	}
}

// plainly says, by arithmetic that shares nothing with the tables, whether an IPv4 address is one that public must refuse.
func plainly(v4 [4]byte) bool {
	n := binary.BigEndian.Uint32(v4[:])
	block := func(a, b, c byte, bits int) bool {
		return n>>(32-bits) == (uint32(a)<<24|uint32(b)<<16|uint32(c)<<8)>>(32-bits)
	}
	return n>>24 == 0 || n>>24 == 10 || n>>24 == 127 || block(100, 64, 0, 10) || block(169, 254, 0, 16) || block(172, 16, 0, 12) ||
		block(192, 168, 0, 16) || block(192, 0, 2, 24) || block(198, 18, 0, 15) || block(198, 51, 100, 24) || block(203, 0, 113, 24) ||
		n>>28 >= 14 || n == 0xa83f8110 || (block(192, 0, 0, 24) && n&0xff != 9 && n&0xff != 10)
}

// FuzzPublicRefusesEverySpelling: no text that netip takes for an address passes the public policy while an IPv4 address
// in it is forbidden, and every way of writing a forbidden IPv4 address is refused.
func FuzzPublicRefusesEverySpelling(f *testing.F) {
	for _, tt := range edges {
		f.Add(tt.addr)
		if v4 := netip.MustParseAddr(tt.addr); v4.Is4() {
			for _, c := range carriers {
				f.Add(c.write(v4.As4()).String())
			}
		}
	}
	public := mustPolicy(f, Public, nil, nil)
	f.Fuzz(func(t *testing.T, text string) {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			t.Skip()
		}
		verdict := public.Check(addr)
		if verdict != nil {
			var forbidden *Forbidden
			if !errors.As(verdict, &forbidden) || forbidden.Flag == "" || !strings.Contains(verdict.Error(), forbidden.Flag) {
				t.Fatalf("%q: the refusal names no flag: %v", text, verdict)
			}
		}
		b := addr.As16() // of an IPv4 address: its mapped form
		quad := func(i int) [4]byte { return [4]byte(b[i : i+4]) }
		prefix := fmt.Sprintf("%x", b)
		var inside [][4]byte
		switch {
		case strings.HasPrefix(prefix, "00000000000000000000ffff"), strings.HasPrefix(prefix, "0064ff9b0000000000000000"),
			strings.HasPrefix(prefix, "000000000000000000000000"), strings.HasPrefix(prefix, "0000000000000000ffff0000"):
			inside = append(inside, quad(12))
		case strings.HasPrefix(prefix, "2002"):
			inside = append(inside, quad(2))
		case strings.HasPrefix(prefix, "20010000"):
			c := quad(12)
			inside = append(inside, quad(4), [4]byte{^c[0], ^c[1], ^c[2], ^c[3]})
		}
		if host := prefix[16:24]; host == "00005efe" || host == "02005efe" {
			inside = append(inside, quad(12))
		}
		for _, v4 := range inside {
			if plainly(v4) && verdict == nil {
				t.Fatalf("%q passes, though it reaches %v", text, v4)
			}
		}
		if v4 := quad(12); plainly(v4) {
			for _, c := range carriers {
				if public.Check(c.write(v4)) == nil && !(c.padded && v4[0] == 0) {
					t.Fatalf("%s passes, which is %v as %s", c.write(v4), v4, c.name)
				}
			}
		}
	})
}
