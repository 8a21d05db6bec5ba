package trace

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/mqttwire"
)

func inLanguage(lang catalogue.Lang) func(diag.Note) string {
	return func(n diag.Note) string { return catalogue.Text(n, lang) }
}

// framesOfSession are the frames, as a browser has them, of a session in which everything happens that holds payloads or secrets.
func framesOfSession(t *testing.T) []Frame {
	t.Helper()
	r := NewRecorder(nil)
	c := r.Connection()
	user := "meter?x-amz-customauthorizer-signature=sign-secret&token=token-secret"
	c.Event(Event{Type: EventConnected, Fields: map[string]any{"address": "192.0.2.1:1883", "dial_ms": 1.5},
		Note: diag.N("trace.connected.plain", "address", "192.0.2.1:1883")})
	c.Bytes(mqttwire.Out, mqttwire.EncodeConnect(mqttwire.ConnectOptions{Version: mqttwire.V5, ClientID: "c", CleanStart: true, KeepAlive: 60,
		Username: &user, Password: []byte("password-secret"), Will: &mqttwire.Will{Topic: "w", Payload: []byte("payload of the will")},
		UserProperties: []mqttwire.UserProperty{{Key: "x-api-key", Value: "key-secret"}, {Key: "accessToken", Value: "camel-secret"}, {Key: "site", Value: "berlin"}}}))
	c.Bytes(mqttwire.In, connack(5, 0, 0, 22, 0, 4, 'a', 'u', 't', 'h'))
	c.Bytes(mqttwire.Out, subscribe(5, 1, "a/#", "b"))
	c.Bytes(mqttwire.In, suback(5, 1, 1, 0x87))
	c.Bytes(mqttwire.Out, publish(5, 2, "t", 7, 9, 0, 4, 'c', 'o', 'r', 'r'))
	c.Bytes(mqttwire.In, ack(0x40, 9)) // an answer to nothing
	c.Bytes(mqttwire.In, []byte{0x00, 1, 'x'})
	c.Bytes(mqttwire.In, raw(0xe0, 0x87, 0))
	c.Event(Event{Type: EventClosed, Fields: map[string]any{"by": "broker", "why": "closed"}, Note: diag.N("trace.closed.broker", "code", "1000")})
	w := Writer{Say: inLanguage(catalogue.English), Payloads: true}
	var frames []Frame
	for _, p := range r.All().Packets {
		frames = append(frames, w.Frame(p))
	}
	data, err := json.Marshal(frames)
	if err != nil {
		t.Fatal(err)
	}
	var back []Frame
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// TestAttachedTraceSaysTheSame attaches a trace and reads it in both languages.
func TestAttachedTraceSaysTheSame(t *testing.T) {
	frames := framesOfSession(t)
	a, err := Attach(frames, 3, true, catalogue.Has)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Packets) != len(frames) || a.Lost != 3 || !a.Payloads {
		t.Fatalf("%d of %d packets, %+v", len(a.Packets), len(frames), a)
	}
	english, chinese := a.In(inLanguage(catalogue.English)), a.In(inLanguage(catalogue.Chinese))
	for i, f := range frames {
		e, z := english.Packets[i], chinese.Packets[i]
		if e.Type != f.Type || e.Dir != f.Dir || e.Length != f.Length || e.Answers != f.Answers || len(e.Warnings) != len(f.Warnings) || !e.At.Equal(f.At) {
			t.Errorf("%d: %+v became %+v", i, f, e)
		}
		if f.Type != "CONNECT" && e.Explanation != f.Explanation {
			t.Errorf("%d: %q became %q", i, f.Explanation, e.Explanation)
		}
		if z.Explanation == e.Explanation || z.Explanation == "" {
			t.Errorf("%d: %q and %q", i, e.Explanation, z.Explanation)
		}
		for j, w := range e.Warnings {
			if w.Text != f.Warnings[j].Text || w.Section != f.Warnings[j].Section {
				t.Errorf("%d: %+v became %+v", i, f.Warnings[j], w)
			}
		}
		if a.Packets[i].Explanation != "" {
			t.Errorf("%d keeps words", i)
		}
	}
	data, _ := json.Marshal(english)
	for _, said := range []string{"berlin", base64.StdEncoding.EncodeToString([]byte("payload of the will"))} {
		if !strings.Contains(string(data), said) {
			t.Errorf("%q is lost in %s", said, data)
		}
	}
}

func TestAttachedTraceHoldsNoSecretAndNoPayloadUnlessChosen(t *testing.T) {
	frames := framesOfSession(t)
	// Somebody sends what no decoder of ours makes.
	for i := range frames {
		if frames[i].Type == "CONNECT" {
			frames[i].Fields["password"] = "password-secret"
			frames[i].Explanation = "password-secret"
			frames[i].Note.Args["username"] = "me:password=password-secret"
		}
		if frames[i].Type == "CONNACK" {
			frames[i].Fields["properties"].(map[string]any)["authentication_data"] = "auth-secret"
		}
	}
	for _, payloads := range []bool{false, true} {
		a, err := Attach(frames, 0, payloads, catalogue.Has)
		if err != nil {
			t.Fatal(err)
		}
		data, _ := json.Marshal(a.In(inLanguage(catalogue.English)))
		text := string(data)
		if i := strings.Index(text, "-secret"); i >= 0 {
			t.Errorf("a secret: …%s", text[max(0, i-60):i+10])
		}
		for _, payload := range []string{"payload of the will", "payload", "corr"} {
			if strings.Contains(text, `"`+base64.StdEncoding.EncodeToString([]byte(payload))+`"`) != payloads {
				t.Errorf("payloads %t: %q in %s", payloads, payload, text)
			}
		}
		if strings.Contains(text, `"bytes"`) != payloads {
			t.Errorf("payloads %t: bytes of no packet in %s", payloads, text)
		}
	}
}

