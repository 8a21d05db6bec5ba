package probe_test

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	v5 "github.com/eclipse/paho.golang/packets"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

func TestNotMQTT(t *testing.T) {
	t.Parallel()
	speaks := func(name string) func(*testing.T, diag.Report) {
		return func(t *testing.T, r diag.Report) {
			if r.RootCause != nil && r.RootCause.Args["protocol"] != name {
				t.Errorf("protocol %q, want %q", r.RootCause.Args["protocol"], name)
			}
		}
	}
	peers := []struct {
		name, speaks string
		handle       diagtest.Handler
	}{
		{"ssh", "SSH", diagtest.Banner(diagtest.SSHBanner)},
		{"smtp", "SMTP", diagtest.Banner(diagtest.SMTPBanner)},
		{"ftp", "FTP", diagtest.Banner(diagtest.FTPBanner)},
		{"pop3", "POP3", diagtest.Banner("+OK Dovecot ready.\r\n")},
		{"imap", "IMAP", diagtest.Banner("* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n")},
		{"mysql", "MySQL", diagtest.Banner("\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00abcdefgh\x00\xff\xf7\xff\x02\x00\xff\x8f\x15")},
		{"nats", "NATS", diagtest.Banner("INFO {\"server_id\":\"X\",\"version\":\"2.10.0\"} \r\n")},
		{"redis", "Redis", diagtest.AnswerAndClose([]byte("-ERR unknown command '\x10'\r\n")...)},
		{"redis that waits", "Redis", diagtest.Answer([]byte("-ERR Protocol error: unbalanced quotes in request\r\n")...)},
		{"amqp", "AMQP", diagtest.AnswerAndClose([]byte("AMQP\x00\x00\x09\x01")...)},
		{"postgresql", "PostgreSQL", diagtest.AnswerAndClose([]byte("E\x00\x00\x00\x20SFATAL\x00C0A000\x00Munsupported\x00\x00")...)},
		{"http that closes", "HTTP", diagtest.AnswerAndClose([]byte("HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")...)},
		{"telnet", "Telnet", diagtest.Banner("\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27")},
		{"vnc", "VNC", diagtest.Banner("RFB 003.008\n")},
		{"memcached", "Memcached", diagtest.Answer([]byte("ERROR\r\n")...)},
	}
	var all []scenario
	for _, p := range peers {
		for _, scheme := range []string{"mqtt", "mqtts", "ws", "wss"} {
			path := map[bool]string{true: "/mqtt"}[strings.HasPrefix(scheme, "w")]
			want := diag.Code("mqtt.not_mqtt")
			if scheme != "mqtt" && p.name != "ssh" && p.name != "redis" && p.name != "amqp" {
				continue // one that greets, one that answers in words and one that answers in bytes
			}
			s := scenario{name: p.name + " over " + scheme, peer: as(scheme, path, peerAs(scheme, p.handle)), want: want,
				plan: diag.PlanInput{TimeoutS: seconds(1)}, check: speaks(p.speaks)}
			all = append(all, s)
		}
	}
	// Servers that end what they do not understand without a word, and are asked in their own language.
	for _, p := range []struct {
		name, speaks string
		peer         func(testing.TB) string
	}{
		{"a real PostgreSQL", "PostgreSQL", realPostgres},
		{"kafka", "Kafka", peerAs("mqtt", kafkaLike)},
		{"mongodb", "MongoDB", peerAs("mqtt", mongoLike)},
	} {
		for scheme, path := range map[string]string{"mqtt": "", "mqtts": "", "ws": "/mqtt"} {
			all = append(all, scenario{name: p.name + " over " + scheme, peer: as(scheme, path, p.peer), want: "mqtt.not_mqtt", check: speaks(p.speaks)})
		}
	}
	all = append(all,
		scenario{name: "a broker where a database was expected", peer: scripted(diagtest.Script{})},
		scenario{name: "noise", peer: peerAs("mqtt", diagtest.AnswerAndClose([]byte("\x00\x01what is this\x07")...)), want: "mqtt.not_mqtt", variant: "unknown"},
		scenario{name: "late banner", peer: peerAs("mqtt", func(conn net.Conn) {
			time.Sleep(400 * time.Millisecond)
			_, _ = io.WriteString(conn, diagtest.SSHBanner)
			diagtest.Silent(conn)
		}), want: "mqtt.not_mqtt"},
	)
	runScenarios(t, all)
}

