package diagtest

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// DNSPeer is a DNS server on one port of loopback, over UDP and TCP.
type DNSPeer struct {
	Addr string // host:port

	mu      sync.Mutex
	queries []string
}

// Queries lists what was asked so far, as "A broker.test." and, over TCP, "A broker.test. tcp".
func (p *DNSPeer) Queries() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.queries)
}

// DNSHandler makes the answer to a query of one question; nil stands for silence.
type DNSHandler func(query *dns.Msg) *dns.Msg

// DNSServer starts a DNS server that answers by handle.
func DNSServer(t testing.TB, handle DNSHandler, options ...PeerOption) *DNSPeer {
	t.Helper()
	config := peerConfig{addr: "127.0.0.1:0"}
	for _, option := range options {
		option(&config)
	}
	p := &DNSPeer{}
	udp, tcp := listenBoth(t, config.addr)
	p.Addr = udp.LocalAddr().String()
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		transport := w.LocalAddr().Network()
		p.mu.Lock()
		for _, question := range query.Question {
			line := dns.TypeToString[question.Qtype] + " " + question.Name
			if transport == "tcp" {
				line += " tcp"
			}
			p.queries = append(p.queries, line)
		}
		p.mu.Unlock()
		answer := handle(query)
		if answer == nil {
			return
		}
		if answer.Truncated && transport == "tcp" {
			answer.Truncated = false
		} else if answer.Truncated {
			answer.Answer = nil
		}
		w.WriteMsg(answer)
	})
	var group sync.WaitGroup
	t.Cleanup(group.Wait) // registered before the shutdowns, so run after them
	for _, server := range []*dns.Server{{PacketConn: udp, Handler: handler}, {Listener: tcp, Handler: handler}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		group.Go(func() { server.ActivateAndServe() })
		<-started
		t.Cleanup(func() { server.Shutdown() })
	}
	return p
}

// listenBoth opens one port for UDP and TCP.
func listenBoth(t testing.TB, addr string) (net.PacketConn, net.Listener) {
	t.Helper()
	var err error
	for range 20 { // the port that UDP got may be taken for TCP
		var udp net.PacketConn
		var tcp net.Listener
		if udp, err = net.ListenPacket("udp", addr); err != nil {
			break
		}
		if tcp, err = net.Listen("tcp", udp.LocalAddr().String()); err == nil {
			return udp, tcp
		}
		udp.Close()
	}
	t.Fatal(err)
	return nil, nil
}

// DNSRcode answers every query with a response code such as [dns.RcodeServerFailure] or [dns.RcodeRefused].
func DNSRcode(rcode int) DNSHandler {
	return func(query *dns.Msg) *dns.Msg {
		answer := new(dns.Msg).SetRcode(query, rcode)
		if rcode == dns.RcodeNameError {
			answer.Ns = []dns.RR{soa(query)}
		}
		return answer
	}
}

// NXDomain says of every name that it does not exist.
func NXDomain(query *dns.Msg) *dns.Msg { return DNSRcode(dns.RcodeNameError)(query) }

// NoData says of every name that it exists and has no record of the type asked for (RFC 2308 2.2).
func NoData(query *dns.Msg) *dns.Msg {
	answer := new(dns.Msg).SetReply(query)
	answer.Ns = []dns.RR{soa(query)}
	return answer
}

// ServFail and DNSRefused answer with these response codes.
func ServFail(query *dns.Msg) *dns.Msg   { return DNSRcode(dns.RcodeServerFailure)(query) }
func DNSRefused(query *dns.Msg) *dns.Msg { return DNSRcode(dns.RcodeRefused)(query) }

// DNSSilent answers nothing.
func DNSSilent(*dns.Msg) *dns.Msg { return nil }

// DNSRecords answers from a table. A name without a final dot has the values that are its IPv4 and IPv6 addresses, or
// "CNAME other.name", which is followed inside the table. Names that are not there do not exist; a name with an empty
// list has no data. The time to live is 60 s.
func DNSRecords(records map[string][]string) DNSHandler {
	return func(query *dns.Msg) *dns.Msg {
		answer := new(dns.Msg).SetReply(query)
		question := query.Question[0]
		name := question.Name
		for range 16 { // longer chains are loops
			values, exists := records[strings.ToLower(strings.TrimSuffix(name, "."))]
			if !exists {
				answer.Rcode = dns.RcodeNameError
				break
			}
			next := ""
			for _, value := range values {
				if target, isAlias := strings.CutPrefix(value, "CNAME "); isAlias {
					next = dns.Fqdn(target)
					answer.Answer = append(answer.Answer, &dns.CNAME{Hdr: rrHeader(name, dns.TypeCNAME), Target: next})
				} else if rr := addressRecord(name, value, question.Qtype); rr != nil {
					answer.Answer = append(answer.Answer, rr)
				}
			}
			if next == "" || question.Qtype == dns.TypeCNAME {
				break
			}
			name = next
		}
		if len(answer.Answer) == 0 || answer.Rcode != dns.RcodeSuccess {
			answer.Ns = []dns.RR{soa(query)}
		}
		return answer
	}
}

// DNSTruncated answers over UDP with the TC bit and no records, so that the client must ask again over TCP, where it
// gets what handle says.
func DNSTruncated(handle DNSHandler) DNSHandler {
	return func(query *dns.Msg) *dns.Msg {
		answer := handle(query)
		if answer != nil {
			answer.Truncated = true
		}
		return answer
	}
}

// DNSByType answers queries for one record type, such as [dns.TypeAAAA], in one way and all others in another: a
// resolver that is broken for one family.
func DNSByType(qtype uint16, such, others DNSHandler) DNSHandler {
	return func(query *dns.Msg) *dns.Msg {
		if query.Question[0].Qtype == qtype {
			return such(query)
		}
		return others(query)
	}
}

// addressRecord is the A or AAAA record of a value, nil where the type asked for is another.
func addressRecord(name, value string, qtype uint16) dns.RR {
	addr := netip.MustParseAddr(value) // a wrong table is a wrong test
	switch {
	case addr.Is4() && qtype == dns.TypeA:
		return &dns.A{Hdr: rrHeader(name, dns.TypeA), A: addr.AsSlice()}
	case addr.Is6() && qtype == dns.TypeAAAA:
		return &dns.AAAA{Hdr: rrHeader(name, dns.TypeAAAA), AAAA: addr.AsSlice()}
	}
	return nil
}

func rrHeader(name string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: 60}
}

// soa is the record that a negative answer carries (RFC 2308 2).
func soa(query *dns.Msg) dns.RR {
	zone := query.Question[0].Name
	if labels := dns.SplitDomainName(zone); len(labels) > 0 {
		zone = dns.Fqdn(labels[len(labels)-1])
	}
	return &dns.SOA{Hdr: rrHeader(zone, dns.TypeSOA), Ns: "ns." + strings.TrimPrefix(zone, "."), Mbox: "hostmaster.invalid.",
		Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 60}
}
