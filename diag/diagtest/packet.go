package diagtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	v5 "github.com/eclipse/paho.golang/packets"
	v3 "github.com/eclipse/paho.mqtt.golang/packets"
)

// maxPacket bounds what a scripted broker reads of one packet, in bytes. Probes have no reason to send more, and both
// codecs reserve whatever a header declares.
const maxPacket = 4 << 20

// readPacket reads one whole MQTT packet without decoding it.
func readPacket(from io.Reader) ([]byte, error) {
	raw := make([]byte, 1, 64)
	if _, err := io.ReadFull(from, raw); err != nil {
		return nil, err
	}
	length := 0
	for shift := 0; ; shift += 7 {
		if shift > 21 {
			return nil, errors.New("a Remaining Length of more than four bytes") // MQTT 5.0 1.5.5
		}
		var digit [1]byte
		if _, err := io.ReadFull(from, digit[:]); err != nil {
			return nil, err
		}
		raw = append(raw, digit[0])
		length |= int(digit[0]&0x7f) << shift
		if digit[0]&0x80 == 0 {
			break
		}
	}
	if length > maxPacket {
		return nil, fmt.Errorf("a packet of %d bytes", length)
	}
	body := make([]byte, length)
	_, err := io.ReadFull(from, body)
	return append(raw, body...), err
}

// connectLevel is the protocol level of a CONNECT as it came (MQTT 5.0 3.1.2.2): 3 for 3.1, 4 for 3.1.1, 5. It is 0 if
// the packet is too short to have one.
func connectLevel(raw []byte) byte {
	at := 1
	for at < len(raw) && raw[at]&0x80 != 0 {
		at++
	}
	at++
	if at+2 > len(raw) {
		return 0
	}
	at += 2 + int(raw[at])<<8 + int(raw[at+1])
	if at >= len(raw) {
		return 0
	}
	return raw[at]
}

