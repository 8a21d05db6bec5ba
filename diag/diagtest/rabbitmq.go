package diagtest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// rabbit is the one RabbitMQ of this test binary: starting it takes about ten seconds.
var rabbit struct {
	sync.Mutex
	broker *Broker
	err    error
}

// RabbitMQ returns a RabbitMQ with its MQTT and Web MQTT plugins, which is started at the first call and shared by the
// whole test binary. It speaks MQTT 3.1 and 3.1.1 (5 is closed without CONNACK), WebSocket at /ws, has the user doctor,
// and takes anonymous clients as guest. The user limited may write and read MQTT topics below plant/ alone, the user reader may
// read them and the user writer write them; their passwords are their names with "-password". Tests that share it use topics and client ids of their own.
func RabbitMQ(t testing.TB) *Broker {
	t.Helper()
	Require(t, "rabbitmq-server")
	Require(t, "epmd")
	RequireRoot(t) // to become the user rabbitmq, and only root and that user may start it
	rabbit.Lock()
	defer rabbit.Unlock()
	if rabbit.broker == nil && rabbit.err == nil {
		for range 2 { // another process may have taken a port since it was found free
			if rabbit.broker, rabbit.err = startRabbitMQ(t, RabbitMQOptions{}); rabbit.err == nil {
				break
			}
		}
	}
	if rabbit.err != nil {
		t.Fatalf("rabbitmq: %v", rabbit.err)
	}
	shared := *rabbit.broker
	return &shared
}

// RabbitMQOptions says how a RabbitMQ of a test's own is to run.
type RabbitMQOptions struct {
	// Config are further lines of rabbitmq.conf.
	Config []string
	// MaxLength is how many messages may wait in a queue, beside those under way to its reader; 0: any number.
	MaxLength int
	// Netns is the network namespace to run in, nil: the test's own. Host is the address to listen on; empty: 127.0.0.1.
	Netns *Netns
	Host  string
}

// RabbitMQWith starts a RabbitMQ of the test's own, which takes about ten seconds.
func RabbitMQWith(t testing.TB, o RabbitMQOptions) *Broker {
	t.Helper()
	Require(t, "rabbitmq-server")
	Require(t, "epmd")
	RequireRoot(t)
	broker, err := startRabbitMQ(t, o)
	if err != nil {
		t.Fatalf("rabbitmq: %v", err)
	}
	return broker
}

func startRabbitMQ(t testing.TB, o RabbitMQOptions) (*Broker, error) {
	t.Helper()
	dir := makeWorldDir(t) // removed with the test binary, not at the end of this test: others use it
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	b := &Broker{Name: "rabbitmq", Host: o.Host, Versions: []string{"3.1", "3.1.1"},
		Username: "doctor", Password: "doctor-password", CA: NewCA(t, "rabbitmq test CA")}
	b.CAPEM = b.CA.PEM
	ports := map[string]int{}
	for _, use := range []string{"mqtt", "mqtts", "ws", "wss", "amqp", "dist", "epmd"} {
		for ports[use] == 0 {
			if port := FreePort(t); !slices.Contains(portsOf(ports), port) {
				ports[use] = port
			}
		}
	}
	b.MQTT = fmt.Sprintf("mqtt://%s:%d", o.Host, ports["mqtt"])
	b.MQTTS = fmt.Sprintf("mqtts://%s:%d", o.Host, ports["mqtts"])
	b.WS = fmt.Sprintf("ws://%s:%d/ws", o.Host, ports["ws"])
	b.WSS = fmt.Sprintf("wss://%s:%d/ws", o.Host, ports["wss"])
	writeRabbitConfig(t, dir, b, ports, o)

	// An epmd of our own, in the foreground: the one that a node starts by itself is a daemon that outlives it.
	epmd := startProcess(t, "epmd", dir, o.Netns,
		exec.Command(Require(t, "epmd"), "-port", fmt.Sprint(ports["epmd"]), "-address", "127.0.0.1"))
	home := filepath.Join(dir, "home")
	cmd := exec.Command(Require(t, "runuser"), "-u", "rabbitmq", "--", Require(t, "rabbitmq-server"))
	if direct := "/usr/lib/rabbitmq/bin/rabbitmq-server"; fileExists(direct) {
		cmd.Args[len(cmd.Args)-1] = direct // the one in sbin is a wrapper that changes user by itself
	}
	cmd.Env = append(os.Environ(),
		"HOME="+home,
		"RABBITMQ_NODENAME=diagtest@localhost",
		"RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbitmq.conf"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "enabled_plugins"),
		"RABBITMQ_MNESIA_BASE="+filepath.Join(home, "mnesia"),
		"RABBITMQ_LOG_BASE="+filepath.Join(home, "log"),
		"RABBITMQ_LOGS=-",
		"RABBITMQ_CONF_ENV_FILE=/dev/null",
		fmt.Sprintf("RABBITMQ_DIST_PORT=%d", ports["dist"]),
		fmt.Sprintf("ERL_EPMD_PORT=%d", ports["epmd"]),
		"ERL_EPMD_ADDRESS=127.0.0.1",
		// As a directly run program it needs no Erlang shell, and as the only node no cluster checks.
		"RUNNING_UNDER_SYSTEMD=true",
	)
	cmd.Dir = dir
	p := startProcess(t, "rabbitmq", dir, o.Netns, cmd)
	b.Log = p.log
	if err := awaitMQTT(2*startLimit, p.alive, o.Netns, b.URLs()...); err != nil {
		err = fmt.Errorf("%w\n%s", err, p.log())
		p.stop()
		epmd.stop()
		return nil, err
	}
	return b, nil
}

