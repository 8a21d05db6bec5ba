package diagtest

import (
	"crypto/tls"
	"fmt"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// NATS starts two nats-servers with JetStream inside the test, since one has a single MQTT and a single WebSocket
// listener: one in the clear and one with TLS. They speak MQTT 3.1.1 only, WebSocket at /mqtt only, and have no user.
func NATS(t testing.TB) *Broker {
	t.Helper()
	b := &Broker{Name: "nats", Host: "127.0.0.1", Versions: []string{"3.1.1"}, CA: NewCA(t, "nats test CA")}
	b.CAPEM = b.CA.PEM
	b.MQTT, b.WS = startNATS(t, nil)
	b.MQTTS, b.WSS = startNATS(t, b.CA.Issue(t, CertOptions{}).Server())
	if err := awaitMQTT(startLimit, nil, nil, b.URLs()...); err != nil {
		t.Fatalf("nats: %v", err)
	}
	return b
}

// LimitedNATS starts a nats-server with the user doctor, who may publish and subscribe below plant/ alone, the user reader, who
// may only subscribe there, and the user writer, who may only publish there; the passwords are their names with "-password". It
// has a listener for MQTT over TCP.
func LimitedNATS(t testing.TB) *Broker {
	t.Helper()
	b := &Broker{Name: "nats", Host: "127.0.0.1", Versions: []string{"3.1.1"}, Username: "doctor", Password: "doctor-password"}
	// MQTT topics are subjects, with dots for slashes; the server keeps sessions and acknowledgements under $MQTT and $JS.
	below := func(allowed bool) *natsserver.SubjectPermission {
		if !allowed {
			return &natsserver.SubjectPermission{Allow: []string{"$MQTT.>", "$JS.>"}}
		}
		return &natsserver.SubjectPermission{Allow: []string{"plant.>", "plant", "$MQTT.>", "$JS.>"}}
	}
	user := func(name string, write, read bool) *natsserver.User {
		return &natsserver.User{Username: name, Password: name + "-password", Permissions: &natsserver.Permissions{Publish: below(write), Subscribe: below(read)}}
	}
	b.MQTT, _ = startNATS(t, nil, func(o *natsserver.Options) {
		o.Users = []*natsserver.User{user("doctor", true, true), user("reader", false, true), user("writer", true, false)}
	})
	if err := awaitMQTT(startLimit, nil, nil, b.URLs()...); err != nil {
		t.Fatalf("nats: %v", err)
	}
	return b
}

// startNATS starts one server, with TLS where a configuration is given, and returns the URLs of its two listeners.
func startNATS(t testing.TB, config *tls.Config, change ...func(*natsserver.Options)) (mqttURL, wsURL string) {
	t.Helper()
	secure := ""
	if config != nil {
		secure = "s"
	}
	options := &natsserver.Options{
		ServerName: "diagtest" + secure, // MQTT needs a name that stays
		Host:       "127.0.0.1",
		DontListen: true, // no NATS clients here
		NoLog:      true,
		NoSigs:     true,
		JetStream:  true, // MQTT sessions are kept in it
		StoreDir:   t.TempDir(),
		// Not its two seconds, which a busy machine does not keep.
		AuthTimeout: 60,
		MQTT:        natsserver.MQTTOpts{Host: "127.0.0.1", Port: FreePort(t), TLSConfig: config, TLSTimeout: 60},
		Websocket:   natsserver.WebsocketOpts{Host: "127.0.0.1", Port: FreePort(t), TLSConfig: config, NoTLS: config == nil, HandshakeTimeout: time.Minute},
	}
	for _, f := range change {
		f(options)
	}
	server, err := natsserver.NewServer(options)
	if err != nil {
		t.Fatalf("nats: %v", err)
	}
	go server.Start()
	t.Cleanup(func() {
		server.Shutdown()
		server.WaitForShutdown()
	})
	return fmt.Sprintf("mqtt%s://127.0.0.1:%d", secure, options.MQTT.Port),
		fmt.Sprintf("ws%s://127.0.0.1:%d/mqtt", secure, options.Websocket.Port)
}
