package rule

import (
	"testing"
	"time"

	"mqttdoctor/diag"
)

// seen is a step with an observation, as a stored run has it.
func seen(check diag.ProbeID, subject string, o diag.Observation) diag.Step {
	id := string(check)
	if subject != "" {
		id += "@" + subject
	}
	return diag.Step{ID: id, Check: check, Layer: diag.Code(check).Layer(), Subject: subject, Status: diag.StatusPassed,
		Observation: o, Evidence: o.Facts()}
}

// recorded is a table's row: what was observed, and what has to come of it.
type recorded struct {
	name   string
	target diag.Target
	steps  []diag.Step
	want   diag.Code // of the root cause; empty: no critical finding and no warning
	// because is the note that must exclude a look-alike.
	because map[diag.Code]string
	variant string
}

const at = "192.0.2.1:1883"

func broker(scheme diag.Scheme) diag.Target {
	t := diag.Target{Scheme: scheme, Host: "broker.example", HostTyped: "broker.example", Port: scheme.DefaultPort(), Protocol: diag.Version311,
		KeepAlive: time.Minute, CleanStart: true, Topics: diag.Topics{QoS: 1}}
	if scheme.IsWebSocket() {
		t.WS.Path = "/mqtt"
	}
	return t
}

// view is what the rules see of the row.
func (r recorded) view() *diag.View {
	return diag.NewView(r.target, diag.PlanOptions{Timeout: 5 * time.Second}, r.steps)
}

func testRecorded(t *testing.T, rows []recorded) {
	t.Helper()
	t.Parallel()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := diag.Conclude(row.view(), All)
			var got diag.Code
			if c.RootCause != nil {
				got = c.RootCause.Code
				if c.RootCause.Variant != row.variant && row.variant != "*" {
					t.Errorf("variant %q, want %q", c.RootCause.Variant, row.variant)
				}
			}
			if got != row.want {
				t.Errorf("concludes %q, want %q", got, row.want)
			}
			for _, f := range c.Findings {
				if f.Severity != diag.SeverityInfo && f.Code != row.want && f.CausedBy == "" {
					t.Errorf("also concludes %s", f.Code)
				}
			}
			for code, key := range row.because {
				found := false
				for _, r := range c.RuledOut {
					found = found || r.Code == code && r.Because.Key == key
				}
				if !found {
					t.Errorf("%s is not ruled out by %s: %v", code, key, c.RuledOut)
				}
			}
		})
	}
}

// answered is an asked CONNECT with its CONNACK.
func answered(code int, change ...func(*diag.MQTTConnect)) *diag.MQTTConnect {
	o := &diag.MQTTConnect{Purpose: diag.PurposeAsked, Address: at, Transport: diag.SchemeMQTT, Version: diag.Version311, ClientID: "mqttdoctor-a",
		KeepAliveS: 60, CleanStart: true, ConnectBytes: 40, Outcome: diag.OutcomeRefused, Code: code}
	if code == 0 {
		o.Outcome = diag.OutcomeOK
	}
	for _, f := range change {
		f(o)
	}
	return o
}

// unanswered is an asked CONNECT that ended without an answer.
func unanswered(how diag.Outcome, change ...func(*diag.MQTTConnect)) *diag.MQTTConnect {
	o := answered(0, change...)
	o.Outcome, o.Code = how, -1
	return o
}

// swallowed has a CONNECT that was sent again and again, and never acknowledged.
func swallowed(o *diag.MQTTConnect) { o.TCP = &diag.TCPInfoFact{Unacked: 1, Retransmits: 4} }

func withLogin(o *diag.MQTTConnect) { o.Credentials = true }
func withOwnID(o *diag.MQTTConnect) { o.OwnClientID, o.ClientID = true, "boiler-7" }
func inFive(o *diag.MQTTConnect)    { o.Version = diag.Version5 }
func inThreeOne(o *diag.MQTTConnect) {
	o.Version = diag.Version31
}
func keepAliveOf(s int) func(*diag.MQTTConnect) {
	return func(o *diag.MQTTConnect) { o.KeepAliveS = s }
}
func longOf(n int) func(*diag.MQTTConnect) { return func(o *diag.MQTTConnect) { o.ConnectBytes = n } }
func saying(protocol string) func(*diag.MQTTConnect) {
	return func(o *diag.MQTTConnect) { o.Speaks, o.First = protocol, []byte("x") }
}

