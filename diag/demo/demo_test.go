package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mqttdoctor/diag/diagtest/leaks"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "demo":
			os.Exit(Main(context.Background(), os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
		case "parent":
			// Of TestChildDiesWithItsParent: a parent that prints where the broker is, and is killed.
			info, err := NewChild(os.Args[0]).Info(context.Background())
			if err != nil {
				os.Exit(1)
			}
			json.NewEncoder(os.Stdout).Encode(info)
			select {}
		case "broken":
			os.Stderr.WriteString("no demo today\n")
			os.Exit(3)
		}
	}
	leaks.Main(m)
}

// connectPacket is a CONNECT with the client id "demo-test", Clean Session and a Keep Alive of 60 s.
func connectPacket(level byte, username, password string) []byte {
	str := func(s string) []byte { return append([]byte{0, byte(len(s))}, s...) }
	name, flags := "MQTT", byte(2)
	if level == 3 {
		name = "MQIsdp"
	}
	if username != "" {
		flags |= 0xc0
	}
	body := append(str(name), level, flags, 0, 60)
	if level == 5 {
		body = append(body, 0)
	}
	body = append(body, str("demo-test")...)
	if username != "" {
		body = append(append(body, str(username)...), str(password)...)
	}
	return append([]byte{0x10, byte(len(body))}, body...)
}

// patience bounds every wait of a test: far more than anything takes.
const patience = time.Minute

// connack sends a CONNECT and returns the code of the CONNACK.
func connack(conn net.Conn, level byte, username, password string) (byte, error) {
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(connectPacket(level, username, password)); err != nil {
		return 0, err
	}
	header := make([]byte, 2)
	if _, err := io.ReadFull(conn, header); err != nil {
		return 0, err
	}
	body := make([]byte, header[1])
	if _, err := io.ReadFull(conn, body); err != nil {
		return 0, err
	}
	if header[0] != 0x20 {
		return 0, errors.New("no CONNACK")
	}
	return body[1], nil
}

func dial(t *testing.T, info Info, port string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(info.URL("tcp", port, ""), "tcp://"), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func pool(info Info) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(info.CAPEM))
	return pool
}

func start(t *testing.T) Info {
	t.Helper()
	b, err := Start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b.Info()
}

func TestListeners(t *testing.T) {
	info := start(t)
	if len(info.Ports) != 7 || info.Host != "127.0.0.1" || !info.Ready {
		t.Fatalf("got %+v", info)
	}
	trusting := &tls.Config{RootCAs: pool(info), ServerName: "localhost"}
	for _, level := range []byte{3, 4, 5} {
		if code, err := connack(dial(t, info, PortMQTT), level, "", ""); code != 0 || err != nil {
			t.Errorf("plain, level %d: %d %v", level, code, err)
		}
		if code, err := connack(tls.Client(dial(t, info, PortMQTTS), trusting), level, "", ""); code != 0 || err != nil {
			t.Errorf("TLS, level %d: %d %v", level, code, err)
		}
		for _, test := range []struct {
			username, password string
			want               bool
		}{{Username, Password, true}, {Username, "wrong", false}, {"", "", false}} {
			code, err := connack(dial(t, info, PortPassword), level, test.username, test.password)
			if err != nil || (code == 0) != test.want {
				t.Errorf("password %q, level %d: %x %v", test.password, level, code, err)
			}
		}
	}
	var invalid x509.CertificateInvalidError
	err := tls.Client(dial(t, info, PortExpired), trusting).Handshake()
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		t.Errorf("expired certificate: %v", err)
	}
}

