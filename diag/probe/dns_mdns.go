package probe

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"

	"mqttdoctor/diag"
	"mqttdoctor/diag/patience"
)

// mdnsGroup is where multicast DNS is asked (RFC 6762 3), and mdnsWait how long responders may take: 120 ms by design
// (RFC 6762 6), more on a radio that sleeps.
const (
	mdnsGroup = "224.0.0.251:5353"
	mdnsWait  = 800 * time.Millisecond
)

// askMDNS asks the machines of this network for a name in .local, by a one-shot query that they answer to this socket alone
// (RFC 6762 5.1). It is nil where the policy or the system does not let it, which is nothing to report.
func askMDNS(ctx context.Context, env *diag.Env, name string) *diag.DNSAnswer {
	group, err := net.ResolveUDPAddr("udp4", mdnsGroup)
	if err != nil || env.Allowed(mdnsGroup) != nil {
		return nil
	}
	conn, err := net.ListenPacket("udp4", ":0")
	if err != nil {
		return nil
	}
	defer conn.Close()
	begun := time.Now()
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		query := new(dns.Msg)
		query.SetQuestion(dns.Fqdn(name), kind)
		query.RecursionDesired = false
		if packed, err := query.Pack(); err == nil {
			if _, err := conn.WriteTo(packed, group); err != nil {
				return nil // no network that could carry it
			}
		}
	}
	o := &diag.DNSAnswer{Name: name, Resolver: "mdns", Outcome: diag.OutcomeSilent}
	ctx, cancel := patience.WithTimeout(ctx, mdnsWait)
	defer cancel()
	giveUp := func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }
	stop := context.AfterFunc(ctx, giveUp)
	defer stop()
	buf := make([]byte, 9000) // RFC 6762 17
	for range 2 * maxStray {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			break
		}
		takeMDNS(o, buf[:n])
		if len(o.A) > 0 && len(o.AAAA) > 0 {
			break
		}
		if len(o.Addresses()) > 0 { // the other family comes beside it or not at all
			late, _ := patience.WithTimeout(ctx, 100*time.Millisecond) // it ends with ctx, if not before
			defer context.AfterFunc(late, giveUp)()
		}
	}
	o.Took = time.Since(begun)
	return o
}

// takeMDNS takes from a datagram what it says of the name.
func takeMDNS(o *diag.DNSAnswer, packet []byte) {
	reply := new(dns.Msg)
	if reply.Unpack(packet) != nil || !reply.Response {
		return
	}
	for _, rr := range reply.Answer {
		if !strings.EqualFold(rr.Header().Name, dns.Fqdn(o.Name)) {
			continue
		}
		switch rr := rr.(type) {
		case *dns.A:
			addAddress(&o.A, rr.A)
		case *dns.AAAA:
			// A link-local address is of no use without its interface.
			if !rr.AAAA.IsLinkLocalUnicast() {
				addAddress(&o.AAAA, rr.AAAA)
			}
		}
	}
	if len(o.Addresses()) > 0 {
		o.RCode, o.Outcome = "NOERROR", diag.OutcomeOK
	}
}
