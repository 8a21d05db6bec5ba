package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/diagtest/leaks"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if program.dir != "" {
		_ = os.RemoveAll(program.dir)
	}
	os.Exit(leaks.Check(code))
}

// runHere runs the program in this process.
func runHere(t *testing.T, stdin string, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, world{stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs,
		getenv: func(name string) string { return env[name] }})
	return code, out.String(), errs.String()
}

func TestWrongUsageIsTwo(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"nonsense"}, "unknown command"},
		{[]string{"--nonsense"}, "nonsense"},
		{[]string{"serve", "--policy", "none"}, "policy"},
		{[]string{"check"}, "address"},
		{[]string{"check", "a", "b"}, "address"},
		{[]string{"check", ""}, "target.url"},
		{[]string{"check", "http://a.test"}, "target.url"},
		{[]string{"check", "a.test", "--qos", "3"}, "target.topics.qos"},
		{[]string{"check", "a.test", "--qos", "one"}, "qos"},
		{[]string{"check", "a.test", "--timeout", "5"}, "timeout"},
		{[]string{"check", "a.test", "--symptom", "pain"}, "plan.symptom"},
		{[]string{"check", "a.test", "--ca", "/no/such/file"}, "--ca"},
		{[]string{"check", "a.test", "--cert", key, "--key", key}, "target.tls"},
		{[]string{"check", "a.test", "--lang", "fr"}, "--lang"},
		{[]string{"check", "ws://a.test", "--header", "no colon"}, "header"},
		{[]string{"check", "a.test", "--password", "x", "--password-stdin"}, "exclude"},
	} {
		if code, _, stderr := runHere(t, "", nil, c.args...); code != exitUsage || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: code %d, %s", c.args, code, stderr)
		}
	}
}

func TestHelpIsNoError(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"--help"}, {"serve", "--help"}, {"check", "--help"}, {"version"}, {"--version"}, {"serve", "--version"}} {
		if code, stdout, stderr := runHere(t, "", nil, args...); code != exitOK || stdout == "" || stderr != "" {
			t.Errorf("%v: code %d, %q, %q", args, code, stdout, stderr)
		}
	}
}

func TestCheckAHealthyBroker(t *testing.T) {
	broker := diagtest.Mochi(t, diagtest.MochiOptions{})
	code, stdout, stderr := runHere(t, "", map[string]string{"LANG": "zh_CN.UTF-8"}, "check", broker.MQTT, "--timeout", "5s")
	if code != exitOK || stderr != "" {
		t.Fatalf("code %d\n%s\n%s", code, stdout, stderr)
	}
	if !strings.Contains(stdout, "结论") || !strings.Contains(stdout, "✓") || strings.Contains(stdout, "\x1b") {
		t.Errorf("%s", stdout)
	}
	code, stdout, _ = runHere(t, "secret-on-stdin\n", nil, "check", "--json", broker.MQTT, "--username", "u", "--password-stdin")
	var report struct {
		Schema  string
		Verdict string
		Target  struct{ Password bool }
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	if code != exitOK || report.Schema != "mqttdoctor.report/1" || report.Verdict != "healthy" || !report.Target.Password {
		t.Errorf("code %d, %+v", code, report)
	}
	if strings.Contains(stdout, "secret-on-stdin") {
		t.Error("the password is in the report")
	}
}

func TestCheckAClosedPort(t *testing.T) {
	code, stdout, stderr := runHere(t, "", map[string]string{"MQTTDOCTOR_PASSWORD": "from-environment"}, "check", "--lang", "en",
		net.JoinHostPort("127.0.0.1", strconv.Itoa(diagtest.ClosedPort(t))), "--password", "on-the-command-line")
	if code != exitFinding || !strings.Contains(stdout, "tcp.refused") || !strings.Contains(stdout, "Verdict") {
		t.Errorf("code %d\n%s", code, stdout)
	}
	if !strings.Contains(stderr, "MQTTDOCTOR_PASSWORD") || strings.Contains(stdout+stderr, "on-the-command-line") {
		t.Errorf("%s", stderr)
	}
}

func TestCheckEndsWhenItIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	code := run(ctx, []string{"check", "--json", "127.0.0.1:1"}, world{stdin: strings.NewReader(""), stdout: &out, stderr: &out,
		getenv: func(string) string { return "" }})
	if code != exitFinding || !strings.Contains(out.String(), `"state": "canceled"`) {
		t.Errorf("code %d, %s", code, out.String())
	}
}

func TestPeersCannotSteerTheTerminal(t *testing.T) {
	if got := printable("a\x1b[2Jb\u202ec\nd\te"); strings.ContainsAny(got, "\x1b\u202e\n\t") {
		t.Errorf("%q", got)
	}
}

// TestServeToldToEndBeforeItBegan: a service that is stopped while it starts has not failed.
func TestServeToldToEndBeforeItBegan(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs strings.Builder
	code := run(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--open=false"}, world{stdin: strings.NewReader(""),
		stdout: &out, stderr: &errs, getenv: func(string) string { return "" }})
	if code != exitOK || strings.Contains(errs.String(), "canceled") {
		t.Errorf("code %d, %s", code, errs.String())
	}
}
