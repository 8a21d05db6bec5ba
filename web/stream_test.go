package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mqttdoctor/diag"
	"mqttdoctor/diag/guard"
)

// many is a probe of n subjects, each of which reports progress.
func many(id diag.ProbeID, n int, needs ...diag.ProbeID) diag.Probe {
	p := passing(id, needs...)
	p.Subjects = func(*diag.View) []diag.Subject {
		out := make([]diag.Subject, n)
		for i := range out {
			out[i].Name = fmt.Sprintf("192.0.2.%d:1883", i)
		}
		return out
	}
	p.Run = func(_ context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		env.Progress(1, 2, "messages")
		return diag.Passed(nil, diag.N("step.test"))
	}
	return p
}

func TestStreamResumesWithoutGapOrRepeat(t *testing.T) {
	g := newGate()
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, many("tcp.test", 40), g.probe("mqtt.test", "tcp.test"), many("msg.test", 40, "mqtt.test")))
	st := s.start(plainRun)
	receive(t, g.entered)
	conn, _, err := s.dial("/api/v1/runs/" + st.ID + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 50 {
		if _, _, err := conn.Read(ctx); err != nil {
			t.Fatal(err)
		}
	}
	conn.CloseNow() // in the middle of the run
	resumed := make(chan []frame, 1)
	go func() {
		frames, _ := s.watch(st.ID, "?after=50")
		resumed <- frames
	}()
	close(g.leave)
	live := receive(t, resumed)
	wantNumbers(t, live, 50)
	// The same from the archive, from every point.
	last := live[len(live)-1].Seq
	for _, after := range []int{0, 1, 63, 64, 65, last - 1} {
		frames, status := s.watch(st.ID, fmt.Sprintf("?after=%d", after))
		wantNumbers(t, frames, after)
		if status != websocket.StatusNormalClosure || frames[len(frames)-1].Seq != last {
			t.Errorf("after %d: status %d, last %d, want %d", after, status, frames[len(frames)-1].Seq, last)
		}
	}
	if frames, status := s.watch(st.ID, fmt.Sprintf("?after=%d", last)); len(frames) != 0 || status != websocket.StatusNormalClosure {
		t.Errorf("a viewer that saw everything got %d frames, status %d", len(frames), status)
	}
}

func TestStreamRefusesBeforeTheUpgrade(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	st := s.start(plainRun)
	s.watch(st.ID, "")
	path := "/api/v1/runs/" + st.ID + "/stream"
	for query, code := range map[string]string{"?after=x": "invalid_after_number", "?after=-1": "invalid_after_number",
		"?after=99999999999999999999": "invalid_after_number", "?after=1000": "invalid_after"} {
		s.do("GET", path+query, "").wantError(http.StatusBadRequest, code, "after")
		if _, res, err := s.dial(path + query); err == nil || res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %v", query, err)
		}
	}
	s.do("GET", path, "").wantError(http.StatusUpgradeRequired, "websocket_only")
	s.do("GET", "/api/v1/runs/"+newID()+"/stream", "").wantError(http.StatusNotFound, "run_not_found")
	for _, origin := range []string{"https://evil.test", "http://127.0.0.1:1", "null", "http://127.0.0.1.evil.test"} {
		if _, res, err := s.dial(path, "Origin", origin); err == nil || res.StatusCode != http.StatusForbidden {
			t.Errorf("origin %s: %v", origin, err)
		}
	}
	conn, _, err := s.dial(path, "Origin", s.base)
	if err != nil {
		t.Fatal(err)
	}
	conn.CloseNow()
}

func TestAViewerWhoTalksIsClosed(t *testing.T) {
	g := newGate()
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, g.probe("mqtt.test")))
	st := s.start(plainRun)
	conn, _, err := s.dial("/api/v1/runs/" + st.ID + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(`{"cancel":true}`)); err != nil {
		t.Fatal(err)
	}
	if _, status := readFrames(t, conn); status != websocket.StatusPolicyViolation {
		t.Errorf("status %d", status)
	}
	close(g.leave)
}

// TestASlowViewerSlowsNobody has a viewer that reads nothing while a run sends more than the connection's buffers hold. Where the
// machine itself was slow, that shows nothing, and is done again.
func TestASlowViewerSlowsNobody(t *testing.T) {
	for range 5 {
		if took := runBesideASlowViewer(t); took <= streamPatience || t.Failed() {
			return
		}
	}
	t.Errorf("the run took more than %s each time while somebody did not read", streamPatience)
}

