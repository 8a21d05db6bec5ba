package rule

import (
	"testing"

	"mqttdoctor/diag"
)

func TestAddressLookAlikes(t *testing.T) { testRecorded(t, addressLookAlikes()) }

func addressLookAlikes() []recorded {
	const at2, at6 = "192.0.2.2:1883", "[2001:db8::1]:1883"
	tcp := broker(diag.SchemeMQTT)
	own := tcp
	own.ClientID = "boiler-7"
	names := func(addresses ...string) diag.Step {
		return seen(checkResolve, "", &diag.Resolution{Name: "broker.example", Addresses: addresses})
	}
	two, six := names("192.0.2.1", "192.0.2.2"), names("192.0.2.1", "2001:db8::1")
	port := func(address string, how diag.Outcome) diag.Step {
		return seen(checkTCP, address, &diag.TCPConnect{Address: address, Outcome: how})
	}
	connect := func(address string, o *diag.MQTTConnect) diag.Step {
		o.Address = address
		return seen(checkMQTT, address, o)
	}
	other := func(address string, o *diag.MQTTConnect) diag.Step {
		a := tried(diag.PurposeOtherAddress, diag.SchemeMQTT, o)
		a.Address, o.Address = address, address
		return seen("mqtt.addresses", address, a)
	}
	open, open2, open6 := port(at, diag.OutcomeOK), port(at2, diag.OutcomeOK), port(at6, diag.OutcomeOK)
	silent := func() *diag.MQTTConnect { return unanswered(diag.OutcomeSilent) }
	login := tcp
	login.Username, login.Password = "meter", diag.NewSecret("p")
	second := seen(checkVersions, "3.1", tried(diag.PurposeVersion, diag.SchemeMQTT, answered(0, withLogin)))
	return []recorded{
		{name: "one refuses the login", target: login, steps: []diag.Step{two, open, open2, connect(at, answered(0, withLogin)), second, other(at2, answered(5, withLogin))},
			want: "tcp.partial_addresses", variant: "login"},
		{name: "one refuses the login, and no second session was tried", target: login, steps: []diag.Step{two, open, open2, connect(at, answered(0, withLogin)), other(at2, answered(5, withLogin))}},
		{name: "one is not told the login", target: login, steps: []diag.Step{two, open, open2, connect(at, answered(0, withLogin)), second,
			other(at2, answered(5, func(o *diag.MQTTConnect) { o.CredentialsWithheld = true }))}},
		{name: "IPv6 refuses the login", target: login, steps: []diag.Step{six, open, open6, connect(at, answered(0, withLogin)), second, other(at6, answered(5, withLogin))},
			want: "tcp.partial_addresses", variant: "login"},
		{name: "one silent, asked there", target: tcp, steps: []diag.Step{two, open, open2, connect(at, silent()), other(at2, answered(0))}, want: "tcp.partial_addresses"},
		{name: "one silent, asked at the other", target: tcp, steps: []diag.Step{two, open, open2, connect(at, answered(0)), other(at2, silent())}, want: "tcp.partial_addresses"},
		{name: "both silent", target: tcp, steps: []diag.Step{two, open, open2, connect(at, silent()), other(at2, silent())}, want: "mqtt.no_connack"},
		{name: "one refuses the connection, one is silent", target: tcp, steps: []diag.Step{two, open, port(at2, diag.OutcomeRefused), connect(at, silent())}, want: "mqtt.no_connack"},
		{name: "one refuses the connection", target: tcp, steps: []diag.Step{two, open, port(at2, diag.OutcomeRefused), connect(at, answered(0))}, want: "tcp.partial_addresses"},
		{name: "IPv6 silent, asked there", target: tcp, steps: []diag.Step{six, open, open6, connect(at6, silent()), other(at, answered(0))}, want: "dns.ipv6_broken"},
		{name: "one is unavailable", target: tcp, steps: []diag.Step{two, open, open2, connect(at, answered(0)), other(at2, answered(3))}, want: "tcp.partial_addresses"},
		{name: "one refuses a temporary client id", target: own, steps: []diag.Step{two, open, open2, connect(at, answered(0, withOwnID)), other(at2, answered(5))}},
		{name: "one ends the connection of a temporary client id", target: own,
			steps: []diag.Step{two, open, open2, connect(at, answered(0, withOwnID)), other(at2, unanswered(diag.OutcomeClosed))}},
		{name: "the own id is cut off, a temporary one accepted at both", target: own, steps: []diag.Step{two, open, open2, connect(at, unanswered(diag.OutcomeClosed, withOwnID)),
			seen(checkOtherID, "", tried(diag.PurposeOtherClientID, diag.SchemeMQTT, answered(0))), other(at2, answered(0))}, want: "mqtt.closed_without_connack", variant: "client_id"},
	}
}