// tried is a connection made beside the asked one.
func tried(p diag.Purpose, transport diag.Scheme, m *diag.MQTTConnect) *diag.Attempt {
	a := &diag.Attempt{Purpose: p, Address: at, Transport: transport, TCP: &diag.TCPConnect{Outcome: diag.OutcomeOK}, MQTT: m}
	if m != nil {
		m.Purpose, m.Transport = p, transport
	}
	if transport.IsWebSocket() {
		a.WS = &diag.WSUpgrade{Path: "/mqtt", Outcome: diag.OutcomeOK, Status: 101, Subprotocol: "mqtt", Offered: []string{"mqtt"}}
	}
	return a
}

// nothingHelps are the variations of a CONNECT that were all refused alike; the other client id is not among them.
func nothingHelps(code int, change ...func(*diag.MQTTConnect)) []diag.Step {
	same := func(check diag.ProbeID, p diag.Purpose, more ...func(*diag.MQTTConnect)) diag.Step {
		return seen(check, "", tried(p, diag.SchemeMQTT, answered(code, append(change, more...)...)))
	}
	return []diag.Step{same(checkVersions, diag.PurposeVersion, inThreeOne), same(checkNoCreds, diag.PurposeNoCredentials),
		same(checkKeepAlive, diag.PurposeKeepAlive, keepAliveOf(30)), same(checkShortConnect, diag.PurposeShortConnect)}
}

func TestLoginLookAlikes(t *testing.T) { testRecorded(t, loginLookAlikes()) }

