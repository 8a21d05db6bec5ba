package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
)

// codeCase is a target for which code of client libraries is asked, and what the code says of it.
type codeCase struct {
	name string // a client id and a topic of its own
	code map[string]string
}

// codeCases asks the server for code for every transport and version, and for a client with a certificate, and writes the files that
// the code expects beside it to a folder.
func codeCases(t *testing.T) (cases []codeCase, dir string) {
	t.Helper()
	dir = t.TempDir()
	ca, clients := diagtest.NewCA(t, "code test CA"), diagtest.NewCA(t, "code test clients")
	client := clients.Issue(t, diagtest.CertOptions{ClientOnly: true})
	server := ca.Issue(t, diagtest.CertOptions{Names: []string{"localhost", "127.0.0.1"}})
	for name, content := range map[string]string{"ca.pem": ca.PEM, "client.pem": client.CertPEM, "client.key": client.KeyPEM} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Users: map[string]string{"o'neil\\": clientPassword}, CA: ca, Cert: server})
	strict := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtts"}, CA: ca, Cert: server, ClientCA: clients})
	s := consoleServer(t, guard.Laptop)
	ask := func(url, version string, target map[string]any) {
		name := fmt.Sprintf("code-%d", len(cases))
		target["url"], target["protocol"], target["client_id"] = url, version, name
		body, _ := json.Marshal(map[string]any{"target": target})
		var answer struct {
			Clients []struct{ ID, Code string }
		}
		s.do("POST", "/api/v1/client-code", string(body)).want(http.StatusOK).json(&answer)
		c := codeCase{name, map[string]string{}}
		for _, lines := range answer.Clients {
			c.code[lines.ID] = lines.Code
		}
		cases = append(cases, c)
	}
	for _, url := range b.URLs() {
		for i, version := range b.Versions {
			target := map[string]any{"username": "o'neil\\", "password": "given", "clean_start": i != 1, "session_expiry_s": 300 * (i / 2)}
			if strings.Contains(url, "s://") && !strings.HasPrefix(url, "ws:") {
				target["tls"] = map[string]any{"ca_pem": "given"}
			}
			ask(url, version, target)
		}
	}
	ask(strict.MQTTS, "5", map[string]any{"tls": map[string]any{"ca_pem": "given", "cert_pem": "given", "key_pem": "given"}})
	return cases, dir
}

// run runs a program in a folder, with the password of the code where it expects it.
func runCode(t *testing.T, dir string, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "MQTT_PASSWORD="+clientPassword)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out.String())
	}
	return out.String()
}

func wantHello(t *testing.T, cases []codeCase, id, out string) {
	t.Helper()
	for _, c := range cases {
		if !strings.Contains(out, "hello "+c.name+"\n") {
			t.Errorf("%s heard nothing of its own message:\n%s\n%s", c.name, c.code[id], out)
		}
	}
}

