package probe_test

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

var everyVersion = []string{"auto", "3.1", "3.1.1", "5"}

func login(name, password string) diag.TargetInput {
	return diag.TargetInput{Username: name, Password: diag.NewSecret(password)}
}

func TestCredentialsRefused(t *testing.T) {
	t.Parallel()
	onlyUser := scripted(diagtest.Script{OnConnect: diagtest.OnlyUser("doctor", "right")})
	answers := func(v3, v5 byte) func(testing.TB) string {
		return scripted(diagtest.Script{OnConnect: func(c diagtest.Connect) diagtest.ConnectAnswer {
			if c.Password == "right" {
				return diagtest.ConnectAnswer{}
			}
			return diagtest.RefuseConnect(v3, v5)
		}})
	}
	own := login("doctor", "wrong")
	own.ClientID = "boiler-7"
	idOnly := diag.TargetInput{ClientID: "boiler-7"}
	rightOwn := login("doctor", "right")
	rightOwn.ClientID = "boiler-7"
	all := slices.Concat(
		inVersions(scenario{name: "wrong password", peer: onlyUser, in: login("doctor", "wrong"), want: "mqtt.bad_credentials"}, everyVersion...),
		inVersions(scenario{name: "unknown user", peer: onlyUser, in: login("nobody", "right"), want: "mqtt.bad_credentials"}, "auto"),
		inVersions(scenario{name: "wrong password with an own id", peer: onlyUser, in: own, want: "mqtt.bad_credentials"}, everyVersion...),
		inVersions(scenario{name: "wrong password answered with 5", peer: answers(5, 0x87), in: login("doctor", "wrong"),
			want: "mqtt.bad_credentials", variant: "not_authorized_code", readings: []diag.Code{"mqtt.not_authorized"}}, everyVersion...),
		inVersions(scenario{name: "no login", peer: onlyUser, want: "mqtt.auth_required"}, everyVersion...),
		inVersions(scenario{name: "no login answered with 4", peer: answers(4, 0x86), want: "mqtt.auth_required"}, everyVersion...),
		inVersions(scenario{name: "no login with an own id", peer: onlyUser, in: idOnly, want: "mqtt.auth_required"}, everyVersion...),
		inVersions(scenario{name: "right login", peer: onlyUser, in: login("doctor", "right")}, everyVersion...),
		inVersions(scenario{name: "right login with an own id", peer: onlyUser, in: rightOwn}, everyVersion...),
	)
	runScenarios(t, all)
}

func TestClientIDRefused(t *testing.T) {
	t.Parallel()
	refuses := func(v3, v5 byte, bad func(diagtest.Connect) bool) func(testing.TB) string {
		return scripted(diagtest.Script{OnConnect: func(c diagtest.Connect) diagtest.ConnectAnswer {
			if bad(c) {
				return diagtest.RefuseConnect(v3, v5)
			}
			return diagtest.ConnectAnswer{}
		}})
	}
	id := func(id string) diag.TargetInput { return diag.TargetInput{ClientID: id} }
	is := func(id string) func(diagtest.Connect) bool {
		return func(c diagtest.Connect) bool { return c.ClientID == id }
	}
	withLogin := login("doctor", "right")
	withLogin.ClientID = "boiler-7"
	suggested := "*"
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "id", peer: refuses(2, 0x85, is("boiler7")), in: id("boiler7"), want: "mqtt.client_id_rejected", suggest: suggested}, everyVersion...),
		inVersions(scenario{name: "one id of unusual characters", peer: refuses(2, 0x85, is("boiler/7")), in: id("boiler/7"), want: "mqtt.client_id_rejected",
			suggest: suggested}, "auto", "3.1.1"),
		inVersions(scenario{name: "letters and digits alone", peer: refuses(2, 0x85, func(c diagtest.Connect) bool { return strings.ContainsAny(c.ClientID, "-/") }),
			in: id("boiler/7"), want: "mqtt.client_id_rejected", variant: "characters", suggest: suggested}, everyVersion...),
		inVersions(scenario{name: "kept session", peer: refuses(2, 0x85, func(c diagtest.Connect) bool { return !c.Clean }),
			in: diag.TargetInput{ClientID: "boiler-7", CleanStart: new(bool)}, want: "mqtt.client_id_rejected", variant: "kept"}, everyVersion...),
		inVersions(scenario{name: "characters", peer: refuses(2, 0x85, func(c diagtest.Connect) bool { return strings.Contains(c.ClientID, "/") }), in: id("boiler/7"), want: "mqtt.client_id_rejected",
			variant: "characters", suggest: suggested}, everyVersion...),
		inVersions(scenario{name: "length", peer: refuses(2, 0x85, func(c diagtest.Connect) bool { return len(c.ClientID) > 23 }),
			in: id("a-client-id-of-more-than-23-characters"), want: "mqtt.client_id_rejected", variant: "long", suggest: suggested}, everyVersion...),
		inVersions(scenario{name: "temporary", peer: refuses(2, 0x85, func(c diagtest.Connect) bool { return c.ClientID != "boiler-7" }),
			want: "mqtt.client_id_rejected", variant: "temporary"}, "auto", "3.1.1", "5"),
		inVersions(scenario{name: "id not authorized", peer: refuses(5, 0x87, is("boiler-7")), in: withLogin, want: "mqtt.not_authorized",
			variant: "client_id", suggest: suggested}, everyVersion...),
		inVersions(scenario{name: "id not authorized without login", peer: refuses(5, 0x87, is("boiler-7")), in: id("boiler-7"), want: "mqtt.not_authorized",
			variant: "client_id", suggest: suggested}, everyVersion...),
		// A broker may take ids of its own form only: nothing is wrong where the user's has it.
		inVersions(scenario{name: "only the own id is taken", peer: refuses(2, 0x85, func(c diagtest.Connect) bool { return c.ClientID != "boiler-7" }),
			in: id("boiler-7")}, everyVersion...),
		inVersions(scenario{name: "only the own id is authorized", peer: refuses(5, 0x87, func(c diagtest.Connect) bool { return c.ClientID != "boiler-7" }),
			in: withLogin}, everyVersion...),
	))
}

