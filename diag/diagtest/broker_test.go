package diagtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v5 "github.com/eclipse/paho.golang/packets"
)

func TestBrokersAnswerOnEveryTransport(t *testing.T) {
	for _, make := range AllBrokers {
		t.Run(make.Name, func(t *testing.T) {
			b := make.Start(t)
			if b.Name != make.Name {
				t.Errorf("the name is %q", b.Name)
			}
			if got := len(b.URLs()); got != 4 {
				t.Errorf("%d listeners, want 4", got)
			}
			for _, u := range b.URLs() {
				if err := askMQTT(b.CA, u); err != nil {
					t.Errorf("%s: %v", u, err)
				}
			}
			if err := askMQTT(NewCA(t, b.CA.Cert.Subject.CommonName), b.MQTTS); err == nil ||
				!strings.Contains(err.Error(), "certificate") {
				t.Errorf("TLS against a false CA of the same name: %v", err)
			}
			if !slices.Contains(b.Versions, "3.1.1") {
				t.Errorf("versions: %v", b.Versions)
			}
		})
	}
}

func TestRestrictedBrokers(t *testing.T) {
	ca := NewCA(t, "clients")
	users := map[string]string{"doctor": "right"}
	for name, b := range map[string]*Broker{
		"mosquitto": Mosquitto(t, MosquittoOptions{Users: users, ACL: "user doctor\ntopic read a/#\n", Listeners: []string{"mqtt"}}),
		"mochi":     Mochi(t, MochiOptions{Users: users, Allow: func(_, topic string, write bool) bool { return !write }}),
	} {
		t.Run(name, func(t *testing.T) {
			if b.Username != "doctor" || b.Password != "right" {
				t.Errorf("credentials: %q %q", b.Username, b.Password)
			}
			for password, want := range map[string]bool{"right": true, "wrong": false} {
				code, err := login(b.MQTT, "doctor", password)
				if err != nil || (code == 0) != want {
					t.Errorf("password %q: code %d, %v", password, code, err)
				}
			}
		})
	}
	mutual := Mosquitto(t, MosquittoOptions{Listeners: []string{"mqtts"}, ClientCA: ca})
	if err := askMQTT(mutual.CA, mutual.MQTTS); err == nil {
		t.Error("a client without certificate got a CONNACK")
	}
	rabbit := RabbitMQ(t)
	for password, want := range map[string]bool{rabbit.Password: true, "wrong": false} {
		if code, err := login(rabbit.MQTT, rabbit.Username, password); err != nil || (code == 0) != want {
			t.Errorf("rabbitmq, password %q: code %d, %v", password, code, err)
		}
	}
}

// login sends a CONNECT of MQTT 3.1.1 with credentials and returns the code of the CONNACK.
func login(rawURL, username, password string) (byte, error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(rawURL, "mqtt://"))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(askLimit))
	conn.Write(clientPacket(4, &v5.Connect{ProtocolName: "MQTT", ClientID: "login", UsernameFlag: true, Username: username,
		Password: []byte(password)}))
	raw, err := readPacket(conn)
	if err != nil || len(raw) != 4 {
		return 0, fmt.Errorf("% x: %w", raw, err)
	}
	return raw[3], nil
}

func TestRequire(t *testing.T) {
	if path := Require(t, "no-such-program", "sh"); !strings.HasSuffix(path, "/sh") {
		t.Errorf("found %q", path)
	}
	t.Run("skips", func(t *testing.T) {
		t.Setenv(RequireAllVar, "")
		defer func() {
			if !t.Skipped() {
				t.Error("not skipped")
			}
		}()
		Require(t, "no-such-program")
	})
	recorder := &recordingTB{TB: t}
	t.Setenv(RequireAllVar, "1")
	Require(recorder, "no-such-program")
	if !strings.Contains(recorder.fatal, "no-such-program") {
		t.Errorf("failed with %q", recorder.fatal)
	}
}

// recordingTB notes a failure instead of failing.
type recordingTB struct {
	testing.TB
	fatal string
}

func (r *recordingTB) Fatalf(format string, args ...any) { r.fatal = fmt.Sprintf(format, args...) }
func (r *recordingTB) Skipf(string, ...any)              {}
func (r *recordingTB) Helper()                           {}

// TestReaper kills a copy of this test binary while it has a broker, and sees the broker and its folder go.
func TestReaper(t *testing.T) {
	const fileVar = "DIAGTEST_REAPER"
	if file := os.Getenv(fileVar); file != "" {
		b := Mosquitto(t, MosquittoOptions{Listeners: []string{"mqtt"}})
		os.WriteFile(file, []byte(makeWorldDir(t)+" "+b.MQTT), 0o644)
		time.Sleep(2 * startLimit) // it is killed before
		return
	}
	Require(t, "mosquitto")
	file := filepath.Join(t.TempDir(), "facts")
	cmd := exec.Command(os.Args[0], "-test.run", "^TestReaper$")
	cmd.Env = append(os.Environ(), fileVar+"="+file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dir, broker string
	eventually(t, "the inner test has a broker", func() bool {
		data, _ := os.ReadFile(file)
		n, _ := fmt.Sscan(string(data), &dir, &broker)
		return n == 2
	})
	if err := askMQTT(nil, broker); err != nil {
		t.Errorf("before: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	eventually(t, "broker and folder are gone", func() bool { return !fileExists(dir) && askMQTT(nil, broker) != nil })
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(startLimit); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("within %v it did not happen that %s", startLimit, what)
		}
	}
}
