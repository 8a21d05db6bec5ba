package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mqttdoctor/diag/diagtest"
)

// way is one way to the broker.
type way struct {
	name string
	dial func(testing.TB) net.Conn
	pid  int // of the process in between; 0: none
}

func dialTCP(t testing.TB, address string) net.Conn {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// start runs a program until the end of the test and waits for its port.
func start(t testing.TB, address string, cmd *exec.Cmd) int {
	t.Helper()
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		done := make(chan struct{})
		go func() { _ = cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return cmd.Process.Pid
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %s", cmd.Path, log.String())
		}
	}
}

// mosquitto starts a broker that keeps up: the test helpers' own writes a line of log for each packet, and leaves Nagle's
// algorithm on, which makes windows of small messages wait for delayed acknowledgements.
func mosquitto(t testing.TB) (address string) {
	program := diagtest.Require(t, "mosquitto")
	port := diagtest.FreePort(t)
	config := filepath.Join(t.TempDir(), "mosquitto.conf")
	lines := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\nlog_type error\nuser root\n", port)
	if err := os.WriteFile(config, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	start(t, address, exec.Command(program, "-c", config))
	return address
}

// server is the program, built as it is.
type server struct {
	base string
	pid  int
}

func startServer(t testing.TB) *server {
	t.Helper()
	program := filepath.Join(t.TempDir(), "mqttdoctor")
	if out, err := exec.Command("go", "build", "-o", program, "mqttdoctor/cmd/mqttdoctor").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(diagtest.FreePort(t)))
	cmd := exec.Command(program, "serve", "--listen", address, "--data", t.TempDir(), "--open=false", "--demo=false", "--log-level", "warn",
		"--max-consoles", "64", "--max-consoles-per-client", "64", "--max-relays", "1024")
	return &server{base: "http://" + address, pid: start(t, address, cmd)}
}

type console struct {
	RelayURL string `json:"relay_url"`
	TraceURL string `json:"trace_url"`
}

func (s *server) console(t testing.TB, target string, trace bool) console {
	t.Helper()
	body := fmt.Sprintf(`{"target":{"url":%q},"trace":%t}`, target, trace)
	res, err := http.Post(s.base+"/api/v1/console", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, _ := io.ReadAll(res.Body)
	var c console
	if err := json.Unmarshal(data, &c); err != nil || c.RelayURL == "" {
		t.Fatalf("%v %s", err, data)
	}
	return c
}

// watch reads a console's trace, as a page that shows it.
func watch(t testing.TB, c console) {
	ws, _, err := websocket.Dial(context.Background(), c.TraceURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, _, err := ws.Read(context.Background()); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = ws.CloseNow(); <-done })
}

// websockify starts the usual relay for comparison; empty: it is not installed.
func websockify(t testing.TB, broker string) (address string, pid int) {
	program, err := exec.LookPath("websockify")
	if err != nil {
		t.Log("NOT COMPARED with websockify: it is not installed")
		return "", 0
	}
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(diagtest.FreePort(t)))
	return address, start(t, address, exec.Command(program, address, broker))
}

// ways are all ways to one broker; a watched trace has a viewer attached.
func ways(t testing.TB) []way {
	broker := mosquitto(t)
	s := startServer(t)
	relayed := func(name string, c console) way {
		return way{name, func(t testing.TB) net.Conn { return dialWS(t, c.RelayURL) }, s.pid}
	}
	watched := s.console(t, "mqtt://"+broker, true)
	watch(t, watched)
	all := []way{
		{"direct", func(t testing.TB) net.Conn { return dialTCP(t, broker) }, 0},
		relayed("relay", s.console(t, "mqtt://"+broker, false)),
		relayed("relay, traced", s.console(t, "mqtt://"+broker, true)),
		relayed("relay, traced and watched", watched),
	}
	if address, pid := websockify(t, broker); address != "" {
		all = append(all, way{"websockify", func(t testing.TB) net.Conn { return dialWS(t, "ws://"+address) }, pid})
	}
	return all
}

// open connects and subscribes to a topic of its own.
func (w way) open(t testing.TB, topic string) net.Conn {
	t.Helper()
	conn := w.dial(t)
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	id := []byte(topic)
	body := append([]byte{0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, byte(len(id))}, id...)
	send(t, conn, append([]byte{0x10, byte(len(body))}, body...))
	receive(t, conn, 4)
	body = append(append([]byte{0, 1, 0, byte(len(id))}, id...), 0)
	send(t, conn, append([]byte{0x82, byte(len(body))}, body...))
	receive(t, conn, 5)
	return conn
}