func TestWebSocket(t *testing.T) {
	info := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, u := range []string{info.URL("ws", PortWS, "/mqtt"), info.URL("ws", PortWS, ""), info.URL("wss", PortWSS, "/any/path")} {
		client := httpClient(info)
		ws, _, err := websocket.Dial(ctx, u, &websocket.DialOptions{Subprotocols: []string{"mqtt"}, HTTPClient: client})
		if err != nil {
			t.Fatalf("%s: %v", u, err)
		}
		if ws.Subprotocol() != "mqtt" {
			t.Errorf("%s: subprotocol %q", u, ws.Subprotocol())
		}
		if code, err := connack(websocket.NetConn(ctx, ws, websocket.MessageBinary), 5, "", ""); code != 0 || err != nil {
			t.Errorf("%s: %d %v", u, code, err)
		}
		ws.CloseNow()
		client.CloseIdleConnections()
	}
}

// TestSilentDrop subscribes, publishes at QoS 1 to a blocked topic and to another, and sees both acknowledged and the
// other one alone delivered, in MQTT 3.1.1 and 5.
func TestSilentDrop(t *testing.T) {
	info := start(t)
	for _, level := range []byte{4, 5} {
		conn := dial(t, info, PortDroppingACL)
		if code, err := connack(conn, level, "", ""); code != 0 || err != nil {
			t.Fatal(code, err)
		}
		none := []byte{}
		if level == 5 {
			none = []byte{0} // no properties
		}
		packet := func(first byte, parts ...[]byte) {
			body := bytes.Join(parts, nil)
			conn.Write(append([]byte{first, byte(len(body))}, body...))
		}
		packet(0x82, []byte{0, 1}, none, []byte{0, 1, '#', 1})
		packet(0x32, []byte("\x00\x0cblocked/lamp\x00\x02"), none, []byte("x"))
		packet(0x32, []byte("\x00\x04lamp\x00\x03"), none, []byte("y"))
		var got []string
		for range 4 {
			header := make([]byte, 2)
			if _, err := io.ReadFull(conn, header); err != nil {
				t.Fatalf("level %d after %q: %v", level, got, err)
			}
			body := make([]byte, header[1])
			io.ReadFull(conn, body)
			switch header[0] & 0xf0 {
			case 0x90:
				got = append(got, "SUBACK "+string('0'+rune(body[len(body)-1])))
			case 0x40:
				if len(body) > 2 && body[2] >= 0x80 {
					t.Errorf("PUBACK with reason code %x", body[2])
				}
				got = append(got, "PUBACK "+string('0'+rune(body[1])))
			case 0x30:
				got = append(got, "PUBLISH "+string(body[2:2+body[1]]))
			}
		}
		if joined := strings.Join(got, ", "); joined != "SUBACK 1, PUBACK 2, PUBACK 3, PUBLISH lamp" {
			t.Errorf("level %d: %s", level, joined)
		}
	}
}

func TestOnlyLoopback(t *testing.T) {
	for _, host := range []string{"0.0.0.0", "::", "192.0.2.1", "localhost"} {
		if b, err := Start(Options{Host: host}); err == nil {
			b.Close()
			t.Errorf("listens on %s", host)
		}
	}
}

func TestPortsAreKeptWherePossible(t *testing.T) {
	first, err := Start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ports := first.Info().Ports
	second, err := Start(Options{Ports: ports}) // all taken
	if err != nil {
		t.Fatal(err)
	}
	for key, port := range second.Info().Ports {
		if port == ports[key] {
			t.Errorf("%s twice on %d", key, port)
		}
	}
	first.Close()
	second.Close()
	third, err := Start(Options{Ports: ports})
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	if got := third.Info().Ports; !maps.Equal(got, ports) {
		t.Errorf("got %v, want %v", got, ports)
	}
}

