package probe_test

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// far is a scenario whose client and peer stand in namespaces of their own, so that real ports are free and firewalls are
// real. prepare sets up the peer's side and returns the URL to ask for.
type far struct {
	scenario
	delay   time.Duration // one way
	prepare func(testing.TB, *diagtest.Path) string
}

func (f far) run(t *testing.T) {
	if diagtest.InRerun() {
		f.peer = func(testing.TB) string { return os.Getenv("TARGET") }
		f.scenario.run(t)
		return
	}
	path := diagtest.LatencyPath(t, f.delay)
	path.Left.Rerun(t, "TARGET="+f.prepare(t, path))
}

// on starts a peer in the right namespace.
func on(t testing.TB, path *diagtest.Path, start func()) {
	t.Helper()
	if err := path.Right.Do(func() error { start(); return nil }); err != nil {
		t.Fatal(err)
	}
}

// brokerAt starts a broker on a port of the right namespace.
func brokerAt(t testing.TB, path *diagtest.Path, port string, options ...diagtest.PeerOption) {
	on(t, path, func() {
		diagtest.ScriptedBroker(t, diagtest.Script{}, append(options, diagtest.At(net.JoinHostPort(path.Right.IPv4, port)))...)
	})
}

// beyond is an address behind the right namespace, which routes to it.
const beyond = "10.98.0.5"

func route(t testing.TB, path *diagtest.Path) {
	path.Left.Run(t, "ip", "route", "add", "10.98.0.0/24", "via", path.Right.IPv4)
	path.Right.Run(t, "ip", "route", "add", "10.98.0.0/24", "dev", "path0")
	path.Right.Run(t, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward; "+
		// Redirects, which it would send because the way leads back, count against its other ICMP errors.
		"echo 0 > /proc/sys/net/ipv4/conf/all/send_redirects; echo 0 > /proc/sys/net/ipv4/conf/path0/send_redirects")
}

