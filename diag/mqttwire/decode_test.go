package mqttwire

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	v5 "github.com/eclipse/paho.golang/packets"
	v3 "github.com/eclipse/paho.mqtt.golang/packets"
)

func frameOf(t testing.TB, raw []byte) Frame {
	t.Helper()
	frame, err := ReadFrame(bytes.NewReader(raw), LargestPacketBytes)
	if err != nil {
		t.Fatalf("% x: %v", raw, err)
	}
	return frame
}

// raw puts a fixed header before a body.
func raw(first byte, body ...byte) []byte {
	if len(body) > 127 {
		return append([]byte{first, byte(len(body)&0x7f | 0x80), byte(len(body) >> 7)}, body...)
	}
	return append([]byte{first, byte(len(body))}, body...)
}

func ptr[T any](v T) *T { return &v }

var fullConnack = &v5.Connack{SessionPresent: true, Properties: &v5.Properties{
	SessionExpiryInterval: ptr(uint32(7)), ReceiveMaximum: ptr(uint16(10)), MaximumQOS: ptr(byte(1)), RetainAvailable: ptr(byte(0)),
	MaximumPacketSize: ptr(uint32(1000)), AssignedClientID: "auto-1", TopicAliasMaximum: ptr(uint16(5)), ReasonString: "welcome",
	WildcardSubAvailable: ptr(byte(1)), SubIDAvailable: ptr(byte(0)), SharedSubAvailable: ptr(byte(1)),
	ServerKeepAlive: ptr(uint16(30)), ResponseInfo: "resp/", ServerReference: "other:1883", AuthMethod: "SCRAM",
	AuthData: []byte{1, 2}, User: []v5.User{{Key: "k", Value: "v"}, {Key: "k", Value: "w"}}}}

