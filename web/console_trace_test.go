package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/eclipse/paho.golang/packets"
	paho5 "github.com/eclipse/paho.golang/paho"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
	"mqttdoctor/diag/mqttwire"
)

// traced is a frame of a trace.
type traced struct {
	Seq         int
	Dir, Type   string
	Conn        int
	Fields      map[string]any
	Explanation string
	Warnings    []struct{ Text, Section string }
	Answers     int
	TookMS      *float64 `json:"took_ms"`
}

// readTrace reads frames until one is the last.
func readTrace(t *testing.T, conn *websocket.Conn, last func(traced) bool) []traced {
	t.Helper()
	conn.SetReadLimit(1 << 20)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []traced
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			t.Fatalf("%v after %+v", err, all)
		}
		var f traced
		if err := json.Unmarshal(data, &f); err != nil {
			t.Fatal(err)
		}
		if all = append(all, f); last(f) {
			return all
		}
	}
}

const tracedPassword = "traced-secret"

// mqttSession goes through everything that a client of a version does, over a relay.
func mqttSession(t *testing.T, s *testServer, relayURL string, v mqttwire.Version, username string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	name := "mqtt"
	if v == mqttwire.V31 {
		name = "mqttv3.1"
	}
	conn := websocket.NetConn(context.Background(), s.relay(relayURL, name), websocket.MessageBinary)
	o := mqttwire.ConnectOptions{Version: v, ClientID: fmt.Sprintf("traced%d", v), CleanStart: true, KeepAlive: 60,
		Will: &mqttwire.Will{Topic: "traced/will", Payload: []byte("gone")}}
	if username != "" {
		o.Username, o.Password = &username, []byte(tracedPassword)
	}
	client, result := mqttwire.Connect(ctx, mqttwire.NewConn(conn, mqttwire.ConnConfig{Version: v}), o)
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	defer client.Close()
	for qos := range byte(3) {
		topic := fmt.Sprintf("traced/%d", qos)
		if _, failure := client.Subscribe(ctx, []mqttwire.Subscription{{Filter: topic, QoS: qos}}); failure != nil {
			t.Fatal(failure)
		}
		for range 5 {
			if pub, failure := client.Publish(ctx, mqttwire.Message{Topic: topic, Payload: []byte("hello"), QoS: qos}); failure != nil || !pub.Acked {
				t.Fatal(pub, failure)
			}
			<-client.Messages()
		}
		if _, failure := client.Unsubscribe(ctx, []string{topic}); failure != nil {
			t.Fatal(failure)
		}
	}
	if _, failure := client.Ping(ctx); failure != nil {
		t.Fatal(failure)
	}
	if failure := client.Disconnect(ctx); failure != nil {
		t.Fatal(failure)
	}
}

func isClosed(f traced) bool { return f.Type == "closed" || f.Type == "error" }

func TestTraceOfHealthySessions(t *testing.T) {
	t.Parallel()
	b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Users: map[string]string{"user": tracedPassword}})
	s := consoleServer(t, guard.Laptop)
	for _, url := range b.URLs() {
		t.Run(strings.SplitN(url, ":", 2)[0], func(t *testing.T) {
			body, _ := json.Marshal(map[string]any{"target": map[string]any{"url": url, "tls": map[string]any{"ca_pem": b.CAPEM}}})
			o := s.open(string(body))
			viewer := s.relay(o.TraceURL + "?lang=en")
			for i, v := range mqttwire.Versions {
				mqttSession(t, s, o.RelayURL, v, "user")
				wantHealthy(t, readTrace(t, viewer, isClosed), i+1, v)
			}
			wantExports(t, s, o.ID)
		})
	}
}