// The code for MQTT.js connects, subscribes and publishes, as it stands.
func TestClientCodeOfMQTTJS(t *testing.T) {
	t.Parallel()
	node := diagtest.Require(t, "node", "nodejs")
	modules := diagtest.NodeModules(t, "mqtt")
	cases, dir := codeCases(t)
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, c := range cases {
		code := c.code["mqttjs"] + fmt.Sprintf(`
client.on("connect", () => client.subscribe(%[1]q, { qos: 1 }, () => client.publish(%[1]q, "hello", { qos: 1 })));
client.on("message", (topic, payload) => { console.log(payload + " " + topic); client.end(); });
client.on("error", (error) => { console.log(%[1]q, error.message); client.end(true); });
`, c.name)
		if err := os.WriteFile(filepath.Join(dir, c.name+".mjs"), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "import %q;\n", "./"+c.name+".mjs")
	}
	if err := os.WriteFile(filepath.Join(dir, "all.mjs"), []byte(all.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	wantHello(t, cases, "mqttjs", runCode(t, dir, node, "all.mjs"))
}

// goProgram is what the code for Go stands in: one function for each case.
const goProgram = `package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net/url"
	"os"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

func listen(ctx context.Context, heard <-chan string) {
	select {
	case message := <-heard:
		fmt.Println(message)
	case <-ctx.Done():
		log.Fatal("nothing heard")
	}
}

func main() {
	pem, err := os.ReadFile("ca.pem")
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	certificate, err := tls.LoadX509KeyPair("client.pem", "client.key")
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	heard := make(chan string, 100)
	for _, run := range []func(context.Context, *x509.CertPool, tls.Certificate, chan string){%s} {
		run(ctx, roots, certificate, heard)
	}
}
`

const goEnd3 = `
	defer client.Disconnect(100)
	for _, token := range []func() mqtt.Token{
		client.Connect,
		func() mqtt.Token {
			return client.Subscribe(%[1]q, 1, func(_ mqtt.Client, m mqtt.Message) { heard <- string(m.Payload()) + " " + m.Topic() })
		},
		func() mqtt.Token { return client.Publish(%[1]q, 1, false, "hello") },
	} {
		if t := token(); t.Wait() && t.Error() != nil {
			log.Fatal(%[1]q, " ", t.Error())
		}
	}
	listen(ctx, heard)
`

const goEnd5 = `
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = manager.Disconnect(ctx) }()
	if err := manager.AwaitConnection(ctx); err != nil {
		log.Fatal(%[1]q, " ", err)
	}
	manager.AddOnPublishReceived(func(p autopaho.PublishReceived) (bool, error) {
		heard <- string(p.Packet.Payload) + " " + p.Packet.Topic
		return true, nil
	})
	if _, err := manager.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: %[1]q, QoS: 1}}}); err != nil {
		log.Fatal(%[1]q, " ", err)
	}
	if _, err := manager.Publish(ctx, &paho.Publish{Topic: %[1]q, QoS: 1, Payload: []byte("hello")}); err != nil {
		log.Fatal(%[1]q, " ", err)
	}
	listen(ctx, heard)
`

// The code for Go compiles, connects, subscribes and publishes, as it stands, with either library of Paho.
func TestClientCodeOfPahoGo(t *testing.T) {
	t.Parallel()
	cases, dir := codeCases(t)
	var names []string
	var functions strings.Builder
	for i, c := range cases {
		end := goEnd3
		if strings.Contains(c.code["paho-go"], "autopaho") {
			end = goEnd5
		}
		names = append(names, fmt.Sprintf("run%d", i))
		fmt.Fprintf(&functions, "\nfunc run%d(ctx context.Context, roots *x509.CertPool, certificate tls.Certificate, heard chan string) {\n%s%s}\n",
			i, c.code["paho-go"], fmt.Sprintf(end, c.name))
	}
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte(fmt.Sprintf(goProgram, strings.Join(names, ", "))+functions.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	// The program is one of this module, which has the libraries, though it lies elsewhere.
	here, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	overlay, _ := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(here, "clientcode", "main.go"): source}})
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "program")
	runCode(t, ".", "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, filepath.Join(here, "clientcode", "main.go"))
	wantHello(t, cases, "paho-go", runCode(t, dir, program))
}

// cProgram is what the code for C stands in: one function for each case.
const cProgram = `#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "MQTTAsync.h"

static volatile int heard;

static int arrived(void *context, char *topic, int length, MQTTAsync_message *m) {
	printf("%.*s %s\n", m->payloadlen, (char *)m->payload, topic);
	fflush(stdout);
	MQTTAsync_freeMessage(&m);
	MQTTAsync_free(topic);
	heard = 1;
	return 1;
}

static void lost(void *context, char *cause) {}

static void await(MQTTAsync client, const char *name) {
	heard = 0;
	for (int i = 0; !MQTTAsync_isConnected(client); i++) {
		if (i > 1500) { printf("%s: not connected\n", name); exit(1); }
		usleep(10000);
	}
	MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
	if (MQTTAsync_subscribe(client, name, 1, &response)) exit(2);
	usleep(50000);
	MQTTAsync_message m = MQTTAsync_message_initializer;
	m.payload = "hello";
	m.payloadlen = 5;
	m.qos = 1;
	if (MQTTAsync_sendMessage(client, name, &m, &response)) exit(3);
	for (int i = 0; !heard; i++) {
		if (i > 1500) { printf("%s: nothing heard\n", name); exit(1); }
		usleep(10000);
	}
	MQTTAsync_disconnectOptions end = MQTTAsync_disconnectOptions_initializer;
	MQTTAsync_disconnect(client, &end);
}
`

