package rule

import (
	"testing"
	"time"

	"mqttdoctor/diag"
)

// looked is a lookup of the target's name with what the system's resolvers answered.
func looked(answers ...*diag.DNSAnswer) *diag.Resolution {
	r := &diag.Resolution{Name: "broker.example", Outcome: diag.OutcomeOK, Source: "dns"}
	for _, a := range answers {
		a.Name, a.Configured = r.Name, true
		if a.Resolver == "" {
			a.Resolver = "192.0.2.53:53"
		}
		r.Answers = append(r.Answers, a)
		if addresses := a.Addresses(); len(addresses) > 0 && len(r.Addresses) == 0 {
			r.Addresses = addresses
		}
	}
	if len(r.Addresses) == 0 {
		r.Outcome, r.Source = diag.OutcomeRefused, ""
	}
	return r
}

func rcode(code string) *diag.DNSAnswer {
	a := &diag.DNSAnswer{RCode: code, Outcome: diag.OutcomeRefused}
	switch code {
	case "":
		a.Outcome = diag.OutcomeSilent
	case "NOERROR":
		a.Outcome = diag.OutcomeOK
	}
	return a
}

func addresses(a ...string) *diag.DNSAnswer {
	o := rcode("NOERROR")
	o.A = a
	return o
}

// compared is a further resolver's answer.
func compared(a *diag.DNSAnswer) diag.Step {
	a.Name, a.Resolver = "broker.example", "198.51.100.53:53"
	return seen("dns.compare", a.Resolver, a)
}

func TestNameLookAlikes(t *testing.T) { testRecorded(t, nameLookAlikes()) }