func wantHealthy(t *testing.T, all []traced, conn int, v mqttwire.Version) {
	t.Helper()
	answered := map[string]int{}
	for _, f := range all {
		if len(f.Warnings) > 0 || f.Conn != conn || f.Explanation == "" || strings.Contains(f.Explanation, "trace.") || strings.Contains(f.Explanation, "?") {
			t.Errorf("MQTT %s: %+v", v, f)
		}
		if f.Answers > 0 {
			answered[f.Type]++
			if f.TookMS == nil || *f.TookMS < 0 {
				t.Errorf("%+v", f)
			}
		}
	}
	if all[0].Type != "connected" || all[1].Type != "CONNECT" || all[1].Fields["version"] != v.String() || all[2].Type != "CONNACK" {
		t.Errorf("MQTT %s begins with %+v", v, all[:3])
	}
	// Both directions answer: 5 messages at QoS 1 and 2 each way.
	want := map[string]int{"CONNACK": 1, "SUBACK": 3, "UNSUBACK": 3, "PUBACK": 10, "PUBREC": 10, "PUBREL": 10, "PUBCOMP": 10, "PINGRESP": 1}
	for kind, n := range want {
		if answered[kind] != n && !((kind == "PUBCOMP" || kind == "PUBREL") && answered[kind] == n-1) { // the last ones may be on their way at the end
			t.Errorf("MQTT %s: %d %s answer something, want %d", v, answered[kind], kind, n)
		}
	}
}

func wantExports(t *testing.T, s *testServer, id string) {
	t.Helper()
	at := "/api/v1/console/" + id
	exported := s.do("GET", at+"/trace.json?lang=zh", "").want(http.StatusOK)
	var file struct {
		Schema  string
		Lost    int
		Target  diag.TargetInput
		Packets []traced
	}
	exported.json(&file)
	if file.Schema != "mqttdoctor.trace/1" || len(file.Packets) < 150 || file.Lost != 0 || bytes.Contains(exported.body, []byte(id)) {
		t.Errorf("%s, %d packets", file.Schema, len(file.Packets))
	}
	hello := []byte(base64.StdEncoding.EncodeToString([]byte("hello")))
	without := s.do("GET", at+"/trace.json?payloads=0", "").want(http.StatusOK)
	if !bytes.Contains(exported.body, hello) || bytes.Contains(without.body, hello) {
		t.Error("payloads are there where they should not be, or the other way round")
	}
	capture := s.do("GET", at+"/trace.pcapng", "").want(http.StatusOK)
	for _, body := range [][]byte{exported.body, without.body, capture.body} {
		if bytes.Contains(body, []byte(tracedPassword)) {
			t.Error("the password is in an export")
		}
	}
	tshark := diagtest.Require(t, "tshark")
	path := filepath.Join(t.TempDir(), "trace.pcapng")
	if err := os.WriteFile(path, capture.body, 0o600); err != nil {
		t.Fatal(err)
	}
	bad, err := exec.Command(tshark, "-r", path, "-Y", "_ws.malformed || tcp.analysis.flags").Output()
	if err != nil || len(bad) > 0 {
		t.Errorf("%v\n%s", err, bad)
	}
	all, err := exec.Command(tshark, "-r", path, "-Y", "mqtt").Output()
	if packets := bytes.Count(all, []byte("\n")); err != nil || packets < 150 {
		t.Errorf("%v, %d packets are MQTT", err, packets)
	}
}

// No make of broker is accused of what it does right.
func TestTraceAccusesNoBroker(t *testing.T) {
	t.Parallel()
	s := consoleServer(t, guard.Laptop)
	for _, make := range diagtest.AllBrokers {
		t.Run(make.Name, func(t *testing.T) {
			b := make.Start(t)
			for _, url := range []string{b.MQTT, b.WS} {
				if url == "" {
					continue
				}
				o := s.open(`{"target":{"url":"` + url + `"}}`)
				viewer := s.relay(o.TraceURL + "?lang=en")
				for _, version := range b.Versions {
					v, _ := mqttwire.ParseVersion(version)
					conn := websocket.NetConn(context.Background(), s.relay(o.RelayURL, "mqtt"), websocket.MessageBinary)
					brokerSession(t, conn, v, b)
					for _, f := range readTrace(t, viewer, isClosed) {
						if len(f.Warnings) > 0 {
							t.Errorf("%s, MQTT %s: %+v", url, version, f)
						}
					}
				}
				s.do("DELETE", "/api/v1/console/"+o.ID, "", "Authorization", "Bearer "+o.DeleteToken).want(http.StatusNoContent)
				wantClose(t, viewer, 4012)
			}
		})
	}
}

