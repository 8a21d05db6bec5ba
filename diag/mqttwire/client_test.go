package mqttwire

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	v5 "github.com/eclipse/paho.golang/packets"
	v3 "github.com/eclipse/paho.mqtt.golang/packets"
)

// fullConnect3 is a CONNECT of MQTT 3 with everything in it.
func fullConnect3(level byte, name string) []byte {
	p := v3.NewControlPacket(v3.Connect).(*v3.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion = name, level
	p.CleanSession, p.Keepalive, p.ClientIdentifier = true, 60, "client"
	p.WillFlag, p.WillQos, p.WillRetain, p.WillTopic, p.WillMessage = true, 1, true, "will/topic", []byte("gone")
	p.UsernameFlag, p.Username, p.PasswordFlag, p.Password = true, "user", true, []byte("secret")
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

var fullConnect5 = &v5.Connect{ProtocolName: "MQTT", ProtocolVersion: 5, ClientID: "client", CleanStart: true, KeepAlive: 60,
	UsernameFlag: true, Username: "user", PasswordFlag: true, Password: []byte("secret"),
	WillFlag: true, WillQOS: 1, WillRetain: true, WillTopic: "will/topic", WillMessage: []byte("gone"),
	WillProperties: &v5.Properties{WillDelayInterval: ptr(uint32(5)), User: []v5.User{{Key: "a", Value: "b"}}},
	Properties:     &v5.Properties{SessionExpiryInterval: ptr(uint32(9)), ReceiveMaximum: ptr(uint16(10)), AuthMethod: "M", AuthData: []byte("token")}}

func mustFrame(t testing.TB, data []byte) Frame {
	t.Helper()
	frame, err := ReadFrame(bytes.NewReader(data), 0)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

func TestDecodeConnect(t *testing.T) {
	for _, c := range []struct {
		version Version
		data    []byte
	}{{V31, fullConnect3(3, "MQIsdp")}, {V311, fullConnect3(4, "MQTT")}, {V5, encode5(fullConnect5)}} {
		frame := mustFrame(t, c.data)
		p, err := DecodeConnect(frame)
		if err != nil || len(p.Violations) > 0 {
			t.Fatalf("MQTT %s: %v %v", c.version, err, p.Violations)
		}
		if p.Version != c.version || !p.CleanStart || p.KeepAlive != 60 || p.ClientID != "client" || p.Username == nil || *p.Username != "user" ||
			p.Will == nil || p.Will.Topic != "will/topic" || string(p.Will.Payload) != "gone" || p.Will.QoS != 1 || !p.Will.Retain {
			t.Errorf("MQTT %s: %+v", c.version, p)
		}
		if got := frame.Body[p.PasswordAt : p.PasswordAt+p.PasswordBytes]; !p.HasPassword || string(got) != "secret" {
			t.Errorf("the password is not at %d, %d bytes: %q", p.PasswordAt, p.PasswordBytes, got)
		}
		if c.version == V5 && (*p.SessionExpiry != 9 || *p.ReceiveMaximum != 10 || p.AuthenticationMethod != "M" || *p.Will.WillDelay != 5) {
			t.Errorf("%+v %+v", p.Properties, p.Will.Properties)
		}
	}
}

func TestDecodeSubscribe(t *testing.T) {
	p, err := DecodeSubscribe(V5, mustFrame(t, encode5(&v5.Subscribe{PacketID: 7, Properties: &v5.Properties{SubscriptionIdentifier: ptr(3)},
		Subscriptions: []v5.SubOptions{{Topic: "a/+", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 1}, {Topic: "$share/g/#"}}})))
	if err != nil || len(p.Violations) > 0 || p.PacketID != 7 || len(p.SubscriptionIDs) != 1 || !reflect.DeepEqual(p.Filters,
		[]Subscription{{Filter: "a/+", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 1}, {Filter: "$share/g/#"}}) {
		t.Errorf("%+v %v", p, err)
	}
	u, err := DecodeUnsubscribe(V311, mustFrame(t, raw(0xa2, 0, 9, 0, 1, 'a', 0, 2, 'b', '/')))
	if err != nil || len(u.Violations) > 0 || u.PacketID != 9 || !reflect.DeepEqual(u.Filters, []string{"a", "b/"}) {
		t.Errorf("%+v %v", u, err)
	}
}

// Every breach of a client has its code, and its twin without it has none.
func TestClientBreaches(t *testing.T) {
	connect := func(level, flags byte, rest ...byte) []byte {
		name := []byte{0, 4, 'M', 'Q', 'T', 'T'}
		if level == 3 {
			name = []byte{0, 6, 'M', 'Q', 'I', 's', 'd', 'p'}
		}
		return raw(0x10, append(append(name, level, flags, 0, 60), rest...)...)
	}
	id := []byte{0, 1, 'c'}
	with := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	long := append([]byte{0, 24}, bytes.Repeat([]byte("x"), 24)...)
	for _, c := range []struct {
		name    string
		version Version
		data    []byte
		want    Breach // empty: none
	}{
		{"a right CONNECT", V311, connect(4, 2, id...), ""},
		{"a wrong name", V311, raw(0x10, 0, 4, 'M', 'Q', 'T', 'X', 4, 2, 0, 60, 0, 1, 'c'), BreachProtocol},
		{"a wrong level", V311, raw(0x10, 0, 4, 'M', 'Q', 'T', 'T', 6, 2, 0, 60, 0, 1, 'c'), BreachProtocol},
		{"the reserved flag", V311, connect(4, 3, id...), BreachReserved},
		{"the reserved flag of MQTT 3.1", V31, connect(3, 3, id...), ""},
		{"Will QoS without will", V311, connect(4, 2|8, id...), BreachWillFlags},
		{"Will QoS 3", V311, connect(4, 2|4|0x18, with(id, []byte{0, 1, 'w', 0, 0})...), BreachQoS},
		{"a will with a wildcard", V311, connect(4, 2|4, with(id, []byte{0, 1, '#', 0, 0})...), BreachWildcard},
		{"a password alone", V311, connect(4, 2|0x40, with(id, []byte{0, 1, 'p'})...), BreachNoUser},
		{"a password alone in MQTT 5", V5, connect(5, 2|0x40, with([]byte{0}, id, []byte{0, 1, 'p'})...), ""},
		{"no id and a session to keep", V311, connect(4, 0, 0, 0), BreachClientID},
		{"no id and none to keep", V311, connect(4, 2, 0, 0), ""},
		{"no id in MQTT 3.1", V31, connect(3, 2, 0, 0), BreachEmpty},
		{"a long id in MQTT 3.1", V31, connect(3, 2, long...), BreachClientIDLong},
		{"a long id", V311, connect(4, 2, long...), ""},
		{"bytes behind the end", V311, connect(4, 2, with(id, id)...), BreachTrailing},
		{"an unfinished id", V311, connect(4, 2, 0, 5, 'c'), BreachMissing},
		{"wrong flags", V311, raw(0x11, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 1, 'c'), BreachFlags},
		{"a will's property in CONNECT", V5, connect(5, 2, with([]byte{5, 0x18, 0, 0, 0, 1}, id)...), BreachPropertyPlace},
		{"a CONNECT's property in the will", V5, connect(5, 2|4, with([]byte{0}, id, []byte{3, 0x21, 0, 1, 0, 1, 'w', 0, 0})...), BreachPropertyPlace},
		{"Receive Maximum 0", V5, connect(5, 2, with([]byte{3, 0x21, 0, 0}, id)...), BreachZero},
		{"data without a method", V5, connect(5, 2, with([]byte{4, 0x16, 0, 1, 'x'}, id)...), BreachAuthData},
		{"an over-long Property Length", V5, connect(5, 2, with([]byte{0x80, 0}, id)...), BreachNotMinimal},

		{"a right SUBSCRIBE", V311, raw(0x82, 0, 1, 0, 1, 'a', 1), ""},
		{"SUBSCRIBE without filter", V311, raw(0x82, 0, 1), BreachNoFilter},
		{"SUBSCRIBE without its flag", V311, raw(0x80, 0, 1, 0, 1, 'a', 1), BreachFlags},
		{"SUBSCRIBE with id 0", V311, raw(0x82, 0, 0, 0, 1, 'a', 1), BreachZero},
		{"SUBSCRIBE at QoS 3", V311, raw(0x82, 0, 1, 0, 1, 'a', 3), BreachQoS},
		{"SUBSCRIBE with reserved bits", V311, raw(0x82, 0, 1, 0, 1, 'a', 5), BreachReserved},
		{"SUBSCRIBE with these bits in MQTT 5", V5, raw(0x82, 0, 1, 0, 0, 1, 'a', 5), ""},
		{"Retain Handling 3", V5, raw(0x82, 0, 1, 0, 0, 1, 'a', 0x31), BreachRetainValue},
		{"No Local and shared", V5, raw(0x82, append([]byte{0, 1, 0, 0, 10}, "$share/g/a\x04"...)...), BreachNoLocal},
		{"an invalid filter", V311, raw(0x82, 0, 1, 0, 2, 'a', '#', 1), BreachFilter},
		{"UNSUBSCRIBE without filter", V5, raw(0xa2, 0, 1, 0), BreachNoFilter},
		{"a right PINGREQ", V311, raw(0xc0), ""},
		{"PINGREQ with a body", V311, raw(0xc0, 0), BreachTrailing},
		{"AUTH before MQTT 5", V311, raw(0xf0), BreachPacket},
		{"a server's packet", V5, raw(0xd0), BreachPacket},
		{"DISCONNECT with a body", V311, raw(0xe0, 0), BreachTrailing},
	} {
		packet, err := DecodeClient(c.version, mustFrame(t, c.data))
		var found []*ErrMalformed
		var fatal *ErrMalformed
		if errors.As(err, &fatal) {
			found = append(found, fatal)
		} else if packet != nil {
			found = packet.Breaches()
		}
		switch {
		case c.want == "" && len(found) > 0:
			t.Errorf("%s: %v", c.name, found[0])
		case c.want != "" && (len(found) != 1 || found[0].Code != c.want || found[0].Section == "" || found[0].Text == ""):
			t.Errorf("%s: %v", c.name, found)
		}
	}
}

func FuzzDecodeClient(f *testing.F) {
	for _, data := range [][]byte{fullConnect3(3, "MQIsdp"), fullConnect3(4, "MQTT"), encode5(fullConnect5),
		raw(0x82, 0, 1, 0, 0, 1, 'a', 5), raw(0x82, 0, 1, 0, 1, 'a', 1), raw(0xa2, 0, 9, 0, 1, 'a'), raw(0xc0), raw(0xe0), raw(0xe0, 4, 0),
		raw(0xf0, 0x18, 0), raw(0x32, 0, 1, 'a', 0, 1, 'x')} {
		f.Add(byte(V5), data)
		f.Add(byte(V311), data)
	}
	f.Fuzz(func(t *testing.T, version byte, data []byte) {
		v := V31 + Version(version%3)
		frame, err := ReadFrame(bytes.NewReader(data), 1<<16)
		if err != nil {
			return
		}
		packet, err := DecodeClient(v, frame)
		if err != nil {
			var where *ErrMalformed
			if !errors.As(err, &where) || where.Where == "" || where.Section == "" || where.Code == "" || where.Offset > len(frame.Body) {
				t.Fatalf("%+v", err)
			}
			return
		}
		if len(packet.Breaches()) > 0 {
			if len(packet.Breaches()) > maxViolations {
				t.Fatalf("%d breaches", len(packet.Breaches()))
			}
			return
		}
		switch p := packet.(type) {
		case *ConnectPacket:
			v = p.Version
			if p.PasswordAt+p.PasswordBytes > len(frame.Body) {
				t.Fatalf("the password is outside of the packet: %+v", p)
			}
		case *Disconnect, *Auth:
			return // paho does not know that reason code and properties may be left out
		}
		// What is right for us paho must read too.
		if v == V5 {
			if _, err := v5.ReadPacket(bytes.NewReader(frame.Raw)); err != nil {
				t.Fatalf("paho.golang does not read % x: %v", frame.Raw, err)
			}
		} else if _, err := v3.ReadPacket(bytes.NewReader(frame.Raw)); err != nil {
			t.Fatalf("paho.mqtt.golang does not read % x: %v", frame.Raw, err)
		}
	})
}