func TestFarScenarios(t *testing.T) {
	t.Parallel()
	lastHop := func(t *testing.T, r diag.Report) {
		if r.RootCause.Args["hop"] != "10.99.0.2" {
			t.Errorf("last hop %q", r.RootCause.Args["hop"])
		}
	}
	for _, f := range []far{
		{scenario: scenario{name: "healthy", plan: diag.PlanInput{TimeoutS: seconds(5)}}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				brokerAt(t, path, "1883")
				return "mqtt://10.99.0.2"
			}},
		{scenario: scenario{name: "healthy behind a router", plan: diag.PlanInput{TimeoutS: seconds(5)}}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				route(t, path)
				path.Right.Run(t, "ip", "address", "add", beyond+"/32", "dev", "lo")
				on(t, path, func() { diagtest.ScriptedBroker(t, diagtest.Script{}, diagtest.At(beyond+":1883")) })
				return "mqtt://" + beyond
			}},
		{scenario: scenario{name: "long way", info: []diag.Code{"net.high_latency"}}, delay: 170 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				brokerAt(t, path, "1883")
				return "mqtt://10.99.0.2"
			}},
		{scenario: scenario{name: "other port", want: "tcp.wrong_port", suggest: `{"url":"mqtt://10.99.0.2:1883"}`, check: within(time.Second)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				brokerAt(t, path, "1883")
				return "mqtt://10.99.0.2:1888"
			}},
		{scenario: scenario{name: "other port filtered", want: "tcp.wrong_port", suggest: `{"url":"mqtt://10.99.0.2:1883"}`,
			plan: diag.PlanInput{TimeoutS: seconds(5)}, check: within(4500 * time.Millisecond)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				brokerAt(t, path, "1883")
				path.Right.Filter(t, 1888)
				return "mqtt://10.99.0.2:1888"
			}},
		{scenario: scenario{name: "other port silent", want: "tcp.wrong_port", suggest: `{"url":"mqtt://10.99.0.2:1883"}`}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				brokerAt(t, path, "1883")
				on(t, path, func() { diagtest.Peer(t, diagtest.Silent, diagtest.At("10.99.0.2:1888")) })
				return "mqtt://10.99.0.2:1888"
			}},
		{scenario: scenario{name: "other port WebSocket", want: "tcp.wrong_port", suggest: `{"url":"ws://HOST:9001/mqtt"}`, check: within(2 * time.Second)},
			delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				on(t, path, func() {
					diagtest.ScriptedBroker(t, diagtest.Script{WS: &diagtest.WSScript{}}, diagtest.At("10.99.0.2:9001"))
				})
				return "mqtt://10.99.0.2"
			}},
		{scenario: scenario{name: "other port untrusted", want: "tcp.wrong_port", variant: "untrusted", check: within(2 * time.Second)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				brokerAt(t, path, "8883", diagtest.WithTLS(diagtest.SelfSigned(t, diagtest.CertOptions{}).Server()))
				return "mqtts://10.99.0.2:8333"
			}},
		{scenario: scenario{name: "other port beside SSH", want: "tcp.wrong_port", suggest: `{"url":"mqtt://10.99.0.2:1883"}`}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				brokerAt(t, path, "1883")
				on(t, path, func() { diagtest.Peer(t, diagtest.Banner(diagtest.SSHBanner), diagtest.At("10.99.0.2:22")) })
				return "mqtt://10.99.0.2:22"
			}},
		{scenario: scenario{name: "nothing arrives behind the handshake", want: "mqtt.no_connack", variant: "swallowed", plan: diag.PlanInput{TimeoutS: seconds(3)}},
			delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				brokerAt(t, path, "1883")
				path.Right.Run(t, "iptables", "-A", "INPUT", "-p", "tcp", "--dport", "1883", "-m", "length", "--length", "66:", "-j", "DROP")
				return "mqtt://10.99.0.2"
			}},
		{scenario: scenario{name: "all arrives behind the handshake, and nothing is said", want: "mqtt.no_connack", plan: diag.PlanInput{TimeoutS: seconds(3)}},
			delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				on(t, path, func() { diagtest.Peer(t, diagtest.Silent, diagtest.At("10.99.0.2:1883")) })
				return "mqtt://10.99.0.2"
			}},
		{scenario: scenario{name: "filtered", want: "tcp.filtered", plan: diag.PlanInput{TimeoutS: seconds(5)}, check: within(4500 * time.Millisecond)},
			delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				path.Right.Run(t, "iptables", "-A", "INPUT", "-j", "DROP")
				return "mqtt://10.99.0.2"
			}},
		{scenario: scenario{name: "one port filtered", want: "tcp.filtered", variant: "port_alone", plan: diag.PlanInput{TimeoutS: seconds(5)},
			check: within(4500 * time.Millisecond)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				brokerAt(t, path, "1883")
				path.Right.Filter(t, 1883)
				return "mqtt://10.99.0.2"
			}},
		{scenario: scenario{name: "filtered behind a router", want: "tcp.filtered", plan: diag.PlanInput{TimeoutS: seconds(5)},
			check: all(within(4500*time.Millisecond), lastHop)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				route(t, path)
				path.Right.Run(t, "iptables", "-A", "FORWARD", "-j", "DROP")
				return "mqtt://" + beyond
			}},
		{scenario: scenario{name: "rejected by a router", want: "net.firewall_rejected", check: all(within(2*time.Second), lastHop)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				route(t, path)
				path.Right.Run(t, "iptables", "-A", "FORWARD", "-j", "REJECT", "--reject-with", "icmp-admin-prohibited")
				return "mqtt://" + beyond
			}},
		{scenario: scenario{name: "rejected by the host", want: "net.firewall_rejected", variant: "own", check: within(2 * time.Second)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				brokerAt(t, path, "1883")
				path.Right.Reject(t, 1883, "icmp-admin-prohibited")
				return "mqtt://10.99.0.2"
			}},
		{scenario: scenario{name: "port unreachable", want: "net.firewall_rejected", variant: "own", check: within(2 * time.Second)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				path.Right.Reject(t, 1883, "icmp-port-unreachable")
				return "mqtt://10.99.0.2"
			}},
		{scenario: scenario{name: "reset by a firewall", want: "tcp.refused", check: within(time.Second)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				brokerAt(t, path, "1883")
				path.Right.Reject(t, 1883, "tcp-reset")
				return "mqtt://10.99.0.2"
			}},
		{scenario: scenario{name: "rejected over IPv6", want: "net.firewall_rejected", variant: "own", check: within(2 * time.Second)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				path.Right.Run(t, "ip6tables", "-A", "INPUT", "-p", "tcp", "-j", "REJECT", "--reject-with", "icmp6-adm-prohibited")
				return "mqtt://[fd99::2]"
			}},
		{scenario: scenario{name: "unreachable", want: "net.unreachable", check: all(within(time.Second), lastHop)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				route(t, path)
				path.Right.Run(t, "ip", "route", "replace", "unreachable", "10.98.0.0/24")
				return "mqtt://" + beyond
			}},
		{scenario: scenario{name: "off, behind its router", want: "net.unreachable", plan: diag.PlanInput{TimeoutS: seconds(5)}, check: lastHop},
			delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				path.Left.Run(t, "ip", "route", "add", "10.97.0.0/24", "via", path.Right.IPv4)
				path.Right.Run(t, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward; ip link add lan0 type veth peer name lan1; "+
					"ip address add 10.97.0.1/24 dev lan0; ip link set lan0 up; ip link set lan1 up") // nobody answers to ARP there
				return "mqtt://10.97.0.9"
			}},
		{scenario: scenario{name: "forbidden by this machine", want: "net.unreachable", variant: "forbidden_here", check: within(time.Second)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				path.Left.Run(t, "ip", "route", "add", "prohibit", "10.97.0.0/24")
				return "mqtt://10.97.0.9"
			}},
		{scenario: scenario{name: "thrown away by this machine", want: "net.unreachable", variant: "no_route", check: within(time.Second)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				path.Left.Run(t, "ip", "route", "add", "blackhole", "10.97.0.0/24")
				return "mqtt://10.97.0.9"
			}},
		{scenario: scenario{name: "no route", want: "net.unreachable", variant: "no_route", check: within(time.Second)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string { return "mqtt://" + beyond }},
		{scenario: scenario{name: "accepts everything", want: "tcp.accepts_everything", check: within(3500 * time.Millisecond)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				on(t, path, func() { diagtest.Peer(t, diagtest.Silent, diagtest.At("10.99.0.2:5000")) })
				path.Right.Run(t, "iptables", "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "5000")
				return "mqtt://10.99.0.2"
			}},
		{scenario: scenario{name: "accepts everything TLS", want: "tcp.accepts_everything", check: within(3500 * time.Millisecond)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				on(t, path, func() { diagtest.Peer(t, diagtest.Silent, diagtest.At("10.99.0.2:5000")) })
				path.Right.Run(t, "iptables", "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "5000")
				return "mqtts://10.99.0.2"
			}},
		{scenario: scenario{name: "accepts everything and closes", want: "tcp.accepts_everything", check: within(3500 * time.Millisecond)}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				on(t, path, func() { diagtest.Peer(t, diagtest.CloseAtOnce, diagtest.At("10.99.0.2:5000")) })
				path.Right.Run(t, "iptables", "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "5000")
				return "mqtt://10.99.0.2"
			}},
		{scenario: scenario{name: "broker behind what accepts everything"}, delay: 5 * time.Millisecond,
			prepare: func(t testing.TB, path *diagtest.Path) string {
				brokerAt(t, path, "1883")
				path.Right.Run(t, "iptables", "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "1883")
				return "mqtt://10.99.0.2"
			}},
	} {
		t.Run(strings.ReplaceAll(f.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			f.run(t)
		})
	}
}

// TestRejections goes through what Linux firewalls can answer a SYN with.
func TestRejections(t *testing.T) {
	t.Parallel()
	for with, want := range map[string]diag.Code{"icmp-net-unreachable": "net.unreachable", "icmp-host-prohibited": "net.firewall_rejected",
		"icmp-proto-unreachable": "net.firewall_rejected", "icmp6-addr-unreachable": "net.unreachable", "icmp6-policy-fail": "net.firewall_rejected"} {
		t.Run(with, func(t *testing.T) {
			t.Parallel()
			far{scenario: scenario{name: with, want: want, variant: "*"}, delay: 5 * time.Millisecond, prepare: func(t testing.TB, path *diagtest.Path) string {
				if strings.HasPrefix(with, "icmp6") {
					path.Right.Run(t, "ip6tables", "-A", "INPUT", "-p", "tcp", "--dport", "1883", "-j", "REJECT", "--reject-with", with)
					return "mqtt://[fd99::2]"
				}
				brokerAt(t, path, "1883")
				path.Right.Reject(t, 1883, with)
				return "mqtt://10.99.0.2"
			}}.run(t)
		})
	}
}

func TestPrivateAddressScenario(t *testing.T) {
	t.Parallel()
	named := func(before func(testing.TB, *diagtest.Path), address string) func(testing.TB, *diagtest.Path) farSide {
		return func(t testing.TB, p *diagtest.Path) farSide {
			w := farSide{url: "mqtt://broker.example.com"}
			brokerAt(t, p, "1883")
			on(t, p, func() {
				w.resolver = diagtest.DNSServer(t, records("broker.example.com", address), diagtest.At(p.Right.IPv4+":0")).Addr
			})
			before(t, p)
			return w
		}
	}
	const public = "203.0.113.5"
	runPathScenarios(t, []pathScenario{
		{scenario{name: "private address that works", info: []diag.Code{"dns.private_address"}}, named(func(testing.TB, *diagtest.Path) {}, "10.99.0.2")},
		{scenario{name: "private address that nothing leads to", want: "tcp.filtered", beside: []diag.Code{"dns.private_address"}},
			named(func(t testing.TB, p *diagtest.Path) {
				p.Left.Run(t, "ip", "route", "add", "10.77.0.0/24", "via", p.Right.IPv4)
			}, "10.77.0.5")},
		{scenario{name: "private address whose port is dropped", want: "tcp.filtered", variant: "port_alone", info: []diag.Code{"dns.private_address"}},
			named(func(t testing.TB, p *diagtest.Path) { p.Right.Filter(t, 1883) }, "10.99.0.2")},
		{scenario{name: "public address"}, named(func(t testing.TB, p *diagtest.Path) {
			p.Left.Run(t, "ip", "route", "add", public, "via", p.Right.IPv4)
			p.Right.Run(t, "ip", "address", "add", public+"/32", "dev", "lo")
			on(t, p, func() { diagtest.ScriptedBroker(t, diagtest.Script{}, diagtest.At(public+":1883")) })
		}, public)},
	})
}
