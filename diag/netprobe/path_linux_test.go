package netprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// serve listens in d on a port of both families and counts who is accepted.
func (c *chain) serve(port int) *atomic.Int32 {
	c.t.Helper()
	var l net.Listener
	var err error
	c.in("d", func() { l, err = net.Listen("tcp", ":"+strconv.Itoa(port)) })
	if err != nil {
		c.t.Fatal(err)
	}
	var accepted atomic.Int32
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			conn.Close()
		}
	}()
	c.t.Cleanup(func() { l.Close(); <-ended })
	return &accepted
}

// path writes a trace as one line: who answered at each distance, and how.
func path(hops []Hop, family int) string {
	names := map[netip.Addr]string{hopB[family]: "B", hopC[family]: "C", hopD[family]: "D"}
	line := ""
	for i, h := range hops {
		if h.TTL != i+1 {
			return fmt.Sprintf("hop %d has TTL %d", i, h.TTL)
		}
		who := names[h.Addr]
		if h.Addr.IsValid() && who == "" {
			who = h.Addr.String()
		}
		switch h.Kind {
		case HopSilent:
			who = "*"
		case HopTimeExceeded:
		case HopUnreachable:
			who += fmt.Sprintf(" icmp%d %d/%d", h.ICMPFamily, h.ICMPType, h.ICMPCode)
		default:
			who += " " + string(h.Kind)
		}
		line += who + ", "
	}
	return line[:max(0, len(line)-2)]
}

// The faults are those of the table in engineering.md (a), each on a port of its own, so that all run side by side.
var faults = []struct {
	name    string
	where   string   // the namespace of the rule; empty: none
	rule    []string // "PORT" stands for the port
	listens bool     // something listens in d
	trace   map[int]string
	last    string
	outcome Outcome
	errno   map[int]string
	icmp    map[int][2]int // type and code; nil: none
	from    string
}{
	{name: "open", listens: true, trace: both("B, C, D connected"), last: "D", outcome: OutcomeConnected},
	{name: "closed", trace: both("B, C, D reset"), last: "D", outcome: OutcomeRefusedRST, errno: both("ECONNREFUSED")},
	{name: "DROP in B's FORWARD", where: "b", rule: drop("FORWARD"), listens: true,
		trace: both("B, *, *, *, *"), last: "B", outcome: OutcomeTimeout},
	{name: "DROP in C's FORWARD", where: "c", rule: drop("FORWARD"), listens: true,
		trace: both("B, C, *, *, *"), last: "C", outcome: OutcomeTimeout},
	{name: "DROP in C's raw PREROUTING", where: "c", rule: append([]string{"-t", "raw"}, drop("PREROUTING")...), listens: true,
		trace: both("B, *, *, *, *"), last: "B", outcome: OutcomeTimeout},
	{name: "DROP in D's INPUT", where: "d", rule: drop("INPUT"), listens: true,
		trace: both("B, C, *, *, *"), last: "C", outcome: OutcomeTimeout},
	{name: "REJECT admin-prohibited at C", where: "c", rule: reject("FORWARD", "icmp-admin-prohibited"), listens: true,
		trace: map[int]string{4: "B, C, C icmp4 3/13", 6: "B, C, C icmp6 1/1"}, last: "C", outcome: OutcomeICMP,
		errno: map[int]string{4: "EHOSTUNREACH", 6: "EACCES"}, icmp: map[int][2]int{4: {3, 13}, 6: {1, 1}}, from: "C"},
	{name: "REJECT tcp-reset at C", where: "c", rule: reject("FORWARD", "tcp-reset"), listens: true,
		trace: both("B, C, D reset"), last: "D", outcome: OutcomeRefusedRST, errno: both("ECONNREFUSED")},
	{name: "REJECT port-unreach at D", where: "d", rule: reject("INPUT", "icmp-port-unreachable"), listens: true,
		trace: map[int]string{4: "B, C, D icmp4 3/3", 6: "B, C, D icmp6 1/4"}, last: "D", outcome: OutcomeICMP,
		errno: both("ECONNREFUSED"), icmp: map[int][2]int{4: {3, 3}, 6: {1, 4}}, from: "D"},
}

func both(s string) map[int]string { return map[int]string{4: s, 6: s} }

func drop(in string) []string {
	return []string{"-A", in, "-p", "tcp", "--dport", "PORT", "-j", "DROP"}
}

func reject(in, with string) []string {
	return []string{"-A", in, "-p", "tcp", "--dport", "PORT", "-j", "REJECT", "--reject-with", with}
}