func TestAttachedTraceIsBounded(t *testing.T) {
	var frames []Frame
	for i := range 3 * maxAttached {
		frames = append(frames, Frame{Seq: uint64(i + 1), At: time.Now(), Dir: mqttwire.Out, Type: "PINGREQ", Length: 2, Note: diag.N("trace.pingreq")})
	}
	a, err := Attach(frames, 5, false, catalogue.Has)
	if err != nil || len(a.Packets) != maxAttached || a.Lost != 5+2*maxAttached || a.Packets[0].Seq != 2*maxAttached+1 {
		t.Errorf("%d packets from %d, %d lost, %v", len(a.Packets), a.Packets[0].Seq, a.Lost, err)
	}
	payload := base64.StdEncoding.EncodeToString(make([]byte, maxPayload))
	for i := range frames {
		frames[i].Type, frames[i].Fields = "PUBLISH", map[string]any{"payload": payload}
	}
	a, err = Attach(frames, 0, true, catalogue.Has)
	data, _ := json.Marshal(a)
	if err != nil || len(a.Packets) < 10 || len(data) > maxAttachedBytes+maxAttached || int(a.Lost)+len(a.Packets) != len(frames) {
		t.Errorf("%d packets, %d bytes, %d lost, %v", len(a.Packets), len(data), a.Lost, err)
	}
}

// TestAttachRefusesWhatIsNoTrace changes one thing at a time.
func TestAttachRefusesWhatIsNoTrace(t *testing.T) {
	at := time.Now()
	for field, change := range map[string]func(*Frame){
		"seq":                                func(f *Frame) { f.Seq = 0 },
		"type":                               func(f *Frame) { f.Type = "<script>" },
		"length":                             func(f *Frame) { f.Length = -1 },
		"conn":                               func(f *Frame) { f.Conn = -1 },
		"at":                                 func(f *Frame) { f.At = time.Time{} },
		"took_ms":                            func(f *Frame) { ms := -1.0; f.TookMS = &ms },
		"note.key":                           func(f *Frame) { f.Note.Key = "api.not_found" },
		"note.key ":                          func(f *Frame) { f.Note.Key = "trace.no_such_text" },
		"note.args":                          func(f *Frame) { f.Note.Args = diag.Args{"sentence": "x"} },
		"warnings.section":                   func(f *Frame) { f.Warnings = []WarningText{{Section: "buy here", Note: diag.N("trace.warn.auth")}} },
		"warnings.note.key":                  func(f *Frame) { f.Warnings = []WarningText{{Section: "MQTT 5.0 2.1", Note: diag.N("trace.pingreq")}} },
		"fields":                             func(f *Frame) { f.Fields["more"] = "x" },
		"fields.topic":                       func(f *Frame) { f.Fields["topic"] = 1.0 },
		"fields.qos":                         func(f *Frame) { f.Fields["qos"] = "1" },
		"fields.retain":                      func(f *Frame) { f.Fields["retain"] = "no" },
		"fields.payload":                     func(f *Frame) { f.Fields["payload"] = "no base64" },
		"fields.reason":                      func(f *Frame) { f.Fields["reason"] = map[string]any{"code": 256.0, "name": "x"} },
		"fields.reason.key":                  func(f *Frame) { f.Fields["reason"] = map[string]any{"code": 2.0, "name": "x", "key": "api.not_found"} },
		"fields.reasons":                     func(f *Frame) { f.Fields["reasons"] = make([]any, maxList+1) },
		"fields.will":                        func(f *Frame) { f.Fields["will"] = []any{} },
		"fields.will.qos":                    func(f *Frame) { f.Fields["will"] = map[string]any{"qos": true} },
		"fields.filters":                     func(f *Frame) { f.Fields["filters"] = []any{1.0} },
		"fields.properties":                  func(f *Frame) { f.Fields["properties"] = map[string]any{"password": "x"} },
		"fields.properties.user_properties":  func(f *Frame) { f.Fields["properties"] = map[string]any{"user_properties": []any{[]any{"a"}}} },
		"fields.properties.retain_available": func(f *Frame) { f.Fields["properties"] = map[string]any{"retain_available": 1.0} },
	} {
		f := Frame{Seq: 1, At: at, Conn: 1, Dir: mqttwire.Out, Type: "PUBLISH", Length: 2, Fields: map[string]any{"topic": "t"}, Note: diag.N("trace.pingreq")}
		if _, err := Attach([]Frame{f}, 0, true, catalogue.Has); err != nil {
			t.Fatalf("%s before: %v", field, err)
		}
		change(&f)
		var refused *Refused
		if _, err := Attach([]Frame{f}, 0, true, catalogue.Has); !errors.As(err, &refused) || refused.Field != strings.TrimSpace(field) || refused.Packet != 0 {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestMaskText(t *testing.T) {
	for text, want := range map[string]string{
		"site/1/token-service/state":                 "site/1/token-service/state",
		"password accepted":                          "password accepted",
		"a?token=abc&b=c":                            "a?token=********&b=c",
		"Authorization: Bearer abc":                  "Authorization: Bearer ********",
		"eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.":       "********",
		"SharedAccessSignature sr=hub&sig=x%3D&se=1": "SharedAccessSignature sr=hub&sig=********&se=1",
		"client-7": "client-7",
	} {
		if got := maskText(text); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}