func send(t testing.TB, conn net.Conn, b []byte) {
	t.Helper()
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

func receive(t testing.TB, conn net.Conn, n int) {
	t.Helper()
	if _, err := io.ReadFull(conn, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
}

// message is a PUBLISH at QoS 0 of the topic, as it comes back too.
func message(topic string, payload int) []byte {
	body := append([]byte{0, byte(len(topic))}, topic...)
	body = append(body, bytes.Repeat([]byte("x"), payload)...)
	out := []byte{0x30}
	for rest := len(body); ; {
		digit := byte(rest & 0x7f)
		if rest >>= 7; rest == 0 {
			out = append(out, digit)
			break
		}
		out = append(out, digit|0x80)
	}
	return append(out, body...)
}

// echo sends windows of messages to itself for a time and returns how many came back in a second.
func (w way) echo(t testing.TB, payload, window int, for_ time.Duration) float64 {
	t.Helper()
	const topic = "bench"
	conn := w.open(t, topic)
	defer conn.Close()
	packet := message(topic, payload)
	in := make([]byte, 256<<10)
	begun, count := time.Now(), 0
	for time.Since(begun) < for_ {
		failed := make(chan error, 1)
		go func() {
			for range window {
				if _, err := conn.Write(packet); err != nil { // one message, one packet: as clients send
					failed <- err
					return
				}
			}
			failed <- nil
		}()
		for left := window * len(packet); left > 0; {
			n, err := conn.Read(in[:min(len(in), left)])
			if err != nil {
				t.Fatal(w.name, err)
			}
			left -= n
		}
		if err := <-failed; err != nil {
			t.Fatal(w.name, err)
		}
		count += window
	}
	return float64(count) / time.Since(begun).Seconds()
}

const rounds = 5

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// cpu is what a process has used of the processors, in seconds: it tells what limits a rate where a crowded machine's rates do not.
type cpu struct{ user, kernel float64 }

// cpuOf reads it (proc(5), /proc/pid/stat: fields 14 and 15, in hundredths of a second); the zero value where there is no process.
func cpuOf(t testing.TB, pid int) cpu {
	t.Helper()
	if pid == 0 {
		return cpu{}
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:])) // the name before it may hold anything
	user, _ := strconv.ParseFloat(fields[11], 64)
	kernel, _ := strconv.ParseFloat(fields[12], 64)
	return cpu{user / 100, kernel / 100}
}