// The code for C compiles, connects, subscribes and publishes, as it stands.
func TestClientCodeOfPahoC(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	gcc := diagtest.Require(t, "gcc")
	if _, err := os.Stat("/usr/include/MQTTAsync.h"); err != nil {
		diagtest.Missing(t, "needs Paho's library for C (Debian: libpaho-mqtt-dev)")
	}
	cases, dir := codeCases(t)
	source := strings.Builder{}
	source.WriteString(cProgram)
	calls := ""
	for i, c := range cases {
		const connect = "MQTTAsync_connect(client, &connect);"
		code := strings.Replace(c.code["paho-c"], connect, "MQTTAsync_setCallbacks(client, NULL, lost, arrived, NULL);\n"+connect, 1)
		fmt.Fprintf(&source, "\nstatic void run%d(void) {\n%s\nawait(client, %q);\n}\n", i, code, c.name)
		calls += fmt.Sprintf("\trun%d();\n", i)
	}
	fmt.Fprintf(&source, "\nint main(void) {\n%s\treturn 0;\n}\n", calls)
	if err := os.WriteFile(filepath.Join(dir, "main.c"), []byte(source.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	runCode(t, dir, gcc, "-Wall", "-Werror=implicit-function-declaration", "-o", "program", "main.c", "-lpaho-mqtt3as")
	wantHello(t, cases, "paho-c", runCode(t, dir, "./program"))
}

// The commands of mosquitto that the console writes do what the console would: over TCP, TLS and TLS with a certificate, in every
// version, with properties, a will, and payloads that no argument can carry.
func TestCommandsOfMosquitto(t *testing.T) {
	t.Parallel()
	node := diagtest.Require(t, "node", "nodejs")
	diagtest.Require(t, "mosquitto_pub", "mosquitto_sub")
	dir := t.TempDir()
	ca, clients := diagtest.NewCA(t, "commands test CA"), diagtest.NewCA(t, "commands test clients")
	client, server := clients.Issue(t, diagtest.CertOptions{ClientOnly: true}), ca.Issue(t, diagtest.CertOptions{Names: []string{"127.0.0.1"}})
	for name, content := range map[string]string{"ca.pem": ca.PEM, "client.pem": client.CertPEM, "client.key": client.KeyPEM, "a b.txt": "of a file"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	user := "o'neil\\ $HOME"
	plain := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt", "mqtts"}, Users: map[string]string{user: clientPassword}, CA: ca, Cert: server})
	strict := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtts"}, CA: ca, Cert: server, ClientCA: clients})
	type m = map[string]any
	type command struct{ Pub, Sub string }
	var cases []m
	var want []string
	add := func(broker string, version int, target, mqtt, message m, heard string) {
		u, err := url.Parse(broker)
		if err != nil {
			t.Fatal(err)
		}
		topic := fmt.Sprintf("a b/$x/%d", len(cases))
		all := m{"keepalive_s": 45, "clean_start": true, "session_expiry_s": 0, "tls": m{"ca_pem": "", "cert_pem": "", "alpn": []string{}}, "ws": m{"headers": m{}}}
		maps.Copy(all, target)
		message["topic"] = topic
		message["payload"] = base64.StdEncoding.EncodeToString([]byte(fmt.Sprint(message["payload"])))
		cases = append(cases, m{"settings": m{"at": m{"scheme": u.Scheme, "host": u.Hostname(), "port": u.Port(), "path": ""}, "version": version, "temporary": true,
			"target": all, "mqtt": mqtt}, "message": message, "subscriptions": []m{{"filter": topic, "qos": 1, "identifier": 7, "rap": true}}})
		want = append(want, topic+" "+heard+"\n")
	}
	login := m{"username": user, "password": "given"}
	none := m{"properties": m{}}
	add(plain.MQTT, 3, login, none, m{"qos": 0, "payload": "it's $HOME `id` \\n"}, "it's $HOME `id` \\n")
	add(plain.MQTT, 4, login, none, m{"qos": 2, "payload": "\x00%\\'\xff"}, "\x00%\\'\xff")
	add(plain.MQTT, 5, login, m{"properties": m{"receiveMaximum": 7, "maximumPacketSize": 100000, "topicAliasMaximum": 3, "requestResponseInformation": true,
		"userProperties": m{"k": []string{"1", "it's"}}}, "will": m{"topic": "w", "payload": "gone", "qos": 1, "retain": true, "delay": 5}},
		m{"qos": 1, "payload": "five", "retain": true, "properties": m{"contentType": "text/plain", "responseTopic": "answer", "correlationData": "c d", "messageExpiryInterval": 60,
			"payloadFormatIndicator": true, "userProperties": m{"u": "v w"}}}, "five")
	tls := m{"ca_pem": "given", "cert_pem": "", "alpn": []string{"mqtt"}}
	add(plain.MQTTS, 5, m{"username": user, "password": "given", "tls": tls}, none, m{"qos": 1, "payload": "", "file": "a b.txt"}, "of a file")
	add(strict.MQTTS, 4, m{"tls": m{"ca_pem": "given", "cert_pem": "given", "alpn": []string{}}}, none, m{"qos": 1, "payload": "certified"}, "certified")

	input, _ := json.Marshal(cases)
	cmd := exec.CommandContext(t.Context(), node, "testdata/commands.mjs")
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	var commands []command
	if err == nil {
		err = json.Unmarshal(out, &commands)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range commands {
		// The subscriber ends with the first message, which is sent until there is one: nothing tells when it has subscribed.
		script := c.Sub + " -C 1 -W 20 >heard &\nlistener=$!\nwhile kill -0 $listener 2>/dev/null; do\n" + c.Pub + " || exit 1\nsleep 0.1\ndone\nwait $listener\ncat heard"
		if got := runCode(t, dir, "sh", "-c", script); got != want[i] {
			t.Errorf("%q, want %q, of\n%s\n%s", got, want[i], c.Pub, c.Sub)
		}
	}
}
