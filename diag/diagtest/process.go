package diagtest

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// process is a broker or other program that was started for a test, the leader of its own process group.
type process struct {
	name    string
	cmd     *exec.Cmd
	logPath string

	mu     sync.Mutex
	exited bool // and waited for: its id may be another's by now
}

// Run starts a program for a test, as the leader of its own process group, and ends the whole group with the test.
func Run(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	t.Cleanup(startProcess(t, filepath.Base(cmd.Path), t.TempDir(), nil, cmd).stop)
}

// startProcess starts cmd inside a namespace (nil: the test's own) as the leader of its own process group, with output
// into a log file in dir, and hands the group to the reaper. The caller stops it.
func startProcess(t testing.TB, name, dir string, in *Netns, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{name: name, cmd: cmd, logPath: filepath.Join(dir, name+".log")}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the child has its own copy
	cmd.Stdout, cmd.Stderr = log, log
	lead(cmd)
	if err := in.Start(cmd); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	reap("kill", fmt.Sprint(cmd.Process.Pid))
	return p
}

// stop ends the whole group: first asked to, after two seconds killed.
func (p *process) stop() {
	endGroup(p.cmd.Process.Pid, false)
	for deadline := time.Now().Add(2 * time.Second); p.alive() && time.Now().Before(deadline); {
		time.Sleep(2 * time.Millisecond)
	}
	// Also after an exit: a child of it may be left in the group.
	endGroup(p.cmd.Process.Pid, true)
	for p.alive() {
		time.Sleep(time.Millisecond)
	}
	_ = p.cmd.Wait() // it was waited for; this closes what the Cmd holds
	reap("spare", fmt.Sprint(p.cmd.Process.Pid))
}

// alive tells whether the process has not ended. It asks instead of leaving a goroutine to wait, which would outlive
// the tests for a process that they share, and be a leak to those who look for leaks.
func (p *process) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exited {
		return false
	}
	p.exited = hasEnded(p.cmd.Process.Pid)
	return !p.exited
}

// log is what the process has printed so far, its last 64 KiB.
func (p *process) log() string {
	data, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(data[max(0, len(data)-64<<10):]))
}

// reaperScript keeps a list of process groups and folders, and removes them when its standard input ends, which is
// when the test binary ends, be it by a panic, a time-out or SIGKILL, when no cleanup of Go's runs.
const reaperScript = `
kills=""; quits=""; dirs=""
while read -r what arg; do
	case $what in
	kill) kills="$kills $arg" ;;
	spare) kept=""; for k in $kills; do [ "$k" = "$arg" ] || kept="$kept $k"; done; kills=$kept ;;
	quit) quits="$quits $arg" ;;
	remove) dirs="$dirs $arg" ;;
	esac
done
for q in $quits; do kill -s QUIT "$q" 2>/dev/null && sleep 1; done
for k in $kills; do kill -s KILL -- "-$k" 2>/dev/null; done
for d in $dirs; do case $d in */diagtest-*) rm -rf -- "$d" ;; esac; done
`

var reaper struct {
	sync.Mutex
	in io.Writer
}

// reap tells the reaper of this test binary what to do at the end: kill a group, spare it again, first ask a
// process to quit, remove a folder.
func reap(what, arg string) {
	reaper.Lock()
	defer reaper.Unlock()
	if reaper.in == nil {
		read, write, err := os.Pipe()
		if err != nil {
			return // the tests' own cleanups remain
		}
		defer read.Close()
		cmd := exec.Command("/bin/sh", "-c", reaperScript)
		cmd.Stdin = read
		// Its own group, so that an interrupt at the terminal does not end it before it has done its work.
		lead(cmd)
		if err := cmd.Start(); err != nil {
			write.Close()
			return
		}
		reaper.in = write
	}
	fmt.Fprintln(reaper.in, what, arg)
}
