package probe_test

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// under makes a scenario ask for a name in place of the peer's address. The names are resolved by the handlers, in the order
// of the system's resolvers; further ones are those of the plan.
func under(name string, s scenario, system []diagtest.DNSHandler, further ...diagtest.DNSHandler) scenario {
	servers, others := make([]string, len(system)), make([]string, len(further))
	s.plan.Resolvers = others
	peer, env := s.peer, s.env
	s.peer = func(t testing.TB) string {
		for i, handle := range system {
			servers[i] = diagtest.DNSServer(t, handle).Addr
		}
		for i, handle := range further {
			others[i] = diagtest.DNSServer(t, handle).Addr
		}
		u, err := url.Parse(peer(t))
		if err != nil {
			t.Fatal(err)
		}
		u.Host = name + ":" + u.Port()
		return u.String()
	}
	s.env = func(e *diag.Env) {
		e.Resolvers, e.HostsFile = servers, os.DevNull
		if env != nil {
			env(e)
		}
	}
	return s
}

type answers = []diagtest.DNSHandler

// records is a table of one name.
func records(name string, values ...string) diagtest.DNSHandler {
	return diagtest.DNSRecords(map[string][]string{name: values})
}

// hostsFile makes a run read another hosts file.
func hostsFile(t *testing.T, text string) func(*diag.Env) {
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(e *diag.Env) { e.HostsFile = path }
}

// busy is how much longer than it should a run may take on a busy machine before a test calls that a hang. How fast runs are is
// measured by the benchmarks.
const busy = 15 * time.Second

// within demands that a run that should take so long does not hang.
func within(limit time.Duration) func(*testing.T, diag.Report) {
	return func(t *testing.T, r diag.Report) {
		if r.Duration > limit+busy {
			t.Errorf("took %s, want about %s", r.Duration, limit)
		}
	}
}

// arg demands a fact of the root cause.
func arg(name diag.Arg, value string) func(*testing.T, diag.Report) {
	return func(t *testing.T, r diag.Report) {
		if r.RootCause == nil { // judged already
			return
		}
		if got := r.RootCause.Args[name]; !strings.Contains(got, value) {
			t.Errorf("the finding says %q of %s, want %q", got, name, value)
		}
	}
}

func all(checks ...func(*testing.T, diag.Report)) func(*testing.T, diag.Report) {
	return func(t *testing.T, r diag.Report) {
		for _, check := range checks {
			check(t, r)
		}
	}
}

// closedPort is a peer that refuses, and broker one that is in order.
func closedPort(t testing.TB) string {
	return "mqtt://127.0.0.1:" + strconv.Itoa(diagtest.ClosedPort(t))
}

var broker = scripted(diagtest.Script{})

// cname answers with an alias alone, as a server does that does not follow it, with a code.
func cname(to string, rcode int) diagtest.DNSHandler {
	return func(query *dns.Msg) *dns.Msg {
		answer := new(dns.Msg).SetRcode(query, rcode)
		answer.Answer = []dns.RR{&dns.CNAME{Hdr: dns.RR_Header{Name: query.Question[0].Name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60},
			Target: dns.Fqdn(to)}}
		return answer
	}
}

// oldRouter is a server that answers AAAA queries with an error, as some home routers do.
var oldRouter = diagtest.DNSByType(dns.TypeAAAA, diagtest.DNSRcode(dns.RcodeNotImplemented), records("broker.example.com", "127.0.0.1"))