// What paho.golang encodes, this package reads with every field.
func TestDecodeAgreesWithPaho5(t *testing.T) {
	user := []v5.User{{Key: "k", Value: "v"}}
	users := []UserProperty{{"k", "v"}}
	why := &v5.Properties{ReasonString: "why", User: user}
	whyToo := Properties{ReasonString: "why", UserProperties: users}
	for _, c := range []struct {
		packet v5.Packet
		want   Packet
	}{
		{fullConnack, &Connack{Version: V5, SessionPresent: true, Properties: Properties{
			SessionExpiry: ptr(uint32(7)), ReceiveMaximum: ptr(uint16(10)), MaximumQoS: ptr(byte(1)), RetainAvailable: ptr(false),
			MaximumPacketBytes: ptr(uint32(1000)), AssignedClientID: "auto-1", TopicAliasMaximum: ptr(uint16(5)),
			ReasonString: "welcome", WildcardAvailable: ptr(true), SubscriptionIDAvailable: ptr(false), SharedAvailable: ptr(true),
			ServerKeepAlive: ptr(uint16(30)), ResponseInformation: "resp/", ServerReference: "other:1883",
			AuthenticationMethod: "SCRAM", AuthenticationData: []byte{1, 2}, AuthenticationAt: 60, UserProperties: []UserProperty{{"k", "v"}, {"k", "w"}}}}},
		{&v5.Connack{ReasonCode: 0x87, Properties: &v5.Properties{}}, &Connack{Version: V5, Code: 0x87}},
		{&v5.Publish{Topic: "a/b", QoS: 2, PacketID: 9, Duplicate: true, Retain: true, Payload: []byte("data"), Properties: &v5.Properties{
			PayloadFormat: ptr(byte(1)), MessageExpiry: ptr(uint32(60)), ContentType: "text/plain", ResponseTopic: "r",
			CorrelationData: []byte{9}, SubscriptionIdentifier: ptr(300), TopicAlias: ptr(uint16(2)), User: user}},
			&Publish{Topic: "a/b", QoS: 2, PacketID: 9, Dup: true, Retain: true, Payload: []byte("data"), Properties: Properties{
				PayloadFormat: ptr(byte(1)), MessageExpiry: ptr(uint32(60)), ContentType: "text/plain", ResponseTopic: "r",
				CorrelationData: []byte{9}, SubscriptionIDs: []uint32{300}, TopicAlias: ptr(uint16(2)), UserProperties: users}}},
		{&v5.Publish{Topic: "t", Properties: &v5.Properties{}}, &Publish{Topic: "t", Payload: []byte{}}},
		{&v5.Puback{PacketID: 1, ReasonCode: 0x10, Properties: why}, &Ack{Type: PUBACK, PacketID: 1, Code: 0x10, Properties: whyToo}},
		{&v5.Pubrec{PacketID: 2, ReasonCode: 0x97, Properties: why}, &Ack{Type: PUBREC, PacketID: 2, Code: 0x97, Properties: whyToo}},
		{&v5.Pubrel{PacketID: 3, ReasonCode: 0x92, Properties: why}, &Ack{Type: PUBREL, PacketID: 3, Code: 0x92, Properties: whyToo}},
		{&v5.Pubcomp{PacketID: 4, Properties: &v5.Properties{}}, &Ack{Type: PUBCOMP, PacketID: 4}},
		{&v5.Suback{PacketID: 5, Reasons: []byte{0, 1, 2, 0x87}, Properties: why}, &Suback{PacketID: 5, Codes: []byte{0, 1, 2, 0x87}, Properties: whyToo}},
		{&v5.Unsuback{PacketID: 6, Reasons: []byte{0, 0x11}, Properties: why}, &Unsuback{PacketID: 6, Codes: []byte{0, 0x11}, Properties: whyToo}},
		{&v5.Disconnect{ReasonCode: 0x9c, Properties: &v5.Properties{ServerReference: "b", ReasonString: "why", User: user}},
			&Disconnect{Code: 0x9c, Properties: Properties{ServerReference: "b", ReasonString: "why", UserProperties: users}}},
		{&v5.Auth{ReasonCode: 0x18, Properties: &v5.Properties{AuthMethod: "M", AuthData: []byte{1}}},
			&Auth{Code: 0x18, Properties: Properties{AuthenticationMethod: "M", AuthenticationData: []byte{1}, AuthenticationAt: 9}}},
		{&v5.Pingresp{}, &Pingresp{}},
	} {
		frame := frameOf(t, encode5(c.packet))
		got, err := Decode(V5, frame)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", frame.Type, err, got, c.want)
		}
		if got != nil && got.Kind() != frame.Type {
			t.Errorf("%s is called %s", frame.Type, got.Kind())
		}
	}
}