func writeRabbitConfig(t testing.TB, dir string, b *Broker, ports map[string]int, o RabbitMQOptions) {
	t.Helper()
	cert := b.CA.Issue(t, CertOptions{Names: []string{"localhost", "127.0.0.1", "::1", b.Host}})
	certFile := writeFile(t, dir, "cert.pem", cert.CertPEM)
	keyFile := writeFile(t, dir, "key.pem", cert.KeyPEM)
	caFile := writeFile(t, dir, "ca.pem", b.CAPEM)
	writeFile(t, dir, "enabled_plugins", "[rabbitmq_mqtt,rabbitmq_web_mqtt].\n")
	writeFile(t, dir, "rabbitmq.conf", strings.Join(append([]string{
		fmt.Sprintf("listeners.tcp.1 = 127.0.0.1:%d", ports["amqp"]),
		fmt.Sprintf("mqtt.listeners.tcp.1 = %s:%d", b.Host, ports["mqtt"]),
		fmt.Sprintf("mqtt.listeners.ssl.1 = %s:%d", b.Host, ports["mqtts"]),
		"web_mqtt.tcp.ip = " + b.Host,
		fmt.Sprintf("web_mqtt.tcp.port = %d", ports["ws"]),
		"web_mqtt.ssl.ip = " + b.Host,
		fmt.Sprintf("web_mqtt.ssl.port = %d", ports["wss"]),
		"web_mqtt.ssl.certfile = " + certFile,
		"web_mqtt.ssl.keyfile = " + keyFile,
		"web_mqtt.ssl.cacertfile = " + caFile,
		"ssl_options.certfile = " + certFile,
		"ssl_options.keyfile = " + keyFile,
		"ssl_options.cacertfile = " + caFile,
		"load_definitions = " + writeFile(t, dir, "definitions.json", rabbitDefinitions(b.Username, b.Password, o.MaxLength)),
		"disk_free_limit.absolute = 10MB",
		"loopback_users.guest = false", // else anonymous clients are let in from 127.0.0.1 alone
	}, append(o.Config, "")...), "\n"))
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chown", "rabbitmq", home).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v\n%s", err, out)
	}
}

// rabbitDefinitions is the schema of users and permissions. With definitions loaded RabbitMQ makes no default user, so
// guest is in it too.
func rabbitDefinitions(username, password string, maxLength int) string {
	type object = map[string]any
	user := func(name, password string) object {
		// Four bytes of salt before the SHA-256 of salt and password (RabbitMQ, "Passwords").
		salt := []byte{1, 2, 3, 4}
		sum := sha256.Sum256(append(slices.Clone(salt), password...))
		return object{"name": name, "password_hash": base64.StdEncoding.EncodeToString(append(salt, sum[:]...)),
			"hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ""}
	}
	permission := func(name string) object {
		return object{"user": name, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
	}
	policies := []object{}
	if maxLength > 0 {
		policies = append(policies, object{"vhost": "/", "name": "short", "pattern": "^mqtt-subscription-", "apply-to": "queues", "priority": 1,
			"definition": object{"max-length": maxLength}})
	}
	// MQTT topics are routing keys of the exchange amq.topic, with dots for slashes (RabbitMQ, "Topic Authorisation").
	onTopics := func(name, write, read string) object {
		return object{"user": name, "vhost": "/", "exchange": "amq.topic", "write": write, "read": read}
	}
	const plant, none = `^plant\..*`, `^$`
	users, permissions := []object{user(username, password), user("guest", "guest")}, []object{permission(username), permission("guest")}
	for _, name := range []string{"limited", "reader", "writer"} {
		users, permissions = append(users, user(name, name+"-password")), append(permissions, permission(name))
	}
	data, _ := json.Marshal(object{
		"policies":          policies,
		"users":             users,
		"vhosts":            []object{{"name": "/"}},
		"permissions":       permissions,
		"topic_permissions": []object{onTopics("limited", plant, plant), onTopics("reader", none, plant), onTopics("writer", plant, none)},
	}) // strings alone cannot fail
	return string(data)
}

func portsOf(ports map[string]int) []int {
	var all []int
	for _, port := range ports {
		all = append(all, port)
	}
	return all
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
