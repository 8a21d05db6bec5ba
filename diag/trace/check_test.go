package trace

import (
	"slices"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/mqttwire"
)

// raw makes a packet of its first byte and its body.
func raw(first byte, body ...byte) []byte {
	return append(appendHeader(nil, first, len(body)), body...)
}

func text(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// connect makes a CONNECT; keep alive is in seconds.
func connect(level byte, clean bool, keepAlive byte, properties ...byte) []byte {
	flags := byte(0)
	if clean {
		flags = 2
	}
	body := join(text("MQTT"), []byte{level, flags, 0, keepAlive})
	if level == 5 {
		body = append(append(body, byte(len(properties))), properties...)
	}
	return raw(0x10, join(body, text("client"))...)
}

func connack(level, session, code byte, properties ...byte) []byte {
	body := []byte{session, code}
	if level == 5 {
		body = append(append(body, byte(len(properties))), properties...)
	}
	return raw(0x20, body...)
}

// publish makes a PUBLISH; flags are those of the first byte.
func publish(level, flags byte, topic string, id uint16, properties ...byte) []byte {
	body := text(topic)
	if flags&6 != 0 {
		body = append(body, byte(id>>8), byte(id))
	}
	if level == 5 {
		body = append(append(body, byte(len(properties))), properties...)
	}
	return raw(0x30|flags, append(body, "payload"...)...)
}

func ack(first byte, id uint16, code ...byte) []byte {
	return raw(first, append([]byte{byte(id >> 8), byte(id)}, code...)...)
}

func subscribe(level byte, id uint16, filters ...string) []byte {
	body := []byte{byte(id >> 8), byte(id)}
	if level == 5 {
		body = append(body, 0)
	}
	for _, f := range filters {
		body = append(append(body, text(f)...), 1)
	}
	return raw(0x82, body...)
}

func suback(level byte, id uint16, codes ...byte) []byte {
	body := []byte{byte(id >> 8), byte(id)}
	if level == 5 {
		body = append(body, 0)
	}
	return raw(0x90, append(body, codes...)...)
}

var (
	pingreq    = raw(0xc0)
	pingresp   = raw(0xd0)
	disconnect = raw(0xe0)
)

// said is a packet of a script: by whom, how long after the one before, and which rules it breaks.
type said struct {
	dir   mqttwire.Direction
	data  []byte
	after time.Duration
	want  []string // the last part of the warnings' keys
}

func client(data []byte, want ...string) said { return said{dir: mqttwire.Out, data: data, want: want} }
func broker(data []byte, want ...string) said { return said{dir: mqttwire.In, data: data, want: want} }
func later(d time.Duration, s said) said      { s.after = d; return s }

// play records a script and returns what was made of it.
func play(t testing.TB, script []said) []Packet {
	t.Helper()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := NewRecorder(func() time.Time { return now })
	c := r.Connection()
	for _, s := range script {
		now = now.Add(time.Millisecond + s.after)
		c.Bytes(s.dir, s.data)
	}
	return r.All().Packets
}

func keysOf(p Packet) []string {
	var keys []string
	for _, w := range p.Warnings {
		keys = append(keys, w.Note.Key[strings.LastIndexByte(w.Note.Key, '.')+1:])
	}
	return keys
}

// Every rule is broken by its packet, and by no other of the script.
func TestRules(t *testing.T) {
	c5, a5 := client(connect(5, true, 60)), broker(connack(5, 0, 0))
	c4, a4 := client(connect(4, true, 60)), broker(connack(4, 0, 0))
	receive1 := []byte{0x21, 0, 1}
	qos1, qos2 := byte(2), byte(4)
	for _, c := range []struct {
		name   string
		script []said
	}{
		{"a whole session", []said{c4, a4, client(subscribe(4, 1, "a/#", "b")), broker(suback(4, 1, 1, 0x80)),
			client(publish(4, qos1, "a", 2)), broker(ack(0x40, 2)), broker(publish(4, qos1, "a", 1)), client(ack(0x40, 1)),
			client(publish(4, qos2, "b", 2)), broker(ack(0x50, 2)), client(ack(0x62, 2)), broker(ack(0x70, 2)),
			client(raw(0xa2, 0, 3, 0, 1, 'b')), broker(raw(0xb0, 0, 3)), client(pingreq), broker(pingresp), client(disconnect)}},
		{"the same in MQTT 5", []said{c5, a5, client(subscribe(5, 1, "a/#")), broker(suback(5, 1, 1)), client(publish(5, qos1, "a", 2)),
			broker(ack(0x40, 2, 0x10)), client(publish(5, qos2, "a", 2)), broker(ack(0x50, 2, 0x87)), client(publish(5, qos2, "a", 2)),
			broker(ack(0x50, 2)), client(ack(0x62, 2)), broker(ack(0x70, 2)), client(raw(0xa2, 0, 3, 0, 0, 1, 'b')), broker(raw(0xb0, 0, 3, 0, 0x11)), client(disconnect)}},
		{"a client that does not wait for CONNACK", []said{c4, client(subscribe(4, 1, "a")), client(publish(4, 0, "a", 0)), a4, broker(suback(4, 1, 1))}},
		{"a session that goes on", []said{client(connect(4, false, 60)), broker(connack(4, 1, 0)), client(publish(4, qos1|8, "a", 7)), broker(ack(0x40, 7)),
			broker(ack(0x50, 8)), client(ack(0x62, 9)), broker(ack(0x70, 9))}},
		{"a session that does not", []said{client(connect(4, false, 60)), broker(connack(4, 0, 0)), broker(ack(0x40, 7), "unknown_id")}},
		{"no CONNECT", []said{client(pingreq, "first_connect")}},
		{"two CONNECT", []said{c4, a4, client(connect(4, true, 60), "second_connect")}},
		{"no CONNACK", []said{c4, broker(publish(4, 0, "a", 0), "first_connack")}},
		{"two CONNACK", []said{c4, a4, broker(connack(4, 0, 0), "second_connack")}},
		{"after DISCONNECT", []said{c4, a4, client(disconnect), client(pingreq, "after_end")}},
		{"an id in use", []said{c4, a4, client(publish(4, qos1, "a", 2)), client(subscribe(4, 2, "a"), "id_in_use")}},
		{"an id that is free again", []said{c4, a4, client(publish(4, qos1, "a", 2)), broker(ack(0x40, 2)), client(subscribe(4, 2, "a"))}},
		{"the same id on either side", []said{c4, a4, client(publish(4, qos1, "a", 2)), broker(publish(4, qos1, "a", 2)), client(ack(0x40, 2)), broker(ack(0x40, 2))}},
		{"PUBACK for nothing", []said{c4, a4, broker(ack(0x40, 5), "unknown_id")}},
		{"PUBCOMP that says so itself", []said{c5, a5, broker(ack(0x70, 5, 0x92))}},
		{"SUBACK for nothing", []said{c4, a4, broker(suback(4, 5, 0), "unknown_id")}},
		{"PUBACK for QoS 2", []said{c4, a4, client(publish(4, qos2, "a", 2)), broker(ack(0x40, 2), "wrong_answer")}},
		{"sent again in MQTT 5", []said{c5, a5, client(publish(5, qos1, "a", 2)), client(publish(5, qos1|8, "a", 2), "repeat")}},
		{"sent again in MQTT 3.1.1", []said{c4, a4, client(publish(4, qos1, "a", 2)), client(publish(4, qos1|8, "a", 2))}},
		{"too many in flight", []said{c5, broker(connack(5, 0, 0, receive1...)), client(publish(5, qos1, "a", 2)), client(publish(5, qos1, "a", 3), "receive_maximum")}},
		{"one after the other", []said{c5, broker(connack(5, 0, 0, receive1...)), client(publish(5, qos1, "a", 2)), broker(ack(0x40, 2)), client(publish(5, qos1, "a", 3))}},
		{"too many from the broker", []said{client(connect(5, true, 60, receive1...)), a5, broker(publish(5, qos1, "a", 2)), broker(publish(5, qos2, "a", 3), "receive_maximum")}},
		{"too large", []said{c5, broker(connack(5, 0, 0, 0x27, 0, 0, 0, 10)), client(publish(5, 0, "a", 0), "packet_size")}},
		{"too large for the client", []said{client(connect(5, true, 60, 0x27, 0, 0, 0, 10)), a5, broker(publish(5, 0, "a", 0), "packet_size")}},
		{"QoS above the maximum", []said{c5, broker(connack(5, 0, 0, 0x24, 0)), client(publish(5, qos1, "a", 2), "maximum_qos")}},
		{"retain where there is none", []said{c5, broker(connack(5, 0, 0, 0x25, 0)), client(publish(5, 1, "a", 0), "retain_unavailable")}},
		{"wildcard where there is none", []said{c5, broker(connack(5, 0, 0, 0x28, 0)), client(subscribe(5, 1, "a/+"), "wildcard_unavailable")}},
		{"shared where there is none", []said{c5, broker(connack(5, 0, 0, 0x2a, 0)), client(subscribe(5, 1, "$share/g/a"), "shared_unavailable")}},
		{"identifier where there is none", []said{c5, broker(connack(5, 0, 0, 0x29, 0)), client(raw(0x82, join([]byte{0, 1, 2, 0x0b, 1}, text("a"), []byte{0})...), "subid_unavailable")}},
		{"identifier in a client's PUBLISH", []said{c5, a5, client(publish(5, 0, "a", 0, 0x0b, 1), "client_subid")}},
		{"identifier in a broker's PUBLISH", []said{c5, a5, broker(publish(5, 0, "a", 0, 0x0b, 1))}},
		{"alias 0", []said{c5, broker(connack(5, 0, 0, 0x22, 0, 2)), client(publish(5, 0, "a", 0, 0x23, 0, 0), "alias_zero")}},
		{"aliases as they should be", []said{c5, broker(connack(5, 0, 0, 0x22, 0, 2)), client(publish(5, 0, "a", 0, 0x23, 0, 2)), client(publish(5, 0, "", 0, 0x23, 0, 2))}},
		{"alias above the maximum", []said{c5, a5, client(publish(5, 0, "a", 0, 0x23, 0, 1), "alias_maximum")}},
		{"alias without topic", []said{c5, broker(connack(5, 0, 0, 0x22, 0, 2)), client(publish(5, 0, "", 0, 0x23, 0, 1), "alias_unknown")}},
		{"response topic with wildcard", []said{c5, a5, client(publish(5, 0, "a", 0, 0x08, 0, 1, '#'), "response_topic")}},
		{"silent for too long", []said{c4, a4, later(91*time.Second, client(pingreq, "keep_alive")), broker(pingresp)}},
		{"silent for long", []said{c4, a4, later(89*time.Second, client(pingreq)), broker(pingresp)}},
		{"the server's keep alive", []said{c5, broker(connack(5, 0, 0, 0x13, 0, 10)), later(16*time.Second, client(pingreq, "keep_alive"))}},
		{"no keep alive", []said{client(connect(4, true, 0)), a4, later(time.Hour, client(pingreq))}},
		{"PINGRESP for nothing", []said{c4, a4, broker(pingresp, "pong")}},
		{"AUTH for nothing", []said{c5, a5, broker(raw(0xf0, 0x18, 0), "auth")}},
		{"AUTH that was agreed on", []said{client(connect(5, true, 60, 0x15, 0, 1, 'M')), broker(raw(0xf0, 0x18, 4, 0x15, 0, 1, 'M')), client(raw(0xf0, 0x18, 4, 0x15, 0, 1, 'M')), a5}},
		{"too few codes", []said{c4, a4, client(subscribe(4, 1, "a", "b")), broker(suback(4, 1, 0), "codes")}},
		{"an older broker", []said{c5, broker(connack(4, 0, 1))}},
		{"a broker that is none", []said{c4, broker([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nServer: nginx/1.22.1 and so on and so forth, up to 86\r\n\r\n"), "first_connack", "flags", "trailing", "unknown_id")}},
		{"a header longer than needed", []said{c5, a5, client([]byte{0xc0, 0x80, 0}, "not_minimal")}},
		{"the same before MQTT 5", []said{c4, a4, client([]byte{0xc0, 0x80, 0})}},
		{"a header without end", []said{c4, a4, broker([]byte{0x30, 0xff, 0xff, 0xff, 0xff, 1}, "endless")}},
		{"a packet that ends too early", []said{c4, a4, broker(raw(0x40, 0), "missing")}},
		{"PUBLISH with a wildcard", []said{c4, a4, client(publish(4, 0, "a/#", 0), "wildcard")}},
		{"QoS 3", []said{c4, a4, client(publish(4, 6, "a", 1), "qos")}},
		{"a client's packet from the broker", []said{c4, a4, broker(pingreq, "packet")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			packets := play(t, c.script)
			if len(packets) != len(c.script) {
				t.Fatalf("%d packets of %d", len(packets), len(c.script))
			}
			for i, s := range c.script {
				if got := keysOf(packets[i]); !slices.Equal(got, s.want) {
					t.Errorf("packet %d (%x): %v, want %v", i, s.data, packets[i].Warnings, s.want)
				}
				for _, w := range packets[i].Warnings {
					if !strings.HasPrefix(w.Section, "MQTT ") {
						t.Errorf("%s has no section", w.Note.Key)
					}
				}
			}
		})
	}
}

func TestRoundTripsAreJoined(t *testing.T) {
	packets := play(t, []said{client(connect(4, true, 60)), broker(connack(4, 0, 0)), client(subscribe(4, 1, "a")), client(publish(4, 4, "a", 2)),
		client(pingreq), broker(pingresp), broker(suback(4, 1, 1)), broker(ack(0x50, 2)), client(ack(0x62, 2)), broker(ack(0x70, 2))})
	want := []uint64{0, 1, 0, 0, 0, 5, 3, 4, 8, 9}
	for i, p := range packets {
		if p.Answers != want[i] || want[i] > 0 && p.Took != time.Duration(i+1-int(want[i]))*time.Millisecond {
			t.Errorf("packet %d answers %d after %v, want %d", p.Seq, p.Answers, p.Took, want[i])
		}
	}
}

// Every warning and explanation that can be made has words in both languages, with nothing missing in them.
func TestWordsExist(t *testing.T) {
	for r := range rulePlaces {
		wantWords(t, diag.Note{Key: "trace.warn." + string(r)})
	}
	for _, code := range mqttwire.Breaches() {
		wantWords(t, diag.Note{Key: "trace.breach." + string(code)})
	}
	for c := range 256 {
		for _, v := range mqttwire.Versions {
			for kind := mqttwire.CONNECT; kind <= mqttwire.AUTH; kind++ {
				if key := reasonKey(v, kind, byte(c)); key != "" {
					wantWords(t, diag.Note{Key: key})
				}
			}
		}
	}
}

func wantWords(t *testing.T, n diag.Note) {
	t.Helper()
	for _, lang := range []catalogue.Lang{catalogue.English, catalogue.Chinese} {
		if got := catalogue.Text(n, lang); got == "" || got == n.Key {
			t.Errorf("%s has no words in %s", n.Key, lang)
		}
	}
}