func loginLookAlikes() []recorded {
	tcp := broker(diag.SchemeMQTT)
	loginGiven := tcp
	loginGiven.Username, loginGiven.Password, loginGiven.ClientID = "u", diag.NewSecret("p"), "boiler-7"
	cloud := loginGiven
	cloud.Host, cloud.Scheme, cloud.Port = "hub.azure-devices.net", diag.SchemeMQTTS, 8883
	kept := cloud
	kept.Username = "hub.azure-devices.net/boiler-7/?api-version=2021-04-12"
	connect := func(o *diag.MQTTConnect) diag.Step { return seen(checkMQTT, at, o) }
	otherID := func(code int, change ...func(*diag.MQTTConnect)) diag.Step {
		return seen(checkOtherID, "", tried(diag.PurposeOtherClientID, diag.SchemeMQTT, answered(code, change...)))
	}
	form := func(shares string, m *diag.MQTTConnect) diag.Step {
		a := tried(diag.PurposeClientIDForm, diag.SchemeMQTT, m)
		a.Label = shares
		return seen(checkIDForm, shares, a)
	}
	noLogin := func(code int) diag.Step {
		return seen(checkNoCreds, "", tried(diag.PurposeNoCredentials, diag.SchemeMQTT, answered(code)))
	}
	return []recorded{
		{name: "4 with a login is a wrong login", target: loginGiven, steps: []diag.Step{connect(answered(4, withLogin, withOwnID)), otherID(4, withLogin), noLogin(5)},
			want: "mqtt.bad_credentials", because: map[diag.Code]string{"mqtt.auth_required": "because.credentials_were_sent", "mqtt.not_authorized": "because.login_never_worked"}},
		{name: "4 without a login is a missing login", target: tcp, steps: []diag.Step{connect(answered(4))}, want: "mqtt.auth_required",
			because: map[diag.Code]string{"mqtt.bad_credentials": "because.no_credentials_were_sent"}},
		{name: "5 with a login that works with another id is no right", target: loginGiven, steps: []diag.Step{connect(answered(5, withLogin, withOwnID)), otherID(0, withLogin)},
			want: "mqtt.not_authorized", variant: "client_id", because: map[diag.Code]string{"mqtt.bad_credentials": "because.other_client_id_works"}},
		{name: "5 with a login that works nowhere is read as a wrong login", target: loginGiven, steps: []diag.Step{connect(answered(5, withLogin, withOwnID)), otherID(5, withLogin)},
			want: "mqtt.bad_credentials", variant: "not_authorized_code"},
		{name: "5 with a login that another address takes", target: loginGiven, steps: []diag.Step{connect(answered(5, withLogin, withOwnID)), otherID(5, withLogin),
			seen("mqtt.addresses", "192.0.2.2:1883", tried(diag.PurposeOtherAddress, diag.SchemeMQTT, answered(0, withLogin)))}, want: "mqtt.not_authorized", variant: "address"},
		{name: "a login held back proves nothing", target: loginGiven, steps: []diag.Step{connect(answered(5, withOwnID, func(o *diag.MQTTConnect) { o.CredentialsWithheld = true }))}, want: ""},
		{name: "2 that another id passes", target: loginGiven, steps: []diag.Step{connect(answered(2, withLogin, withOwnID)), otherID(0, withLogin)},
			want: "mqtt.client_id_rejected", because: map[diag.Code]string{"mqtt.not_authorized": "because.connack_code"}},
		{name: "2 that its characters bring about", target: loginGiven, steps: []diag.Step{connect(answered(2, withLogin, withOwnID)), otherID(0, withLogin),
			form(diag.FormCharacters, answered(2, withLogin)), form(diag.FormLength, answered(0, withLogin))}, want: "mqtt.client_id_rejected", variant: "characters"},
		{name: "2 that its length brings about", target: loginGiven, steps: []diag.Step{connect(answered(2, withLogin, withOwnID)), otherID(0, withLogin),
			form(diag.FormCharacters, answered(0, withLogin)), form(diag.FormLength, answered(2, withLogin))}, want: "mqtt.client_id_rejected", variant: "long"},
		{name: "2 that the kept session brings about", target: loginGiven, steps: []diag.Step{connect(answered(2, withLogin, withOwnID)), otherID(0, withLogin),
			form(diag.FormKept, answered(2, withLogin))}, want: "mqtt.client_id_rejected", variant: "kept"},
		{name: "2 to this id, whatever it shares with others", target: loginGiven, steps: []diag.Step{connect(answered(2, withLogin, withOwnID)), otherID(0, withLogin),
			form(diag.FormCharacters, answered(0, withLogin)), form(diag.FormKept, answered(0, withLogin))}, want: "mqtt.client_id_rejected"},
		{name: "2 but to letters and digits", target: loginGiven, steps: []diag.Step{connect(answered(2, withLogin, withOwnID)), otherID(2, withLogin),
			form(diag.FormPlain, answered(0, withLogin, func(o *diag.MQTTConnect) { o.ClientID = "md0123456789ab" }))}, want: "mqtt.client_id_rejected", variant: "characters"},
		{name: "banned is neither", target: loginGiven, steps: []diag.Step{connect(answered(0x8A, withLogin, withOwnID, inFive))}, want: "mqtt.banned",
			because: map[diag.Code]string{"mqtt.bad_credentials": "because.connack_code", "mqtt.not_authorized": "because.connack_code"}},
		{name: "a method is neither", target: loginGiven, steps: []diag.Step{connect(answered(0x8C, withLogin, withOwnID, inFive))}, want: "mqtt.auth_method"},
		{name: "busy is not unavailable", target: tcp, steps: []diag.Step{connect(answered(0x89, inFive))}, want: "mqtt.server_busy",
			because: map[diag.Code]string{"mqtt.server_unavailable": "because.connack_code"}},
		{name: "unavailable is not busy", target: tcp, steps: []diag.Step{connect(answered(3))}, want: "mqtt.server_unavailable"},
		{name: "a code of MQTT 5 in 3.1.1", target: tcp, steps: []diag.Step{connect(answered(0x97))}, want: "mqtt.server_busy"},
		{name: "AUTH in place of a CONNACK", target: loginGiven, steps: []diag.Step{connect(answered(0x18, withLogin, withOwnID, inFive))}, want: "mqtt.auth_method"},
		{name: "no reason named, and another id passes", target: loginGiven, steps: append(nothingHelps(0x83, inFive), connect(answered(0x83, withLogin, withOwnID, inFive)),
			otherID(0, withLogin, inFive)), want: "mqtt.client_id_rejected",
			because: map[diag.Code]string{"mqtt.keepalive_rejected": "because.smaller_keepalive_same"}},
		{name: "no reason named, and nothing helps", target: tcp, steps: append(nothingHelps(0x83, inFive), connect(answered(0x83, inFive)), otherID(0x83, inFive)),
			want: "mqtt.server_unavailable", variant: "unnamed", because: map[diag.Code]string{"mqtt.server_busy": "because.connack_code", "mqtt.not_authorized": "because.connack_code"}},
		{name: "4 without a login, over TLS that asks for a certificate", target: broker(diag.SchemeMQTTS), steps: []diag.Step{
			seen(checkTLS, at, &diag.TLSHandshake{Address: at, Outcome: diag.OutcomeOK, ServerHello: true, CertRequested: true}),
			connect(answered(4, func(o *diag.MQTTConnect) { o.Transport = diag.SchemeMQTTS }))}, want: "mqtt.auth_required",
			because: map[diag.Code]string{"tls.client_cert_required": "because.connack_came"}},
		{name: "another server by its code", target: tcp, steps: []diag.Step{connect(answered(0x9C, inFive))}, want: "mqtt.use_another_server",
			because: map[diag.Code]string{"mqtt.server_unavailable": "because.connack_code", "mqtt.server_busy": "because.connack_code"}},
		{name: "moved for good", target: tcp, steps: []diag.Step{connect(answered(0x9D, inFive))}, want: "mqtt.use_another_server", variant: "moved"},
		{name: "a cloud broker's user name has another form", target: cloud, steps: []diag.Step{connect(answered(5, withLogin, withOwnID)), otherID(5, withLogin)}, want: "mqtt.provider_rule",
			variant: "username", because: map[diag.Code]string{"mqtt.client_id_rejected": "because.connack_code"}},
		{name: "a cloud broker ends what has another form", target: cloud, steps: []diag.Step{connect(unanswered(diag.OutcomeClosed, withLogin, withOwnID))}, want: "mqtt.provider_rule",
			variant: "username", because: map[diag.Code]string{"mqtt.bad_credentials": "because.no_connack_came"}},
		{name: "a cloud broker's rules are kept", target: kept, steps: []diag.Step{connect(answered(5, withLogin, withOwnID)), otherID(5, withLogin)}, want: "mqtt.bad_credentials",
			variant: "not_authorized_code"},
		{name: "accepted is nothing", target: tcp, steps: []diag.Step{connect(answered(0))}, want: ""},
		{name: "the websocket close names the login", target: loginGiven, steps: []diag.Step{connect(unanswered(diag.OutcomeClosed, withLogin, func(o *diag.MQTTConnect) { o.WSCloseReason = "unauthenticated" }))},
			want: "mqtt.bad_credentials", variant: "websocket_close"},
		{name: "another close reason does not", target: loginGiven, steps: []diag.Step{connect(unanswered(diag.OutcomeClosed, withLogin, func(o *diag.MQTTConnect) { o.WSCloseReason = "shutting down" }))},
			want: "mqtt.closed_without_connack"},
	}
}

