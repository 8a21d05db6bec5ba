package diag

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func intPtr(n int) *int { return &n }

func TestParseTargetAddresses(t *testing.T) {
	for _, c := range []struct {
		url, want, host string
		scheme          Scheme
		port            uint16
		path            string
	}{
		{"mqtt://broker.example.com", "mqtt://broker.example.com:1883", "broker.example.com", SchemeMQTT, 1883, ""},
		{"mqtts://broker.example.com", "mqtts://broker.example.com:8883", "broker.example.com", SchemeMQTTS, 8883, ""},
		{"ws://broker.example.com", "ws://broker.example.com:80/mqtt", "broker.example.com", SchemeWS, 80, "/mqtt"},
		{"wss://broker.example.com/", "wss://broker.example.com:443/", "broker.example.com", SchemeWSS, 443, "/"},
		{"wss://broker.example.com:8084/a?b=c", "wss://broker.example.com:8084/a", "broker.example.com", SchemeWSS, 8084, "/a"},
		{"tcp://10.0.0.1:1884", "mqtt://10.0.0.1:1884", "10.0.0.1", SchemeMQTT, 1884, ""},
		{"ssl://h:1", "mqtts://h:1", "h", SchemeMQTTS, 1, ""},
		{"TLS://H.Example:1", "mqtts://h.example:1", "h.example", SchemeMQTTS, 1, ""},
		{"mqtt+ssl://h", "mqtts://h:8883", "h", SchemeMQTTS, 8883, ""},
		{"broker.example.com", "mqtt://broker.example.com:1883", "broker.example.com", SchemeMQTT, 1883, ""},
		{"broker.example.com:8883", "mqtts://broker.example.com:8883", "broker.example.com", SchemeMQTTS, 8883, ""},
		{"broker.example.com:1885", "mqtt://broker.example.com:1885", "broker.example.com", SchemeMQTT, 1885, ""},
		{"[2001:db8::1]:1883", "mqtt://[2001:db8::1]:1883", "2001:db8::1", SchemeMQTT, 1883, ""},
		{"2001:db8::1", "mqtt://[2001:db8::1]:1883", "2001:db8::1", SchemeMQTT, 1883, ""},
		{"mqtt://bücher.example", "mqtt://xn--bcher-kva.example:1883", "xn--bcher-kva.example", SchemeMQTT, 1883, ""},
		{"  mqtt://broker.example.com.  ", "mqtt://broker.example.com:1883", "broker.example.com", SchemeMQTT, 1883, ""},
		{"mqtt://core-mosquitto", "mqtt://core-mosquitto:1883", "core-mosquitto", SchemeMQTT, 1883, ""},
		{"mqtt://my_broker:1883/", "mqtt://my_broker:1883", "my_broker", SchemeMQTT, 1883, ""},
	} {
		got, err := ParseTarget(TargetInput{URL: c.url})
		if err != nil {
			t.Errorf("%q: %v", c.url, err)
			continue
		}
		if got.URL() != c.want || got.Host != c.host || got.Scheme != c.scheme || got.Port != c.port || got.WS.Path != c.path {
			t.Errorf("%q: %s %s %s %d %q", c.url, got.URL(), got.Host, got.Scheme, got.Port, got.WS.Path)
		}
	}
}