func TestDNSScenarios(t *testing.T) {
	t.Parallel()
	const name = "broker.example.com"
	good := records(name, "127.0.0.1")
	runScenarios(t, []scenario{
		under(name, scenario{name: "a name that resolves", peer: broker}, answers{good}),
		under(name, scenario{name: "an alias that resolves", peer: broker}, answers{diagtest.DNSRecords(map[string][]string{
			name: {"CNAME edge.example.net"}, "edge.example.net": {"127.0.0.1"}})}),
		under(name, scenario{name: "an answer cut at UDP", peer: broker}, answers{diagtest.DNSTruncated(good)}),
		under(name, scenario{name: "AAAA fails, A is there", peer: broker}, answers{oldRouter}),
		under(name, scenario{name: "AAAA is never answered", peer: broker}, answers{diagtest.DNSByType(dns.TypeAAAA, diagtest.DNSSilent, good)}),
		under(name, scenario{name: "first resolver silent, second answers", peer: broker}, answers{diagtest.DNSSilent, good}),
		under(name, scenario{name: "first resolver fails, second answers", peer: broker}, answers{diagtest.ServFail, good}),

		under(name, scenario{name: "queries with EDNS are dropped", peer: broker}, answers{withoutEDNS(nil, good)}),
		under(name, scenario{name: "queries with EDNS get NOTIMP", peer: broker}, answers{withoutEDNS(diagtest.DNSRcode(dns.RcodeNotImplemented), good)}),
		under(name, scenario{name: "queries with EDNS fail", peer: broker}, answers{withoutEDNS(diagtest.ServFail, good)}),
		under("broker.hall1", scenario{name: "a name with a dot that a search domain completes", peer: broker,
			env: resolvConf(t, "search example.com example.net\n")}, answers{records("broker.hall1.example.net", "127.0.0.1")}),
		under("broker.iot", scenario{name: "a name of few dots goes through the search domains first", peer: broker,
			env: resolvConf(t, "search svc.cluster.local\noptions ndots:5\n")}, answers{records("broker.iot.svc.cluster.local", "127.0.0.1")}),
		under(name, scenario{name: "no such name, and search domains without addresses", peer: broker, want: "dns.nxdomain",
			env: resolvConf(t, "search corp.example\n")}, answers{diagtest.DNSRecords(map[string][]string{name + ".corp.example": {}})}),

		under(name, scenario{name: "no such name", peer: broker, want: "dns.nxdomain", check: within(time.Second)}, answers{diagtest.NXDomain}),
		under("broker.example.con", scenario{name: "mistyped ending", peer: broker, want: "dns.nxdomain", check: arg("near", name)}, answers{good}),
		under("mqtt.broker.example.com", scenario{name: "a label too many", peer: broker, want: "dns.nxdomain", check: arg("near", name)}, answers{good}),
		under("brokre.example.com", scenario{name: "letters swapped", peer: broker, want: "dns.nxdomain", check: arg("near", name)}, answers{good}),
		under("example.com", scenario{name: "a label missing", peer: broker, want: "dns.nxdomain", check: arg("near", name)}, answers{good}),
		under(name, scenario{name: "alias to nowhere", peer: broker, want: "dns.nxdomain", variant: "alias",
			check: arg("chain", name+" → gone.example.net")}, answers{records(name, "CNAME gone.example.net")}),
		under(name, scenario{name: "no such name for others either", peer: broker, want: "dns.nxdomain"}, answers{diagtest.NXDomain}, diagtest.NXDomain),
		under(name, scenario{name: "no such name here, but elsewhere", peer: broker, want: "dns.nxdomain"}, answers{diagtest.NXDomain}, good),

		under(name, scenario{name: "no address", peer: broker, want: "dns.no_address", check: within(time.Second)}, answers{diagtest.NoData}),
		under(name, scenario{name: "alias to nowhere that the server does not follow", peer: broker, want: "dns.nxdomain", variant: "alias",
			check: arg("chain", name+" → gone.example.net")}, answers{unfollowed(map[string][]string{name: {"CNAME gone.example.net"}})}),
		under(name, scenario{name: "alias that the server does not follow", peer: broker}, answers{unfollowed(map[string][]string{
			name: {"CNAME edge.example.net"}, "edge.example.net": {"127.0.0.1"}})}),
		under(name, scenario{name: "aliases in a circle", peer: broker, want: "dns.no_address", variant: "alias", check: within(time.Second)},
			answers{unfollowed(map[string][]string{name: {"CNAME edge.example.net"}, "edge.example.net": {"CNAME " + name}})}),
		under(name, scenario{name: "alias without address", peer: broker, want: "dns.no_address", variant: "alias"},
			answers{cname("edge.example.net", dns.RcodeSuccess)}),

		under(name, scenario{name: "resolver fails", peer: broker, want: "dns.server_failure", check: all(within(time.Second), arg("rcode", "SERVFAIL"))},
			answers{diagtest.ServFail}),
		under(name, scenario{name: "resolver refuses", peer: broker, want: "dns.server_failure", check: arg("rcode", "REFUSED")}, answers{diagtest.DNSRefused}),
		under(name, scenario{name: "resolver fails, another answers", peer: broker, want: "dns.server_failure", variant: "other_answers"},
			answers{diagtest.ServFail}, good),

		under(name, scenario{name: "resolver silent", peer: broker, want: "dns.timeout", check: within(4 * time.Second)}, answers{diagtest.DNSSilent}),
		under(name, scenario{name: "resolvers silent", peer: broker, want: "dns.timeout", check: within(4 * time.Second)},
			answers{diagtest.DNSSilent, diagtest.DNSSilent}),
		under(name, scenario{name: "resolver silent, another answers", peer: broker, want: "dns.timeout", variant: "other_answers",
			check: within(4 * time.Second)}, answers{diagtest.DNSSilent}, good),

		under(name, scenario{name: "an answer cut at UDP, TCP blocked", peer: broker, want: "dns.timeout", variant: "cut",
			env: func(e *diag.Env) { e.Resolvers = []string{cutAlways(t)} }}, answers{}),
		under(name, scenario{name: "nothing listens where the resolver should", peer: broker, want: "dns.timeout", variant: "unreachable",
			env: func(e *diag.Env) { e.Resolvers = []string{"127.0.0.1:" + strconv.Itoa(diagtest.ClosedPort(t))} }}, answers{}),
		under("emqx.iot.svc.cluster.local", scenario{name: "name of a cluster", peer: broker, want: "dns.local_name", variant: "cluster"}, answers{diagtest.NXDomain}),
		under("broker.local", scenario{name: "mDNS name", peer: broker, want: "dns.local_name", variant: "mdns"}, answers{diagtest.NXDomain}),
		under("broker.local", scenario{name: "mDNS name that the resolver will not ask for", peer: broker, want: "dns.local_name", variant: "mdns"}, answers{diagtest.ServFail}),
		under("pi.fritz.box", scenario{name: "name of a home router", peer: broker, want: "dns.local_name"}, answers{diagtest.NXDomain}),
		under("core-mosquitto", scenario{name: "add-on name", peer: broker, want: "dns.local_name", variant: "single_label"}, answers{diagtest.NXDomain}),
		under("core-mosquitto", scenario{name: "name that the resolver will not ask for", peer: broker, want: "dns.local_name", variant: "single_label"}, answers{diagtest.ServFail}),
		under("core-mosquitto", scenario{name: "name that another network knows", peer: broker, want: "dns.local_name", variant: "single_label"},
			answers{diagtest.NXDomain}, records("core-mosquitto", "127.0.0.1")),
		under("broker.lan", scenario{name: "home network name", peer: broker, want: "dns.local_name"}, answers{diagtest.NXDomain}),
		under("broker.local", scenario{name: "local name that resolves", peer: broker}, answers{records("broker.local", "127.0.0.1")}),

		under(name, scenario{name: "name of this machine", peer: closedPort, want: "dns.loopback_address"}, answers{good}),
		under(name, scenario{name: "unspecified address", peer: closedPort, want: "dns.loopback_address"}, answers{records(name, "0.0.0.0")}),
		under(name, scenario{name: "hosts file leads to this machine", peer: closedPort, want: "dns.loopback_address", variant: "hosts",
			env: hostsFile(t, "# test\n127.0.0.1 localhost\n127.0.1.1\tother broker.example.com # left over\n")}, answers{good}),
		under(name, scenario{name: "hosts file agrees with DNS", peer: broker, env: hostsFile(t, "127.0.0.1 broker.example.com\n")}, answers{good}, good),
		under(name, scenario{name: "hosts file disagrees", peer: broker, info: []diag.Code{"dns.hosts_override"},
			env: hostsFile(t, "127.0.0.1 broker.example.com\n")}, answers{good}, records(name, "192.0.2.7")),
		under("localhost", scenario{name: "localhost refuses", peer: closedPort, want: "tcp.refused"}, answers{diagtest.NXDomain}),

		under(name, scenario{name: "resolvers disagree", peer: broker, want: "dns.resolver_mismatch", attention: true,
			check: all(arg("good", "127.0.0.1"), arg("bad", "192.0.2.7"), arg("ttl", "60"))}, answers{good}, records(name, "192.0.2.7")),
		under(name, scenario{name: "resolvers agree in part", peer: broker}, answers{good}, records(name, "127.0.0.1", "192.0.2.7")),

		under(name, scenario{name: "IPv6 dead", peer: broker, want: "dns.ipv6_broken", attention: true}, answers{records(name, "127.0.0.1", "::1")}),
		under(name, scenario{name: "IPv6 alive", peer: func(t testing.TB) string {
			b := diagtest.ScriptedBroker(t, diagtest.Script{}, diagtest.At("[::]:0"))
			return "mqtt://127.0.0.1:" + strconv.Itoa(b.Port)
		}}, answers{records(name, "127.0.0.1", "::1")}),
		under(name, scenario{name: "A fails, no AAAA", peer: broker, want: "dns.server_failure"},
			answers{diagtest.DNSByType(dns.TypeA, diagtest.ServFail, diagtest.NoData)}),
		under(name, scenario{name: "A is never answered, no AAAA", peer: broker, want: "dns.timeout", plan: diag.PlanInput{TimeoutS: seconds(1)}},
			answers{diagtest.DNSByType(dns.TypeA, diagtest.DNSSilent, diagtest.NoData)}),
		under(name, scenario{name: "AAAA fails, no A", peer: broker, want: "dns.no_address"},
			answers{diagtest.DNSByType(dns.TypeAAAA, diagtest.ServFail, diagtest.NoData)}),
		under(name, scenario{name: "no A, but AAAA", peer: onAddresses(map[string]diagtest.Handler{"[::1]": nil})}, answers{records(name, "::1")}),
		under(name, scenario{name: "one IPv4 address dead", peer: broker, want: "tcp.partial_addresses", attention: true},
			answers{records(name, "127.0.0.1", "127.0.0.9")}),
	})
}

