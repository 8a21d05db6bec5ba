package trace

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/mqttwire"
)

func english(n diag.Note) string { return catalogue.Text(n, catalogue.English) }

var writer = Writer{Say: english, Payloads: true}

const planted = "planted-secret"

// secretConnect is a CONNECT of MQTT 5 with a password, authentication data and a will.
func secretConnect() []byte {
	properties := join([]byte{0x15, 0, 1, 'M', 0x16}, text(planted))
	body := join(text("MQTT"), []byte{5, 0xc6, 0, 60, byte(len(properties))}, properties, text("client"),
		[]byte{0}, text("will/topic"), text("gone"), text("user"), text(planted))
	return raw(0x10, body...)
}

// everything is a session in which every kind of packet comes.
func everything() []said {
	auth := raw(0xf0, join([]byte{0x18, byte(7 + len(planted)), 0x15, 0, 1, 'M', 0x16}, text(planted))...)
	return []said{client(secretConnect()), broker(auth), client(auth), broker(connack(5, 0, 0, 0x21, 0, 9, 0x22, 0, 9)),
		client(subscribe(5, 1, "a/#", "b")), broker(suback(5, 1, 1, 0x87)), client(subscribe(5, 2, "c")), broker(suback(5, 2, 1)),
		client(publish(5, 3, "a/b", 3, 0x26, 0, 1, 'k', 0, 1, 'v')), broker(ack(0x40, 3)), broker(publish(5, 2, "a/b", 1)), client(ack(0x40, 1)),
		client(publish(5, 4, "b", 4, 0x23, 0, 1)), broker(ack(0x50, 4)), client(ack(0x62, 4)), broker(ack(0x70, 4)),
		client(publish(5, 0, "", 0, 0x23, 0, 1)), client(publish(5, 2, "z", 5)), broker(ack(0x40, 5, 0x87)),
		client(raw(0xa2, 0, 6, 0, 0, 1, 'b')), broker(raw(0xb0, 0, 6, 0, 0)), client(raw(0xa2, 0, 6, 0, 0, 1, 'b')), broker(raw(0xb0, 0, 6, 0, 0x87)), client(pingreq), broker(pingresp),
		broker(publish(5, 1, "kept", 0)), broker(raw(0xe0, 0x8e, 0)), client(raw(0xe0, 4, 0))}
}

func TestFramesSayWhatPassed(t *testing.T) {
	var types []string
	for _, lang := range []catalogue.Lang{catalogue.English, catalogue.Chinese} {
		w := Writer{Say: func(n diag.Note) string { return catalogue.Text(n, lang) }, Payloads: true}
		for _, p := range play(t, everything()) {
			f := w.Frame(p)
			if f.Explanation == "" || strings.Contains(f.Explanation, "trace.") || strings.Contains(f.Explanation, "?") || len(f.Warnings) > 0 {
				t.Errorf("%s %d %s: %q %v", lang, f.Seq, f.Type, f.Explanation, f.Warnings)
			}
			data, err := json.Marshal(f)
			if err != nil || bytes.Contains(data, []byte(planted)) || bytes.Contains(data, []byte(base64.StdEncoding.EncodeToString([]byte(planted)))) {
				t.Errorf("%v %s", err, data)
			}
			types = append(types, f.Type)
		}
	}
	first := writer.Frame(play(t, everything())[0])
	if first.Fields["password"] != Mask || first.Fields["username"] != "user" || first.Fields["client_id"] != "client" || first.Length != len(secretConnect()) {
		t.Errorf("%+v", first)
	}
	pub := writer.Frame(play(t, everything())[8])
	if pub.Fields["payload"] != base64.StdEncoding.EncodeToString([]byte("payload")) || pub.Fields["payload_bytes"] != 7 || pub.Fields["qos"] != byte(1) || pub.Fields["retain"] != true {
		t.Errorf("%+v", pub)
	}
	if without := (Writer{Say: english}).Frame(play(t, everything())[8]); without.Fields["payload"] != nil || without.Fields["payload_bytes"] != 7 {
		t.Errorf("%+v", without)
	}
	suback := writer.Frame(play(t, everything())[5])
	if reasons := suback.Fields["reasons"].([]Reason); len(reasons) != 2 || reasons[1].Name != "Not authorized" || reasons[1].Text == "" {
		t.Errorf("%+v", suback)
	}
	for kind := mqttwire.CONNECT; kind <= mqttwire.AUTH; kind++ {
		if !strings.Contains(strings.Join(types, " "), kind.String()) {
			t.Errorf("no %s in the session", kind)
		}
	}
}