func realPostgres(t testing.TB) string {
	return "mqtt://" + hostOf(t, diagtest.Postgres(t).Database(t))
}

// kafkaLike ends what announces more than 100 MB, as socket.request.max.bytes has it, and answers ApiVersions.
func kafkaLike(conn net.Conn) {
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil || binary.BigEndian.Uint32(size[:]) > 100<<20 {
		return
	}
	request := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(conn, request); err != nil || len(request) < 8 || binary.BigEndian.Uint16(request) != 18 {
		return
	}
	_, _ = conn.Write(append([]byte{0, 0, 0, 16}, append(request[4:8:8], 0, 0, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4)...))
	diagtest.Silent(conn)
}

// mongoLike ends what is longer than a message may be, or of no operation, and answers a query.
func mongoLike(conn net.Conn) {
	head := make([]byte, 16)
	if _, err := io.ReadFull(conn, head); err != nil {
		return
	}
	length := binary.LittleEndian.Uint32(head)
	if length < 16 || length > 48_000_000 || binary.LittleEndian.Uint32(head[12:]) != 2004 {
		return
	}
	if _, err := io.CopyN(io.Discard, conn, int64(length)-16); err != nil {
		return
	}
	answer := make([]byte, 36)
	binary.LittleEndian.PutUint32(answer, uint32(len(answer)))
	copy(answer[8:12], head[4:8])
	answer[12] = 1
	_, _ = conn.Write(answer)
	diagtest.Silent(conn)
}

func TestNoConnack(t *testing.T) {
	t.Parallel()
	brief := diag.PlanInput{TimeoutS: seconds(1)}
	silent := diagtest.Script{OnConnect: func(diagtest.Connect) diagtest.ConnectAnswer {
		return diagtest.ConnectAnswer{Action: diagtest.Silence}
	}}
	overWS := silent
	overWS.WS = &diagtest.WSScript{}
	slow := diagtest.Script{OnConnect: func(diagtest.Connect) diagtest.ConnectAnswer {
		time.Sleep(2 * time.Second)
		return diagtest.ConnectAnswer{}
	}}
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "upgrade unanswered", peer: peerAs("ws", diagtest.Silent), plan: brief, want: "mqtt.no_connack", variant: "upgrade"},
			"auto", "3.1.1", "5"),
		inVersions(scenario{name: "silent", peer: peerAs("mqtt", diagtest.Silent), plan: brief, want: "mqtt.no_connack"}, everyVersion...),
		inVersions(scenario{name: "silent broker over ws", peer: scripted(overWS), plan: brief, want: "mqtt.no_connack"}, "auto", "3.1.1", "5"),
		[]scenario{
			{name: "half a CONNACK", peer: peerAs("mqtt", diagtest.HalfConnack), plan: brief, want: "mqtt.no_connack"},
			{name: "CONNACK after two seconds", peer: scripted(slow), plan: diag.PlanInput{TimeoutS: seconds(5)}},
			{name: "CONNACK after two seconds, 3.1.1", peer: scripted(slow), in: diag.TargetInput{Protocol: "3.1.1"}, plan: diag.PlanInput{TimeoutS: seconds(5)}},
		}))
	t.Run("silent broker over TLS", securedAs(scenario{plan: brief, want: "mqtt.no_connack"}, silent, "", ""))
}

// closesAtFirst reads what comes first and closes without a word; unasked it stays open.
func closesAtFirst(conn net.Conn) {
	_, _ = conn.Read(make([]byte, 4096))
	_ = conn.Close()
}