// withoutEDNS answers queries with EDNS in its own way, nil by silence, as old servers and firewalls do.
func withoutEDNS(bad, good diagtest.DNSHandler) diagtest.DNSHandler {
	return func(query *dns.Msg) *dns.Msg {
		switch {
		case query.IsEdns0() == nil:
			return good(query)
		case bad == nil:
			return nil
		}
		return bad(query)
	}
}

// cutAlways is the address of a server that answers with the TC bit over UDP, and over TCP not at all.
func cutAlways(t testing.TB) string {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	server := &dns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		answer := new(dns.Msg).SetReply(query)
		answer.Truncated = true
		w.WriteMsg(answer)
	})}
	var serving sync.WaitGroup
	serving.Go(func() { server.ActivateAndServe() })
	<-started
	t.Cleanup(func() {
		server.Shutdown()
		serving.Wait()
	})
	return conn.LocalAddr().String()
}

// resolvConf makes a run read search domains and options from a resolver configuration.
func resolvConf(t *testing.T, text string) func(*diag.Env) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(e *diag.Env) { e.ResolvConf = path }
}

// onAddresses is a scenario's peer: a handler for each address, on one port of them all; nil is a broker in order.
func onAddresses(handlers map[string]diagtest.Handler, options ...diagtest.PeerOption) func(testing.TB) string {
	return func(t testing.TB) string {
		good := diagtest.ScriptedBroker(t, diagtest.Script{})
		port := diagtest.FreePort(t)
		for address, handle := range handlers {
			if handle == nil {
				handle = func(conn net.Conn) { relayTo(good.Addr, conn) }
			}
			diagtest.Peer(t, handle, append(options, diagtest.At(address+":"+strconv.Itoa(port)))...)
		}
		return "mqtt://127.0.0.1:" + strconv.Itoa(port)
	}
}

