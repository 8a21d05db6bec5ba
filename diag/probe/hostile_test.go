package probe

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/rule"
)

// hostileRun diagnoses a peer with a short time-out and returns the report and how long the run took.
func hostileRun(t testing.TB, url string) (diag.Report, time.Duration) {
	t.Helper()
	target, err := diag.ParseTarget(diag.TargetInput{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	second := 1.0
	opts, err := diag.ParsePlan(diag.PlanInput{TimeoutS: &second}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var dialer net.Dialer
	begun := time.Now()
	report := (&diag.Runner{Rules: rule.All}).Run(t.Context(), diag.MakePlan(target, opts, StandIns()),
		diag.Env{Dial: dialer.DialContext, RunID: "hostile"}, diag.Report{}, func(diag.Event) {})
	return report, time.Since(begun)
}

// frames is a WebSocket server that upgrades and then sends what it likes.
func frames(first ...byte) diagtest.Handler {
	return func(conn net.Conn) {
		head := make([]byte, 4096)
		n, _ := conn.Read(head)
		key := ""
		for _, line := range strings.Split(string(head[:n]), "\r\n") {
			if name, value, ok := strings.Cut(line, ": "); ok && strings.EqualFold(name, "Sec-WebSocket-Key") {
				key = value
			}
		}
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: %s\r\n\r\n", acceptKey(key))
		_, _ = conn.Write(first)
		for err := error(nil); err == nil; _, err = conn.Write(head) {
		}
	}
}

// hostile are peers that want our memory or our time.
func hostile(t testing.TB) map[string]string {
	bomb := func(conn net.Conn) { // headers without end, as fast as they are taken
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n")
		line := "X-Bomb: " + strings.Repeat("x", 1000) + "\r\n"
		for err := error(nil); err == nil; _, err = io.WriteString(conn, line) {
		}
	}
	chunk := strings.Repeat("x", 16<<10)
	endlessBody := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		for err := error(nil); err == nil; _, err = io.WriteString(w, chunk) {
		}
	}
	never := func(conn net.Conn) { // a status line, and headers a byte at a time
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n")
		for err := error(nil); err == nil; _, err = io.WriteString(conn, "x") {
			time.Sleep(100 * time.Millisecond)
		}
	}
	peer := func(h diagtest.Handler) *diagtest.PeerServer { return diagtest.Peer(t, h) }
	drip := diagtest.Drip(300*time.Millisecond, 0x20, 0x09, 0x00, 0x00, 0x06, 0x22, 0x00, 0x0a, 0x21, 0x00, 0x14)
	return map[string]string{
		"endless zeros":              peer(diagtest.Endless(0)).URL("mqtt"),
		"endless CONNACK":            peer(diagtest.Endless(0x20, 0x02, 0x00, 0x00)).URL("mqtt"),
		"endless text":               peer(diagtest.Endless([]byte("220 hello\r\n")...)).URL("mqtt"),
		"endless to TLS":             peer(diagtest.Endless(0x16, 0x03, 0x03, 0x40, 0x00)).URL("mqtts"),
		"a byte at a time":           peer(drip).URL("mqtt"),
		"a byte at a time, TLS":      peer(diagtest.Drip(300*time.Millisecond, 0x16, 0x03, 0x03, 0x40, 0x00, 0x02)).URL("mqtts"),
		"256 MB declared in CONNACK": peer(diagtest.HugeConnack).URL("mqtt"),
		"256 MB declared in PUBLISH": peer(diagtest.HugePublish).URL("mqtt"),
		"bad length":                 peer(diagtest.BadLength).URL("mqtt"),
		"half a CONNACK":             peer(diagtest.HalfConnack).URL("mqtt"),
		"invalid UTF-8":              peer(diagtest.Answer(0x20, 0x09, 0x00, 0x87, 0x06, 0x1f, 0x00, 0x03, 0xff, 0xfe, 0xfd)).URL("mqtt"),
		"header bomb":                peer(bomb).URL("ws", "/mqtt"),
		"endless body":               diagtest.HTTPPeer(t, http.HandlerFunc(endlessBody)).URL("ws", "/mqtt"),
		"headers that never end":     peer(never).URL("ws", "/mqtt"),
		"a frame that never ends":    peer(frames(0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)).URL("ws", "/mqtt"),
		"continuation without end":   peer(frames(0x02, 126, 0xff, 0xff)).URL("ws", "/mqtt"),
	}
}

func TestHostilePeersCostLittleTimeAndMemory(t *testing.T) {
	peers := hostile(t)
	var before, peak runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	stop, watched := make(chan struct{}), make(chan struct{})
	var most uint64
	go func() {
		defer close(watched)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				runtime.ReadMemStats(&peak)
				most = max(most, peak.HeapAlloc)
			}
		}
	}()
	var runs sync.WaitGroup
	for name, url := range peers {
		for range 2 { // more than 20 at once
			runs.Go(func() {
				report, took := hostileRun(t, url)
				// One time-out of a second for the asked path and one for what narrows it down, a second for each further
				// round of variations, and much slack for a busy machine: the point is that there is an end.
				if took > 2*time.Minute {
					t.Errorf("%s: the run took %v", name, took)
				}
				if report.State != diag.StateFinished || report.Verdict == diag.OverallHealthy {
					t.Errorf("%s: %s, %s", name, report.State, report.Verdict)
				}
			})
		}
	}
	runs.Wait()
	close(stop)
	<-watched
	if most > before.HeapAlloc && most-before.HeapAlloc > 64<<20 {
		t.Errorf("%d runs at once took %d MB", 2*len(peers), (most-before.HeapAlloc)>>20)
	}
	t.Logf("%d runs at once, %d MB above idle", 2*len(peers), (most-min(most, before.HeapAlloc))>>20)
}