func nameLookAlikes() []recorded {
	tcp := broker(diag.SchemeMQTT)
	resolve := func(answers ...*diag.DNSAnswer) diag.Step { return seen(checkResolve, "", looked(answers...)) }
	dangling := rcode("NXDOMAIN")
	dangling.CNAMEs, dangling.ChainRCode = []string{"gone.example.net"}, "NXDOMAIN"
	aliased := rcode("NOERROR")
	aliased.CNAMEs = []string{"edge.example.net"}
	through := looked(rcode(""))
	through.Addresses, through.Through, through.Source = []string{"192.0.2.1"}, "198.51.100.53:53", "further"
	failed := looked(rcode("REFUSED"))
	failed.Addresses, failed.Through, failed.Source = []string{"192.0.2.1"}, "198.51.100.53:53", "further"
	works := seen(checkMQTT, at, answered(0))
	local, bare := looked(rcode("NXDOMAIN")), looked(rcode("SERVFAIL"))
	local.Name, bare.Name = "broker.local", "core-mosquitto"
	here := looked(addresses("127.0.0.1"))
	fromHosts := looked()
	fromHosts.Outcome, fromHosts.Source, fromHosts.Addresses, fromHosts.HostsAddresses = diag.OutcomeOK, "hosts", []string{"192.0.2.1"}, []string{"192.0.2.1"}
	hereByHosts := *fromHosts
	hereByHosts.Addresses, hereByHosts.HostsAddresses = []string{"127.0.0.1"}, []string{"127.0.0.1"}
	const local1883 = "127.0.0.1:1883"
	reset := seen(checkTCP, local1883, dialled(diag.OutcomeRefused, address(local1883)))
	return []recorded{
		{name: "NXDOMAIN of a name for one network", target: tcp, steps: []diag.Step{seen(checkResolve, "", local)}, want: "dns.local_name", variant: "mdns",
			because: map[diag.Code]string{"dns.timeout": "because.resolver_answered", "dns.no_address": "because.resolver_answered"}},
		{name: "SERVFAIL of a name without a dot", target: tcp, steps: []diag.Step{seen(checkResolve, "", bare)}, want: "dns.local_name", variant: "single_label",
			because: map[diag.Code]string{"dns.nxdomain": "because.resolver_answered"}},
		{name: "a remote name leads to this machine", target: tcp, steps: []diag.Step{seen(checkResolve, "", here), reset}, want: "dns.loopback_address",
			because: map[diag.Code]string{"dns.hosts_override": "because.not_from_hosts"}},
		{name: "the hosts file leads to this machine", target: tcp, steps: []diag.Step{seen(checkResolve, "", &hereByHosts), reset}, want: "dns.loopback_address", variant: "hosts"},
		{name: "another address in the hosts file", target: tcp, steps: []diag.Step{seen(checkResolve, "", fromHosts), compared(addresses("192.0.2.9")), works}},
		{name: "the same address in the hosts file", target: tcp, steps: []diag.Step{seen(checkResolve, "", fromHosts), compared(addresses("192.0.2.1")), works}},
		{name: "NXDOMAIN", target: tcp, steps: []diag.Step{resolve(rcode("NXDOMAIN"))}, want: "dns.nxdomain",
			because: map[diag.Code]string{"dns.no_address": "because.resolver_answered", "dns.server_failure": "because.resolver_answered",
				"dns.timeout": "because.resolver_answered", "dns.local_name": "because.public_name"}},
		{name: "NXDOMAIN at the end of an alias", target: tcp, steps: []diag.Step{resolve(dangling)}, want: "dns.nxdomain", variant: "alias"},
		{name: "NOERROR without an address", target: tcp, steps: []diag.Step{resolve(rcode("NOERROR"))}, want: "dns.no_address",
			because: map[diag.Code]string{"dns.nxdomain": "because.resolver_answered"}},
		{name: "alias without an address", target: tcp, steps: []diag.Step{resolve(aliased)}, want: "dns.no_address", variant: "alias"},
		{name: "SERVFAIL", target: tcp, steps: []diag.Step{resolve(rcode("SERVFAIL"))}, want: "dns.server_failure",
			because: map[diag.Code]string{"dns.nxdomain": "because.resolver_answered", "dns.timeout": "because.resolver_answered"}},
		{name: "SERVFAIL after silence", target: tcp, steps: []diag.Step{resolve(rcode(""), rcode("SERVFAIL"))}, want: "dns.server_failure"},
		{name: "NXDOMAIN after SERVFAIL", target: tcp, steps: []diag.Step{resolve(rcode("SERVFAIL"), rcode("NXDOMAIN"))}, want: "dns.nxdomain"},
		{name: "silence", target: tcp, steps: []diag.Step{resolve(rcode(""), rcode(""))}, want: "dns.timeout",
			because: map[diag.Code]string{"dns.nxdomain": "because.no_resolver_answered", "dns.server_failure": "because.no_resolver_answered"}},
		{name: "silence, another knows", target: tcp, steps: []diag.Step{seen(checkResolve, "", through), works}, want: "dns.timeout", variant: "other_answers"},
		{name: "REFUSED, another knows", target: tcp, steps: []diag.Step{seen(checkResolve, "", failed), works}, want: "dns.server_failure", variant: "other_answers"},
		{name: "silence, then an address", target: tcp, steps: []diag.Step{resolve(rcode(""), addresses("192.0.2.1")), works}},
		{name: "others have other addresses", target: tcp, steps: []diag.Step{resolve(addresses("192.0.2.1")), compared(addresses("192.0.2.9")), works},
			want: "dns.resolver_mismatch", because: map[diag.Code]string{"dns.hosts_override": "because.not_from_hosts"}},
		{name: "others share an address", target: tcp, steps: []diag.Step{resolve(addresses("192.0.2.1")), compared(addresses("192.0.2.9", "192.0.2.1")), works}},
		{name: "others are silent", target: tcp, steps: []diag.Step{resolve(addresses("192.0.2.1")), compared(rcode("")), works}},
	}
}

// dialled is an asked TCP connection.
func dialled(how diag.Outcome, change ...func(*diag.TCPConnect)) *diag.TCPConnect {
	o := &diag.TCPConnect{Purpose: diag.PurposeAsked, Address: at, Outcome: how, RTT: 20 * time.Millisecond}
	for _, f := range change {
		f(o)
	}
	return o
}

func icmp(family, kind, code int, from string) func(*diag.TCPConnect) {
	return func(o *diag.TCPConnect) {
		o.ICMPFamily, o.ICMPType, o.ICMPCode, o.ICMPOffender = family, kind, code, from
	}
}

func address(a string) func(*diag.TCPConnect) { return func(o *diag.TCPConnect) { o.Address = a } }

