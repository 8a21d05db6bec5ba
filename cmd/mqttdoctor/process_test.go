package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// patience bounds every wait of a test: far more than anything takes.
const patience = 90 * time.Second

// program is mqttdoctor, built once.
var program struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func built(t *testing.T) string {
	t.Helper()
	program.once.Do(func() {
		if program.dir, program.err = os.MkdirTemp("", "mqttdoctor-test"); program.err != nil {
			return
		}
		program.path = filepath.Join(program.dir, "mqttdoctor")
		if runtime.GOOS == "windows" {
			program.path += ".exe"
		}
		out, err := exec.Command("go", "build", "-o", program.path, ".").CombinedOutput()
		if err != nil {
			t.Logf("%s", out)
			program.err = err
		}
	})
	if program.err != nil {
		t.Fatal(program.err)
	}
	return program.path
}

// process is a running server.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	base   string
	stderr *lockedBuffer
	done   chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func serve(t *testing.T, data string, args ...string) *process {
	t.Helper()
	p := &process{t: t, stderr: &lockedBuffer{}, done: make(chan error, 1)}
	p.cmd = exec.Command(built(t), append([]string{"serve", "--listen", "127.0.0.1:0", "--open=false", "--data", data}, args...)...)
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.done })
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		lines <- line
		_, _ = io.Copy(io.Discard, stdout)
		err := p.cmd.Wait()
		p.done <- err
		close(p.done)
	}()
	select {
	case line := <-lines:
		address := regexp.MustCompile(`http://[^ ]+/`).FindString(line)
		if address == "" {
			t.Fatalf("no address in %q\n%s", line, p.stderr)
		}
		p.base = strings.TrimSuffix(address, "/")
	case <-time.After(patience):
		t.Fatalf("the server does not start\n%s", p.stderr)
	}
	return p
}

func (p *process) ended() error {
	p.t.Helper()
	select {
	case err := <-p.done:
		return err
	case <-time.After(patience):
		p.t.Fatalf("the process does not end\n%s", p.stderr)
		return nil
	}
}

func (p *process) request(method, path, body string, into any) int {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.base+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	if into != nil {
		if err := json.NewDecoder(res.Body).Decode(into); err != nil {
			p.t.Fatal(err)
		}
	}
	return res.StatusCode
}

// silentPeer accepts connections and says nothing.
func silentPeer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { <-ctx.Done(); _ = conn.Close() })
		}
	})
	t.Cleanup(func() { cancel(); _ = l.Close(); all.Wait() })
	return l.Addr().String()
}

type runReport struct {
	State   string
	Verdict string
	Steps   []struct{ ID, Status string }
}

// startHanging starts a run that waits for a silent peer, watches until a step has finished, and returns the run's id and
// what was shown.
func (p *process) startHanging() (id string, lastSeq int, shown []string) {
	p.t.Helper()
	var st struct{ ID string }
	body := `{"target":{"url":"mqtt://` + silentPeer(p.t) + `","password":"CANARY-password"},"plan":{"timeout_s":60}}`
	if status := p.request("POST", "/api/v1/runs", body, &st); status != http.StatusAccepted {
		p.t.Fatalf("status %d", status)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, p.base+"/api/v1/runs/"+st.ID+"/stream", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.CloseNow()
	waits := false
	for !waits || len(shown) < 2 {
		var e struct {
			Seq  int
			Type string
			Step struct{ ID string }
		}
		_, data, err := conn.Read(ctx)
		if err == nil {
			err = json.Unmarshal(data, &e)
		}
		if err != nil {
			p.t.Fatalf("%v\n%s", err, p.stderr)
		}
		lastSeq = e.Seq
		if e.Type == "step.finished" {
			shown = append(shown, e.Step.ID)
		}
		waits = waits || (e.Type == "step.started" && strings.HasPrefix(e.Step.ID, "mqtt.connect"))
	}
	return st.ID, lastSeq, shown
}

func (p *process) wantInterrupted(id string, shown []string) {
	p.t.Helper()
	var r runReport
	if status := p.request("GET", "/api/v1/runs/"+id, "", &r); status != http.StatusOK || r.State != "interrupted" {
		p.t.Fatalf("status %d, %+v", status, r)
	}
	kept := map[string]string{}
	for _, s := range r.Steps {
		kept[s.ID] = s.Status
		if s.Status == "running" {
			p.t.Errorf("step %s of an interrupted run is running", s.ID)
		}
	}
	for _, step := range shown {
		if kept[step] == "" || kept[step] == "canceled" {
			p.t.Errorf("step %s was shown as finished and is %q now", step, kept[step])
		}
	}
}

func TestAKilledServerLosesNoStepThatWasShown(t *testing.T) {
	data := t.TempDir()
	p := serve(t, data)
	id, last, shown := p.startHanging()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.ended()
	p = serve(t, data)
	p.wantInterrupted(id, shown)
	// A viewer comes back to where it was.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, p.base+"/api/v1/runs/"+id+"/stream?after="+jsonNumber(last), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	for next := last + 1; ; next++ {
		_, data, err := conn.Read(ctx)
		if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
			if next == last+1 {
				t.Error("the viewer is not told of the end")
			}
			break
		}
		var e struct{ Seq int }
		if err != nil || json.Unmarshal(data, &e) != nil || e.Seq != next {
			t.Fatalf("event %d, want %d (%v)", e.Seq, next, err)
		}
	}
}

