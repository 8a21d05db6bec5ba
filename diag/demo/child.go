package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"
)

const (
	// startLimit is how long a process may take to say that it is ready. It takes 20 ms; this is for a machine that is
	// busy with something else.
	startLimit = 30 * time.Second
	// stopLimit is how long it may take to end after its standard input did, before it is killed.
	stopLimit = 2 * time.Second
	// The wait before a process that died is started anew begins with the first and doubles up to the second; one that
	// ran for a minute begins anew. Who is waiting for the broker notices nothing of a single death.
	firstBackOff, lastBackOff = 100 * time.Millisecond, 10 * time.Second
)

// Child runs the demo broker as a process of its own, from the first [Child.Info] to [Child.Close]. Its methods may be
// called from several goroutines.
type Child struct {
	program string
	args    []string

	mu      sync.Mutex
	begun   bool
	closed  bool
	info    Info          // of the process that runs; Ready is false while none does
	failure error         // of the last attempt to start it, nil after success
	changed chan struct{} // closed and replaced at every change of the two above
	stop    chan struct{} // closed by Close
	done    chan struct{} // closed when nothing runs any more
}

// NewChild prepares a child that runs the program at execPath, normally mqttdoctor itself, with the arguments "demo" and
// "--parent-stdin" or, where any are given, with args. Nothing is started yet.
func NewChild(execPath string, args ...string) *Child {
	if args == nil {
		args = []string{"demo", "--parent-stdin"}
	}
	return &Child{program: execPath, args: args, changed: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
}

// ErrClosed is what [Child.Info] returns after [Child.Close].
var ErrClosed = errors.New("the demo broker is closed")

// Info tells where the demo broker listens. The first call starts it. It waits while the broker starts, but not for a
// further attempt after one that failed: then the error tells why. Other errors are [ErrClosed] and ctx's own.
func (c *Child) Info(ctx context.Context) (Info, error) {
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return Info{}, ErrClosed
		}
		if !c.begun {
			c.begun = true
			go c.supervise()
		}
		info, failure, changed := c.info, c.failure, c.changed
		c.mu.Unlock()
		if info.Ready {
			return info, nil
		}
		if failure != nil {
			return Info{}, failure
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Info{}, ctx.Err()
		}
	}
}

// Close ends the broker and waits for its process. The child cannot be used again.
func (c *Child) Close() error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	if first {
		close(c.stop)
		c.announceLocked(Info{}, nil)
		if !c.begun {
			close(c.done)
		}
	}
	c.mu.Unlock()
	<-c.done
	return nil
}

func (c *Child) announceLocked(info Info, failure error) {
	c.info, c.failure = info, failure
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Child) announce(info Info, failure error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.announceLocked(info, failure)
	}
}

// supervise keeps one process running until Close.
func (c *Child) supervise() {
	defer close(c.done)
	var options Options
	authority, err := NewAuthority()
	if err != nil {
		c.announce(Info{}, err)
		<-c.stop
		return
	}
	options.Authority = authority
	for backOff := firstBackOff; ; backOff = min(2*backOff, lastBackOff) {
		started := time.Now()
		failure := c.runOnce(&options)
		if time.Since(started) > time.Minute {
			backOff = firstBackOff
		}
		c.announce(Info{}, failure)
		select {
		case <-c.stop:
			return
		case <-time.After(backOff):
		}
		if failure != nil {
			c.announce(Info{}, nil) // who asks from now on waits for the attempt that begins
		}
	}
}

// runOnce starts a process and waits for its end, or ends it when the child is closed. Its error tells why there never
// was a broker; a broker that dies later is none. It notes the ports, as wishes for the next process.
func (c *Child) runOnce(options *Options) error {
	cmd := exec.Command(c.program, c.args...)
	var said complaint
	cmd.Stderr = &said
	cmd.WaitDelay = stopLimit
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the demo broker: %w", err)
	}
	ready := make(chan Info, 1)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(ready)
		var info Info
		line, err := bufio.NewReader(io.LimitReader(stdout, 1<<20)).ReadBytes('\n')
		if err == nil && json.Unmarshal(line, &info) == nil && info.Ready {
			ready <- info
		}
		io.Copy(io.Discard, stdout) // until it ends, so that it cannot block on a full pipe
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		reading.Wait() // before Wait, which closes the pipe that is read
		_ = cmd.Wait()
	}()
	end := func() {
		stdin.Close()
		select {
		case <-ended:
		case <-time.After(stopLimit):
			_ = cmd.Process.Kill()
			<-ended
		}
	}
	// A write to a process that has died at once fails; that it died is seen below.
	_ = json.NewEncoder(stdin).Encode(options)
	select {
	case info, ok := <-ready:
		if !ok {
			end()
			return fmt.Errorf("the demo broker did not start: %s", said.String())
		}
		options.Ports = info.Ports
		c.announce(info, nil)
	case <-time.After(startLimit):
		_ = cmd.Process.Kill()
		end()
		return fmt.Errorf("the demo broker was not ready within %v", startLimit)
	case <-c.stop:
		end()
		return nil
	}
	select {
	case <-ended:
		stdin.Close()
	case <-c.stop:
		end()
	}
	return nil
}

// complaint keeps the first 4 KiB that a process complains: a Go program that panics says why at the beginning.
type complaint struct {
	mu   sync.Mutex
	kept bytes.Buffer
}

func (c *complaint) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept.Write(p[:min(len(p), 4096-c.kept.Len())])
	return len(p), nil
}

func (c *complaint) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept.Len() == 0 {
		return "it said nothing"
	}
	return string(bytes.TrimSpace(c.kept.Bytes()))
}
