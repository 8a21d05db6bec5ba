package diag

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

// echoed is an observation with what peers send in each shape.
type echoed struct {
	Reason string
	First  []byte
	Texts  []string
	Named  map[string]string
	Inner  *echoed
	Scheme Scheme
}

func (*echoed) Kind() string { return "echoed" }

func (o *echoed) Facts() []Evidence {
	return []Evidence{{Key: EvFirstBytes, Value: hex.EncodeToString(o.First)}}
}

func TestSecretsDoNotComeBackFromPeers(t *testing.T) {
	target := Target{Scheme: SchemeMQTT, Host: "h", Password: NewSecret("Pa55-word"), WS: WSOptions{Headers: map[string]Secret{
		"Authorization": NewSecret("Bearer tokenTOKEN9"), "Cookie": NewSecret("id=c00kie; mode=dark")}}}
	frame := []byte("\x00\x01u\x00\x09Pa55-word")
	o := &echoed{Reason: "user u with Pa55-word is unknown", First: frame, Texts: []string{"GET / tokenTOKEN9", "dark mqtt", "cut Pa55-w…", "cut tokenTOK"},
		Named: map[string]string{"X-Echo": "c00kie"}, Inner: &echoed{Reason: "Bearer tokenTOKEN9"}, Scheme: SchemeMQTT}
	r := NewEchoes(target).hush(Failed(o, N("step.x", "reason", "says Pa55-word"), &Failure{Text: "no Pa55-word"}))
	got, ok := r.Observation.(*echoed)
	if !ok {
		t.Fatalf("%T", r.Observation)
	}
	want := []string{"user u with [secret] is unknown", "GET / [secret]", "dark mqtt", "cut [secret]…", "cut [secret]", "[secret]", "[secret]", "mqtt",
		"says [secret]", "no [secret]"}
	have := append([]string{got.Reason}, append(got.Texts, got.Named["X-Echo"], got.Inner.Reason, string(got.Scheme), r.Summary.Args["reason"], r.Failure.Text)...)
	if !slices.Equal(have, want) {
		t.Errorf("%q\nwant %q", have, want)
	}
	if string(got.First) != "\x00\x01u\x00\x09*********" {
		t.Errorf("%q", got.First)
	}
	if o.Reason != "user u with Pa55-word is unknown" || !bytes.Equal(o.First, frame) || !strings.Contains(string(o.First), "Pa55") {
		t.Error("the probe's own observation was changed")
	}
}

// TestWordsOfPeersStay: where a secret is a word that anybody says, or stands openly in the target, hiding it would break what rules
// read, and tell it besides.
func TestWordsOfPeersStay(t *testing.T) {
	for _, target := range []Target{
		{Password: NewSecret("mqtt")}, {Password: NewSecret("mosquitto")}, {Password: NewSecret("mqtt-5678901")},
		{Password: NewSecret("Sensor-01"), ClientID: "Sensor-01"}, {Password: NewSecret("Sensor-01"), Username: "Sensor-01"}, {},
	} {
		target.Host, target.Scheme = "h", SchemeWS
		o := &echoed{Reason: "mosquitto says mqtt to Sensor-01", First: []byte("HTTP/1.1 400 mqtt"), Texts: []string{"mqtt"}}
		r := NewEchoes(target).hush(Passed(o, N("step.x")))
		if got, same := r.Observation.(*echoed); !same || got != o {
			t.Errorf("password %q: %+v", target.Password.Reveal(), got)
		}
	}
	short := NewEchoes(Target{Password: NewSecret("abc")})
	if got, _ := short.Bytes([]byte("abc\x00\x03abc")); string(got) != "abc\x00\x03***" {
		t.Errorf("%q", got)
	}
}