func jsonNumber(n int) string {
	data, _ := json.Marshal(n)
	return string(data)
}

func TestASignalEndsThingsInOrder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no SIGTERM there")
	}
	data := t.TempDir()
	p := serve(t, data, "--log-format", "json")
	id, _, shown := p.startHanging()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.ended(); err != nil {
		t.Errorf("%v\n%s", err, p.stderr)
	}
	if log := p.stderr.String(); strings.Contains(log, "CANARY") || strings.Contains(log, "ERROR") {
		t.Errorf("%s", log)
	}
	p = serve(t, data)
	p.wantInterrupted(id, shown)
}

func TestTwoServersDoNotShareAnArchive(t *testing.T) {
	data := t.TempDir()
	serve(t, data)
	out, err := exec.Command(built(t), "serve", "--listen", "127.0.0.1:0", "--open=false", "--data", data).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--data") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestATakenPortIsExplained(t *testing.T) {
	out, err := exec.Command(built(t), "serve", "--listen", silentPeer(t), "--open=false", "--data", t.TempDir()).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--listen") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestTheDemoBrokerStartsAtFirstUseAndEndsWithTheServer(t *testing.T) {
	p := serve(t, t.TempDir(), "--policy", "public")
	var demo struct {
		Scenarios []struct {
			ID     string
			Target map[string]any
			Expect []string
		}
	}
	if status := p.request("GET", "/api/v1/demo", "", &demo); status != http.StatusOK || len(demo.Scenarios) == 0 {
		t.Fatalf("status %d, %+v", status, demo)
	}
	for _, s := range demo.Scenarios {
		if s.ID != "healthy" {
			continue
		}
		var st struct{ ID string }
		body, err := json.Marshal(map[string]any{"target": s.Target})
		if err != nil {
			t.Fatal(err)
		}
		// Loopback is forbidden under this policy, but for the demo broker.
		if status := p.request("POST", "/api/v1/runs", string(body), &st); status != http.StatusAccepted {
			t.Fatalf("status %d", status)
		}
		var r runReport
		for deadline := time.Now().Add(patience); r.State != "finished" && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			p.request("GET", "/api/v1/runs/"+st.ID, "", &r)
		}
		if r.Verdict != "healthy" {
			t.Errorf("%+v", r)
		}
		if status := p.request("POST", "/api/v1/runs", `{"target":{"url":"`+p.base[len("http://"):]+`"}}`, &struct{}{}); status != http.StatusForbidden {
			t.Errorf("the server itself may be dialled: status %d", status)
		}
		address := s.Target["url"].(string)[len("mqtt://"):]
		_ = p.cmd.Process.Kill()
		_ = p.ended()
		for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				return // gone
			}
			_ = conn.Close()
			if time.Now().After(deadline) {
				t.Fatal("the demo broker outlives the server")
			}
		}
	}
	t.Error("no healthy scenario")
}