// What paho.mqtt.golang encodes, this package reads.
func TestDecodeAgreesWithPaho3(t *testing.T) {
	with := func(kind byte, change func(v3.ControlPacket)) v3.ControlPacket {
		p := v3.NewControlPacket(kind)
		if change != nil {
			change(p)
		}
		return p
	}
	for _, c := range []struct {
		packet v3.ControlPacket
		want   Packet
	}{
		{with(v3.Connack, func(p v3.ControlPacket) { p.(*v3.ConnackPacket).ReturnCode = 5 }), &Connack{Version: V311, Code: 5}},
		{with(v3.Connack, func(p v3.ControlPacket) { p.(*v3.ConnackPacket).SessionPresent = true }), &Connack{Version: V311, SessionPresent: true}},
		{with(v3.Publish, func(p v3.ControlPacket) {
			m := p.(*v3.PublishPacket)
			m.TopicName, m.Payload, m.Qos, m.MessageID, m.Retain, m.Dup = "a/b", []byte("data"), 1, 7, true, true
		}), &Publish{Topic: "a/b", Payload: []byte("data"), QoS: 1, PacketID: 7, Retain: true, Dup: true}},
		{with(v3.Puback, func(p v3.ControlPacket) { p.(*v3.PubackPacket).MessageID = 1 }), &Ack{Type: PUBACK, PacketID: 1}},
		{with(v3.Pubrec, func(p v3.ControlPacket) { p.(*v3.PubrecPacket).MessageID = 2 }), &Ack{Type: PUBREC, PacketID: 2}},
		{with(v3.Pubrel, func(p v3.ControlPacket) { p.(*v3.PubrelPacket).MessageID = 3 }), &Ack{Type: PUBREL, PacketID: 3}},
		{with(v3.Pubcomp, func(p v3.ControlPacket) { p.(*v3.PubcompPacket).MessageID = 4 }), &Ack{Type: PUBCOMP, PacketID: 4}},
		{with(v3.Suback, func(p v3.ControlPacket) {
			m := p.(*v3.SubackPacket)
			m.MessageID, m.ReturnCodes = 5, []byte{2, 0x80}
		}), &Suback{PacketID: 5, Codes: []byte{2, 0x80}}},
		{with(v3.Unsuback, func(p v3.ControlPacket) { p.(*v3.UnsubackPacket).MessageID = 6 }), &Unsuback{PacketID: 6}},
		{with(v3.Pingresp, nil), &Pingresp{}},
	} {
		frame := frameOf(t, encode3(c.packet))
		got, err := Decode(V311, frame)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", frame.Type, err, got, c.want)
		}
	}
}

// A broken packet is broken at a place.
func TestDecodeSaysWhere(t *testing.T) {
	for _, c := range []struct {
		name    string
		version Version
		raw     []byte
		where   string
		offset  int
		section string
	}{
		{"empty CONNACK", V311, raw(0x20), "Connect Acknowledge Flags", 0, "3.1.1 3.2.2"},
		{"CONNACK of one byte", V5, raw(0x20, 0), "Connect Reason Code", 1, "3.2.2"},
		{"properties longer than the packet", V5, raw(0x20, 0, 0, 200, 1), "Property Length", 2, "2.2.2.1"},
		{"property length without end", V5, raw(0x20, 0, 0, 0x80, 0x80, 0x80, 0x80, 1), "Property Length", 2, "1.5.5"},
		{"property length cut", V5, raw(0x20, 0, 0, 0x80), "Property Length", 3, "1.5.5"},
		{"unknown property", V5, raw(0x20, 0, 0, 2, 0x7f, 0), "Property Identifier", 3, "2.2.2.2"},
		{"property of another packet", V5, raw(0x20, 0, 0, 3, 0x23, 0, 1), "Property Identifier", 3, "2.2.2.2"},
		{"property past its end", V5, raw(0x20, 0, 0, 3, 0x11, 0, 0, 0, 0), "Session Expiry Interval", 4, "2.2.2.2"},
		{"string past its end", V5, raw(0x20, 0, 0, 4, 0x1f, 0, 9, 'x'), "Reason String", 6, "2.2.2.2"},
		{"user property without value", V5, raw(0x20, 0, 0, 4, 0x26, 0, 1, 'k'), "User Property", 7, "1.5.7"},
		{"PUBLISH at QoS 3", V5, raw(0x36, 0, 1, 'a', 0, 1, 0), "QoS", -1, "3.3.1.2"},
		{"PUBLISH with a long topic", V311, raw(0x30, 0xff, 0xff, 'a'), "Topic Name", 2, "3.3.2.1"},
		{"PUBLISH without identifier", V311, raw(0x32, 0, 1, 'a', 1), "Packet Identifier", 3, "2.2.1"},
		{"PUBLISH without properties", V5, raw(0x30, 0, 1, 'a'), "Property Length", 3, "1.5.5"},
		{"empty PUBACK", V311, raw(0x40), "Packet Identifier", 0, "2.2.1"},
		{"SUBACK of one byte", V5, raw(0x90, 1), "Packet Identifier", 0, "2.2.1"},
		{"subscription identifier without end", V5, raw(0x30, 0, 1, 'a', 5, 0x0b, 0xff, 0xff, 0xff, 0xff), "Subscription Identifier", 5, "1.5.5"},
		{"CONNECT from a server", V5, raw(0x10), "packet type", -1, "2.1.2"},
		{"DISCONNECT from a server of MQTT 3", V311, raw(0xe0), "packet type", -1, "2.1.2"},
		{"AUTH from a server of MQTT 3", V31, raw(0xf0), "packet type", -1, "2.1.2"},
		{"type 0", V311, raw(0x00), "packet type", -1, "2.1.2"},
	} {
		packet, err := Decode(c.version, frameOf(t, c.raw))
		var where *ErrMalformed
		if !errors.As(err, &where) || packet != nil {
			t.Errorf("%s: %v, %v", c.name, packet, err)
			continue
		}
		if where.Where != c.where || where.Offset != c.offset || where.Section != c.section {
			t.Errorf("%s: %+v", c.name, where)
		}
	}
}

