package diagtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Broker is a healthy broker that runs until the end of the test. Every listener it names has answered an MQTT 3.1.1
// CONNECT.
type Broker struct {
	// Name is "mosquitto", "rabbitmq", "nats", "aedes" or "mochi".
	Name string
	// Host is the address that all listeners are on, 127.0.0.1 unless asked otherwise.
	Host string
	// The URLs of the listeners, each with the port and, for WebSocket, the path that the broker serves; empty where
	// there is no such listener.
	MQTT, MQTTS, WS, WSS string
	// CA issued the certificate of the TLS listeners, which is valid for localhost, 127.0.0.1 and ::1; CAPEM is its
	// PEM. Nil and empty without a TLS listener.
	CA    *CA
	CAPEM string
	// Username and Password are credentials that the broker accepts; both empty where it takes anonymous clients only
	// and knows no user.
	Username, Password string
	// Versions are the protocol versions that it accepts, of "3.1", "3.1.1" and "5".
	Versions []string
	// Log returns what the broker has printed so far; nil for a broker that runs inside the test.
	Log func() string
	// Down ends the broker, which tells its clients nothing but that their connections are over, and Up starts it anew on the
	// same ports, with an empty memory, and returns when it answers. Nil for a broker that cannot. They are not for use by
	// several goroutines at once.
	Down func()
	Up   func() error
	// Hang makes the broker stand still: its system accepts further connections, and nothing answers on them. Nil for a broker
	// that cannot.
	Hang func() error
}

// URLs lists the listeners that there are, in the order mqtt, mqtts, ws, wss.
func (b *Broker) URLs() []string {
	var urls []string
	for _, u := range []string{b.MQTT, b.MQTTS, b.WS, b.WSS} {
		if u != "" {
			urls = append(urls, u)
		}
	}
	return urls
}

// AllBrokers are the five makes of broker, each started with every transport it has and without an access rule. A loop
// over them runs each in a subtest, since a broker that is not installed skips the test it is started for.
var AllBrokers = []struct {
	Name  string
	Start func(testing.TB) *Broker
}{
	{"mosquitto", func(t testing.TB) *Broker { return Mosquitto(t, MosquittoOptions{}) }},
	{"rabbitmq", RabbitMQ},
	{"nats", NATS},
	{"aedes", Aedes},
	{"mochi", func(t testing.TB) *Broker { return Mochi(t, MochiOptions{}) }},
}

// connect311 is an MQTT 3.1.1 CONNECT with Clean Session, Keep Alive 60 s and the client id "ready".
var connect311 = []byte{0x10, 17, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 5, 'r', 'e', 'a', 'd', 'y'}

const (
	// startLimit is what a broker is given to start: far more than any takes, for a busy machine is no reason to fail.
	startLimit = 90 * time.Second
	// askLimit bounds one question to it.
	askLimit = 20 * time.Second
)

// awaitMQTT waits until each URL answers a CONNECT of MQTT 3.1.1 with a CONNACK of whatever code. It gives up after
// limit, or at once when alive (may be nil) tells that the broker is gone. A broken certificate may be what the test is about.
func awaitMQTT(limit time.Duration, alive func() bool, in *Netns, urls ...string) error {
	deadline := time.Now().Add(limit)
	for _, u := range urls {
		for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
			err := in.Do(func() error { return askMQTT(nil, u) })
			if err == nil {
				break
			}
			if alive != nil && !alive() {
				return fmt.Errorf("%s: the broker has ended: %w", u, err)
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s: no CONNACK within %v: %w", u, limit, err)
			}
			time.Sleep(wait)
		}
	}
	return nil
}

// askMQTT sends one CONNECT and reads one CONNACK; without a CA it trusts every certificate. All on the caller's goroutine, so that it may stand in a namespace.
func askMQTT(ca *CA, rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return err
	}
	conn, err := net.DialTimeout("tcp", u.Host, askLimit)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(askLimit)); err != nil {
		return err
	}
	var stream io.ReadWriter = conn
	if u.Scheme == "mqtts" || u.Scheme == "wss" {
		// The name is checked too: a healthy broker's certificate names its host.
		config := &tls.Config{InsecureSkipVerify: true}
		if ca != nil {
			config = &tls.Config{RootCAs: ca.Pool(), ServerName: u.Hostname()}
		}
		stream = tls.Client(conn, config)
	}
	if u.Scheme == "ws" || u.Scheme == "wss" {
		return askMQTTOverWS(stream, u)
	}
	if _, err := stream.Write(connect311); err != nil {
		return err
	}
	return readConnack(stream)
}

func askMQTTOverWS(stream io.ReadWriter, u *url.URL) error {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	// One connection, made before: the transport only has to hand it over. It speaks plain HTTP on it, so the scheme
	// is ws even where stream is a TLS connection.
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return streamConn(stream), nil
	}}
	defer transport.CloseIdleConnections()
	ws, response, err := websocket.Dial(ctx, "ws://"+u.Host+u.Path, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, Subprotocols: []string{"mqtt"}})
	if err != nil {
		return err
	}
	defer ws.CloseNow()
	if got := response.Header.Get("Sec-WebSocket-Protocol"); got != "mqtt" {
		return fmt.Errorf("the subprotocol is %q", got)
	}
	if err := ws.Write(ctx, websocket.MessageBinary, connect311); err != nil {
		return err
	}
	return readConnack(websocket.NetConn(ctx, ws, websocket.MessageBinary))
}

func streamConn(stream io.ReadWriter) net.Conn {
	return stream.(net.Conn) // both a TCP and a TLS connection are
}

func readConnack(from io.Reader) error {
	var answer [4]byte
	if _, err := io.ReadFull(from, answer[:]); err != nil {
		return err
	}
	// MQTT 3.1.1 3.2: type 2, length 2.
	if answer[0] != 0x20 || answer[1] != 2 {
		return errors.New("the answer is no CONNACK")
	}
	return nil
}