// runBesideASlowViewer returns how long the run took, as another viewer saw it.
func runBesideASlowViewer(t *testing.T) time.Duration {
	t.Helper()
	g := newGate()
	wordy := many("tcp.test", 60)
	wordy.Run = func(context.Context, *diag.Env, diag.Subject) diag.Result {
		return diag.Failed(nil, diag.N("step.test"), &diag.Failure{Op: "tcp.test", Code: "x", Text: strings.Repeat("x", 120_000)})
	}
	wordy.Needs = []diag.ProbeID{"mqtt.test"}
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, g.probe("mqtt.test"), wordy))
	st := s.start(plainRun)
	receive(t, g.entered)
	slow, _, err := s.dial("/api/v1/runs/" + st.ID + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer slow.CloseNow()
	begun := time.Now()
	close(g.leave)
	var frames []frame
	for status := websocket.StatusTryAgainLater; status != websocket.StatusNormalClosure && time.Since(begun) < 4*patience; {
		var more []frame // a machine that is slow itself may send any viewer away, who comes back
		more, status = s.watch(st.ID, fmt.Sprintf("?after=%d", len(frames)))
		frames = append(frames, more...)
	}
	wantNumbers(t, frames, 0)
	took := time.Since(begun)
	if r := s.report(st.ID); r.State != diag.StateFinished {
		t.Errorf("state %s", r.State)
	}
	// The slow one reads on in the end and has lost nothing, or was closed and can come back.
	late, _ := readFrames(t, slow)
	after := 0
	if len(late) > 0 {
		after = late[len(late)-1].Seq
	}
	if after < len(frames) {
		rest, status := s.watch(st.ID, fmt.Sprintf("?after=%d", after))
		if status == websocket.StatusNormalClosure || took <= streamPatience {
			wantNumbers(t, rest, after)
		}
	}
	return took
}

// streamPatience is the time that a write to one viewer may take: a run that waited for a viewer would take longer.
const streamPatience = 10 * time.Second

func TestFiveHundredViewers(t *testing.T) {
	if testing.Short() {
		t.Skip("500 connections")
	}
	g := newGate()
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, g.probe("mqtt.test"), many("tcp.test", 15, "mqtt.test")))
	st := s.start(plainRun)
	receive(t, g.entered)
	const viewers = 500
	var wg sync.WaitGroup
	var attached sync.WaitGroup
	attached.Add(viewers)
	for range viewers {
		wg.Go(func() {
			conn, _, err := s.dial("/api/v1/runs/" + st.ID + "/stream")
			attached.Done()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.CloseNow()
			frames, status := readFrames(t, conn)
			if status != websocket.StatusNormalClosure || len(frames) < 45 {
				t.Errorf("%d frames, status %d", len(frames), status)
				return
			}
			for i, f := range frames {
				if f.Seq != i+1 {
					t.Errorf("frame %d has number %d", i, f.Seq)
					return
				}
			}
		})
	}
	attached.Wait()
	close(g.leave)
	wg.Wait()
	await(t, "all viewers are gone", func() bool { return s.server.runs.viewers.Load() == 0 })
}

func TestStoppingTellsViewersAndKeepsFinishedSteps(t *testing.T) {
	g := newGate()
	c := testConfig(t)
	s := startServer(t, c, testEngine(guard.Laptop, passing("dns.test"), g.probe("mqtt.test", "dns.test")))
	st := s.start(plainRun)
	receive(t, g.entered)
	conn, _, err := s.dial("/api/v1/runs/" + st.ID + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	seen := make(chan []frame, 1)
	go func() {
		frames, _ := readFrames(t, conn)
		seen <- frames
	}()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	frames := receive(t, seen)
	wantNumbers(t, frames, 0)
	if end := frames[len(frames)-1].Report; end.State != diag.StateInterrupted {
		t.Errorf("%+v", end)
	}
	again := startServer(t, c, testEngine(guard.Laptop, passing("dns.test")))
	r := again.report(st.ID)
	if r.State != diag.StateInterrupted || len(r.Steps) != 2 || r.Steps[0].Status != "passed" || r.Steps[1].Status != "canceled" {
		t.Errorf("%+v", r)
	}
	kept, _ := again.watch(st.ID, "?after=2")
	wantNumbers(t, kept, 2)
}