// What breaks a rule and can be read is read, and noted.
func TestDecodeTolerates(t *testing.T) {
	for _, c := range []struct {
		name    string
		version Version
		raw     []byte
		where   string
	}{
		{"flags of CONNACK", V5, raw(0x21, 0, 0, 0), "Flags"},
		{"flags of PUBREL", V311, raw(0x60, 0, 1), "Flags"},
		{"reserved acknowledge flags", V311, raw(0x20, 0xfe, 0), "Connect Acknowledge Flags"},
		{"session present in a refusal", V5, raw(0x20, 1, 0x87, 0), "Session Present"},
		{"unknown reason", V5, raw(0x20, 0, 0xee, 0), "Connect Reason Code"},
		{"code of MQTT 5 in MQTT 3", V311, raw(0x20, 0, 0x87), "Connect Reason Code"},
		{"CONNACK of MQTT 5 to MQTT 3", V311, raw(0x20, 0, 1, 0), "Remaining Length"},
		{"Receive Maximum 0", V5, raw(0x20, 0, 0, 3, 0x21, 0, 0), "Receive Maximum"},
		{"Maximum QoS 2", V5, raw(0x20, 0, 0, 2, 0x24, 2), "Maximum QoS"},
		{"Maximum Packet Size 0", V5, raw(0x20, 0, 0, 5, 0x27, 0, 0, 0, 0), "Maximum Packet Size"},
		{"property twice", V5, raw(0x20, 0, 0, 6, 0x21, 0, 1, 0x21, 0, 2), "Receive Maximum"},
		{"neither yes nor no", V5, raw(0x20, 0, 0, 2, 0x25, 7), "Retain Available"},
		{"reason that is not UTF-8", V5, raw(0x20, 0, 0x86, 5, 0x1f, 0, 2, 0xc4, 0xe3), "Reason String"}, // GBK
		{"reason with NUL", V5, raw(0x20, 0, 0x86, 4, 0x1f, 0, 1, 0), "Reason String"},
		{"identifier 0", V311, raw(0x40, 0, 0), "Packet Identifier"},
		{"more after PUBACK", V311, raw(0x40, 0, 1, 9), "Remaining Length"},
		{"body of PINGRESP", V311, raw(0xd0, 1), "Remaining Length"},
		{"wildcard in a topic", V311, raw(0x30, 0, 1, '#'), "Topic Name"},
		{"empty topic", V5, raw(0x30, 0, 0, 0), "Topic Name"},
		{"DUP at QoS 0", V311, raw(0x38, 0, 1, 'a'), "DUP"},
	} {
		packet, err := Decode(c.version, frameOf(t, c.raw))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if breaches := packet.Breaches(); len(breaches) != 1 || breaches[0].Where != c.where {
			t.Errorf("%s: %v", c.name, breaches)
		}
	}
}