// port is what came of a usual port.
func port(label string, how diag.Outcome, m *diag.MQTTConnect) diag.Step {
	a := &diag.Attempt{Purpose: diag.PurposePort, Label: label, Address: "192.0.2.1:" + label, Transport: diag.SchemeMQTT,
		TCP: &diag.TCPConnect{Outcome: how}, MQTT: m}
	if m != nil {
		m.Purpose = diag.PurposePort
	}
	return seen("tcp.ports", a.Address, a)
}

func TestConnectionLookAlikes(t *testing.T) { testRecorded(t, connectionLookAlikes()) }

func connectionLookAlikes() []recorded {
	tcp := broker(diag.SchemeMQTT)
	connect := func(how diag.Outcome, change ...func(*diag.TCPConnect)) diag.Step {
		o := dialled(how, change...)
		return seen(checkTCP, o.Address, o)
	}
	const other = "192.0.2.2:1883"
	name := seen(checkResolve, "", looked(addresses("192.0.2.1", "192.0.2.2")))
	both := seen(checkResolve, "", looked(&diag.DNSAnswer{RCode: "NOERROR", Outcome: diag.OutcomeOK, A: []string{"192.0.2.1"}, AAAA: []string{"2001:db8::1"}}))
	const six = "[2001:db8::1]:1883"
	works := seen(checkMQTT, at, answered(0))
	private := looked(addresses("10.1.2.3"))
	return []recorded{
		{name: "RST", target: tcp, steps: []diag.Step{connect(diag.OutcomeRefused)}, want: "tcp.refused",
			because: map[diag.Code]string{"tcp.filtered": "because.host_answered", "net.firewall_rejected": "because.no_prohibition",
				"net.unreachable": "because.no_unreachable"}},
		{name: "silence", target: tcp, steps: []diag.Step{connect(diag.OutcomeSilent), port("8883", diag.OutcomeSilent, nil)}, want: "tcp.filtered",
			because: map[diag.Code]string{"tcp.refused": "because.no_reset", "net.firewall_rejected": "because.no_prohibition",
				"net.unreachable": "because.no_unreachable", "tcp.wrong_port": "because.no_broker_on_usual_ports"}},
		{name: "silence, another port refuses", target: tcp, steps: []diag.Step{connect(diag.OutcomeSilent), port("8883", diag.OutcomeRefused, nil)},
			want: "tcp.filtered", variant: "port_alone"},
		{name: "silence, the host echoes", target: tcp, steps: []diag.Step{connect(diag.OutcomeSilent), seen("net.echo", "", &diag.Echo{Sent: 1, Answered: 1})},
			want: "tcp.filtered", variant: "port_alone"},
		{name: "RST at one address, silence at another", target: tcp, steps: []diag.Step{name, connect(diag.OutcomeRefused), connect(diag.OutcomeSilent, address(other))},
			want: "tcp.refused", variant: "mixed"},
		{name: "administratively prohibited", target: tcp, steps: []diag.Step{connect(diag.OutcomeICMP, icmp(4, 3, 13, "198.51.100.1"))},
			want: "net.firewall_rejected", because: map[diag.Code]string{"tcp.refused": "because.no_reset", "tcp.filtered": "because.host_answered",
				"net.unreachable": "because.no_unreachable"}},
		{name: "port unreachable is no RST", target: tcp, steps: []diag.Step{connect(diag.OutcomeICMP, icmp(4, 3, 3, "192.0.2.1"))},
			want: "net.firewall_rejected", variant: "own", because: map[diag.Code]string{"tcp.refused": "because.no_reset"}},
		{name: "protocol unreachable is a firewall's word too", target: tcp, steps: []diag.Step{connect(diag.OutcomeICMP, icmp(4, 3, 2, "192.0.2.1"))},
			want: "net.firewall_rejected", variant: "own"},
		{name: "prohibited over IPv6", target: tcp, steps: []diag.Step{connect(diag.OutcomeICMP, icmp(6, 1, 1, "2001:db8::ff"), address(six))},
			want: "net.firewall_rejected"},
		{name: "host unreachable", target: tcp, steps: []diag.Step{connect(diag.OutcomeICMP, icmp(4, 3, 1, "198.51.100.1"))}, want: "net.unreachable",
			because: map[diag.Code]string{"net.firewall_rejected": "because.no_prohibition", "tcp.filtered": "because.host_answered"}},
		{name: "no route", target: tcp, steps: []diag.Step{connect(diag.OutcomeUnreachable)}, want: "net.unreachable", variant: "no_route"},
		{name: "RST at one address, no route to another", target: tcp, steps: []diag.Step{both, connect(diag.OutcomeRefused), connect(diag.OutcomeUnreachable, address(six))},
			want: "tcp.refused"},
		{name: "trouble of our own", target: tcp, steps: []diag.Step{connect(diag.OutcomeLocal)}},
		{name: "broker on another port", target: tcp, steps: []diag.Step{connect(diag.OutcomeSilent), port("1884", diag.OutcomeOK, answered(0))},
			want: "tcp.wrong_port", because: map[diag.Code]string{"tcp.refused": "because.no_reset"}},
		{name: "broker on another port, SSH on the asked one", target: tcp, steps: []diag.Step{connect(diag.OutcomeOK), seen(checkMQTT, at, unanswered(diag.OutcomeOther, saying("ssh"))),
			nothingOver("mqtts"), nothingOver("ws"), port("1884", diag.OutcomeOK, answered(0))}, want: "tcp.wrong_port",
			because: map[diag.Code]string{"tls.required": "because.no_server_hello", "ws.expected": "because.no_http_there", "tcp.filtered": "because.port_accepts"}},
		{name: "web server on another port", target: tcp, steps: []diag.Step{connect(diag.OutcomeRefused), port("8883", diag.OutcomeOK, unanswered(diag.OutcomeClosed))},
			want: "tcp.refused", because: map[diag.Code]string{"tcp.wrong_port": "because.no_broker_on_usual_ports"}},
		{name: "one address of two", target: tcp, steps: []diag.Step{name, connect(diag.OutcomeOK), connect(diag.OutcomeSilent, address(other)), works},
			want: "tcp.partial_addresses", because: map[diag.Code]string{"dns.ipv6_broken": "because.not_ipv6_alone"}},
		{name: "IPv6 alone", target: tcp, steps: []diag.Step{both, connect(diag.OutcomeOK), connect(diag.OutcomeSilent, address(six)), works},
			want: "dns.ipv6_broken", because: map[diag.Code]string{"tcp.partial_addresses": "because.ipv6_alone"}},
		{name: "private address that refuses", target: tcp, steps: []diag.Step{seen(checkResolve, "", private), connect(diag.OutcomeRefused, address("10.1.2.3:1883"))},
			want: "tcp.refused"},
		{name: "private address that works", target: tcp, steps: []diag.Step{seen(checkResolve, "", private), connect(diag.OutcomeOK, address("10.1.2.3:1883")), works}},
	}
}