// decode reads a packet of a client that speaks the given protocol level. Those of MQTT 3.1 and 3.1.1 are turned into
// the form of 5, so that the broker has one logic.
func decode(level byte, raw []byte) (*v5.ControlPacket, error) {
	if level >= 5 {
		if bytes.Equal(raw, []byte{v5.DISCONNECT << 4, 0}) { // reason code 0 may be left out (MQTT 5.0 3.14.2.1); the codec wants it
			raw = []byte{v5.DISCONNECT << 4, 1, 0}
		}
		return v5.ReadPacket(bytes.NewReader(raw))
	}
	packet, err := v3.ReadPacket(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	wrap := func(kind byte, content v5.Packet) (*v5.ControlPacket, error) {
		return &v5.ControlPacket{FixedHeader: v5.FixedHeader{Type: kind}, Content: content}, nil
	}
	none := func() *v5.Properties { return &v5.Properties{} }
	switch p := packet.(type) {
	case *v3.ConnectPacket:
		return wrap(v5.CONNECT, &v5.Connect{
			ProtocolName: p.ProtocolName, ProtocolVersion: p.ProtocolVersion, ClientID: p.ClientIdentifier,
			KeepAlive: p.Keepalive, CleanStart: p.CleanSession, Properties: none(),
			UsernameFlag: p.UsernameFlag, Username: p.Username, PasswordFlag: p.PasswordFlag, Password: p.Password,
			WillFlag: p.WillFlag, WillTopic: p.WillTopic, WillMessage: p.WillMessage, WillQOS: p.WillQos,
			WillRetain: p.WillRetain, WillProperties: none()})
	case *v3.PublishPacket:
		return wrap(v5.PUBLISH, &v5.Publish{Topic: p.TopicName, Payload: p.Payload, PacketID: p.MessageID, QoS: p.Qos,
			Duplicate: p.Dup, Retain: p.Retain, Properties: none()})
	case *v3.SubscribePacket:
		subscribe := &v5.Subscribe{PacketID: p.MessageID, Properties: none()}
		for i, topic := range p.Topics {
			subscribe.Subscriptions = append(subscribe.Subscriptions, v5.SubOptions{Topic: topic, QoS: p.Qoss[i]})
		}
		return wrap(v5.SUBSCRIBE, subscribe)
	case *v3.UnsubscribePacket:
		return wrap(v5.UNSUBSCRIBE, &v5.Unsubscribe{PacketID: p.MessageID, Topics: p.Topics, Properties: none()})
	case *v3.PubackPacket:
		return wrap(v5.PUBACK, &v5.Puback{PacketID: p.MessageID, Properties: none()})
	case *v3.PubrecPacket:
		return wrap(v5.PUBREC, &v5.Pubrec{PacketID: p.MessageID, Properties: none()})
	case *v3.PubrelPacket:
		return wrap(v5.PUBREL, &v5.Pubrel{PacketID: p.MessageID, Properties: none()})
	case *v3.PubcompPacket:
		return wrap(v5.PUBCOMP, &v5.Pubcomp{PacketID: p.MessageID, Properties: none()})
	case *v3.PingreqPacket:
		return wrap(v5.PINGREQ, &v5.Pingreq{})
	case *v3.DisconnectPacket:
		return wrap(v5.DISCONNECT, &v5.Disconnect{Properties: none()})
	}
	return nil, fmt.Errorf("a client does not send a packet of type %d", raw[0]>>4)
}

// encode writes a packet for a client that speaks the given protocol level. It returns nothing for what that level has
// no packet for, a DISCONNECT by the server in MQTT 3.
func encode(level byte, content v5.Packet) []byte {
	var out bytes.Buffer
	if level >= 5 {
		content.WriteTo(&out)
		return out.Bytes()
	}
	var packet v3.ControlPacket
	switch p := content.(type) {
	case *v5.Connack:
		connack := v3.NewControlPacket(v3.Connack).(*v3.ConnackPacket)
		connack.ReturnCode, connack.SessionPresent = p.ReasonCode, p.SessionPresent
		packet = connack
	case *v5.Publish:
		publish := v3.NewControlPacket(v3.Publish).(*v3.PublishPacket)
		publish.TopicName, publish.Payload, publish.MessageID = p.Topic, p.Payload, p.PacketID
		publish.Qos, publish.Retain, publish.Dup = p.QoS, p.Retain, p.Duplicate
		packet = publish
	case *v5.Suback:
		suback := v3.NewControlPacket(v3.Suback).(*v3.SubackPacket)
		suback.MessageID = p.PacketID
		for _, code := range p.Reasons {
			if code > 2 {
				code = 0x80 // the only failure that there is, MQTT 3.1.1 3.9.3
			}
			suback.ReturnCodes = append(suback.ReturnCodes, code)
		}
		packet = suback
	case *v5.Unsuback:
		unsuback := v3.NewControlPacket(v3.Unsuback).(*v3.UnsubackPacket)
		unsuback.MessageID = p.PacketID
		packet = unsuback
	case *v5.Puback:
		puback := v3.NewControlPacket(v3.Puback).(*v3.PubackPacket)
		puback.MessageID = p.PacketID
		packet = puback
	case *v5.Pubrec:
		pubrec := v3.NewControlPacket(v3.Pubrec).(*v3.PubrecPacket)
		pubrec.MessageID = p.PacketID
		packet = pubrec
	case *v5.Pubrel:
		pubrel := v3.NewControlPacket(v3.Pubrel).(*v3.PubrelPacket)
		pubrel.MessageID = p.PacketID
		packet = pubrel
	case *v5.Pubcomp:
		pubcomp := v3.NewControlPacket(v3.Pubcomp).(*v3.PubcompPacket)
		pubcomp.MessageID = p.PacketID
		packet = pubcomp
	case *v5.Pingresp:
		packet = v3.NewControlPacket(v3.Pingresp)
	default:
		return nil
	}
	packet.Write(&out)
	return out.Bytes()
}