// TestOneOfTwoAddresses is about names of which one address leads to a broker and the other to something else, whichever a
// client happens to take first.
func TestOneOfTwoAddresses(t *testing.T) {
	t.Parallel()
	const name = "broker.example.com"
	page := diagtest.AnswerAndClose([]byte("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")...)
	var rows []scenario
	for label, handle := range map[string]diagtest.Handler{"another protocol": diagtest.Banner(diagtest.SSHBanner), "silence": diagtest.Silent,
		"closed at once": diagtest.CloseAtOnce, "closed at the CONNECT": diagtest.CloseAfterFirstBytes, "HTTP": page, "unavailable": diagtest.AnswerAndClose(0x20, 2, 0, 3)} {
		for _, order := range [][]string{{"127.0.0.1", "127.0.0.2"}, {"127.0.0.2", "127.0.0.1"}} {
			rows = append(rows, under(name, scenario{name: label + " at one of " + strings.Join(order, " "), plan: diag.PlanInput{TimeoutS: seconds(1)},
				peer: onAddresses(map[string]diagtest.Handler{"127.0.0.1": nil, "127.0.0.2": handle}), want: "tcp.partial_addresses", attention: true,
				check: all(arg("bad", "127.0.0.2"), arg("good", "127.0.0.1"), attention)}, answers{records(name, order...)}))
		}
		rows = append(rows, under(name, scenario{name: label + " at the IPv6 address", plan: diag.PlanInput{TimeoutS: seconds(1)},
			peer: onAddresses(map[string]diagtest.Handler{"127.0.0.1": nil, "[::1]": handle}), want: "dns.ipv6_broken", attention: true,
			check: attention}, answers{records(name, "127.0.0.1", "::1")}))
	}
	own, wrong := diag.TargetInput{ClientID: "boiler-7"}, login("doctor", "wrong")
	byID := scripted(diagtest.Script{OnConnect: func(c diagtest.Connect) diagtest.ConnectAnswer {
		if c.ClientID == "boiler-7" {
			return diagtest.ConnectAnswer{}
		}
		return diagtest.ConnectAnswer{Action: diagtest.Close}
	}})
	behind := func(peer func(testing.TB) string) func(testing.TB) string {
		return func(t testing.TB) string {
			u, _ := url.Parse(peer(t))
			relay := func(conn net.Conn) { relayTo(u.Host, conn) }
			return onAddresses(map[string]diagtest.Handler{"127.0.0.1": relay, "127.0.0.2": relay})(t)
		}
	}
	ca := diagtest.NewCA(t, "Root")
	two := answers{records(name, "127.0.0.1", "127.0.0.2")}
	rows = append(rows,
		under(name, scenario{name: "both in order", peer: onAddresses(map[string]diagtest.Handler{"127.0.0.1": nil, "127.0.0.2": nil})}, two),
		under(name, scenario{name: "both take one client id alone", peer: behind(byID), in: own}, two),
		under(name, scenario{name: "both refuse the login", peer: behind(scripted(diagtest.Script{OnConnect: diagtest.OnlyUser("doctor", "right")})), in: wrong,
			want: "mqtt.bad_credentials"}, two),
		under(name, scenario{name: "both silent", peer: onAddresses(map[string]diagtest.Handler{"127.0.0.1": diagtest.Silent, "127.0.0.2": diagtest.Silent}),
			plan: diag.PlanInput{TimeoutS: seconds(1)}, want: "mqtt.no_connack"}, two),
		under(name, scenario{name: "one has the certificate of another name", peer: func(t testing.TB) string {
			good, port := diagtest.ScriptedBroker(t, diagtest.Script{}), strconv.Itoa(diagtest.FreePort(t))
			for address, served := range map[string]string{"127.0.0.1": name, "127.0.0.2": "old.example.com"} {
				diagtest.Peer(t, func(conn net.Conn) { relayTo(good.Addr, conn) }, diagtest.At(address+":"+port),
					diagtest.WithTLS(ca.Issue(t, diagtest.CertOptions{Names: []string{served}}).Server()))
			}
			return "mqtts://127.0.0.1:" + port
		}, in: diag.TargetInput{TLS: diag.TLSInput{CAPEM: ca.PEM}}, want: "tls.hostname_mismatch", attention: true, variant: "*", check: attention}, two),
		under(name, scenario{name: "one refuses the connection, one is no broker", peer: onAddresses(map[string]diagtest.Handler{"127.0.0.1": diagtest.Banner(diagtest.SSHBanner)}),
			want: "mqtt.not_mqtt"}, two),
	)
	runScenarios(t, rows)
}

// attention demands that verdict of the run.
func attention(t *testing.T, r diag.Report) {
	if r.Verdict != diag.OverallAttention {
		t.Errorf("verdict %s, want attention", r.Verdict)
	}
}

// unfollowed answers from a table without following its aliases, as a server does that is no resolver.
func unfollowed(table map[string][]string) diagtest.DNSHandler {
	return func(query *dns.Msg) *dns.Msg {
		own := map[string][]string{}
		name := strings.TrimSuffix(query.Question[0].Name, ".")
		if values, ok := table[name]; ok {
			own[name] = values
			if to, alias := strings.CutPrefix(values[0], "CNAME "); alias {
				own[to] = nil
			}
		}
		return diagtest.DNSRecords(own)(query)
	}
}