// nothingOver is the asked port in a transport that was not asked for, in which it answers nothing either.
func nothingOver(transport diag.Scheme) diag.Step {
	a := &diag.Attempt{Address: at, Transport: transport, TCP: &diag.TCPConnect{Outcome: diag.OutcomeOK}}
	if a.Purpose = diag.PurposeWebSocket; transport.UsesTLS() {
		a.Purpose, a.TLS = diag.PurposeTLS, &diag.TLSHandshake{Address: at, Outcome: diag.OutcomeClosed}
	} else if transport.IsWebSocket() {
		a.WS = &diag.WSUpgrade{Address: at, Path: "/mqtt", Outcome: diag.OutcomeClosed}
	} else {
		a.Purpose, a.MQTT = diag.PurposePlain, unanswered(diag.OutcomeClosed)
	}
	return seen(checkTransports, string(transport), a)
}

func TestClosedLookAlikes(t *testing.T) { testRecorded(t, closedLookAlikes()) }

func closedLookAlikes() []recorded {
	tcp := broker(diag.SchemeMQTT)
	accepts := seen(checkTCP, at, dialled(diag.OutcomeOK))
	listened := func(how diag.Outcome) diag.Step {
		return seen("peer.listen", "", &diag.PeerAnswer{Purpose: diag.PurposeListen, Address: at, Sent: "nothing", Outcome: how})
	}
	asked := func(speaks, first string) diag.Step {
		return seen(checkQuestions, "postgresql", &diag.PeerAnswer{Purpose: diag.PurposeQuestion, Address: at, Sent: "question", Outcome: diag.OutcomeOK, Speaks: speaks, First: []byte(first)})
	}
	header := func(m *diag.MQTTConnect) diag.Step {
		return seen("tcp.proxy_header", "v2", tried(diag.PurposeProxyHeader, diag.SchemeMQTT, m))
	}
	absurd := func(how diag.Outcome) diag.Step {
		return seen("tcp.absurd_port", "192.0.2.1:57", dialled(how, address("192.0.2.1:57"), func(o *diag.TCPConnect) { o.Purpose = diag.PurposeAbsurdPort }))
	}
	connect := func(o *diag.MQTTConnect) diag.Step { return seen(checkMQTT, at, o) }
	closed := unanswered(diag.OutcomeClosed)
	return []recorded{
		{name: "ends unasked, with TLS and as HTTP too", target: tcp, steps: []diag.Step{accepts, connect(closed), listened(diag.OutcomeClosed), nothingOver("mqtts"), nothingOver("ws")},
			want: "tcp.closed_on_accept", because: map[diag.Code]string{"tls.required": "because.no_server_hello"}},
		{name: "ends what is sent, and answers PostgreSQL's question", target: tcp, steps: []diag.Step{accepts, connect(closed), listened(diag.OutcomeSilent), asked("postgresql", "N")},
			want: "mqtt.not_mqtt", because: map[diag.Code]string{"mqtt.no_connack": "because.connection_ended"}},
		{name: "ends what is sent, and every question", target: tcp, steps: []diag.Step{accepts, connect(closed), listened(diag.OutcomeSilent), asked("", "")},
			want: "mqtt.closed_without_connack"},
		{name: "ends unasked", target: tcp, steps: []diag.Step{accepts, connect(closed), listened(diag.OutcomeClosed), header(unanswered(diag.OutcomeClosed)), absurd(diag.OutcomeRefused)},
			want: "tcp.closed_on_accept", because: map[diag.Code]string{"tcp.proxy_protocol_expected": "because.proxy_header_same",
				"tcp.accepts_everything": "because.absurd_port_closed"}},
		{name: "ends at the CONNECT alone", target: tcp, steps: []diag.Step{accepts, connect(closed), listened(diag.OutcomeSilent), header(unanswered(diag.OutcomeClosed)), absurd(diag.OutcomeRefused)},
			want: "mqtt.closed_without_connack", because: map[diag.Code]string{"tcp.closed_on_accept": "because.stays_open_unasked"}},
		{name: "works with a header", target: tcp, steps: []diag.Step{accepts, connect(closed), listened(diag.OutcomeClosed), header(answered(0)), absurd(diag.OutcomeRefused)},
			want: "tcp.proxy_protocol_expected", variant: "*"},
		{name: "is refused with a header", target: tcp, steps: []diag.Step{accepts, connect(closed), listened(diag.OutcomeSilent), header(answered(5)), absurd(diag.OutcomeRefused)},
			want: "tcp.proxy_protocol_expected", variant: "*"},
		{name: "silent without a header", target: tcp, steps: []diag.Step{accepts, connect(unanswered(diag.OutcomeSilent)), listened(diag.OutcomeSilent), header(answered(0)), absurd(diag.OutcomeRefused)},
			want: "tcp.proxy_protocol_expected", variant: "*"},
		{name: "accepts everything", target: tcp, steps: []diag.Step{accepts, connect(unanswered(diag.OutcomeSilent)), listened(diag.OutcomeSilent), absurd(diag.OutcomeOK)},
			want: "tcp.accepts_everything"},
		{name: "reset before anything could be sent", target: tcp, steps: []diag.Step{seen(checkTCP, at, dialled(diag.OutcomeReset))}, want: "tcp.closed_on_accept"},
		{name: "works", target: tcp, steps: []diag.Step{accepts, connect(answered(0)), absurd(diag.OutcomeOK)}},
	}
}