func TestClosedWithoutConnack(t *testing.T) {
	t.Parallel()
	does := func(a diagtest.Action) diagtest.Script {
		return diagtest.Script{OnConnect: func(diagtest.Connect) diagtest.ConnectAnswer { return diagtest.ConnectAnswer{Action: a} }}
	}
	when := func(a diagtest.Action, bad func(diagtest.Connect) bool) func(testing.TB) string {
		return scripted(diagtest.Script{OnConnect: func(c diagtest.Connect) diagtest.ConnectAnswer {
			if bad(c) {
				return diagtest.ConnectAnswer{Action: a}
			}
			return diagtest.ConnectAnswer{}
		}})
	}
	ws := does(diagtest.Close)
	ws.WS = &diagtest.WSScript{}
	own := diag.TargetInput{ClientID: "boiler-7"}
	wrong := func(c diagtest.Connect) bool { return c.Password != "right" }
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "closed", peer: scripted(does(diagtest.Close)), want: "mqtt.closed_without_connack"}, everyVersion...),
		inVersions(scenario{name: "reset", peer: scripted(does(diagtest.Cut)), want: "mqtt.closed_without_connack"}, everyVersion...),
		inVersions(scenario{name: "upgrade closed", peer: peerAs("ws", closesAtFirst), want: "mqtt.closed_without_connack", variant: "upgrade"},
			"auto", "3.1.1", "5"),
		inVersions(scenario{name: "closed over ws", peer: scripted(ws), want: "mqtt.closed_without_connack"}, "auto", "3.1.1", "5"),
		inVersions(scenario{name: "own id closed", peer: when(diagtest.Close, func(c diagtest.Connect) bool { return c.ClientID == "boiler-7" }),
			in: own, want: "mqtt.closed_without_connack", variant: "client_id", suggest: "*"}, "auto", "3.1.1", "5"),
		// A wrong password answered with a close, as some brokers do on purpose.
		inVersions(scenario{name: "wrong password closed", peer: when(diagtest.Close, func(c diagtest.Connect) bool { return c.UsernameGiven && wrong(c) }),
			in: login("doctor", "wrong"), want: "mqtt.closed_without_connack", variant: "credentials"}, "auto", "3.1.1", "5"),
		inVersions(scenario{name: "wrong password reset, anonymous refused", peer: scripted(diagtest.Script{OnConnect: func(c diagtest.Connect) diagtest.ConnectAnswer {
			switch {
			case !c.UsernameGiven:
				return diagtest.RefuseConnect(5, 0x87)
			case wrong(c):
				return diagtest.ConnectAnswer{Action: diagtest.Cut}
			}
			return diagtest.ConnectAnswer{}
		}}), in: login("doctor", "wrong"), want: "mqtt.closed_without_connack", variant: "credentials"}, "auto", "3.1.1", "5"),
		inVersions(scenario{name: "temporary ids closed, own works", peer: when(diagtest.Close, func(c diagtest.Connect) bool { return c.ClientID != "boiler-7" }),
			in: own}, everyVersion...),
	))
	t.Run("over TLS", securedAs(scenario{want: "mqtt.closed_without_connack"}, does(diagtest.Close), "", ""))
}

