package diagtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Netns is a network namespace made for a test. The nil *Netns is the one that the test runs in.
type Netns struct {
	// IPv4 and IPv6 are its addresses on the path to the other namespace.
	IPv4, IPv6 string

	fd int
}

var netnsUsable = sync.OnceValue(func() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("needs root; this is uid %d", os.Geteuid())
	}
	ns, err := newNetns()
	if err != nil {
		return err
	}
	defer unix.Close(ns.fd)
	tun, err := ns.openTUN("probe0")
	if err != nil {
		return err
	}
	return tun.Close()
})

// RequireNetns skips the test, or fails it as [Require] does, where network namespaces and TUN devices cannot be made.
func RequireNetns(t testing.TB) {
	t.Helper()
	if err := netnsUsable(); err != nil {
		Missing(t, "needs network namespaces and TUN devices: %v", err)
	}
	Require(t, "ip")
}

// newNetns makes a namespace that lives as long as its descriptor is open or anything runs in it.
func newNetns() (*Netns, error) {
	ns, result := &Netns{fd: -1}, make(chan error)
	go func() {
		// Never unlocked: the thread has left the process's namespace for good, so the runtime must end it.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("unshare: %w", err)
			return
		}
		fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		ns.fd = fd
		result <- err
	}()
	if err := <-result; err != nil {
		return nil, err
	}
	return ns, nil
}

// Do runs f with the calling goroutine's thread inside the namespace. What f opens on this goroutine belongs to it for
// good: listeners with what they accept, and connections dialled to an IP address. Goroutines that f starts run
// outside, and a dial to a name may use them: for whole programs there are [Netns.Start] and [Netns.Rerun].
func (n *Netns) Do(f func() error) error {
	if n == nil {
		return f()
	}
	runtime.LockOSThread()
	outside, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Setns(n.fd, unix.CLONE_NEWNET)
	}
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering the namespace: %w", err)
	}
	defer func() {
		// A thread that cannot get back stays locked, and ends with its goroutine.
		if unix.Setns(outside, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		unix.Close(outside)
	}()
	return f()
}

// Start starts cmd inside the namespace.
func (n *Netns) Start(cmd *exec.Cmd) error { return n.Do(cmd.Start) }

// Run runs a program inside the namespace to its end and returns what it printed. It fails the test if the program fails.
func (n *Netns) Run(t testing.TB, program string, args ...string) string {
	t.Helper()
	var out strings.Builder
	cmd := exec.Command(Require(t, program), args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := n.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out.String())
	}
	return out.String()
}

// Filter drops what comes into the namespace for a TCP port, so that a connection attempt gets no answer at all.
func (n *Netns) Filter(t testing.TB, port int) {
	t.Helper()
	n.rule(t, port, "DROP")
}

// Reject answers what comes into the namespace for a TCP port with an ICMP error, by iptables' name for it such as
// "icmp-host-prohibited", or "tcp-reset". IPv4 only.
func (n *Netns) Reject(t testing.TB, port int, with string) {
	t.Helper()
	n.Run(t, "iptables", "-A", "INPUT", "-p", "tcp", "--dport", strconv.Itoa(port), "-j", "REJECT", "--reject-with", with)
}

func (n *Netns) rule(t testing.TB, port int, verdict string) {
	t.Helper()
	for _, program := range []string{"iptables", "ip6tables"} {
		n.Run(t, program, "-A", "INPUT", "-p", "tcp", "--dport", strconv.Itoa(port), "-j", verdict)
	}
}

// rerunVar tells a test binary that it is the inner one of [Netns.Rerun].
const rerunVar = "MQTTDOCTOR_TEST_RERUN"

// InRerun tells whether this process was started by [Netns.Rerun].
func InRerun() bool { return os.Getenv(rerunVar) != "" }

// Rerun runs the calling test again, alone, in a process that lives in the namespace with all its threads, and returns
// what it printed. The test asks [InRerun] at its start which of the two it is; env ("NAME=value") is how the outer one
// tells the inner one addresses. The outer test fails when the inner one does.
func (n *Netns) Rerun(t testing.TB, env ...string) string {
	t.Helper()
	if InRerun() {
		t.Fatal("a test asked to be run again inside its second run")
	}
	// Each level of a subtest's name is a pattern of its own.
	pattern := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	args := []string{"-test.run", pattern, "-test.v", "-test.count=1"}
	if _, isBenchmark := t.(*testing.B); isBenchmark {
		args = []string{"-test.run", "^$", "-test.bench", pattern, "-test.count=1"}
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(append(os.Environ(), rerunVar+"=1"), env...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := n.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the run inside the namespace: %v\n%s", err, out.String())
	}
	if strings.Contains(out.String(), "no tests to run") {
		t.Fatalf("the run inside the namespace found no test %s", pattern)
	}
	return out.String()
}

// openTUN makes a TUN device in the namespace. Reading the file gives the IP packets that leave through the device,
// writing delivers one (Linux Documentation/networking/tuntap.rst).
func (n *Netns) openTUN(name string) (*os.File, error) {
	var file *os.File
	err := n.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("/dev/net/tun: %w", err)
		}
		request, err := unix.NewIfreq(name)
		if err == nil {
			request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		}
		if err != nil {
			unix.Close(fd)
			return errors.Join(errors.New("making a TUN device"), err)
		}
		file = os.NewFile(uintptr(fd), name)
		return nil
	})
	return file, err
}
