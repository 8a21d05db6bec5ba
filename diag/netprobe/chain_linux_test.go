package netprobe

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// chain is four network namespaces in a row: the prober a, the routers b and c, the target d.
type chain struct {
	t    testing.TB
	name map[string]string // of each namespace, as ip(8) knows it
}

// The addresses on the way, as a trace from a sees them.
var (
	hopB = map[int]netip.Addr{4: netip.MustParseAddr("10.77.1.2"), 6: netip.MustParseAddr("fd77:1::2")}
	hopC = map[int]netip.Addr{4: netip.MustParseAddr("10.77.2.2"), 6: netip.MustParseAddr("fd77:2::2")}
	hopD = map[int]netip.Addr{4: netip.MustParseAddr("10.77.3.2"), 6: netip.MustParseAddr("fd77:3::2")}
)

// newChain builds the chain and takes it down when the test ends. Routers answer without a limit.
func newChain(t testing.TB) *chain {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "needs root for network namespaces; this is uid %d", os.Geteuid())
	}
	for _, program := range []string{"ip", "iptables", "ip6tables"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, "needs %s: %v", program, err)
		}
	}
	id := make([]byte, 4)
	_, _ = rand.Read(id)
	c := &chain{t: t, name: map[string]string{}}
	for _, n := range []string{"a", "b", "c", "d"} {
		// Process ids repeat from container to container, and /run/netns may be shared.
		c.name[n] = fmt.Sprintf("mqd-%d-%s-%s", os.Getpid(), hex.EncodeToString(id), n)
		if out, err := exec.Command("ip", "netns", "add", c.name[n]).CombinedOutput(); err != nil {
			missing(t, "needs network namespaces: %v: %s", err, out)
		}
		t.Cleanup(func() {
			if out, err := exec.Command("ip", "netns", "del", c.name[n]).CombinedOutput(); err != nil {
				t.Errorf("removing a namespace: %v: %s", err, out)
			}
		})
	}
	for n := range c.name {
		// Before there are links: for its first second or two, an address that is checked for duplicates cannot be used.
		c.sysctl(n, "net/ipv6/conf/default/dad_transmits", "0")
	}
	for i, pair := range [][2]string{{"a", "b"}, {"b", "c"}, {"c", "d"}} {
		left, right, link := pair[0], pair[1], i+1
		c.ip(left, "link", "add", "right", "type", "veth", "peer", "name", "left", "netns", c.name[right])
		for end, n := range map[string]string{"right": left, "left": right} {
			last := map[string]int{"right": 1, "left": 2}[end]
			c.ip(n, "addr", "add", fmt.Sprintf("10.77.%d.%d/24", link, last), "dev", end)
			c.ip(n, "addr", "add", fmt.Sprintf("fd77:%d::%d/64", link, last), "dev", end, "nodad")
			c.ip(n, "link", "set", end, "up")
		}
	}
	for n := range c.name {
		c.ip(n, "link", "set", "lo", "up")
		c.sysctl(n, "net/ipv4/ip_forward", "1")
		c.sysctl(n, "net/ipv6/conf/all/forwarding", "1")
		c.sysctl(n, "net/ipv4/icmp_ratelimit", "0")
		c.sysctl(n, "net/ipv6/icmp/ratelimit", "0")
	}
	for _, v := range []struct{ flag, prefix, sep string }{{"-4", "10.77.", "."}, {"-6", "fd77:", "::"}} {
		c.ip("a", v.flag, "route", "add", "default", "via", v.prefix+"1"+v.sep+"2")
		c.ip("b", v.flag, "route", "add", "default", "via", v.prefix+"2"+v.sep+"2")
		c.ip("c", v.flag, "route", "add", "default", "via", v.prefix+"2"+v.sep+"1")
		c.ip("d", v.flag, "route", "add", "default", "via", v.prefix+"3"+v.sep+"1")
	}
	c.warmUp()
	return c
}

// warmUp returns when packets pass in both families: the kernel looks at links that came up once a second only, and until
// then neighbours do not find each other.
func (c *chain) warmUp() {
	c.t.Helper()
	for _, family := range []int{4, 6} {
		passed := false
		for end := time.Now().Add(time.Minute); !passed && time.Now().Before(end); {
			c.in("a", func() {
				ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
				defer cancel()
				_, r := ConnectTCP(ctx, netip.AddrPortFrom(hopD[family], 1), ConnectOptions{})
				passed = r.Outcome == OutcomeRefusedRST
			})
		}
		if !passed {
			missing(c.t, "needs IPv%d between network namespaces", family)
		}
	}
}

func (c *chain) ip(namespace string, args ...string) {
	c.t.Helper()
	c.run("ip", append([]string{"-n", c.name[namespace]}, args...)...)
}

// rule adds a packet filter rule for both families. "REJECT" stands before what to reject with, in iptables' names.
func (c *chain) rule(namespace string, args ...string) {
	c.t.Helper()
	for _, program := range []string{"iptables", "ip6tables"} {
		own := append([]string{"netns", "exec", c.name[namespace], program, "-w"}, args...)
		if program == "ip6tables" {
			for i, arg := range own {
				own[i] = map[string]string{"icmp-admin-prohibited": "icmp6-adm-prohibited", "icmp-port-unreachable": "icmp6-port-unreachable"}[arg]
				if own[i] == "" {
					own[i] = arg
				}
			}
		}
		c.run("ip", own...)
	}
}

func (c *chain) run(program string, args ...string) {
	c.t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		c.t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
}

func (c *chain) sysctl(namespace, name, value string) {
	c.t.Helper()
	var err error
	c.in(namespace, func() { err = os.WriteFile("/proc/sys/"+name, []byte(value), 0) })
	if err != nil {
		c.t.Fatal(err)
	}
}

// in runs f inside a namespace. f runs on a goroutine of its own and must not end the test.
func (c *chain) in(namespace string, f func()) {
	c.t.Helper()
	result := make(chan error)
	go func() {
		// Never unlocked: the thread stays in the namespace, so the runtime must end it with the goroutine.
		runtime.LockOSThread()
		fd, err := unix.Open("/run/netns/"+c.name[namespace], unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = errors.Join(unix.Setns(fd, unix.CLONE_NEWNET), unix.Close(fd))
		}
		if err == nil {
			f()
		}
		result <- err
	}()
	if err := <-result; err != nil {
		c.t.Fatalf("entering %s: %v", c.name[namespace], err)
	}
}