// A private address is a warning only where there is no way to it from here: then it explains the root cause.
func TestPrivateAddress(t *testing.T) {
	t.Parallel()
	silent := seen(checkTCP, at, dialled(diag.OutcomeSilent, address("10.1.2.3:1883")))
	steps := []diag.Step{seen(checkResolve, "", looked(addresses("10.1.2.3"))), silent, port("8883", diag.OutcomeRefused, nil)}
	for _, f := range diag.Conclude(diag.NewView(broker(diag.SchemeMQTT), diag.PlanOptions{Timeout: time.Second}, steps), All).Findings {
		if f.Code == "dns.private_address" && f.Severity != diag.SeverityInfo {
			t.Errorf("severity %q although another port answers", f.Severity)
		}
	}
	for how, want := range map[diag.Outcome]diag.Severity{diag.OutcomeSilent: diag.SeverityWarning, diag.OutcomeUnreachable: diag.SeverityWarning,
		diag.OutcomeRefused: diag.SeverityInfo, diag.OutcomeOK: diag.SeverityInfo} {
		v := diag.NewView(broker(diag.SchemeMQTT), diag.PlanOptions{Timeout: time.Second}, []diag.Step{
			seen(checkResolve, "", looked(addresses("10.1.2.3"))), seen(checkTCP, at, dialled(how, address("10.1.2.3:1883")))})
		found := diag.Severity("")
		for _, f := range diag.Conclude(v, All).Findings {
			if f.Code == "dns.private_address" {
				found = f.Severity
			}
		}
		if found != want {
			t.Errorf("%s: severity %q, want %q", how, found, want)
		}
	}
}