func TestConnectLookAlikes(t *testing.T) { testRecorded(t, connectLookAlikes()) }

func connectLookAlikes() []recorded {
	tcp := broker(diag.SchemeMQTT)
	five := tcp
	five.Protocol = diag.Version5
	connect := func(o *diag.MQTTConnect) diag.Step { return seen(checkMQTT, at, o) }
	version := func(o *diag.MQTTConnect) diag.Step {
		return seen(checkVersions, string(o.Version), tried(diag.PurposeVersion, diag.SchemeMQTT, o))
	}
	other := func(check diag.ProbeID, p diag.Purpose, s diag.Scheme, m *diag.MQTTConnect) diag.Step {
		return seen(check, string(s), tried(p, s, m))
	}
	return []recorded{
		{name: "5 closed, 3.1.1 answered: the version", target: five, steps: []diag.Step{connect(unanswered(diag.OutcomeClosed, inFive)), version(answered(0))}, want: "mqtt.version_unsupported",
			variant: "closed", because: map[diag.Code]string{"mqtt.closed_without_connack": "because.variation_works"}},
		{name: "5 closed, all closed: no version", target: five, steps: []diag.Step{connect(unanswered(diag.OutcomeClosed, inFive)), version(unanswered(diag.OutcomeClosed)), version(unanswered(diag.OutcomeReset, inThreeOne))},
			want: "mqtt.closed_without_connack", because: map[diag.Code]string{"mqtt.version_unsupported": "because.no_version_works"}},
		{name: "5 closed with the own id, answered with another: the id", target: five, steps: []diag.Step{connect(unanswered(diag.OutcomeClosed, inFive, withOwnID)), version(answered(0)),
			other(checkOtherID, diag.PurposeOtherClientID, diag.SchemeMQTT, answered(0, inFive))}, want: "mqtt.closed_without_connack", variant: "client_id",
			because: map[diag.Code]string{"mqtt.version_unsupported": "because.version_answered"}},
		{name: "5 refused as unspecified, 3.1.1 works: the version, most likely", target: five, steps: []diag.Step{connect(answered(0x80, inFive)), version(answered(0))},
			want: "mqtt.version_unsupported", variant: "other_code"},
		{name: "5 refused as unspecified, 3.1.1 refused too", target: five, steps: []diag.Step{connect(answered(0x80, inFive)), version(answered(3))}, want: "mqtt.server_unavailable", variant: "unnamed",
			because: map[diag.Code]string{"mqtt.version_unsupported": "because.connack_code"}},
		{name: "5 refused as unspecified, passes with another id", target: five, steps: []diag.Step{connect(answered(0x80, inFive, withOwnID)), version(answered(0)),
			other(checkOtherID, diag.PurposeOtherClientID, diag.SchemeMQTT, answered(0, inFive))}, want: "mqtt.client_id_rejected"},
		{name: "silence in 5, 3.1.1 works", target: five, steps: []diag.Step{connect(unanswered(diag.OutcomeSilent, inFive)), version(answered(0))},
			want: "mqtt.version_unsupported", variant: "silent"},
		{name: "5 unanswered, 3.1.1 refuses the login: the version", target: five, steps: []diag.Step{connect(unanswered(diag.OutcomeSilent, inFive)), version(answered(5))},
			want: "mqtt.version_unsupported", variant: "silent", because: map[diag.Code]string{"mqtt.no_connack": "because.variation_works"}},
		{name: "silence in all", target: five, steps: []diag.Step{connect(unanswered(diag.OutcomeSilent, inFive)), version(unanswered(diag.OutcomeSilent))}, want: "mqtt.no_connack",
			because: map[diag.Code]string{"mqtt.closed_without_connack": "because.connection_stayed_open", "mqtt.not_mqtt": "because.nothing_said"}},
		{name: "lost on the way in all", target: five, steps: []diag.Step{connect(unanswered(diag.OutcomeSilent, inFive, swallowed)), version(unanswered(diag.OutcomeSilent, swallowed))},
			want: "mqtt.no_connack", variant: "swallowed"},
		{name: "lost on the way but in the version that is spelled otherwise", target: five, steps: []diag.Step{connect(unanswered(diag.OutcomeSilent, inFive, swallowed)),
			version(unanswered(diag.OutcomeSilent, swallowed)), version(answered(0, inThreeOne))},
			want: "mqtt.no_connack", variant: "by_content"},
		{name: "lost on the way once", target: five, steps: []diag.Step{connect(unanswered(diag.OutcomeSilent, inFive, swallowed)), version(answered(0))},
			want: "mqtt.version_unsupported", variant: "silent"},
		{name: "a close is not silence", target: tcp, steps: []diag.Step{connect(unanswered(diag.OutcomeClosed)), version(unanswered(diag.OutcomeClosed, inFive))}, want: "mqtt.closed_without_connack",
			because: map[diag.Code]string{"mqtt.no_connack": "because.connection_ended"}},
		{name: "a close of a long CONNECT that a short one survives", target: tcp, steps: []diag.Step{connect(unanswered(diag.OutcomeClosed, longOf(2000), withLogin)),
			other(checkShortConnect, diag.PurposeShortConnect, diag.SchemeMQTT, answered(5))}, want: "mqtt.connect_too_large",
			because: map[diag.Code]string{"mqtt.closed_without_connack": "because.variation_works"}},
		{name: "a close of any long CONNECT", target: tcp, steps: []diag.Step{connect(unanswered(diag.OutcomeClosed, longOf(2000), withLogin)),
			other(checkShortConnect, diag.PurposeShortConnect, diag.SchemeMQTT, answered(5)),
			other(checkLongConnect, diag.PurposeLongConnect, diag.SchemeMQTT, unanswered(diag.OutcomeClosed, longOf(2000)))}, want: "mqtt.connect_too_large"},
		{name: "a close of a long CONNECT that another as long survives", target: tcp, steps: []diag.Step{connect(unanswered(diag.OutcomeClosed, longOf(2000), withLogin)),
			other(checkShortConnect, diag.PurposeShortConnect, diag.SchemeMQTT, answered(5)), other(checkNoCreds, diag.PurposeNoCredentials, diag.SchemeMQTT, answered(5)),
			other(checkLongConnect, diag.PurposeLongConnect, diag.SchemeMQTT, answered(5, longOf(2000)))}, want: "mqtt.closed_without_connack", variant: "credentials",
			because: map[diag.Code]string{"mqtt.connect_too_large": "because.long_connect_answered"}},
		{name: "a close of a long CONNECT and of a short one", target: tcp, steps: []diag.Step{connect(unanswered(diag.OutcomeClosed, longOf(2000), withLogin)),
			other(checkShortConnect, diag.PurposeShortConnect, diag.SchemeMQTT, unanswered(diag.OutcomeClosed))}, want: "mqtt.closed_without_connack",
			because: map[diag.Code]string{"mqtt.connect_too_large": "because.short_connect_same"}},
		{name: "2 over the keep alive", target: tcp, steps: []diag.Step{connect(answered(2, withOwnID, keepAliveOf(3600))),
			other(checkOtherID, diag.PurposeOtherClientID, diag.SchemeMQTT, answered(2, keepAliveOf(3600))),
			other(checkKeepAlive, diag.PurposeKeepAlive, diag.SchemeMQTT, answered(0, keepAliveOf(30))), other(checkKeepAlive, diag.PurposeKeepAlive, diag.SchemeWS, answered(2, keepAliveOf(3600)))},
			want: "mqtt.keepalive_rejected", because: map[diag.Code]string{"mqtt.client_id_rejected": "because.keepalive_matters"}},
		{name: "5 over the keep alive", target: tcp, steps: []diag.Step{connect(answered(5, keepAliveOf(3600))),
			other(checkKeepAlive, diag.PurposeKeepAlive, diag.SchemeMQTT, answered(0, keepAliveOf(30))), other(checkKeepAlive, diag.PurposeKeepAlive, diag.SchemeWS, answered(5, keepAliveOf(3600)))},
			want: "mqtt.keepalive_rejected"},
		{name: "5 that passes when repeated is not over the keep alive", target: tcp, steps: []diag.Step{connect(answered(5, keepAliveOf(3600))),
			other(checkKeepAlive, diag.PurposeKeepAlive, diag.SchemeMQTT, answered(0, keepAliveOf(30))), other(checkKeepAlive, diag.PurposeKeepAlive, diag.SchemeWS, answered(0, keepAliveOf(3600)))},
			want: "mqtt.auth_required"},
		{name: "a close that does not come again", target: five, steps: []diag.Step{connect(unanswered(diag.OutcomeClosed, inFive)), version(answered(0)),
			other(checkKeepAlive, diag.PurposeKeepAlive, diag.SchemeMQTT, unanswered(diag.OutcomeClosed, inFive, keepAliveOf(30))),
			other(checkKeepAlive, diag.PurposeKeepAlive, diag.SchemeWS, answered(0, inFive))},
			want: "mqtt.closed_without_connack", variant: "sometimes", because: map[diag.Code]string{"mqtt.version_unsupported": "because.version_answered"}},
		{name: "2 over the id, not the keep alive", target: tcp, steps: []diag.Step{connect(answered(2, withOwnID, keepAliveOf(3600))),
			other(checkOtherID, diag.PurposeOtherClientID, diag.SchemeMQTT, answered(0, keepAliveOf(3600))),
			other(checkKeepAlive, diag.PurposeKeepAlive, diag.SchemeMQTT, answered(0, keepAliveOf(30))), other(checkKeepAlive, diag.PurposeKeepAlive, diag.SchemeWS, answered(0, keepAliveOf(3600)))},
			want: "mqtt.client_id_rejected", because: map[diag.Code]string{"mqtt.keepalive_rejected": "because.keepalive_passes_with_other_id"}},
		{name: "another protocol", target: tcp, steps: []diag.Step{connect(unanswered(diag.OutcomeOther, saying("ssh")))}, want: "mqtt.not_mqtt",
			because: map[diag.Code]string{"mqtt.no_connack": "because.not_that_answer"}},
		{name: "HTTP that upgrades is a WebSocket listener", target: tcp, steps: []diag.Step{connect(unanswered(diag.OutcomeOther, saying("http"))),
			other("peer.transports", diag.PurposeWebSocket, diag.SchemeWS, answered(0))}, want: "ws.expected"},
		{name: "an upgrade to MQTT, and no TLS", target: tcp, steps: []diag.Step{connect(unanswered(diag.OutcomeOther, saying("http"))),
			other("peer.transports", diag.PurposeWebSocket, diag.SchemeWS, answered(0)), nothingOver("mqtts")}, want: "ws.expected",
			because: map[diag.Code]string{"tls.required": "because.no_server_hello"}},
		{name: "HTTP that does not is none", target: tcp, steps: []diag.Step{connect(unanswered(diag.OutcomeOther, saying("http"))),
			seen("peer.transports", "ws", &diag.Attempt{Purpose: diag.PurposeWebSocket, Address: at, Transport: diag.SchemeWS,
				WS: &diag.WSUpgrade{Path: "/mqtt", Outcome: diag.OutcomeRefused, Status: 404}})}, want: "mqtt.not_mqtt",
			because: map[diag.Code]string{"ws.expected": "because.no_upgrade_there"}},
	}
}