func TestLargePayloadIsCut(t *testing.T) {
	body := append(text("big"), bytes.Repeat([]byte("x"), 100_000)...)
	packets := play(t, []said{client(connect(4, true, 60)), client(raw(0x30, body...)), client(pingreq)})
	f := writer.Frame(packets[1])
	payload, _ := base64.StdEncoding.DecodeString(f.Fields["payload"].(string))
	if !f.Truncated || len(payload) != maxPayload || f.Fields["payload_bytes"] != 100_000 || f.Length != 100_009 || len(f.Warnings) > 0 {
		t.Errorf("%d bytes of %v, %d, %v", len(payload), f.Fields["payload_bytes"], f.Length, f.Warnings)
	}
	if len(packets) != 3 || writer.Frame(packets[2]).Type != "PINGREQ" {
		t.Error("what follows is lost")
	}
}

// Wherever a CONNECT is broken, its password is neither in a frame nor in a capture.
func TestSecretsStayHiddenInBrokenPackets(t *testing.T) {
	whole := secretConnect()
	check := func(name string, stream []byte, pieces int) {
		r := NewRecorder(nil)
		c := r.Connection()
		for len(stream) > 0 {
			n := min(pieces, len(stream))
			c.Bytes(mqttwire.Out, stream[:n])
			stream = stream[n:]
		}
		var capture bytes.Buffer
		if err := r.WritePCAPNG(&capture, "test"); err != nil {
			t.Fatal(err)
		}
		for _, p := range r.All().Packets {
			data, _ := json.Marshal(writer.Frame(p))
			capture.Write(data)
		}
		for at := range planted[:len(planted)-5] {
			if part := planted[at : at+6]; bytes.Contains(capture.Bytes(), []byte(part)) {
				t.Fatalf("%s: %q is in what is given out: %q", name, part, capture.Bytes())
			}
		}
	}
	for i := range whole {
		broken := bytes.Clone(whole)
		broken[i] ^= 0x41
		if i < bytes.Index(whole, []byte(planted)) {
			check("a changed byte", broken, 1<<20)
			check("a changed byte, in pieces", broken, 3)
		}
		check("without its beginning", whole[i:], 1<<20)
	}
	for i := 2; i < len(whole); i++ {
		short := bytes.Clone(whole)
		short[1] = byte(i - 2)
		check("a shorter length", short, 1<<20)
	}
}

// TestPasswordsStayHiddenInWhatTheBrokerRepeats: in a reason, and by a service that returns every byte.
func TestPasswordsStayHiddenInWhatTheBrokerRepeats(t *testing.T) {
	const password = "Repeated-7"
	connect := raw(0x10, join(text("MQTT"), []byte{5, 0xc2, 0, 60, 0}, text("client"), text("user"), text(password))...)
	reason := text("the password " + password + " is wrong")
	refusal := raw(0x20, join([]byte{0, 0x86, byte(1 + len(reason)), 0x1f}, reason)...)
	for name, answer := range map[string][]byte{"reason": refusal, "echo": connect, "banner": []byte("ERROR " + password + "\r\n")} {
		r := NewRecorder(nil)
		c := r.Connection()
		c.Bytes(mqttwire.Out, connect)
		c.Bytes(mqttwire.In, answer)
		var told bytes.Buffer
		if err := r.WritePCAPNG(&told, "test"); err != nil {
			t.Fatal(err)
		}
		for _, p := range r.All().Packets {
			data, err := json.Marshal(writer.Frame(p))
			if err != nil {
				t.Fatal(err)
			}
			told.Write(data)
		}
		if bytes.Contains(told.Bytes(), []byte(password)) {
			t.Errorf("%s: %q", name, told.Bytes())
		}
		if name == "reason" && !bytes.Contains(told.Bytes(), []byte("the password ********** is wrong")) {
			t.Errorf("the rest of the reason is gone: %q", told.Bytes())
		}
	}
}

