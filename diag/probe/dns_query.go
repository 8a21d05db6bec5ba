package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"mqttdoctor/diag"
	"mqttdoctor/diag/errno"
	"mqttdoctor/diag/patience"
)

// Bounds of DNS exchanges.
const (
	maxCNAMEs     = 16
	maxAddresses  = 16
	udpBufferSize = 1232 // the size that DNS flag day 2020 settled on: it survives without fragments
	// retransmitAfter is when a query is sent again: one lost datagram must not look like a dead resolver.
	retransmitAfter = time.Second
	// otherFamily is how much longer the other address family may take.
	otherFamily = retransmitAfter + 200*time.Millisecond
)

var errBadReply = errors.New("the reply does not answer the question")

// askResolver asks one server for both address families of a name. Where it gives an alias and not what that leads to, as a
// server does that is no resolver, the alias is followed.
func askResolver(ctx context.Context, dial diag.DialFunc, server, name string) *diag.DNSAnswer {
	o := askFamilies(ctx, dial, server, name)
	followed := o
	for len(followed.CNAMEs) > 0 && followed.RCode == "NOERROR" && len(followed.Addresses()) == 0 && len(o.CNAMEs) < maxCNAMEs {
		end := followed.CNAMEs[len(followed.CNAMEs)-1]
		if slices.Contains(append([]string{o.Name}, o.CNAMEs[:len(o.CNAMEs)-1]...), end) {
			break // it leads back to itself
		}
		if followed = askFamilies(ctx, dial, server, end); followed.RCode == "" {
			break
		}
		o.A, o.AAAA, o.CNAMEs = followed.A, followed.AAAA, append(o.CNAMEs, followed.CNAMEs...)
		if o.TTL == nil || followed.TTL != nil && *followed.TTL < *o.TTL {
			o.TTL = followed.TTL
		}
		if followed.RCode != "NOERROR" {
			o.ChainRCode = followed.RCode
		}
		o.Took += followed.Took
	}
	return o
}

// askFamilies asks for both families side by side, and joins the answers.
func askFamilies(ctx context.Context, dial diag.DialFunc, server, name string) *diag.DNSAnswer {
	o := &diag.DNSAnswer{Name: name, Resolver: server}
	begun := time.Now()
	kinds := []uint16{dns.TypeA, dns.TypeAAAA}
	replies, errs := make([]*dns.Msg, len(kinds)), make([]error, len(kinds))
	var asking sync.WaitGroup
	// A server that answers for one family and never for the other, as some home routers do, is not waited for longer than
	// one lost datagram explains.
	patient, cancel := context.WithCancel(ctx)
	defer cancel()
	for i, kind := range kinds {
		asking.Go(func() {
			replies[i], errs[i] = queryOnce(patient, dial, server, name, kind)
			if replies[i] != nil && len(replies[i].Answer) > 0 {
				late, _ := patience.WithTimeout(patient, otherFamily) // it ends with patient, if not before
				context.AfterFunc(late, cancel)
			}
		})
	}
	asking.Wait()
	o.Took = time.Since(begun)
	for _, reply := range replies {
		if reply != nil {
			mergeReply(o, reply)
		}
	}
	if o.RCode == "NOERROR" && len(o.Addresses()) == 0 && len(o.CNAMEs) == 0 {
		// That there is no IPv6 address says nothing of IPv4, for which the server failed or stayed silent.
		switch four := replies[0]; {
		case four == nil:
			o.RCode = ""
		case four.Rcode != dns.RcodeSuccess && four.Rcode != dns.RcodeNameError:
			o.RCode, o.Outcome = dns.RcodeToString[four.Rcode], diag.OutcomeRefused
		}
	}
	if o.RCode == "" {
		err := errors.Join(errs...)
		o.Outcome, o.Error = outcomeOf(errs[0]), printable(err.Error(), 200)
		switch {
		case errors.Is(err, errBadReply):
			o.Outcome = diag.OutcomeMalformed
		case errors.Is(err, errCut):
			o.Outcome, o.Cut = diag.OutcomeSilent, true
		case errno.Is(err, syscall.ECONNREFUSED):
			o.Outcome = diag.OutcomeRefused
		case errno.Is(err, syscall.EHOSTUNREACH): // a router or a firewall said so, or nobody answered in the own subnet
			o.Outcome = diag.OutcomeICMP
		case errno.Is(err, syscall.ENETUNREACH, syscall.ENETDOWN):
			o.Outcome = diag.OutcomeUnreachable
		}
	}
	return o
}

