package probe

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"mqttdoctor/diag"
)

// FuzzDNSReply reads any datagram as the answer of a resolver and of a machine on the link.
func FuzzDNSReply(f *testing.F) {
	query := new(dns.Msg)
	query.SetQuestion("broker.local.", dns.TypeA)
	for _, records := range [][]string{
		{"broker.local. 60 IN A 192.0.2.1"},
		{"broker.local. 60 IN AAAA fe80::1", "broker.local. 0 IN AAAA 2001:db8::1"},
		{"broker.local. 60 IN CNAME a.example.", "a.example. 60 IN CNAME broker.local."},
		{},
	} {
		reply := new(dns.Msg)
		reply.SetReply(query)
		for _, r := range records {
			rr, err := dns.NewRR(r)
			if err != nil {
				f.Fatal(err)
			}
			reply.Answer = append(reply.Answer, rr)
		}
		packed, err := reply.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
		f.Add(packed[:len(packed)/2])
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		o := &diag.DNSAnswer{Name: "broker.local"}
		takeMDNS(o, packet)
		reply := new(dns.Msg)
		if reply.Unpack(packet) == nil && len(reply.Question) == 1 { // what readReply lets through
			mergeReply(o, reply)
		}
		if len(o.CNAMEs) > maxCNAMEs {
			t.Errorf("%d aliases", len(o.CNAMEs))
		}
		for _, a := range o.Addresses() {
			if _, err := netip.ParseAddr(a); err != nil {
				t.Errorf("%q is no address", a)
			}
		}
		o.Facts()
	})
}