func TestSessionLookAlikes(t *testing.T) { testRecorded(t, sessionLookAlikes()) }

func sessionLookAlikes() []recorded {
	own := broker(diag.SchemeMQTT)
	own.ClientID = "boiler-7"
	connect := seen(checkMQTT, at, answered(0, withOwnID))
	watch := func(check diag.ProbeID, own bool, how diag.Outcome, code int) diag.Step {
		return seen(check, map[bool]string{true: "boiler-7", false: "mqttdoctor-…"}[own], &diag.SessionWatch{Address: at, Version: diag.Version311, ClientID: "x",
			OwnClientID: own, Outcome: how, Code: code, Lasted: time.Second})
	}
	stay := func(how diag.Outcome) diag.Step { return watch(checkStay, true, how, -1) }
	other := func(how diag.Outcome) diag.Step { return watch(checkStayOther, false, how, -1) }
	hold := func(own, control diag.Outcome) []diag.Step {
		return []diag.Step{watch(checkHoldID, true, own, -1), watch(checkHoldID, false, control, -1)}
	}
	granted := seen(checkSubscribe, "plant/#", &diag.Subscription{Filter: "plant/#", QoS: 1, Outcome: diag.OutcomeOK, Code: 1})
	taken := seen(checkPublish, "", &diag.Delivery{Topic: "plant/temp", QoS: 1, DeliveredQoS: 1, Published: diag.OutcomeOK, Expected: true, Delivered: true})
	pinged := seen(checkPing, "", &diag.MQTTPing{Outcome: diag.OutcomeOK})
	serverKeepAlive := func(s uint16) func(*diag.MQTTConnect) {
		return func(o *diag.MQTTConnect) { o.Props = &diag.ConnackProps{ServerKeepAliveS: &s} }
	}
	lost := seen(checkSubscribe, "plant/#", &diag.Subscription{Filter: "plant/#", QoS: 1, Outcome: diag.OutcomeClosed, Code: -1})
	quiet := func(lasted, busy time.Duration) diag.Step {
		return seen(checkStayOther, "mqttdoctor-…", &diag.SessionWatch{Address: at, Version: diag.Version311, ClientID: "x", Idle: true,
			Outcome: diag.OutcomeClosed, Code: -1, Lasted: lasted, Busy: busy, BusyPause: 250 * time.Millisecond})
	}
	return []recorded{
		{name: "any id is kicked, and what was sent was taken", target: own, steps: []diag.Step{connect, granted, taken, pinged, stay(diag.OutcomeClosed), other(diag.OutcomeClosed)},
			want: "mqtt.kicked_after_connect", because: map[diag.Code]string{"mqtt.ping_unanswered": "because.ping_answered",
				"msg.subscribe_denied": "because.subscriptions_granted", "msg.publish_denied": "because.publish_accepted"}},
		{name: "the own id alone is, and what was sent was taken", target: own, steps: []diag.Step{connect, granted, taken, pinged, stay(diag.OutcomeClosed), other(diag.OutcomeOK)},
			want: "mqtt.client_id_conflict", because: map[diag.Code]string{"mqtt.ping_unanswered": "because.ping_answered",
				"msg.subscribe_denied": "because.subscriptions_granted", "msg.publish_denied": "because.publish_accepted"}},
		{name: "the server's own keep alive", target: own, steps: []diag.Step{seen(checkMQTT, at, answered(0, withOwnID, inFive, serverKeepAlive(20)))}, want: ""},
		{name: "the asked keep alive, said again", target: own, steps: []diag.Step{seen(checkMQTT, at, answered(0, withOwnID, inFive, serverKeepAlive(60)))}, want: ""},
		{name: "any id is kicked", target: own, steps: []diag.Step{connect, stay(diag.OutcomeClosed), other(diag.OutcomeClosed)}, want: "mqtt.kicked_after_connect",
			because: map[diag.Code]string{"mqtt.client_id_conflict": "because.other_id_ends_too"}},
		{name: "any id is kicked, another one with its CONNACK", target: own, steps: []diag.Step{connect, stay(diag.OutcomeClosed), seen(checkStayOther, "mqttdoctor-…",
			&diag.SessionWatch{Address: at, Version: diag.Version311, ClientID: "x", Idle: true, Outcome: diag.OutcomeClosed, Code: -1})}, want: "mqtt.kicked_after_connect"},
		{name: "any id is ended that is quiet", target: own, steps: []diag.Step{connect, stay(diag.OutcomeClosed), quiet(2*time.Second, 5*time.Second)},
			want: "mqtt.idle_disconnect", variant: "soon", because: map[diag.Code]string{"mqtt.kicked_after_connect": "because.busy_session_lasts"}},
		{name: "any id is ended that is quiet for a moment", target: own, steps: []diag.Step{connect, stay(diag.OutcomeClosed), quiet(600*time.Millisecond, 2200*time.Millisecond)},
			want: "mqtt.idle_disconnect", variant: "at_once", because: map[diag.Code]string{"mqtt.kicked_after_connect": "because.busy_session_lasts"}},
		{name: "any id is ended, and busy ones too", target: own, steps: []diag.Step{connect, stay(diag.OutcomeClosed), quiet(time.Second, time.Second)}, want: "mqtt.kicked_after_connect"},
		{name: "the own id alone is", target: own, steps: []diag.Step{connect, stay(diag.OutcomeClosed), other(diag.OutcomeOK)}, want: "mqtt.client_id_conflict"},
		{name: "said so", target: own, steps: []diag.Step{connect, watch(checkStay, true, diag.OutcomeRefused, 0x8E)}, want: "mqtt.client_id_conflict", variant: "taken_over"},
		{name: "held and taken", target: own, steps: append(hold(diag.OutcomeClosed, diag.OutcomeOK), connect, stay(diag.OutcomeOK)), want: "mqtt.client_id_conflict",
			because: map[diag.Code]string{"mqtt.kicked_after_connect": "because.session_lasts"}},
		{name: "held and left alone", target: own, steps: append(hold(diag.OutcomeOK, diag.OutcomeOK), connect, stay(diag.OutcomeOK)), want: ""},
		{name: "both held are ended", target: own, steps: append(hold(diag.OutcomeClosed, diag.OutcomeClosed), connect, stay(diag.OutcomeOK)), want: ""},
		{name: "ended at a subscription, another lasts", target: own, steps: []diag.Step{connect, lost, stay(diag.OutcomeClosed), other(diag.OutcomeOK)}, want: "msg.subscribe_denied", variant: "closed"},
		{name: "ended at a subscription, another ended idle", target: own, steps: []diag.Step{connect, lost, stay(diag.OutcomeClosed), other(diag.OutcomeClosed)}, want: "mqtt.kicked_after_connect"},
		{name: "ping unanswered", target: own, steps: []diag.Step{connect, stay(diag.OutcomeOK), seen(checkPing, "", &diag.MQTTPing{Outcome: diag.OutcomeSilent})}, want: "mqtt.ping_unanswered"},
		{name: "ping answered", target: own, steps: []diag.Step{connect, seen(checkPing, "", &diag.MQTTPing{Outcome: diag.OutcomeOK})}, want: ""},
		{name: "a limit", target: own, steps: []diag.Step{connect, seen(checkHeld, "", &diag.HeldConnections{Held: 10, Tried: 10, Refused: true, Closed: true, RetryWorked: true})}, want: "mqtt.connection_limit"},
		{name: "refused for another reason", target: own, steps: []diag.Step{connect, seen(checkHeld, "", &diag.HeldConnections{Held: 10, Tried: 10, Refused: true, Closed: true})}, want: ""},
		{name: "the second one is over a quota", target: own, steps: []diag.Step{connect, seen(checkHeld, "", &diag.HeldConnections{Held: 1, Tried: 1, Refused: true, Code: 0x97})}, want: "mqtt.connection_limit", variant: "quota"},
		{name: "the second one is refused without a word", target: own, steps: []diag.Step{connect, seen(checkHeld, "", &diag.HeldConnections{Held: 1, Tried: 1, Refused: true, Code: -1})}, want: ""},
		{name: "no limit", target: own, steps: []diag.Step{connect, seen(checkHeld, "", &diag.HeldConnections{Held: 50, Tried: 49})}, want: ""},
	}
}