func TestFaultsOnThePath(t *testing.T) {
	c := newChain(t)
	noDescriptorLeft(t)
	accepted := make([]*atomic.Int32, len(faults))
	for i, fault := range faults {
		port := 1000 + i
		if fault.listens {
			accepted[i] = c.serve(port)
		}
		if fault.where != "" {
			rule := slices.Clone(fault.rule)
			rule[slices.Index(rule, "PORT")] = strconv.Itoa(port)
			c.rule(fault.where, rule...)
		}
	}
	var all sync.WaitGroup
	for i, fault := range faults {
		for _, family := range []int{4, 6} {
			named := map[string]netip.Addr{"B": hopB[family], "C": hopC[family], "D": hopD[family]}
			target := netip.AddrPortFrom(hopD[family], uint16(1000+i))
			complain := func(format string, args ...any) {
				t.Errorf("%s, IPv%d: %s", fault.name, family, fmt.Sprintf(format, args...))
			}
			all.Go(func() {
				c.in("a", func() {
					hops, err := TraceTCP(t.Context(), target, 5)
					if got := path(hops, family); err != nil || got != fault.trace[family] {
						complain("trace %q, %v, want %q", got, err, fault.trace[family])
					}
					if h, ok := LastAnswering(hops); !ok || h.Addr != named[fault.last] {
						complain("last answering %+v, want %s", h, fault.last)
					}
					silent := false
					for _, h := range hops {
						if h.Kind == HopSilent {
							silent = true
							if h.Sent < 2 || h.RTT != 0 {
								complain("a silent hop that was not asked twice: %+v", h)
							}
						} else if h.Sent == 1 && h.RTT <= 0 {
							complain("no RTT: %+v", h)
						}
					}
					if silent != (fault.outcome == OutcomeTimeout) {
						complain("a silent hop: %v", silent)
					}
				})
			})
			all.Go(func() {
				c.in("a", func() {
					// Longer than the first repetition of the SYN.
					limit := time.Minute
					if fault.outcome == OutcomeTimeout {
						limit = 4 * time.Second
					}
					ctx, cancel := context.WithTimeout(t.Context(), limit)
					defer cancel()
					conn, r := ConnectTCP(ctx, target, ConnectOptions{})
					if (conn != nil) != (fault.outcome == OutcomeConnected) || r.Outcome != fault.outcome || r.Errno != fault.errno[family] {
						complain("connect %+v, want %s %s", r, fault.outcome, fault.errno[family])
					}
					if conn != nil {
						conn.Close()
					}
					if icmp, want := [2]int{r.ICMPType, r.ICMPCode}, fault.icmp[family]; icmp != want || r.Offender != named[fault.from] ||
						(r.ICMPFamily != 0) != (fault.icmp != nil) || r.ICMPFamily != 0 && r.ICMPFamily != family {
						complain("connect %+v, want ICMP %v from %s", r, want, fault.from)
					}
					if r.Outcome == OutcomeTimeout {
						if !errors.Is(r.Err, context.DeadlineExceeded) || r.SYNRetransmits < 1 || r.RTT < time.Second {
							complain("connect %+v", r)
						}
					} else if r.SYNRetransmits != 0 {
						complain("connect %+v", r)
					}
				})
			})
		}
	}
	all.Wait()
	// One connection of each family, made by ConnectTCP, and one each by a trace; those of the two distances to spare do not come
	// unless this machine sleeps over what was answered.
	if n := accepted[0].Load(); n < 2 || n > 8 {
		t.Errorf("the open port accepted %d connections, want 4, and 8 at most", n)
	}
}

// TestSilentHopGetsASecondChance: a router that limits its errors (icmp_ratelimit) still appears, thanks to the repeated SYN.
func TestSilentHopGetsASecondChance(t *testing.T) {
	c := newChain(t)
	c.sysctl("b", "net/ipv4/icmp_ratelimit", "1000")
	target := netip.AddrPortFrom(hopD[4], 1)
	repeated := false
	for range 8 { // two more than the router lets through at once
		c.in("a", func() {
			hops, err := TraceTCP(t.Context(), target, 5)
			if got, want := path(hops, 4), "B, C, D reset"; err != nil || got != want {
				t.Errorf("trace %q, %v, want %q", got, err, want)
				return
			}
			repeated = repeated || hops[0].Sent > 1
		})
	}
	if !repeated {
		t.Error("the router never limited itself, so this test tested nothing")
	}
}