func TestViewerSeesEverythingOnce(t *testing.T) {
	r := NewRecorder(nil)
	c := r.Connection()
	c.Event(Event{Type: EventConnected, Note: diag.N("trace.connected.plain", "address", "x")})
	c.Bytes(mqttwire.Out, connect(4, true, 60))
	v, err := r.View(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.View(9); !errors.Is(err, ErrAhead) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	batch, err := v.Next(ctx)
	if err != nil || batch.Lost != 0 || len(batch.Packets) != 2 || batch.Packets[0].Event == nil || batch.Packets[1].Seq != 2 {
		t.Errorf("%+v %v", batch, err)
	}
	time.AfterFunc(10*time.Millisecond, func() { c.Bytes(mqttwire.In, connack(4, 0, 0)) })
	if batch, err = v.Next(ctx); err != nil || len(batch.Packets) != 1 || batch.Packets[0].Seq != 3 || batch.Packets[0].Answers != 2 {
		t.Errorf("%+v %v", batch, err)
	}
	time.AfterFunc(10*time.Millisecond, r.Close)
	if _, err = v.Next(ctx); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	canceled, stop := context.WithCancel(ctx)
	stop()
	if _, err = v.Next(canceled); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What goes by unseen is bounded, counted, and no mistake of anybody's.
func TestWhatIsForgottenIsCounted(t *testing.T) {
	r := NewRecorder(nil)
	c := r.Connection()
	c.Bytes(mqttwire.Out, connect(5, true, 60))
	c.Bytes(mqttwire.In, connack(5, 0, 0))
	const n = 20_000
	for i := range n {
		id := uint16(i%60000 + 1)
		c.Bytes(mqttwire.Out, publish(5, 2, "a", id))
		c.Bytes(mqttwire.In, ack(0x40, id))
	}
	v, _ := r.View(0)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen, lost, last := uint64(0), uint64(0), uint64(0)
	for last < r.Last() {
		batch, err := v.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		lost += batch.Lost
		for _, p := range batch.Packets {
			if p.Seq <= last || p.Version != mqttwire.V5 {
				t.Fatalf("packet %d of MQTT %s after %d", p.Seq, p.Version, last)
			}
			if last, seen = p.Seq, seen+1; len(p.Warnings) > 0 {
				t.Fatalf("packet %d: %v", p.Seq, p.Warnings)
			}
		}
	}
	if seen+lost != 2*n+2 || seen > maxPackets || seen < maxPackets-10 {
		t.Errorf("%d seen, %d lost", seen, lost)
	}
	if r.bytes > maxBytes || len(r.ring) > maxPackets {
		t.Errorf("%d bytes in %d records are kept", r.bytes, len(r.ring))
	}
}

func TestCaptureIsReadByWireshark(t *testing.T) {
	tshark := diagtest.Require(t, "tshark")
	r := NewRecorder(nil)
	c := r.Connection()
	c.Event(Event{Type: EventConnected})
	for _, s := range everything() {
		c.Bytes(s.dir, s.data)
	}
	c.Bytes(mqttwire.In, raw(0x30, append(append(text("big"), 0), bytes.Repeat([]byte("x"), 100_000)...)...)) // after DISCONNECT: a warning, and no harm
	c.Event(Event{Type: EventClosed, Fields: map[string]any{"by": "broker"}})
	path := filepath.Join(t.TempDir(), "trace.pcapng")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WritePCAPNG(file, "mqttdoctor test"); err != nil {
		t.Fatal(err)
	}
	file.Close()
	data, _ := os.ReadFile(path)
	if bytes.Contains(data, []byte(planted)) || !bytes.Contains(data, []byte(strings.Repeat("*", len(planted)))) {
		t.Error("the password is not masked")
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(tshark, append([]string{"-r", path, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if bad := run("-Y", "_ws.malformed || tcp.analysis.flags || tcp.checksum.status == 0 || ip.checksum.status == 0"); bad != "" {
		t.Errorf("tshark finds fault with\n%s", bad)
	}
	all := run()
	for _, want := range []string{"Connect Command", "Authentication Exchange", "Connect Ack", "Subscribe Request (id=1) [a/#] [b]", "Subscribe Ack (id=1)",
		"Publish Message (id=3) [a/b]", "Publish Ack (id=3)", "Publish Received (id=4)", "Publish Release (id=4)", "Publish Complete (id=4)",
		"Unsubscribe Request (id=6)", "Unsubscribe Ack (id=6)", "Ping Request", "Ping Response", "Disconnect Req", "[big]", "[SYN, ACK]", "[FIN, ACK]"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in\n%s", want, all)
		}
	}
	if comments := run("-Y", "frame.comment", "-T", "fields", "-e", "frame.comment"); !strings.Contains(comments, "were kept") {
		t.Errorf("comments %q", comments)
	}
}

// FuzzTrace: whatever either side sends, it can be recorded, shown and written.
func FuzzTrace(f *testing.F) {
	var seed []byte
	for _, s := range everything() {
		seed = append(seed, byte(len(s.data)), 0)
		if s.dir == mqttwire.In {
			seed[len(seed)-1] = 1
		}
		seed = append(seed, s.data...)
	}
	f.Add(seed)
	f.Add([]byte{2, 0, 0x10, 0x80, 3, 1, 0x20, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, script []byte) {
		r := NewRecorder(nil)
		c := r.Connection()
		for len(script) >= 2 {
			n, dir := int(script[0]), mqttwire.Out
			if script[1]&1 != 0 {
				dir = mqttwire.In
			}
			script = script[2:]
			n = min(n, len(script))
			c.Bytes(dir, script[:n])
			script = script[n:]
		}
		all := r.All()
		if uint64(len(all.Packets))+all.Lost != r.Last() {
			t.Fatalf("%d packets and %d lost of %d", len(all.Packets), all.Lost, r.Last())
		}
		for _, p := range all.Packets {
			if f := writer.Frame(p); f.Type == "" || f.Explanation == "" {
				t.Fatalf("%+v", f)
			}
		}
		if err := r.WritePCAPNG(io.Discard, "test"); err != nil {
			t.Fatal(err)
		}
	})
}

// A packet as large as MQTT allows takes no more room than a small one, and what comes behind it is seen.
func TestHugePacketIsNotHeld(t *testing.T) {
	r := NewRecorder(nil)
	c := r.Connection()
	c.Bytes(mqttwire.Out, connect(4, true, 60))
	const size = 250_000_000
	c.Bytes(mqttwire.Out, append(appendHeader(nil, 0x30, size), text("huge")...))
	chunk := make([]byte, 64<<10)
	for left := size - 6; left > 0; {
		n := min(left, len(chunk))
		c.Bytes(mqttwire.Out, chunk[:n])
		left -= n
	}
	c.Bytes(mqttwire.Out, pingreq)
	if r.bytes > 64<<10 || len(r.ring) > 10 {
		t.Errorf("%d bytes in %d records are kept", r.bytes, len(r.ring))
	}
	packets := r.All().Packets
	if len(packets) != 3 || packets[1].Length != size+5 || !packets[1].Truncated || writer.Frame(packets[2]).Type != "PINGREQ" {
		t.Errorf("%+v", packets)
	}
	if f := writer.Frame(packets[1]); f.Fields["payload_bytes"] != size-6 || f.Fields["topic"] != "huge" {
		t.Errorf("%+v", f)
	}
}