// mergeReply takes the answer for one family. A family that is missing is no error where the other is there.
func mergeReply(o *diag.DNSAnswer, reply *dns.Msg) {
	rcode := dns.RcodeToString[reply.Rcode]
	if o.RCode == "" || (o.RCode != "NOERROR" && rcode == "NOERROR") {
		o.RCode = rcode
	}
	o.Outcome = diag.OutcomeOK
	if o.RCode != "NOERROR" {
		o.Outcome = diag.OutcomeRefused
	}
	next := dns.CanonicalName(reply.Question[0].Name)
	aliases, owners := map[string]string{}, map[string]bool{next: true}
	for _, rr := range reply.Answer {
		if ttl := rr.Header().Ttl; o.TTL == nil || ttl < *o.TTL {
			o.TTL = &ttl
		}
		if rr, ok := rr.(*dns.CNAME); ok {
			aliases[dns.CanonicalName(rr.Hdr.Name)] = dns.CanonicalName(rr.Target)
		}
	}
	var chain []string
	for range maxCNAMEs { // an alias that leads back to itself ends here
		to, ok := aliases[next]
		if !ok {
			break
		}
		chain, next = append(chain, strings.TrimSuffix(to, ".")), to
		owners[to] = true
	}
	for _, rr := range reply.Answer { // another name's addresses are none of this one's
		switch rr := rr.(type) {
		case *dns.A:
			if owners[dns.CanonicalName(rr.Hdr.Name)] {
				addAddress(&o.A, rr.A)
			}
		case *dns.AAAA:
			if owners[dns.CanonicalName(rr.Hdr.Name)] {
				addAddress(&o.AAAA, rr.AAAA)
			}
		}
	}
	if len(chain) > len(o.CNAMEs) {
		o.CNAMEs = chain
	}
	if len(chain) > 0 && reply.Rcode != dns.RcodeSuccess {
		o.ChainRCode = rcode
	}
}

// addAddress adds what is an address and not there yet: a record may come without its data.
func addAddress(list *[]string, ip net.IP) {
	if a := ip.String(); (len(ip) == net.IPv4len || len(ip) == net.IPv6len) && !slices.Contains(*list, a) {
		*list = append(*list, a)
	}
}

// errCut tells an answer that does not fit into a datagram and cannot be had otherwise.
var errCut = errors.New("the answer came cut short, and over TCP there is none")

// queryOnce asks one question: over UDP, once more after a second, and over TCP where the answer was cut (RFC 7766 5).
func queryOnce(ctx context.Context, dial diag.DialFunc, server, name string, kind uint16) (*dns.Msg, error) {
	query := new(dns.Msg)
	query.SetQuestion(dns.Fqdn(name), kind)
	query.SetEdns0(udpBufferSize, false)
	reply, err := queryOver(ctx, dial, "udp", server, query)
	if err == nil && reply.IsEdns0() == nil && query.IsEdns0() != nil && mindsEDNS(reply.Rcode) {
		query.Extra = nil
		reply, err = queryOver(ctx, dial, "udp", server, query)
	}
	if err == nil && reply.Truncated {
		whole, err := queryOver(ctx, dial, "tcp", server, query)
		switch {
		case err == nil:
			return whole, nil
		case len(reply.Answer) == 0: // nothing can be told from what is left
			return nil, fmt.Errorf("%w: %w", errCut, err)
		}
	}
	return reply, err
}

// mindsEDNS tells the codes with which servers older than EDNS answer to it (RFC 6891 7); some say that they failed.
func mindsEDNS(rcode int) bool {
	return rcode == dns.RcodeFormatError || rcode == dns.RcodeNotImplemented || rcode == dns.RcodeServerFailure
}

func queryOver(ctx context.Context, dial diag.DialFunc, network, server string, query *dns.Msg) (*dns.Msg, error) {
	raw, err := dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn := &dns.Conn{Conn: raw, UDPSize: udpBufferSize}
	for {
		if err := conn.WriteMsg(query); err != nil {
			return nil, err
		}
		lift := func() {}
		if network == "udp" {
			lift = waitAtMost(ctx, raw, retransmitAfter)
		}
		reply, err := readReply(conn, query)
		lift()
		switch {
		case err == nil:
			return reply, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("no answer from %s: %w", server, ctx.Err())
		case outcomeOf(err) == diag.OutcomeSilent && network == "udp":
			query.Extra = nil // lost, perhaps: once more, without EDNS, which firewalls drop and the resolvers of clients leave out
			continue
		}
		return nil, err
	}
}

// maxStray is how many datagrams that are not the answer are passed over: late ones, and guesses of a forger.
const maxStray = 8

func readReply(conn *dns.Conn, query *dns.Msg) (*dns.Msg, error) {
	for range maxStray {
		reply, err := conn.ReadMsg()
		if err != nil {
			var timeout interface{ Timeout() bool }
			if errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.Canceled) || reply == nil {
				return nil, err
			}
			return nil, fmt.Errorf("%w: %w", errBadReply, err)
		}
		if reply.Id == query.Id && reply.Response && len(reply.Question) == 1 &&
			strings.EqualFold(reply.Question[0].Name, query.Question[0].Name) && reply.Question[0].Qtype == query.Question[0].Qtype {
			return reply, nil
		}
	}
	return nil, errBadReply
}