func TestProgram(t *testing.T) {
	for _, test := range []struct {
		args  []string
		stdin string
		code  int
	}{
		{[]string{"--help"}, "", 0}, {[]string{"--bogus"}, "", 2}, {[]string{"word"}, "", 2},
		{[]string{"--ports", "nothing=1"}, "", 2}, {[]string{"--ports", "mqtt=70000"}, "", 2},
		{[]string{"--parent-stdin"}, "no JSON\n", 2}, {[]string{"--host", "0.0.0.0"}, "", 1},
		{[]string{"--parent-stdin"}, "{}\n", 0}, // and stdin ends
	} {
		var out, errs bytes.Buffer
		if code := Main(t.Context(), test.args, strings.NewReader(test.stdin), &out, &errs); code != test.code {
			t.Errorf("%q: exit code %d, want %d: %s", test.args, code, test.code, errs.String())
		}
		if test.stdin == "{}\n" {
			var info Info
			if err := json.Unmarshal(out.Bytes(), &info); err != nil || !info.Ready || bytes.Count(out.Bytes(), []byte("\n")) != 1 {
				t.Errorf("printed %q: %v", out.String(), err)
			}
		}
	}
}

func TestScenariosHaveTheirListener(t *testing.T) {
	info := start(t)
	seen := map[string]bool{}
	for _, s := range Scenarios {
		if info.Ports[s.Port] == 0 || seen[s.ID] || !strings.HasPrefix(s.URL(info), s.Scheme+"://127.0.0.1:") {
			t.Errorf("%+v", s)
		}
		seen[s.ID] = true
		if found, ok := ScenarioByID(s.ID); !ok || found.ID != s.ID {
			t.Errorf("%s is not found", s.ID)
		}
	}
	if _, ok := ScenarioByID("no such"); ok {
		t.Error("found a scenario that is not there")
	}
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// killingSubscribe brings the process of mochi-mqtt 2.7.9 down after an MQTT 5 CONNECT: a SUBSCRIBE whose option byte is
// missing (shared/engineering.md, h).
var killingSubscribe = []byte{0x82, 0x08, 0x02, 0x0a, 0x00, 0x00, 0x03, 0x61, 0x7f, 0x01}

func TestChildComesBack(t *testing.T) {
	child := NewChild(self(t))
	t.Cleanup(func() { child.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	before, err := child.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, before, PortMQTT)
	if code, err := connack(conn, 5, "", ""); code != 0 || err != nil {
		t.Fatal(code, err)
	}
	conn.Write(killingSubscribe)
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the packet did not kill the process: %v", err)
	}
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(before.URL("tcp", PortMQTT, ""), "tcp://"))
		if err == nil {
			code, err := connack(conn, 5, "", "")
			conn.Close()
			if code == 0 && err == nil {
				break
			}
		}
		if ctx.Err() != nil {
			t.Fatal("it did not come back")
		}
		time.Sleep(20 * time.Millisecond)
	}
	after, err := child.Info(ctx)
	if err != nil || !maps.Equal(after.Ports, before.Ports) || after.CAPEM != before.CAPEM {
		t.Errorf("it came back as another one: %v %v, %v", before.Ports, after.Ports, err)
	}
	if err := child.Close(); err != nil {
		t.Error(err)
	}
	if _, err := child.Info(ctx); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(before.URL("tcp", PortMQTT, ""), "tcp://")); err == nil {
		conn.Close()
		t.Error("it still listens after Close")
	} else if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
}

func TestChildDiesWithItsParent(t *testing.T) {
	parent := exec.Command(self(t), "parent")
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var info Info
	if err := json.NewDecoder(stdout).Decode(&info); err != nil {
		t.Error(err)
	} else {
		dial(t, info, PortMQTT)
	}
	parent.Process.Kill()
	parent.Wait()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		conn, err := net.Dial("tcp", strings.TrimPrefix(info.URL("tcp", PortMQTT, ""), "tcp://"))
		if err != nil {
			return
		}
		conn.Close()
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the broker outlives its killed parent")
}

func TestChildThatCannotStart(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, test := range []struct {
		name, program string
		args          []string
		want          string
	}{
		{"no such program", "/no/such/program", nil, "/no/such/program"},
		{"complains", self(t), []string{"broken"}, "no demo today"},
	} {
		child := NewChild(test.program, test.args...)
		if _, err := child.Info(ctx); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
		child.Close()
	}
	unused := NewChild(self(t))
	unused.Close()
	unused.Close()
}