func TestVersionRefused(t *testing.T) {
	t.Parallel()
	code := func(levels ...byte) func(testing.TB) string {
		return scripted(diagtest.Script{OnConnect: diagtest.OnlyLevels(levels...)})
	}
	closes := func(levels ...byte) func(testing.TB) string {
		return scripted(diagtest.Script{OnConnect: diagtest.OnlyLevelsElseClose(levels...)})
	}
	want := func(name string, peer func(testing.TB) string, asked, works, variant string) scenario {
		s := scenario{name: name, peer: peer, in: diag.TargetInput{Protocol: asked}, want: "mqtt.version_unsupported", variant: variant}
		if works != "" {
			s.suggest = `{"protocol":"` + works + `"}`
		}
		return s
	}
	healthy := func(name string, peer func(testing.TB) string, asked string) scenario {
		return scenario{name: name, peer: peer, in: diag.TargetInput{Protocol: asked}}
	}
	silent := scripted(diagtest.Script{OnConnect: func(c diagtest.Connect) diagtest.ConnectAnswer {
		if c.Level == 5 {
			return diagtest.ConnectAnswer{Action: diagtest.Silence}
		}
		return diagtest.ConnectAnswer{}
	}})
	unspecified := scripted(diagtest.Script{OnConnect: func(c diagtest.Connect) diagtest.ConnectAnswer {
		if c.Level == 5 {
			return diagtest.RefuseConnect(0, 0x81)
		}
		return diagtest.ConnectAnswer{}
	}})
	// Many a small server sends the CONNACK of 3.1.1 whatever it is asked.
	oldForm := func(t testing.TB) string {
		b := diagtest.ScriptedBroker(t, diagtest.Script{})
		return diagtest.Peer(t, func(conn net.Conn) { answerInOldForm(conn, b.Addr) }).URL("mqtt")
	}
	plain := want("plain in the old form, mqtts asked", as("mqtts", "", oldForm), "5", "", "")
	plain.want = "tls.plaintext_peer"
	raw := want("raw in the old form, ws asked", as("ws", "/mqtt", oldForm), "5", "", "")
	raw.want = "ws.raw_mqtt_peer"
	quick := func(s scenario) scenario {
		s.name, s.plan = "quick: "+s.name, diag.PlanInput{Depth: "quick"}
		return s
	}
	ownID := want("5 closed with an own id", closes(3, 4), "5", "3.1.1", "closed")
	ownID.in.ClientID = "boiler-7"
	runScenarios(t, []scenario{
		{name: "5 by code", peer: code(4), in: diag.TargetInput{Protocol: "5"}, want: "mqtt.version_unsupported", suggest: `{"protocol":"3.1.1"}`},
		{name: "asked 3.1.1", peer: code(4), in: diag.TargetInput{Protocol: "3.1.1"}},
		want("5 by code, only 3.1 works", code(3), "5", "3.1", ""),
		want("3.1.1 by code", code(5), "3.1.1", "5", ""),
		want("3.1 by code", code(4, 5), "3.1", "5", ""),
		want("5 closed", closes(3, 4), "5", "3.1.1", "closed"),
		want("3.1.1 closed", closes(5), "3.1.1", "5", "closed"),
		want("3.1 closed", closes(4, 5), "3.1", "5", "closed"),
		want("none by code", code(), "3.1.1", "", ""),
		ownID, plain, raw,
		quick(want("5 closed", closes(3, 4), "5", "3.1.1", "closed")),
		quick(want("5 silent", silent, "5", "3.1.1", "silent")),
		quick(healthy("auto falls back after silence", silent, "auto")),
		quick(healthy("asked 5", code(5), "5")),
		want("5 in the old form", oldForm, "5", "3.1.1", "old_form"),
		healthy("auto falls back after the old form", oldForm, "auto"),
		healthy("3.1.1 in its own form", oldForm, "3.1.1"),
		want("5 silent", silent, "5", "3.1.1", "silent"),
		want("5 malformed", unspecified, "5", "3.1.1", "other_code"),
		healthy("auto falls back after silence", silent, "auto"),
		healthy("auto falls back after another code", unspecified, "auto"),
		healthy("auto falls back to 3.1.1", code(4), "auto"),
		healthy("auto falls back to 3.1.1 after a close", closes(4), "auto"),
		healthy("auto falls back to 3.1", code(3), "auto"),
		healthy("auto falls back to 3.1 after a close", closes(3), "auto"),
		healthy("asked 5", code(5), "5"),
		healthy("asked 3.1", code(3), "3.1"),
	})
}

// answerInOldForm relays to a broker, but for a CONNECT of MQTT 5, which gets an accepting CONNACK of 3.1.1.
func answerInOldForm(conn net.Conn, broker string) {
	first := make([]byte, 4096)
	n, err := conn.Read(first)
	if err != nil {
		return
	}
	if i := bytes.Index(first[:n], []byte("MQTT\x05")); i > 0 && first[0] == 0x10 {
		_, _ = conn.Write([]byte{0x20, 2, 0, 0})
		diagtest.Silent(conn)
		return
	}
	relayTo(broker, &prefixed{Conn: conn, first: first[:n]})
}

// prefixed is a connection of which the first bytes have been read already.
type prefixed struct {
	net.Conn
	first []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}