// Servers that do not know MQTT 5 answer it in the form of MQTT 3.1.1.
func TestDecodeLegacyConnack(t *testing.T) {
	ack, err := DecodeConnack(V5, frameOf(t, raw(0x20, 0, 1)))
	if err != nil || !ack.Legacy || ack.Accepted() || ack.Reason() != "Connection Refused, unacceptable protocol version" || len(ack.Violations) > 0 {
		t.Errorf("%+v, %v", ack, err)
	}
}

func TestLookupReason(t *testing.T) {
	for _, c := range []struct {
		version Version
		packet  PacketType
		code    byte
		name    string
		known   bool
	}{
		{V5, CONNACK, 0, "Success", true},
		{V5, SUBACK, 0, "Granted QoS 0", true},
		{V5, DISCONNECT, 0, "Normal disconnection", true},
		{V5, CONNACK, 0x86, "Bad User Name or Password", true},
		{V5, DISCONNECT, 0x8e, "Session taken over", true},
		{V5, CONNACK, 0x8e, "Session taken over", false},
		{V5, CONNACK, 5, unknownReason, false},
		{V311, CONNACK, 5, "Connection Refused, not authorized", true},
		{V31, CONNACK, 0x87, "Not authorized", false},
		{V311, SUBACK, 0x80, "Failure", true},
		{V311, SUBACK, 0x87, "Not authorized", false},
		{V311, PUBACK, 0, unknownReason, false},
	} {
		got := LookupReason(c.version, c.packet, c.code)
		if got.Name != c.name || got.Known != c.known {
			t.Errorf("MQTT %s %s 0x%02x: %+v", c.version, c.packet, c.code, got)
		}
		if c.version == V5 && got.Section == "" {
			t.Errorf("%s has no section", c.packet)
		}
	}
	// Against paho's own lists of the codes of a packet.
	for code := range 256 {
		p := v5.Connack{ReasonCode: byte(code)}
		known := LookupReason(V5, CONNACK, byte(code)).Known
		if known != (p.Reason() != "") && code != 0x99 && code != 0x82 { // paho has no Payload format invalid
			t.Errorf("CONNACK 0x%02x: known is %t, paho says %q", code, known, p.Reason())
		}
		if reason := p.Reason(); known && reason != "" && code != 0 && !strings.HasPrefix(reason, LookupReason(V5, CONNACK, byte(code)).Name) {
			t.Errorf("CONNACK 0x%02x: %q, paho says %q", code, LookupReason(V5, CONNACK, byte(code)).Name, reason)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, p := range []v5.Packet{fullConnack, &v5.Publish{Topic: "a", QoS: 1, PacketID: 1, Payload: []byte("x"), Properties: &v5.Properties{SubscriptionIdentifier: ptr(3)}},
		&v5.Puback{PacketID: 1, ReasonCode: 0x87, Properties: &v5.Properties{ReasonString: "no"}}, &v5.Suback{PacketID: 1, Reasons: []byte{0}, Properties: &v5.Properties{}},
		&v5.Unsuback{PacketID: 1, Reasons: []byte{0}, Properties: &v5.Properties{}}, &v5.Disconnect{ReasonCode: 0x8b, Properties: &v5.Properties{}},
		&v5.Auth{ReasonCode: 0x18, Properties: &v5.Properties{AuthMethod: "M"}}} {
		f.Add(byte(V5), encode5(p))
		f.Add(byte(V311), encode5(p))
	}
	f.Add(byte(V311), raw(0x20, 0, 0))
	f.Add(byte(V31), raw(0x32, 0, 1, 'a', 0, 1, 'x'))
	f.Add(byte(V5), raw(0x62, 0, 1, 0x92))
	f.Add(byte(V5), raw(0x70, 0, 1, 0))
	f.Add(byte(V5), raw(0x50, 0, 1))
	f.Add(byte(V5), raw(0xd0))
	f.Fuzz(func(t *testing.T, version byte, data []byte) {
		v := V31 + Version(version%3)
		frame, err := ReadFrame(bytes.NewReader(data), 1<<16)
		if err != nil {
			return
		}
		packet, err := Decode(v, frame)
		if err != nil {
			var where *ErrMalformed
			if !errors.As(err, &where) || where.Where == "" || where.Section == "" || where.Offset < -1 || where.Offset > len(frame.Body) {
				t.Fatalf("%+v", err)
			}
			return
		}
		if len(packet.Breaches()) > maxViolations {
			t.Fatalf("%d breaches", len(packet.Breaches()))
		}
		if len(packet.Breaches()) > 0 {
			return
		}
		// What is right for us paho must read too, and the same.
		agree(t, v, frame, packet)
		if v == V5 {
			if ack, ok := packet.(*Connack); ok && ack.Legacy {
				return
			}
			if forwarded := forPaho(packet); forwarded != nil {
				if _, err := v5.ReadPacket(bytes.NewReader(forwarded)); err != nil {
					t.Fatalf("paho does not read what we made for it of % x: % x: %v", frame.Raw, forwarded, err)
				}
			}
		}
	})
}

// agree compares with paho's codecs on a packet that is right.
func agree(t *testing.T, v Version, frame Frame, packet Packet) {
	if v != V5 {
		other, err := v3.ReadPacket(bytes.NewReader(frame.Raw))
		if err != nil {
			t.Fatalf("paho.mqtt.golang does not read % x: %v", frame.Raw, err)
		}
		switch p := packet.(type) {
		case *Connack:
			if o := other.(*v3.ConnackPacket); o.ReturnCode != p.Code {
				t.Fatalf("%+v, %+v", p, o)
			}
		case *Publish:
			if o := other.(*v3.PublishPacket); o.TopicName != p.Topic || !bytes.Equal(o.Payload, p.Payload) || o.MessageID != p.PacketID || o.Qos != p.QoS {
				t.Fatalf("%+v, %+v", p, o)
			}
		case *Suback:
			if o := other.(*v3.SubackPacket); o.MessageID != p.PacketID || !bytes.Equal(o.ReturnCodes, p.Codes) {
				t.Fatalf("%+v, %+v", p, o)
			}
		}
		return
	}
	if ack, ok := packet.(*Connack); ok && ack.Legacy {
		return
	}
	if (frame.Type == DISCONNECT || frame.Type == AUTH) && len(frame.Body) < 2 {
		return // paho does not know that reason code and properties may be left out (MQTT 5.0 3.14.2.1)
	}
	other, err := v5.ReadPacket(bytes.NewReader(frame.Raw))
	if err != nil {
		t.Fatalf("paho.golang does not read % x: %v", frame.Raw, err)
	}
	switch p := packet.(type) {
	case *Connack:
		if o := other.Content.(*v5.Connack); o.ReasonCode != p.Code || o.SessionPresent != p.SessionPresent || o.Properties.ReasonString != p.ReasonString || o.Properties.AssignedClientID != p.AssignedClientID || len(o.Properties.User) != len(p.UserProperties) {
			t.Fatalf("%+v, %+v", p, o)
		}
	case *Publish:
		if o := other.Content.(*v5.Publish); o.Topic != p.Topic || !bytes.Equal(o.Payload, p.Payload) || o.PacketID != p.PacketID || o.QoS != p.QoS {
			t.Fatalf("%+v, %+v", p, o)
		}
	case *Suback:
		if o := other.Content.(*v5.Suback); o.PacketID != p.PacketID || !bytes.Equal(o.Reasons, p.Codes) {
			t.Fatalf("%+v, %+v", p, o)
		}
	case *Disconnect:
		if o := other.Content.(*v5.Disconnect); o.ReasonCode != p.Code || o.Properties.ServerReference != p.ServerReference {
			t.Fatalf("%+v, %+v", p, o)
		}
	}
}