func TestLossLookAlikes(t *testing.T) { testRecorded(t, lossLookAlikes()) }

func lossLookAlikes() []recorded {
	series := func(ends string) diag.Step {
		o := &diag.ConnectSeries{Address: at}
		for _, e := range ends {
			o.Ends = append(o.Ends, map[rune]string{'.': diag.EndOK, 'r': diag.EndRepeated, 's': diag.EndSilent, 'x': diag.EndOther}[e])
		}
		return seen("net.loss", "", o)
	}
	pinged := func(ends string, pings, again int) diag.Step {
		s := series(ends)
		o := s.Observation.(*diag.ConnectSeries)
		o.Pings, o.PingsAgain = pings, again
		return s
	}
	works := seen(checkMQTT, at, answered(0))
	accepts := seen(checkTCP, at, dialled(diag.OutcomeOK))
	return []recorded{
		{name: "none", target: broker(diag.SchemeMQTT), steps: []diag.Step{accepts, works, series("..............................")}},
		{name: "one", target: broker(diag.SchemeMQTT), steps: []diag.Step{accepts, works, series("...........r..................")}},
		{name: "several", target: broker(diag.SchemeMQTT), steps: []diag.Step{accepts, works, series("...r.......r.......s..........")}, want: "net.packet_loss",
			because: map[diag.Code]string{"net.high_latency": "because.round_trip_short"}},
		{name: "several on the way to a name", target: broker(diag.SchemeMQTT), steps: []diag.Step{seen(checkResolve, "", looked(addresses("192.0.2.1"))), accepts, works,
			series("...r.......r.......s..........")}, want: "net.packet_loss", because: map[diag.Code]string{"tcp.partial_addresses": "because.every_address_works"}},
		{name: "new connections alone", target: broker(diag.SchemeMQTT), steps: []diag.Step{accepts, works, pinged("...r.......r.......s..........", 60, 0)}, want: "net.packet_loss", variant: "connecting"},
		{name: "pings too", target: broker(diag.SchemeMQTT), steps: []diag.Step{accepts, works, pinged("...r.......r.......s..........", 60, 2)}, want: "net.packet_loss"},
		{name: "few pings", target: broker(diag.SchemeMQTT), steps: []diag.Step{accepts, works, pinged("...r.......r.......s..........", 9, 0)}, want: "net.packet_loss"},
		{name: "a long way", target: broker(diag.SchemeMQTT), steps: []diag.Step{seen(checkTCP, at, dialled(diag.OutcomeOK, func(o *diag.TCPConnect) { o.RTT = 400 * time.Millisecond })), works}},
		{name: "a limit", target: broker(diag.SchemeMQTT), steps: []diag.Step{accepts, works, series("....................ssssssssss")}},
		{name: "refusals", target: broker(diag.SchemeMQTT), steps: []diag.Step{accepts, works, series("........xxxx....xxxx..........")}},
	}
}
