package mqttwire

import (
	"context"

	v3 "github.com/eclipse/paho.mqtt.golang/packets"
)

// wire3 speaks MQTT 3.1 and 3.1.1. Packets are encoded by paho.mqtt.golang's codec; what comes in is decoded by this
// package, which says where a packet is broken, while that codec takes short fields for whole ones.
type wire3 struct {
	*core
	ids idsource
}

// connect3 sends the CONNECT and takes its answer.
func connect3(s *core, o ConnectOptions) (Session, error) {
	_ = s.write(EncodeConnect(o)) // what came of an error is to be read
	if _, err := s.next(); err != nil {
		return nil, err
	}
	w := &wire3{core: s, ids: idsource{taken: s.isPending}}
	session := open(s, w)
	s.group.Go(w.read)
	return session, nil
}

// read is the session's reader. It writes the acknowledgements itself: a peer that does not take them is not read either.
func (w *wire3) read() {
	for {
		packet, err := w.next()
		if err != nil {
			w.finish(err)
			return
		}
		switch p := packet.(type) {
		case *Publish:
			switch {
			case p.PacketID == 0: // QoS 0, or a breach that cannot be answered
			case p.QoS == 1:
				_ = w.write(ack3(v3.Puback, p.PacketID))
			case p.QoS == 2:
				_ = w.write(ack3(v3.Pubrec, p.PacketID))
			}
		case *Ack:
			switch p.Type {
			case PUBREC: // also to one of ours that nobody awaits any more
				_ = w.write(ack3(v3.Pubrel, p.PacketID))
			case PUBREL:
				_ = w.write(ack3(v3.Pubcomp, p.PacketID))
			}
		}
	}
}

func ack3(kind byte, id uint16) []byte {
	packet := v3.NewControlPacket(kind)
	switch p := packet.(type) {
	case *v3.PubackPacket:
		p.MessageID = id
	case *v3.PubrecPacket:
		p.MessageID = id
	case *v3.PubrelPacket:
		p.MessageID = id
	case *v3.PubcompPacket:
		p.MessageID = id
	}
	return encode3(packet)
}

func (w *wire3) subscribe(_ context.Context, subs []Subscription, x *exchange) error {
	id, err := w.reserve(x)
	if err != nil {
		return err
	}
	p := v3.NewControlPacket(v3.Subscribe).(*v3.SubscribePacket)
	p.MessageID = id
	for _, s := range subs {
		p.Topics, p.Qoss = append(p.Topics, s.Filter), append(p.Qoss, s.QoS)
	}
	return w.write(encode3(p))
}

func (w *wire3) unsubscribe(_ context.Context, filters []string, x *exchange) error {
	id, err := w.reserve(x)
	if err != nil {
		return err
	}
	p := v3.NewControlPacket(v3.Unsubscribe).(*v3.UnsubscribePacket)
	p.MessageID, p.Topics = id, filters
	return w.write(encode3(p))
}

func (w *wire3) publish(_ context.Context, m Message, x *exchange) error {
	if m.Topic == "" {
		return invalid("MQTT %s has no topic aliases", w.version)
	}
	p := v3.NewControlPacket(v3.Publish).(*v3.PublishPacket)
	p.TopicName, p.Payload, p.Qos, p.Retain = m.Topic, m.Payload, m.QoS, m.Retain
	if m.QoS > 0 {
		id, err := w.reserve(x)
		if err != nil {
			return err
		}
		p.MessageID = id
	}
	return w.write(encode3(p))
}

func (w *wire3) stop() {} // the reader is in the session's group

// reserve gives an exchange a packet identifier and enters it.
func (w *wire3) reserve(x *exchange) (uint16, error) {
	w.ids.mu.Lock()
	defer w.ids.mu.Unlock()
	id, ok := w.ids.next()
	if !ok {
		return 0, &limitError{"packet identifiers are used up", "2.2.1"}
	}
	w.expect(id, x)
	return id, nil
}

func (s *core) isPending(id uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, pending := s.pending[id]
	return pending
}
