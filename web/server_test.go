package web

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mqttdoctor/diag"
	"mqttdoctor/diag/guard"
)

// patience bounds every wait of a test: far more than anything takes.
const patience = time.Minute

// testServer is a server on a free port with an archive of its own.
type testServer struct {
	t      *testing.T
	server *Server
	base   string // http://127.0.0.1:port
	data   string
	log    *logBuffer
	client *http.Client
	stop   func() error // ends it in order; more than one call is fine
}

// logBuffer collects the log, safely.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// gate is a probe that waits until it is let through.
type gate struct {
	entered chan struct{}
	leave   chan struct{}
}

func newGate() *gate {
	return &gate{entered: make(chan struct{}, 1000), leave: make(chan struct{})}
}

func (g *gate) probe(id diag.ProbeID, needs ...diag.ProbeID) diag.Probe {
	return diag.Probe{ID: id, Layer: diag.LayerMQTT, Depth: diag.DepthQuick, Needs: needs, Budget: patience,
		Run: func(ctx context.Context, _ *diag.Env, _ diag.Subject) diag.Result {
			g.entered <- struct{}{}
			select {
			case <-g.leave:
				return diag.Passed(nil, diag.N("step.test"))
			case <-ctx.Done():
				return diag.Failed(nil, diag.N("step.test"), &diag.Failure{Op: string(id), Code: "canceled"})
			}
		}}
}

func passing(id diag.ProbeID, needs ...diag.ProbeID) diag.Probe {
	return diag.Probe{ID: id, Layer: diag.LayerDNS, Depth: diag.DepthQuick, Needs: needs,
		Run: func(context.Context, *diag.Env, diag.Subject) diag.Result {
			return diag.Passed(nil, diag.N("step.test"))
		}}
}

// testEngine runs probes that touch no network, under a policy.
func testEngine(policy string, probes ...diag.Probe) *Engine {
	p := guard.Policy{Name: policy}
	return &Engine{Probes: probes, Allowed: p.CheckHostPort, Policy: policy, Vantage: diag.Vantage{Name: "test"},
		Dial: func(context.Context, string, string) (net.Conn, error) { panic("no test dials") }}
}

func testConfig(t *testing.T) Config {
	c := DefaultConfig()
	c.Listen, c.Data, c.Demo = "127.0.0.1:0", filepath.Join(t.TempDir(), "data"), false
	return c
}

func startServer(t *testing.T, c Config, e *Engine) *testServer {
	t.Helper()
	log := &logBuffer{}
	s, err := New(t.Context(), c, Options{Engine: e, Log: NewLog(log, "json", slog.LevelDebug)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ts := &testServer{t: t, server: s, base: strings.TrimSuffix(s.URL(), "/"), data: c.Data, log: log,
		client: &http.Client{Transport: &http.Transport{}, Timeout: patience}}
	ts.stop = sync.OnceValue(func() error {
		cancel()
		ts.client.CloseIdleConnections()
		select {
		case err := <-done:
			return err
		case <-time.After(patience):
			t.Error("the server does not end")
			return nil
		}
	})
	t.Cleanup(func() {
		if err := ts.stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return ts
}

// answer is a response that was read to its end.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

func (a answer) json(into any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
}

type apiError struct {
	Error struct {
		Code    string
		Message string
		Fields  map[string]string
	}
}

func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// wantError checks the error's shape, and its fields where any are named.
func (a answer) wantError(status int, code string, fields ...string) apiError {
	a.t.Helper()
	a.want(status)
	var e apiError
	a.json(&e)
	if e.Error.Code != code || e.Error.Message == "" || strings.HasPrefix(e.Error.Message, "api.") {
		a.t.Errorf("error %+v, want %s", e.Error, code)
	}
	for _, f := range fields {
		if text := e.Error.Fields[f]; text == "" || strings.HasPrefix(text, "api.") || strings.HasPrefix(text, "input.") {
			a.t.Errorf("no text for field %s: %v", f, e.Error.Fields)
		}
	}
	if len(fields) > 0 && len(e.Error.Fields) != len(fields) {
		a.t.Errorf("fields %v, want %v", e.Error.Fields, fields)
	}
	return e
}

func (s *testServer) do(method, path, body string, header ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.base+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{t: s.t, status: res.StatusCode, header: res.Header, body: data}
}

type started struct {
	ID          string
	URL         string
	StreamURL   string `json:"stream_url"`
	DeleteToken string `json:"delete_token"`
}

func (s *testServer) start(body string, header ...string) started {
	s.t.Helper()
	var st started
	s.do("POST", "/api/v1/runs", body, header...).want(http.StatusAccepted).json(&st)
	return st
}

// plainRun is a body that starts a run.
const plainRun = `{"target":{"url":"mqtt://broker.test:1883"},"lang":"en"}`

type report struct {
	Schema    string
	ID        string
	State     diag.State
	Verdict   string
	Lang      string
	Steps     []struct{ ID, Status, Summary string }
	Target    map[string]any
	Findings  []map[string]any
	RootCause map[string]any `json:"root_cause"`
}

func (s *testServer) report(id string) report {
	s.t.Helper()
	var r report
	s.do("GET", "/api/v1/runs/"+id, "").want(http.StatusOK).json(&r)
	return r
}

// frame is an event as it comes over the stream.
type frame struct {
	Seq    int
	Type   diag.EventType
	Step   *struct{ ID, Status string }
	Report *report
}

func (s *testServer) dial(path string, header ...string) (*websocket.Conn, *http.Response, error) {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	return websocket.Dial(ctx, s.base+path, &websocket.DialOptions{HTTPClient: s.client2(), HTTPHeader: h})
}

// client2 has no time limit: it would end the websocket.
func (s *testServer) client2() *http.Client { return &http.Client{Transport: s.client.Transport} }

// watch reads a stream until it is closed and returns the frames and the close status.
func (s *testServer) watch(id, query string) ([]frame, websocket.StatusCode) {
	s.t.Helper()
	conn, _, err := s.dial("/api/v1/runs/" + id + "/stream" + query)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.CloseNow()
	return readFrames(s.t, conn)
}

func readFrames(t *testing.T, conn *websocket.Conn) ([]frame, websocket.StatusCode) {
	t.Helper()
	conn.SetReadLimit(16 << 20)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var frames []frame
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			return frames, websocket.CloseStatus(err)
		}
		var f frame
		if err := json.Unmarshal(data, &f); err != nil || kind != websocket.MessageText {
			t.Errorf("frame %s: %v", data, err)
		}
		frames = append(frames, f)
	}
}

// wantNumbers checks that frames are numbered on from after, and that the run's end is the last of them.
func wantNumbers(t *testing.T, frames []frame, after int) {
	t.Helper()
	for i, f := range frames {
		if f.Seq != after+i+1 {
			t.Fatalf("frame %d has number %d, after %d", i, f.Seq, after)
		}
	}
	if len(frames) == 0 || frames[len(frames)-1].Type != diag.EventRunFinished {
		t.Fatalf("the stream does not end with run.finished: %+v", frames)
	}
}

// receive waits for a value, with patience.
func receive[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return v
}

// await looks until something is so: for what no channel tells.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
