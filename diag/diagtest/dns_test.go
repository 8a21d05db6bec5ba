package diagtest

import (
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestDNSServers(t *testing.T) {
	records := DNSRecords(map[string][]string{
		"broker.test": {"127.0.0.1", "::1"}, "alias.test": {"CNAME broker.test"}, "bare.test": {}, "broken.test": {"CNAME gone.test"}})
	for _, test := range []struct {
		name    string
		handle  DNSHandler
		ask     string
		qtype   uint16
		rcode   int
		answers int
	}{
		{"A", records, "broker.test.", dns.TypeA, dns.RcodeSuccess, 1},
		{"AAAA", records, "Broker.TEST.", dns.TypeAAAA, dns.RcodeSuccess, 1},
		{"alias", records, "alias.test.", dns.TypeA, dns.RcodeSuccess, 2},
		{"alias to nothing", records, "broken.test.", dns.TypeA, dns.RcodeNameError, 1},
		{"no data", records, "bare.test.", dns.TypeA, dns.RcodeSuccess, 0},
		{"no such name", records, "x.test.", dns.TypeA, dns.RcodeNameError, 0},
		{"NXDOMAIN", NXDomain, "broker.test.", dns.TypeA, dns.RcodeNameError, 0},
		{"NODATA", NoData, "broker.test.", dns.TypeA, dns.RcodeSuccess, 0},
		{"SERVFAIL", ServFail, "broker.test.", dns.TypeA, dns.RcodeServerFailure, 0},
		{"REFUSED", DNSRefused, "broker.test.", dns.TypeA, dns.RcodeRefused, 0},
		{"by type, such", DNSByType(dns.TypeAAAA, ServFail, records), "broker.test.", dns.TypeAAAA, dns.RcodeServerFailure, 0},
		{"by type, other", DNSByType(dns.TypeAAAA, ServFail, records), "broker.test.", dns.TypeA, dns.RcodeSuccess, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := DNSServer(t, test.handle)
			for _, network := range []string{"udp", "tcp"} {
				client := &dns.Client{Net: network, Timeout: startLimit}
				answer, _, err := client.Exchange(new(dns.Msg).SetQuestion(test.ask, test.qtype), p.Addr)
				if err != nil {
					t.Fatal(err)
				}
				if answer.Rcode != test.rcode || len(answer.Answer) != test.answers {
					t.Errorf("%s: %v", network, answer)
				}
				if test.answers == 0 && test.rcode < dns.RcodeServerFailure && len(answer.Ns) == 0 {
					t.Errorf("%s: a negative answer without SOA", network)
				}
			}
			if got := p.Queries(); len(got) != 2 || got[1] != got[0]+" tcp" {
				t.Errorf("queries: %q", got)
			}
		})
	}
	silent := DNSServer(t, DNSSilent)
	if _, _, err := (&dns.Client{Timeout: 100 * time.Millisecond}).Exchange(new(dns.Msg).SetQuestion("a.", dns.TypeA), silent.Addr); err == nil {
		t.Error("the silent server answered")
	}
	truncated := DNSServer(t, DNSTruncated(records))
	answer, _, err := (&dns.Client{Timeout: startLimit}).Exchange(new(dns.Msg).SetQuestion("broker.test.", dns.TypeA), truncated.Addr)
	if err != nil || !answer.Truncated || len(answer.Answer) != 0 {
		t.Errorf("truncated over UDP: %v %v", answer, err)
	}
	answer, _, err = (&dns.Client{Net: "tcp", Timeout: startLimit}).Exchange(new(dns.Msg).SetQuestion("broker.test.", dns.TypeA), truncated.Addr)
	if err != nil || answer.Truncated || len(answer.Answer) != 1 {
		t.Errorf("truncated over TCP: %v %v", answer, err)
	}
}