func TestNobodyOnTheLinkAndNoRoute(t *testing.T) {
	c := newChain(t)
	c.ip("a", "route", "add", "unreachable", "192.0.2.1")
	c.ip("a", "route", "add", "prohibit", "192.0.2.2")
	c.rule("a", "-A", "OUTPUT", "-p", "tcp", "--dport", "7", "-j", "REJECT", "--reject-with", "icmp-admin-prohibited")
	c.ip("b", "route", "add", "unreachable", "192.0.2.3")
	own := map[int]netip.Addr{4: netip.MustParseAddr("10.77.1.1"), 6: netip.MustParseAddr("fd77:1::1")}
	tests := []struct {
		name, target string
		outcome      Outcome
		errno        string
		offender     netip.Addr
	}{
		{"no ARP answer", "10.77.1.99:1", OutcomeUnreachable, "EHOSTUNREACH", own[4]},
		{"no neighbour answer", "[fd77:1::99]:1", OutcomeUnreachable, "EHOSTUNREACH", own[6]},
		{"unreachable route here", "192.0.2.1:1", OutcomeUnreachable, "EHOSTUNREACH", netip.Addr{}},
		{"prohibiting route here", "192.0.2.2:1", OutcomeOther, "EACCES", netip.Addr{}},
		{"local firewall", "10.77.3.2:7", OutcomeUnreachable, "EHOSTUNREACH", own[4]},
		{"unreachable route at B", "192.0.2.3:1", OutcomeICMP, "EHOSTUNREACH", hopB[4]},
	}
	var all sync.WaitGroup
	for _, tt := range tests {
		all.Go(func() {
			c.in("a", func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				conn, r := ConnectTCP(ctx, netip.MustParseAddrPort(tt.target), ConnectOptions{})
				if conn != nil || r.Outcome != tt.outcome || r.Errno != tt.errno || r.Offender != tt.offender {
					t.Errorf("%s: %+v", tt.name, r)
				}
			})
		})
	}
	all.Wait()

	// A family without any route.
	c.ip("a", "-6", "route", "flush", "all")
	c.in("a", func() {
		target := netip.AddrPortFrom(hopD[6], 1)
		if _, r := ConnectTCP(t.Context(), target, ConnectOptions{}); r.Outcome != OutcomeUnreachable || r.Errno != "ENETUNREACH" || r.ICMPFamily != 0 {
			t.Errorf("no IPv6: %+v", r)
		}
		if hops, err := TraceTCP(t.Context(), target, 5); err == nil || hops != nil {
			t.Errorf("no IPv6: trace %v, %v", hops, err)
		}
	})
}

func TestCancelEndsAtOnce(t *testing.T) {
	c := newChain(t)
	noDescriptorLeft(t)
	c.rule("c", "-A", "FORWARD", "-p", "tcp", "-j", "DROP")
	target := netip.AddrPortFrom(hopD[4], 1)
	for _, probe := range map[string]func(context.Context){
		"connect": func(ctx context.Context) {
			if _, r := ConnectTCP(ctx, target, ConnectOptions{}); r.Outcome != OutcomeCanceled || !errors.Is(r.Err, context.Canceled) {
				t.Errorf("connect: %+v", r)
			}
		},
		"trace": func(ctx context.Context) {
			hops, err := TraceTCP(ctx, target, 5)
			if got, want := path(hops, 4), "B, C, *, *, *"; !errors.Is(err, context.Canceled) || got != want {
				t.Errorf("trace: %q, %v, want %q", got, err, want)
			}
		},
	} {
		c.in("a", func() {
			ctx, cancel := context.WithCancel(t.Context())
			timer := time.AfterFunc(time.Second, cancel)
			probe(ctx) // which says that it was canceled, and not that it came to its own end
			timer.Stop()
		})
	}
}

func TestEcho(t *testing.T) {
	c := newChain(t)
	noDescriptorLeft(t)
	c.sysctl("a", "net/ipv4/ping_group_range", "1 0")
	for _, family := range []int{4, 6} {
		c.in("a", func() {
			if _, err := Echo(t.Context(), hopD[family]); !errors.Is(err, ErrUnsupported) {
				t.Errorf("IPv%d without the right: %v", family, err)
			}
		})
	}
	c.sysctl("a", "net/ipv4/ping_group_range", "0 2147483647")
	for _, family := range []int{4, 6} {
		c.in("a", func() {
			if rtt, err := Echo(t.Context(), hopD[family]); err != nil || rtt <= 0 {
				t.Errorf("IPv%d: %s, %v", family, rtt, err)
			}
		})
	}
	c.rule("d", "-A", "INPUT", "-j", "DROP")
	for _, family := range []int{4, 6} {
		c.in("a", func() {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if _, err := Echo(ctx, hopD[family]); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("IPv%d, dropped: %v", family, err)
			}
		})
	}
}