// BenchmarkThroughput measures messages that a client gets back in a second, one connection, side by side in each round.
func BenchmarkThroughput(b *testing.B) {
	all := ways(b)
	for _, load := range []struct{ payload, window int }{{16, 200}, {1 << 10, 200}, {64 << 10, 16}} {
		b.Run(fmt.Sprintf("%dB", load.payload), func(b *testing.B) {
			got, user, kernel := map[string][]float64{}, map[string][]float64{}, map[string][]float64{}
			for range rounds {
				for _, w := range all {
					begun, before := time.Now(), cpuOf(b, w.pid)
					rate := w.echo(b, load.payload, load.window, 500*time.Millisecond)
					after, messages := cpuOf(b, w.pid), rate*time.Since(begun).Seconds()
					got[w.name] = append(got[w.name], rate)
					user[w.name] = append(user[w.name], (after.user-before.user)*1e6/messages)
					kernel[w.name] = append(kernel[w.name], (after.kernel-before.kernel)*1e6/messages)
				}
			}
			for _, w := range all {
				rate, percent := median(got[w.name]), 100*median(got[w.name])/median(got["direct"])
				b.Logf("%-26s %9.0f messages/s  %6.1f MB/s  %4.0f %% of direct  (%.0f to %.0f)", w.name, rate,
					rate*float64(load.payload)/1e6, percent, slices.Min(got[w.name]), slices.Max(got[w.name]))
				if user[w.name][0]+kernel[w.name][0] > 0 { // websockify's processes have ended by then
					b.Logf("%-26s %5.1f us of its own and %5.1f us of the kernel for each message there and back", "", median(user[w.name]), median(kernel[w.name]))
				}
			}
			b.ReportMetric(100*median(got["relay"])/median(got["direct"]), "%-of-direct")
			b.ReportMetric(100*median(got["relay, traced and watched"])/median(got["direct"]), "%-of-direct-traced")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkLatency measures how long one message takes to come back, on an idle connection.
func BenchmarkLatency(b *testing.B) {
	all := ways(b)
	const topic, payload, samples = "bench", 64, 4000
	p50, p99 := map[string][]float64{}, map[string][]float64{}
	for range rounds {
		for _, w := range all {
			conn := w.open(b, topic)
			packet := message(topic, payload)
			in := make([]byte, len(packet))
			times := make([]float64, 0, samples)
			for i := range samples + samples/4 {
				begun := time.Now()
				if _, err := conn.Write(packet); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(conn, in); err != nil {
					b.Fatal(err)
				}
				if i >= samples/4 { // the first ones warm up
					times = append(times, float64(time.Since(begun).Nanoseconds())/1000)
				}
			}
			conn.Close()
			slices.Sort(times)
			p50[w.name] = append(p50[w.name], times[len(times)/2])
			p99[w.name] = append(p99[w.name], times[len(times)*99/100])
		}
	}
	for _, w := range all {
		b.Logf("%-26s p50 %5.1f us (+%.1f)  p99 %6.1f us (+%.1f)", w.name, median(p50[w.name]), median(p50[w.name])-median(p50["direct"]),
			median(p99[w.name]), median(p99[w.name])-median(p99["direct"]))
	}
	b.ReportMetric(median(p50["relay"])-median(p50["direct"]), "us-added-p50")
	b.ReportMetric(median(p99["relay"])-median(p99["direct"]), "us-added-p99")
	b.ReportMetric(0, "ns/op")
}

// memoryOf is the proportional memory of a process and its children, in bytes.
func memoryOf(t testing.TB, pid int) float64 {
	t.Helper()
	total := 0.0
	for _, p := range append([]int{pid}, childrenOf(pid)...) {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(data)) {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
				kb, _ := strconv.ParseFloat(fields[1], 64)
				total += kb * 1024
			}
		}
	}
	return total
}

func childrenOf(pid int) (all []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		data, _ := os.ReadFile(list)
		for field := range strings.FieldsSeq(string(data)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(append(all, child), childrenOf(child)...)
			}
		}
	}
	return all
}

// BenchmarkIdleMemory measures what each of 1,000 connections takes that are connected, subscribed and quiet: in the relay's
// process, without the kernel's socket buffers.
func BenchmarkIdleMemory(b *testing.B) {
	broker := mosquitto(b)
	s := startServer(b)
	for _, traced := range []bool{false, true} {
		const connections, perConsole = 1000, 32
		before := memoryOf(b, s.pid)
		var open []net.Conn
		var c console
		for i := range connections {
			if i%perConsole == 0 {
				c = s.console(b, "mqtt://"+broker, traced)
			}
			open = append(open, way{dial: func(t testing.TB) net.Conn { return dialWS(t, c.RelayURL) }}.open(b, fmt.Sprintf("idle%d", i)))
		}
		time.Sleep(3 * time.Second)
		each := (memoryOf(b, s.pid) - before) / connections / 1000
		b.Logf("traced %t: %d connections, %.1f KB each", traced, len(open), each)
		b.ReportMetric(each, fmt.Sprintf("KB/connection-traced-%t", traced))
		for _, conn := range open {
			_ = conn.Close()
		}
		time.Sleep(3 * time.Second) // the limit on connections counts those that end
		if traced {
			break
		}
		s = startServer(b) // memory that was used once is not given back at once
	}
	b.ReportMetric(0, "ns/op")
	if address, pid := websockify(b, broker); address != "" {
		const connections = 200 // it ends at about 507
		before := memoryOf(b, pid)
		w := way{dial: func(t testing.TB) net.Conn { return dialWS(t, "ws://"+address) }}
		for i := range connections {
			conn := w.open(b, fmt.Sprintf("idle%d", i))
			defer conn.Close()
		}
		time.Sleep(time.Second)
		b.Logf("websockify: %d connections, %.0f KB each", connections, (memoryOf(b, pid)-before)/connections/1000)
	}
}
