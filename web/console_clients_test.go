package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/eclipse/paho.golang/packets"
	paho5 "github.com/eclipse/paho.golang/paho"
	paho3 "github.com/eclipse/paho.mqtt.golang"

	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
)

const clientPassword = "client-secret"

// clientBroker is a mosquitto for tests of client libraries, and a console for each of its transports.
func clientBroker(t *testing.T) (*diagtest.Broker, *testServer) {
	return diagtest.Mosquitto(t, diagtest.MosquittoOptions{Users: map[string]string{"user": clientPassword}}), consoleServer(t, guard.Laptop)
}

func (s *testServer) openFor(url, caPEM string) openedConsole {
	body, _ := json.Marshal(map[string]any{"target": map[string]any{"url": url, "tls": map[string]any{"ca_pem": caPEM}}})
	return s.open(string(body))
}

// MQTT.js tells the same story over the relay as it does directly, in every version and to every transport.
func TestMQTTJSOverTheRelay(t *testing.T) {
	t.Parallel()
	node := diagtest.Require(t, "node", "nodejs")
	modules := diagtest.NodeModules(t, "mqtt")
	b, s := clientBroker(t)
	story := func(url, version, large string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, node, "testdata/mqttjs.mjs", modules, url, version, clientPassword, large)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s, version %s: %v\n%s%s", url, version, err, out.String(), errs.String())
		}
		return out.String()
	}
	for _, version := range []string{"3", "4", "5"} {
		for large, urls := range map[string][]string{
			"1000000": {b.MQTT, b.MQTTS},
			"2000":    {b.WS}, // mosquitto's own WebSocket stalls for seconds over messages of 16 KB and more
		} {
			direct := story(b.MQTT, version, large)
			if lines := strings.Count(direct, "\n"); lines != 18 {
				t.Fatalf("version %s says %d things:\n%s", version, lines, direct)
			}
			for _, u := range urls {
				o := s.openFor(u, b.CAPEM)
				if got := story(o.RelayURL, version, large); got != direct {
					t.Errorf("version %s to %s:\n%s\nand directly\n%s", version, u, got, direct)
				}
				s.do("DELETE", "/api/v1/console/"+o.ID, "", "Authorization", "Bearer "+o.DeleteToken)
			}
		}
	}
}

// heard is a message that a client got.
type heard struct {
	Topic, Payload string
	QoS            byte
	Retained       bool
}

// TestPaho3OverTheRelay drives paho.mqtt.golang with MQTT 3.1 and 3.1.1, over its own WebSocket.
func TestPaho3OverTheRelay(t *testing.T) {
	b, s := clientBroker(t)
	for _, version := range []uint{3, 4} {
		direct := paho3Story(t, b.MQTT, version)
		for _, u := range []string{b.MQTT, b.MQTTS, b.WS} {
			o := s.openFor(u, b.CAPEM)
			if got := paho3Story(t, o.RelayURL, version); !reflect.DeepEqual(got, direct) {
				t.Errorf("version %d to %s: %v, directly %v", version, u, got, direct)
			}
			s.do("DELETE", "/api/v1/console/"+o.ID, "", "Authorization", "Bearer "+o.DeleteToken)
		}
	}
}

func paho3Story(t *testing.T, broker string, version uint) (story []any) {
	t.Helper()
	got := make(chan heard, 100)
	options := paho3.NewClientOptions().AddBroker(broker).SetClientID(fmt.Sprintf("paho%d", version)).SetUsername("user").SetPassword(clientPassword).
		SetProtocolVersion(version).SetAutoReconnect(false).SetConnectTimeout(patience).SetOrderMatters(true)
	options.SetDefaultPublishHandler(func(_ paho3.Client, m paho3.Message) {
		got <- heard{m.Topic(), string(m.Payload()), m.Qos(), m.Retained()}
	})
	client := paho3.NewClient(options)
	wait := func(token paho3.Token) {
		t.Helper()
		if !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatalf("%s: %v", broker, token.Error())
		}
	}
	wait(client.Connect())
	defer client.Disconnect(100)
	for qos := range byte(3) {
		topic := fmt.Sprintf("p/%d", qos)
		token := client.Subscribe(topic, qos, nil).(*paho3.SubscribeToken)
		wait(token)
		story = append(story, token.Result())
		wait(client.Publish(topic, qos, qos == 1, "hello"))
		story = append(story, receive(t, got))
	}
	wait(client.Publish("p/1", 1, true, ""))
	story = append(story, receive(t, got))
	wait(client.Unsubscribe("p/1"))
	wait(client.Publish("p/1", 1, false, "unheard"))
	wait(client.Publish("p/2", 2, false, strings.Repeat("x", 2000)))
	large := receive(t, got)
	return append(story, len(large.Payload))
}

// TestPaho5OverTheRelay drives paho.golang with MQTT 5.
func TestPaho5OverTheRelay(t *testing.T) {
	t.Parallel()
	b, s := clientBroker(t)
	u, err := url.Parse(b.MQTT)
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	direct := paho5Story(t, tcp)
	for _, u := range []string{b.MQTT, b.MQTTS, b.WS} {
		o := s.openFor(u, b.CAPEM)
		conn := websocket.NetConn(context.Background(), s.relay(o.RelayURL, "mqtt"), websocket.MessageBinary)
		if got := paho5Story(t, conn); !reflect.DeepEqual(got, direct) {
			t.Errorf("to %s: %v, directly %v", u, got, direct)
		}
		s.do("DELETE", "/api/v1/console/"+o.ID, "", "Authorization", "Bearer "+o.DeleteToken)
	}
}

func paho5Story(t *testing.T, conn net.Conn) (story []any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := make(chan heard, 100)
	client := paho5.NewClient(paho5.ClientConfig{Conn: packets.NewThreadSafeConn(conn), OnPublishReceived: []func(paho5.PublishReceived) (bool, error){func(p paho5.PublishReceived) (bool, error) {
		got <- heard{p.Packet.Topic, string(p.Packet.Payload), p.Packet.QoS, p.Packet.Retain}
		return true, nil
	}}})
	limit := uint16(10)
	ack, err := client.Connect(ctx, &paho5.Connect{ClientID: "paho5", KeepAlive: 60, CleanStart: true, Username: "user", UsernameFlag: true,
		Password: []byte(clientPassword), PasswordFlag: true, Properties: &paho5.ConnectProperties{ReceiveMaximum: &limit, RequestProblemInfo: true}})
	if err != nil {
		t.Fatal(err)
	}
	story = append(story, ack.ReasonCode, ack.SessionPresent, *ack.Properties.ReceiveMaximum)
	for qos := range byte(3) {
		topic := fmt.Sprintf("p/%d", qos)
		sub, err := client.Subscribe(ctx, &paho5.Subscribe{Subscriptions: []paho5.SubscribeOptions{{Topic: topic, QoS: qos}}})
		if err != nil {
			t.Fatal(err)
		}
		story = append(story, sub.Reasons)
		for i := range 20 { // more than may be in flight
			if _, err := client.Publish(ctx, &paho5.Publish{Topic: topic, QoS: qos, Payload: []byte(fmt.Sprint(i))}); err != nil {
				t.Fatal(err)
			}
			story = append(story, receive(t, got))
		}
	}
	res, err := client.Publish(ctx, &paho5.Publish{Topic: "p/nobody", QoS: 1})
	if err != nil {
		t.Fatal(err)
	}
	story = append(story, res.ReasonCode)
	if err := client.Disconnect(&paho5.Disconnect{}); err != nil {
		t.Error(err)
	}
	return story
}