func TestParseTargetTakesCredentialsOutOfTheAddress(t *testing.T) {
	got, err := ParseTarget(TargetInput{URL: "mqtts://user:p%40ss@broker.example.com:8883"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Username != "user" || got.Password.Reveal() != "p@ss" || strings.Contains(got.URL(), "p@ss") || strings.Contains(got.Public().URL, "user") {
		t.Fatalf("%+v", got)
	}
}

// TestParseTargetTakesTheQueryForASecret: brokers in clouds take tokens and signatures there.
func TestParseTargetTakesTheQueryForASecret(t *testing.T) {
	for _, in := range []TargetInput{
		{URL: "wss://broker.example.com/p?token=a%20b&x=1"},
		{URL: "wss://broker.example.com", WS: WSInput{Path: "p?token=a%20b&x=1"}},
		{URL: "wss://broker.example.com/p", WS: WSInput{Query: NewSecret("token=a%20b&x=1")}},
		{URL: "wss://broker.example.com/p?token=a%20b&x=1", WS: WSInput{Path: "/p?token=a%20b&x=1"}},
	} {
		got, err := ParseTarget(in)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := json.Marshal(got.Public())
		if err != nil {
			t.Fatal(err)
		}
		if got.RequestURI("/p") != "/p?token=a%20b&x=1" || got.RequestURI("/other") != "/other" || !got.HasSecrets() ||
			got.URL() != "wss://broker.example.com:443/p" || strings.Contains(string(stored), "token") || !strings.Contains(string(stored), `"query":true`) {
			t.Errorf("%+v: %s %s", in, got.URL(), stored)
		}
	}
	for field, in := range map[string]TargetInput{
		"target.ws.query":  {URL: "wss://h/p?a=b", WS: WSInput{Query: NewSecret("a=c")}},
		"target.ws.query ": {URL: "wss://h/p", WS: WSInput{Query: NewSecret("a=b c")}},
		"target.ws.origin": {URL: "wss://h/p", WS: WSInput{Origin: "https://user:password@h"}},
	} {
		_, err := ParseTarget(in)
		var errs FieldErrors
		if errors.As(err, &errs); len(errs) != 1 || errs[strings.TrimSpace(field)].Key == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestParseTargetNamesTheFieldThatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name  string
		in    TargetInput
		field string
		key   string
	}{
		{"empty", TargetInput{}, "target.url", "input.url_empty"},
		{"blanks", TargetInput{URL: " \t "}, "target.url", "input.url_empty"},
		{"inner blank", TargetInput{URL: "mqtt://bro ker"}, "target.url", "input.url_space"},
		{"zero-width space", TargetInput{URL: "mqtt://bro\u200Bker"}, "target.url", "input.url_space"},
		{"full-width colon", TargetInput{URL: "mqtt://broker：1883"}, "target.url", "input.url_full_width"},
		{"full-width dots", TargetInput{URL: "broker。example。com"}, "target.url", "input.url_full_width"},
		{"unknown scheme", TargetInput{URL: "http://broker"}, "target.url", "input.url_scheme"},
		{"port 0", TargetInput{URL: "broker:0"}, "target.url", "input.url_port"},
		{"port 70000", TargetInput{URL: "broker:70000"}, "target.url", "input.url_port"},
		{"no digits in port", TargetInput{URL: "broker:abc"}, "target.url", "input.url_port"},
		{"colon without port", TargetInput{URL: "broker:"}, "target.url", "input.url_port"},
		{"no host", TargetInput{URL: "mqtt://:1883"}, "target.url", "input.host_empty"},
		{"open bracket", TargetInput{URL: "mqtt://[::1"}, "target.url", "input.url_brackets"},
		{"half an address", TargetInput{URL: "10.0.1"}, "target.url", "input.host_address"},
		{"octet over 255", TargetInput{URL: "300.1.1.1"}, "target.url", "input.host_address"},
		{"bad label", TargetInput{URL: "mqtt://-broker-"}, "target.url", "input.host_bad"},
		{"comma", TargetInput{URL: "mqtt://broker,example.com"}, "target.url", "input.host_bad"},
		{"path without WebSocket", TargetInput{URL: "mqtt://broker/mqtt"}, "target.url", "input.url_path"},
		{"two URLs", TargetInput{URL: "mqtt://http://broker:1883"}, "target.url", "input.url_port"},
		{"two paths", TargetInput{URL: "ws://broker/a", WS: WSInput{Path: "/b"}}, "target.ws.path", "input.ws_path_conflict"},
		{"protocol", TargetInput{URL: "h", Protocol: "4"}, "target.protocol", "input.protocol"},
		{"keep alive", TargetInput{URL: "h", KeepaliveS: intPtr(70000)}, "target.keepalive_s", "input.keepalive"},
		{"NUL in client id", TargetInput{URL: "h", ClientID: "a\x00"}, "target.client_id", "input.nul"},
		{"no PEM", TargetInput{URL: "h", TLS: TLSInput{CAPEM: "hello"}}, "target.tls.ca_pem", "input.pem_not_pem"},
		{"certificate without key", TargetInput{URL: "h", TLS: TLSInput{CertPEM: "x"}}, "target.tls.key_pem", "input.key_missing"},
		{"key without certificate", TargetInput{URL: "h", TLS: TLSInput{KeyPEM: NewSecret("x")}}, "target.tls.cert_pem", "input.cert_missing"},
		{"NUL in topic", TargetInput{URL: "h", Topics: TopicsInput{Publish: "a\x00b"}}, "target.topics.publish", "input.nul"},
		{"wildcard in topic", TargetInput{URL: "h", Topics: TopicsInput{Publish: "a/+"}}, "target.topics.publish", "input.topic_wildcard"},
		{"hash in the middle", TargetInput{URL: "h", Topics: TopicsInput{Subscribe: []string{"a/#/b"}}}, "target.topics.subscribe", "input.filter_hash"},
		{"plus beside text", TargetInput{URL: "h", Topics: TopicsInput{Subscribe: []string{"a/b+"}}}, "target.topics.subscribe", "input.filter_plus"},
		{"share without filter", TargetInput{URL: "h", Topics: TopicsInput{Subscribe: []string{"$share/g"}}}, "target.topics.subscribe", "input.filter_share"},
		{"QoS 3", TargetInput{URL: "h", Topics: TopicsInput{QoS: intPtr(3)}}, "target.topics.qos", "input.qos"},
		{"reserved header", TargetInput{URL: "ws://h", WS: WSInput{Headers: map[string]Secret{"Upgrade": NewSecret("x")}}}, "target.ws.headers", "input.ws_header_reserved"},
		{"header with line break", TargetInput{URL: "ws://h", WS: WSInput{Headers: map[string]Secret{"X": NewSecret("a\r\nb: c")}}}, "target.ws.headers", "input.ws_header"},
		{"origin", TargetInput{URL: "ws://h", WS: WSInput{Origin: "example.com"}}, "target.ws.origin", "input.ws_origin"},
		{"node", TargetInput{URL: "h", Nodes: []string{"a b"}}, "target.nodes", "input.node"},
	} {
		_, err := ParseTarget(c.in)
		var fields FieldErrors
		if !errors.As(err, &fields) || fields[c.field].Key != c.key {
			t.Errorf("%s: %v, want %s at %s", c.name, err, c.key, c.field)
		}
	}
}

func TestParseTargetDefaults(t *testing.T) {
	got, err := ParseTarget(TargetInput{URL: "h"})
	if err != nil {
		t.Fatal(err)
	}
	if got.KeepAlive != time.Minute || !got.CleanStart || got.Protocol != VersionAuto || got.Topics.QoS != 1 {
		t.Fatalf("%+v", got)
	}
}

func TestNodesInheritWhatTheyLeaveOut(t *testing.T) {
	got, err := ParseTarget(TargetInput{URL: "wss://a.example:8084/ws", Nodes: []string{"b.example", "c.example:9000", "mqtt://d.example"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"wss://b.example:8084/ws", "wss://c.example:9000/ws", "mqtt://d.example:1883"}
	if strings.Join(got.Nodes, " ") != strings.Join(want, " ") {
		t.Fatal(got.Nodes)
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"mqtt://user:pw@h:1", "[::1]:1", "ws://h/%zz", "：", "a:b:c", "mqtt://", "ws://h?x#y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		target, err := ParseTarget(TargetInput{URL: raw})
		if err != nil {
			return
		}
		again, err := ParseTarget(target.Public())
		if err != nil || again.URL() != target.URL() || again.HostPort() != target.HostPort() {
			t.Fatalf("%q parses to %q, and that to %q (%v)", raw, target.URL(), again.URL(), err)
		}
	})
}
