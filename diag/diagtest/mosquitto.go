package diagtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// MosquittoOptions says how mosquitto is to run. The zero value is a broker with all four listeners that lets anybody
// do anything.
type MosquittoOptions struct {
	// Listeners are the transports to open, of "mqtt", "mqtts", "ws" and "wss"; nil: all four.
	Listeners []string
	// Users are user names with their passwords; with any given, others are refused unless AllowAnonymous is set.
	Users          map[string]string
	AllowAnonymous bool
	// ACL is the content of an acl_file; empty: everything is allowed.
	ACL string
	// Cert is served by the TLS listeners; nil: a valid one of the broker's own CA. With Cert given, CA is who issued it.
	Cert *Cert
	CA   *CA
	// ClientCA makes the TLS listeners require a client certificate of this authority.
	ClientCA *CA
	// Global are further lines before the first listener, Listener lines that go below every listener.
	Global, Listener []string
	// Netns is the network namespace to run in, nil: the test's own. Host is the address to listen on; empty: 127.0.0.1.
	Netns *Netns
	Host  string
}

// Mosquitto starts an Eclipse mosquitto.
func Mosquitto(t testing.TB, o MosquittoOptions) *Broker {
	t.Helper()
	program := Require(t, "mosquitto")
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Listeners == nil {
		o.Listeners = []string{"mqtt", "mqtts", "ws", "wss"}
	}
	if o.Cert == nil {
		o.CA = NewCA(t, "mosquitto test CA")
		o.Cert = o.CA.Issue(t, CertOptions{Names: []string{"localhost", "127.0.0.1", "::1", o.Host}})
	}
	var err error
	for range 3 { // another process may have taken a port since it was found free
		var broker *Broker
		if broker, err = startMosquitto(t, program, o); err == nil {
			return broker
		}
	}
	t.Fatal(err)
	return nil
}

func startMosquitto(t testing.TB, program string, o MosquittoOptions) (*Broker, error) {
	t.Helper()
	dir := worldDir(t)
	b := &Broker{Name: "mosquitto", Host: o.Host, Versions: []string{"3.1", "3.1.1", "5"}}
	if slices.Contains(o.Listeners, "mqtts") || slices.Contains(o.Listeners, "wss") {
		if b.CA = o.CA; b.CA != nil {
			b.CAPEM = b.CA.PEM
		}
	}
	for name, password := range o.Users {
		b.Username, b.Password = name, password
	}
	config := o.config(t, dir, b)
	path := writeFile(t, dir, "mosquitto.conf", config)
	p := startProcess(t, "mosquitto", dir, o.Netns, exec.Command(program, "-c", path))
	b.Down = func() {
		if p != nil {
			p.stop()
			p = nil
		}
	}
	t.Cleanup(b.Down)
	b.Hang = func() error { return hang(p.cmd.Process.Pid) }
	b.Log = p.log
	urls := b.URLs()
	if o.ClientCA != nil || b.CA == nil {
		// A CONNECT over TLS cannot be answered to us, who have no certificate of theirs or do not know their CA.
		urls = slices.DeleteFunc(urls, func(u string) bool { return u == b.MQTTS || u == b.WSS })
	}
	if err := awaitMQTT(startLimit, p.alive, o.Netns, urls...); err != nil {
		return nil, fmt.Errorf("mosquitto: %w\n%s", err, p.log())
	}
	b.Up = func() error {
		if p != nil {
			return nil
		}
		p = startProcess(t, "mosquitto", dir, o.Netns, exec.Command(program, "-c", path))
		return awaitMQTT(startLimit, p.alive, o.Netns, urls...)
	}
	return b, nil
}

// config writes what the configuration refers to, fills in the URLs of b, and returns the configuration.
func (o MosquittoOptions) config(t testing.TB, dir string, b *Broker) string {
	t.Helper()
	var c strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&c, format+"\n", args...) }
	line("allow_anonymous %t", len(o.Users) == 0 || o.AllowAnonymous)
	line("persistence false")
	line("log_dest stderr")
	line("log_type all")
	if os.Geteuid() == 0 {
		line("user root") // else it turns into the user mosquitto, who may not read our files
	}
	if len(o.Users) > 0 {
		line("password_file %s", passwordFile(t, dir, o.Users))
	}
	if o.ACL != "" {
		line("acl_file %s", writeFile(t, dir, "acl", o.ACL))
	}
	for _, extra := range o.Global {
		line("%s", extra)
	}
	certFile := writeFile(t, dir, "cert.pem", o.Cert.CertPEM)
	keyFile := writeFile(t, dir, "key.pem", o.Cert.KeyPEM)
	for _, kind := range o.Listeners {
		port := FreePort(t)
		line("listener %d %s", port, o.Host)
		path, isTLS := "", false
		u := kind + "://" + net.JoinHostPort(o.Host, strconv.Itoa(port))
		switch kind {
		case "mqtt":
			b.MQTT = u
		case "mqtts":
			b.MQTTS, isTLS = u, true
		case "ws":
			path = "/mqtt" // mosquitto takes any path
			b.WS = u + path
		case "wss":
			path, isTLS = "/mqtt", true
			b.WSS = u + path
		default:
			t.Fatalf("mosquitto has no listener of kind %q", kind)
		}
		if path != "" {
			line("protocol websockets")
		}
		if isTLS {
			line("certfile %s\nkeyfile %s", certFile, keyFile)
			if o.ClientCA != nil {
				line("require_certificate true\ncafile %s", writeFile(t, dir, "client-ca.pem", o.ClientCA.PEM))
			}
		}
		for _, extra := range o.Listener {
			line("%s", extra)
		}
	}
	return c.String()
}

// passwordFile makes a password file with mosquitto's own tool.
func passwordFile(t testing.TB, dir string, users map[string]string) string {
	t.Helper()
	var plain strings.Builder
	for name, password := range users {
		fmt.Fprintf(&plain, "%s:%s\n", name, password)
	}
	path := writeFile(t, dir, "passwords", plain.String())
	if out, err := exec.Command(Require(t, "mosquitto_passwd"), "-U", path).CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v\n%s", err, out)
	}
	return path
}