func TestRefusedByCode(t *testing.T) {
	t.Parallel()
	refuse := func(v3, v5 byte, more func(*diagtest.ConnectAnswer)) func(testing.TB) string {
		return scripted(diagtest.Script{OnConnect: func(diagtest.Connect) diagtest.ConnectAnswer {
			a := diagtest.RefuseConnect(v3, v5)
			if more != nil {
				more(&a)
			}
			return a
		}})
	}
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "not refused", peer: scripted(diagtest.Script{OnConnect: func(diagtest.Connect) diagtest.ConnectAnswer { return diagtest.ConnectAnswer{} }})}, everyVersion...),
		inVersions(scenario{name: "unavailable", peer: refuse(3, 0x88, nil), want: "mqtt.server_unavailable"}, everyVersion...),
		inVersions(scenario{name: "busy", peer: refuse(3, 0x89, nil), want: "mqtt.server_busy"}, "auto", "5"),
		inVersions(scenario{name: "quota", peer: refuse(3, 0x97, nil), want: "mqtt.server_busy"}, "auto", "5"),
		inVersions(scenario{name: "rate", peer: refuse(3, 0x9F, nil), want: "mqtt.server_busy"}, "auto", "5"),
		inVersions(scenario{name: "banned", peer: refuse(5, 0x8A, nil), want: "mqtt.banned"}, "auto", "5"),
		inVersions(scenario{name: "method", peer: refuse(5, 0x8C, nil), want: "mqtt.auth_method"}, "auto", "5"),
		inVersions(scenario{name: "elsewhere without reference", peer: refuse(3, 0x9C, nil), want: "mqtt.use_another_server"}, "auto", "5"),
		inVersions(scenario{name: "moved without reference", peer: refuse(3, 0x9D, nil), want: "mqtt.use_another_server", variant: "moved"}, "auto", "5"),
		inVersions(scenario{name: "elsewhere", peer: refuse(3, 0x9C, func(a *diagtest.ConnectAnswer) { a.ServerReference = "other.example:1883" }),
			want: "mqtt.use_another_server"}, "auto", "5"),
		inVersions(scenario{name: "no reason named", peer: refuse(6, 0x80, nil), want: "mqtt.server_unavailable", variant: "unnamed",
			readings: []diag.Code{"mqtt.not_authorized"}}, everyVersion...),
		inVersions(scenario{name: "implementation specific, with a login", peer: refuse(6, 0x83, nil), in: login("doctor", "secret"),
			want: "mqtt.server_unavailable", variant: "unnamed", readings: []diag.Code{"mqtt.bad_credentials"}}, everyVersion...),
		// Gateways send codes of MQTT 5 in a CONNACK of 3.1.1.
		inVersions(scenario{name: "code of MQTT 5", peer: refuse(0x88, 0x88, nil), want: "mqtt.server_unavailable"}, everyVersion...),
		inVersions(scenario{name: "quota in every version", peer: refuse(0x97, 0x97, nil), want: "mqtt.server_busy"}, everyVersion...),
	))
	named := func(bad func(diagtest.Connect) bool) func(testing.TB) string {
		return scripted(diagtest.Script{OnConnect: func(c diagtest.Connect) diagtest.ConnectAnswer {
			if bad(c) {
				return diagtest.RefuseConnect(6, 0x83)
			}
			return diagtest.ConnectAnswer{}
		}})
	}
	own := func(c diagtest.Connect) bool { return c.ClientID == "boiler-7" }
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "own id refused without a reason", peer: named(own), in: diag.TargetInput{ClientID: "boiler-7"},
			want: "mqtt.client_id_rejected", variant: "*", suggest: "*"}, everyVersion...),
		inVersions(scenario{name: "another id refused without a reason", peer: named(own)}, everyVersion...),
	))
}

func TestKeepAliveRefused(t *testing.T) {
	t.Parallel()
	limit := func(max uint16, answer diagtest.ConnectAnswer) func(testing.TB) string {
		return scripted(diagtest.Script{OnConnect: func(c diagtest.Connect) diagtest.ConnectAnswer {
			if c.KeepAlive > max || c.KeepAlive == 0 {
				return answer
			}
			return diagtest.ConnectAnswer{}
		}})
	}
	long := diag.TargetInput{KeepaliveS: integer(3600)}
	off := diag.TargetInput{KeepaliveS: integer(0)}
	own := long
	own.ClientID = "boiler-7"
	id, closes := diagtest.RefuseConnect(2, 0x85), diagtest.ConnectAnswer{Action: diagtest.Close}
	suggest := `{"keepalive_s":30}`
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "by code", peer: limit(600, id), in: long, want: "mqtt.keepalive_rejected", suggest: suggest}, everyVersion...),
		inVersions(scenario{name: "off by code", peer: limit(600, id), in: off, want: "mqtt.keepalive_rejected", suggest: suggest}, everyVersion...),
		inVersions(scenario{name: "with an own id", peer: limit(600, id), in: own, want: "mqtt.keepalive_rejected", suggest: suggest}, everyVersion...),
		inVersions(scenario{name: "by a close", peer: limit(600, closes), in: long, want: "mqtt.keepalive_rejected", suggest: suggest}, "auto", "3.1.1", "5"),
		inVersions(scenario{name: "protocol error", peer: limit(600, diagtest.RefuseConnect(2, 0x82)), in: long, want: "mqtt.keepalive_rejected", suggest: suggest}, "auto", "5"),
		inVersions(scenario{name: "usual", peer: limit(600, id)}, everyVersion...),
	))
}