// brokerSession exchanges messages with a broker of any make, which may lack QoS 2.
func brokerSession(t *testing.T, conn net.Conn, v mqttwire.Version, b *diagtest.Broker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	o := mqttwire.ConnectOptions{Version: v, ClientID: fmt.Sprintf("traced%d", v), CleanStart: true, KeepAlive: 60}
	if b.Username != "" {
		o.Username, o.Password = &b.Username, []byte(b.Password)
	}
	client, result := mqttwire.Connect(ctx, mqttwire.NewConn(conn, mqttwire.ConnConfig{Version: v}), o)
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	defer client.Close()
	if _, failure := client.Subscribe(ctx, []mqttwire.Subscription{{Filter: "traced/any", QoS: 1}}); failure != nil {
		t.Fatal(failure)
	}
	for range 3 {
		if _, failure := client.Publish(ctx, mqttwire.Message{Topic: "traced/any", Payload: []byte("hello"), QoS: 1}); failure != nil {
			t.Fatal(failure)
		}
		select {
		case <-client.Messages():
		case <-ctx.Done():
			t.Fatal("no message")
		}
	}
	if _, failure := client.Ping(ctx); failure != nil {
		t.Fatal(failure)
	}
	_ = client.Disconnect(ctx)
}

// What goes wrong on the way is said in the trace, in words, and disturbs no other connection.
func TestTraceOfTrouble(t *testing.T) {
	healthy := diagtest.Peer(t, func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
	malformed := diagtest.Peer(t, diagtest.Answer(0x20, 2, 0, 0, 0x30, 0xff, 0xff, 0xff, 0xff, 1))
	gone := diagtest.Peer(t, diagtest.AnswerAndClose(0x20, 2, 0, 0))
	impostor := diagtest.Peer(t, diagtest.Answer([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\n"+strings.Repeat("x", 100))...))
	s := consoleServer(t, guard.Laptop)
	bystander := s.relay(s.openFor(healthy.URL("mqtt"), "").RelayURL, "mqtt")
	for _, c := range []struct {
		name, url   string
		last, where string // the last frame's type, and its why
		warning     string // in some frame
	}{
		{"nobody listens", "mqtt://127.0.0.1:1", "error", "refused", ""},
		{"no such name", "mqtt://nowhere.invalid", "error", "dns", ""},
		{"the broker goes", gone.URL("mqtt"), "closed", "closed", ""},
		{"a malformed packet", malformed.URL("mqtt"), "malformed", "", "the length has no end"},
		{"a web server", impostor.URL("mqtt"), "PUBACK", "", "Perhaps it is no MQTT broker"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := s.openFor(c.url, "")
			viewer := s.relay(o.TraceURL + "?lang=en")
			conn := s.relay(o.RelayURL, "mqtt")
			_ = conn.Write(t.Context(), websocket.MessageBinary, connectV311)
			all := readTrace(t, viewer, func(f traced) bool { return f.Type == c.last })
			last := all[len(all)-1]
			if why, _ := last.Fields["why"].(string); why != c.where || last.Explanation == "" || strings.Contains(last.Explanation, "trace.") {
				t.Errorf("%+v", last)
			}
			var warnings string
			for _, f := range all {
				for _, w := range f.Warnings {
					warnings += w.Text
				}
			}
			if !strings.Contains(warnings, c.warning) || c.warning == "" && warnings != "" {
				t.Errorf("warnings %q", warnings)
			}
			s.do("DELETE", "/api/v1/console/"+o.ID, "", "Authorization", "Bearer "+o.DeleteToken).want(http.StatusNoContent)
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_ = bystander.Write(ctx, websocket.MessageBinary, []byte("hello"))
	if _, data, err := bystander.Read(ctx); err != nil || string(data) != "hello" {
		t.Errorf("the bystander: %q %v", data, err)
	}
}

func TestConsoleWithoutTrace(t *testing.T) {
	t.Parallel()
	s := consoleServer(t, guard.Laptop)
	o := s.open(`{"target":{"url":"mqtt://127.0.0.1:1"},"trace":false}`)
	at := "/api/v1/console/" + o.ID
	s.do("GET", at+"/trace.json", "").wantError(http.StatusConflict, "no_trace")
	s.do("GET", at+"/trace.pcapng", "").wantError(http.StatusConflict, "no_trace")
	s.do("GET", at+"/trace", "").wantError(http.StatusConflict, "no_trace")
	wantClose(t, s.relay(o.RelayURL, "mqtt"), 4002)
	o = s.open(`{"target":{"url":"mqtt://127.0.0.1:1"}}`)
	at = "/api/v1/console/" + o.ID
	s.do("GET", at+"/trace", "").wantError(http.StatusUpgradeRequired, "websocket_only")
	s.do("GET", at+"/trace?after=1", "").wantError(http.StatusBadRequest, "invalid_after", "after")
	s.do("GET", "/api/v1/console/nonsense/trace.json", "").wantError(http.StatusNotFound, "console_not_found")
	if _, res, err := s.dial(at+"/trace", "Origin", "https://evil.example"); err == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("%v %v", res, err)
	}
	if _, res, err := s.dial(at+"/trace", "Origin", s.base); err != nil {
		t.Errorf("%v %v", res, err)
	}
	wantClose(t, s.relay(s.base+"/api/v1/console/"+strings.Repeat("a", 34)+"/trace"), 4012)
}

// The properties of MQTT 5 stand in the capture, on the way out and on the way in, as another dissector reads them.
func TestCaptureOfProperties(t *testing.T) {
	t.Parallel()
	tshark := diagtest.Require(t, "tshark")
	b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}})
	s := consoleServer(t, guard.Laptop)
	o := s.openFor(b.MQTT, "")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn := websocket.NetConn(ctx, s.relay(o.RelayURL, "mqtt"), websocket.MessageBinary)
	got := make(chan *paho5.Publish, 1)
	client := paho5.NewClient(paho5.ClientConfig{Conn: packets.NewThreadSafeConn(conn), OnPublishReceived: []func(paho5.PublishReceived) (bool, error){func(p paho5.PublishReceived) (bool, error) {
		got <- p.Packet
		return true, nil
	}}})
	if _, err := client.Connect(ctx, &paho5.Connect{ClientID: "properties", KeepAlive: 60, CleanStart: true,
		Properties: &paho5.ConnectProperties{User: paho5.UserProperties{{Key: "site", Value: "in CONNECT"}}}}); err != nil {
		t.Fatal(err)
	}
	identifier, expiry, text := 7, uint32(600), byte(1)
	if _, err := client.Subscribe(ctx, &paho5.Subscribe{Subscriptions: []paho5.SubscribeOptions{{Topic: "properties", QoS: 1}},
		Properties: &paho5.SubscribeProperties{SubscriptionIdentifier: &identifier}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Publish(ctx, &paho5.Publish{Topic: "properties", QoS: 1, Payload: []byte("hello"), Properties: &paho5.PublishProperties{
		PayloadFormat: &text, MessageExpiry: &expiry, ContentType: "text/plain", ResponseTopic: "answer/here", CorrelationData: []byte("c d"),
		User: paho5.UserProperties{{Key: "k", Value: "first"}, {Key: "k", Value: "second"}}}}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-got:
	case <-ctx.Done():
		t.Fatal("no message")
	}
	path := filepath.Join(t.TempDir(), "trace.pcapng")
	if err := os.WriteFile(path, s.do("GET", "/api/v1/console/"+o.ID+"/trace.pcapng", "").want(http.StatusOK).body, 0o600); err != nil {
		t.Fatal(err)
	}
	const port = "1883" // in a capture, whatever the broker listens on: it is how dissectors know MQTT
	for dir, want := range map[string][]string{
		"tcp.dstport": {"Payload Format Indicator (0x01)", "Publication Expiry Interval (0x02)", "text/plain", "answer/here", "Correlation Data (0x09)", "first", "second"},
		"tcp.srcport": {"Payload Format Indicator (0x01)", "Publication Expiry Interval (0x02)", "text/plain", "answer/here", "Correlation Data (0x09)", "first", "second", "Subscription Identifier (0x0b)"},
	} {
		out, err := exec.Command(tshark, "-r", path, "-O", "mqtt", "-Y", "mqtt.msgtype==3 && "+dir+"=="+port).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !bytes.Contains(out, []byte(w)) {
				t.Errorf("%s: no %q in\n%s", dir, w, out)
			}
		}
	}
	if out, err := exec.Command(tshark, "-r", path, "-O", "mqtt", "-Y", "mqtt.msgtype==1").Output(); err != nil || !bytes.Contains(out, []byte("in CONNECT")) {
		t.Errorf("%v\n%s", err, out)
	}
	if bad, err := exec.Command(tshark, "-r", path, "-Y", "_ws.malformed || tcp.analysis.flags || mqtt.prop_unknown").Output(); err != nil || len(bad) > 0 {
		t.Errorf("%v\n%s", err, bad)
	}
}
