package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mqttdoctor/diag/diagtest"
)

// crewPatience is longer than the lease of a process and a few beats.
const crewPatience = 3 * time.Minute

// crew is three servers on one database, and a haproxy in front of them, set up as .deploy/haproxy.cfg says.
type crew struct {
	t        *testing.T
	postgres *diagtest.PostgresServer
	database string
	all      []*process
	front    *process // no process, but its address
}

func startCrew(t *testing.T, args ...string) *crew {
	t.Helper()
	haproxy := diagtest.Require(t, "haproxy")
	c := &crew{t: t, postgres: diagtest.Postgres(t)}
	c.database = c.postgres.Database(t)
	data, err := os.ReadFile("../../.deploy/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	port := diagtest.FreePort(t)
	config := strings.Replace(string(data), "bind :8443", fmt.Sprintf("bind 127.0.0.1:%d", port), 1)
	t.Setenv("MQTTDOCTOR_DATABASE_URL", c.database)
	for i := range 3 {
		p := serve(t, t.TempDir(), append([]string{"--demo=false", "--trusted-proxies", "127.0.0.1"}, args...)...)
		c.all = append(c.all, p)
		config = strings.Replace(config, fmt.Sprintf("10.0.0.%d:8080", i+1), strings.TrimPrefix(p.base, "http://"), 1)
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	cmd := exec.Command(haproxy, "-db", "-f", file)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	c.front = &process{t: t, base: fmt.Sprintf("http://127.0.0.1:%d", port), stderr: log}
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		t.Log(log)
		for _, p := range c.all {
			lines := slices.DeleteFunc(strings.Split(p.stderr.String(), "\n"), func(line string) bool { return strings.Contains(line, "msg=request ") })
			t.Log(strings.Join(lines[max(0, len(lines)-100):], "\n"))
		}
	})
	awaitCrew(t, "haproxy listens", func() bool {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return c
}

func awaitCrew(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(crewPatience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// seen is an event as a viewer gets it.
type seen struct {
	Seq    int
	Type   string
	Step   struct{ ID, Status string }
	Report struct{ State string }
}

// viewer watches a run as a page does: where it loses the connection it comes back and says what it has seen.
type viewer struct {
	events []seen
	breaks int
}

func (v *viewer) watch(ctx context.Context, base, id string, progress func(seen)) error {
	wait, before := 100*time.Millisecond, 0
	for {
		after := 0
		if len(v.events) > 0 {
			after = v.events[len(v.events)-1].Seq
		}
		conn, _, err := websocket.Dial(ctx, fmt.Sprintf("%s/api/v1/runs/%s/stream?after=%d", base, id, after), nil)
		for err == nil {
			var data []byte
			if _, data, err = conn.Read(ctx); err != nil {
				break
			}
			var e seen
			if err := json.Unmarshal(data, &e); err != nil {
				return err
			}
			if e.Seq != after+1 {
				return fmt.Errorf("event %d after event %d", e.Seq, after)
			}
			after = e.Seq
			v.events = append(v.events, e)
			progress(e)
		}
		if conn != nil {
			_ = conn.CloseNow()
		}
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("%w after event %d", ctx.Err(), after)
		case websocket.CloseStatus(err) == websocket.StatusNormalClosure:
			return nil
		}
		v.breaks++
		if time.Sleep(wait); after > before {
			before, wait = after, 100*time.Millisecond
		}
		wait = min(2*wait, 5*time.Second) // as pages do: hundreds that come back at once keep a machine busy
	}
}

func TestViewersOfARunOutliveItsProcess(t *testing.T) {
	c := startCrew(t)
	const viewers = 500
	id, _, shown := c.all[0].startHanging()
	ctx, cancel := context.WithTimeout(t.Context(), 2*crewPatience) // to catch up, and to see the end
	defer cancel()
	all := make([]viewer, viewers)
	var ready, done sync.WaitGroup
	errs := make(chan error, viewers)
	ready.Add(viewers)
	begun := time.Now()
	for i := range all {
		caughtUp := sync.OnceFunc(ready.Done)
		done.Go(func() {
			err := all[i].watch(ctx, c.front.base, id, func(e seen) {
				if e.Type == "step.started" && strings.HasPrefix(e.Step.ID, "mqtt.connect") {
					caughtUp()
				}
			})
			if err != nil {
				errs <- fmt.Errorf("viewer %d: %w", i, err)
			}
			caughtUp()
		})
	}
	ready.Wait()
	t.Logf("%d viewers caught up after %v", viewers, time.Since(begun).Round(time.Millisecond))
	if err := c.all[0].cmd.Process.Kill(); err != nil { // SIGKILL
		t.Fatal(err)
	}
	killed := time.Now()
	done.Wait()
	t.Logf("all of them saw the end %v after the process was killed", time.Since(killed).Round(time.Millisecond))
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	broken := 0
	for i, v := range all {
		if len(v.events) == 0 || v.events[len(v.events)-1].Report.State != "interrupted" {
			t.Fatalf("viewer %d was not told of the end", i)
		}
		if v.breaks > 0 {
			broken++
		}
		for _, e := range v.events {
			if e.Type == "step.finished" {
				shown = append(shown, e.Step.ID)
			}
		}
	}
	if broken == 0 {
		t.Error("no viewer was at the process that died")
	}
	for _, p := range c.all[1:] {
		p.wantInterrupted(id, shown)
	}
	c.front.wantInterrupted(id, shown)
	if ends := c.postgres.Query(t, c.database, `SELECT count(*) FROM events WHERE data LIKE '%run.finished%'`); ends != "1" {
		t.Errorf("the run has %s ends", ends)
	}
	for _, p := range c.all {
		if strings.Contains(p.stderr.String(), "CANARY") {
			t.Error("a secret is in the log")
		}
	}
}

func TestARunObeysEveryProcess(t *testing.T) {
	c := startCrew(t, "--max-runs", "3", "--max-runs-per-client", "3")
	one, two, three := c.all[0], c.all[1], c.all[2]
	state := func(p *process, id string) string {
		var r runReport
		if p.request("GET", "/api/v1/runs/"+id, "", &r) == http.StatusNotFound {
			return "none"
		}
		return r.State
	}
	canceled, _, _ := one.startHanging()
	erased, _, _ := one.startHanging()
	other, _, _ := two.startHanging()
	if s := state(three, canceled); s != "running" {
		t.Fatalf("a run of another process is %s", s)
	}
	// The limit is over all of them.
	body := `{"target":{"url":"mqtt://` + silentPeer(t) + `"},"plan":{"timeout_s":60}}`
	if status := three.request("POST", "/api/v1/runs", body, nil); status != http.StatusTooManyRequests {
		t.Errorf("a fourth run: status %d", status)
	}
	var answer struct{ State string }
	if status := three.request("POST", "/api/v1/runs/"+canceled+"/cancel", "", &answer); status != http.StatusAccepted || answer.State != "canceled" {
		t.Errorf("cancel: status %d, %+v", status, answer)
	}
	for _, p := range c.all {
		if s := state(p, canceled); s != "canceled" {
			t.Errorf("%s", s)
		}
	}
	// The password is in the memory of the first process, which the third asks.
	var again struct {
		ID          string
		DeleteToken string `json:"delete_token"`
	}
	if status := three.request("POST", "/api/v1/runs/"+canceled+"/rerun", "", &again); status != http.StatusAccepted {
		t.Fatalf("rerun: status %d\n%s", status, three.stderr)
	}
	if s := state(two, again.ID); s != "running" {
		t.Errorf("rerun: %s", s)
	}
	carriers := strings.Fields(c.postgres.Query(t, c.database, `SELECT DISTINCT process_id FROM runs WHERE id <> '`+other+`'`))
	if len(carriers) != 1 {
		t.Errorf("%d processes held the password", len(carriers))
	}
	// Deleted elsewhere while it runs: its process ends it.
	req, _ := http.NewRequestWithContext(t.Context(), "DELETE", two.base+"/api/v1/runs/"+again.ID, nil)
	req.Header.Set("Authorization", "Bearer "+again.DeleteToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		t.Errorf("delete: status %d", res.StatusCode)
	}
	awaitCrew(t, "the process ends the run that was deleted", func() bool {
		return slices.ContainsFunc(strings.Split(one.stderr.String(), "\n"), func(line string) bool {
			return strings.Contains(line, "run ended") && strings.Contains(line, again.ID[:8])
		})
	})
	for _, p := range c.all {
		if s := state(p, again.ID); s != "none" {
			t.Errorf("%s", s)
		}
	}
	if s := state(three, erased); s != "running" {
		t.Errorf("%s", s)
	}
	if found := c.postgres.Query(t, c.database, `SELECT data FROM orders`); strings.Contains(found, "CANARY") || strings.Contains(found, again.DeleteToken) {
		t.Error("a secret went through the database")
	}
}