func TestConnectTooLarge(t *testing.T) {
	t.Parallel()
	limit := func(bytes int, answer diagtest.ConnectAnswer) func(testing.TB) string {
		return scripted(diagtest.Script{OnConnect: func(c diagtest.Connect) diagtest.ConnectAnswer {
			switch {
			case len(c.Raw) > bytes:
				return answer
			case !c.UsernameGiven:
				return diagtest.RefuseConnect(5, 0x87)
			}
			return diagtest.ConnectAnswer{}
		}})
	}
	long := login("doctor", strings.Repeat("token ", 300))
	closes, silent := diagtest.ConnectAnswer{Action: diagtest.Close}, diagtest.ConnectAnswer{Action: diagtest.Silence}
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "closed", peer: limit(1024, closes), in: long, want: "mqtt.connect_too_large"}, everyVersion...),
		inVersions(scenario{name: "silence", peer: limit(1024, silent), in: long, want: "mqtt.connect_too_large", plan: diag.PlanInput{TimeoutS: seconds(1)}}, "auto", "3.1.1", "5"),
		inVersions(scenario{name: "code", peer: limit(1024, diagtest.RefuseConnect(5, 0x95)), in: long, want: "mqtt.connect_too_large"}, "auto", "5"),
		inVersions(scenario{name: "long and taken", peer: limit(8192, closes), in: long}, everyVersion...),
		inVersions(scenario{name: "a short token, closed", peer: limit(250, closes), in: login("doctor", strings.Repeat("t", 300)), want: "mqtt.connect_too_large"}, everyVersion...),
		// Not the length but the token is what a broker minds that ends the connection of whoever it does not know.
		inVersions(scenario{name: "long, wrong and closed", peer: scripted(diagtest.Script{OnConnect: func(c diagtest.Connect) diagtest.ConnectAnswer {
			if c.UsernameGiven {
				return closes
			}
			return diagtest.RefuseConnect(5, 0x87)
		}}), in: long, want: "mqtt.closed_without_connack", variant: "credentials"}, everyVersion...),
		inVersions(scenario{name: "a quick run", peer: limit(1024, closes), in: long, want: "mqtt.connect_too_large", plan: diag.PlanInput{Depth: "quick"}}, everyVersion...),
		inVersions(scenario{name: "long and wrong", peer: scripted(diagtest.Script{OnConnect: diagtest.OnlyUser("doctor", "right")}), in: long,
			want: "mqtt.bad_credentials"}, everyVersion...),
	))
}

// Peers that are healthy in their own way.
func TestHealthyConnections(t *testing.T) {
	t.Parallel()
	qos1, no := byte(1), byte(0)
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "no place for others", peer: scripted(diagtest.Script{OnConnect: func(c diagtest.Connect) diagtest.ConnectAnswer {
			if c.ClientID != "boiler-7" {
				return diagtest.RefuseConnect(3, 0x97)
			}
			return diagtest.ConnectAnswer{}
		}}), in: diag.TargetInput{ClientID: "boiler-7"}}, everyVersion...),
		inVersions(scenario{name: "password only", peer: scripted(diagtest.Script{OnConnect: func(c diagtest.Connect) diagtest.ConnectAnswer {
			if c.Password != "token" {
				return diagtest.RefuseConnect(5, 0x87)
			}
			return diagtest.ConnectAnswer{}
		}}), in: login("", "token")}, "auto", "5"),
		inVersions(scenario{name: "without retained messages and wildcards", peer: scripted(diagtest.Script{NoRetain: true, Properties: func(p *v5.Properties) {
			p.RetainAvailable, p.WildcardSubAvailable, p.SharedSubAvailable = &no, &no, &no
		}})}, everyVersion...),
		inVersions(scenario{name: "without QoS 2", peer: scripted(diagtest.Script{MaxQoS: &qos1})}, everyVersion...),
		inVersions(scenario{name: "slow", peer: scripted(diagtest.Script{Delay: 200 * time.Millisecond}), plan: diag.PlanInput{TimeoutS: seconds(5)}}, everyVersion...),
	))
}
