package netprobe

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mqttdoctor/diag/diagtest"
)

// TestTraceSparesAnOpenPort: with a round trip far longer than the gap, the SYNs of all distances are on their way before the
// first answer; the listener must not see a connection for each.
func TestTraceSparesAnOpenPort(t *testing.T) {
	path := diagtest.LatencyPath(t, 50*time.Millisecond)
	var accepted atomic.Int32
	target := listenRight(t, path, func(c net.Conn) { accepted.Add(1) })
	// One, and more where this machine slept over a gap: what it does when it is awake is seen in the end.
	var seen []int32
	for range 20 {
		accepted.Store(0)
		var hops []Hop
		err := path.Left.Do(func() (err error) {
			hops, err = TraceTCP(t.Context(), target, 30)
			return err
		})
		if err != nil || len(hops) != 1 || hops[0].Kind != HopConnected {
			t.Fatalf("%+v, %v", hops, err)
		}
		if rtt := hops[0].RTT; rtt < 100*time.Millisecond && rtt != 0 {
			t.Errorf("RTT %s", rtt)
		}
		time.Sleep(300 * time.Millisecond) // what else is on its way
		n := accepted.Load()
		if n == 1 || n == 2 {
			return
		}
		seen = append(seen, n)
	}
	t.Errorf("the listener accepted %d connections", seen)
}

// TestTCPInfoInABlackHole is the table of engineering.md (c): what the kernel shows where large packets vanish, and that a
// small segment size gets through.
func TestTCPInfoInABlackHole(t *testing.T) {
	tests := []struct {
		name                string
		fromLeft, fromRight bool
		maxSegment          int
		seen                func(Info) bool
		through             bool
	}{
		{"healthy", false, false, 0, func(i Info) bool {
			return i.Retransmits == 0 && i.RcvOutOfOrder == 0 && i.BytesReceived == 3000 && i.BytesAcked == 3001 && i.Unacked == 0
		}, true},
		{"server to client", false, true, 0, func(i Info) bool {
			return i.BytesReceived == 0 && i.DataSegsIn >= 1 && i.RcvOutOfOrder >= 1 && i.BytesAcked == 3001
		}, false},
		{"client to server", true, false, 0, func(i Info) bool {
			return i.Retransmits >= 1 && i.Unacked >= 1 && i.BytesAcked == 1 && i.PMTU == 1500
		}, false},
		{"server to client, small segments", false, true, 1100, func(i Info) bool {
			return i.BytesReceived == 3000 && i.SndMSS <= 1100
		}, true},
		{"client to server, small segments", true, false, 1100, func(i Info) bool {
			return i.BytesReceived == 3000 && i.SndMSS <= 1100
		}, true},
	}
	for _, tt := range tests {
		// A machine that sleeps repeats segments of which none was lost: what it does when it is awake is seen in the end.
		try := func(t *testing.T) (problems []string) {
			complain := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
			path := diagtest.LatencyPath(t, 10*time.Millisecond)
			target := listenRight(t, path, func(c net.Conn) {
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				if tt.fromLeft {
					// An answer needs the request first, or it would not show which direction is broken.
					_, _ = io.ReadFull(c, make([]byte, 3000))
				}
				_, _ = c.Write(make([]byte, 3000))
				_, _ = io.Copy(io.Discard, c)
			})
			if tt.fromLeft || tt.fromRight {
				path.LimitSize(1300, tt.fromLeft, tt.fromRight)
			}
			var conn net.Conn
			var r ConnectResult
			_ = path.Left.Do(func() error {
				conn, r = ConnectTCP(t.Context(), target, ConnectOptions{MaxSegment: tt.maxSegment})
				return nil
			})
			if conn == nil {
				t.Fatalf("%+v", r)
			}
			defer conn.Close()
			if r.RTT < 20*time.Millisecond {
				complain("RTT %s on a path of 20 ms", r.RTT)
			}
			if info, err := TCPInfo(conn); err != nil || info.MinRTT < 20*time.Millisecond {
				complain("right after the handshake: %+v, %v", info, err)
			}
			if _, err := conn.Write(make([]byte, 3000)); err != nil {
				t.Fatal(err)
			}
			limit := time.Second
			if tt.through {
				limit = 20 * time.Second
			}
			_ = conn.SetReadDeadline(time.Now().Add(limit))
			if _, err := io.ReadFull(conn, make([]byte, 3000)); (err == nil) != tt.through {
				complain("reading the answer: %v", err)
			}
			// The answer may be there before what we sent is acknowledged.
			info, err := TCPInfo(conn)
			for end := time.Now().Add(2 * time.Second); err == nil && !tt.seen(info) && time.Now().Before(end); info, err = TCPInfo(conn) {
				time.Sleep(10 * time.Millisecond)
			}
			if err != nil || !tt.seen(info) {
				complain("%+v, %v", info, err)
			}
			return problems
		}
		t.Run(tt.name, func(t *testing.T) {
			var problems []string
			for range 5 {
				if problems = try(t); len(problems) == 0 {
					return
				}
			}
			t.Error(strings.Join(problems, "\n"))
		})
	}
}

// listenRight accepts at the right end of a path and gives each connection to serve, which need not close it.
func listenRight(t *testing.T, path *diagtest.Path, serve func(net.Conn)) netip.AddrPort {
	t.Helper()
	var l net.Listener
	err := path.Right.Do(func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(path.Right.IPv4, "0"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return netip.MustParseAddrPort(l.Addr().String())
}

// On a path that takes longer than the kernel waits for an answer, SYNs are sent again of which none was lost.
func TestLateSYNs(t *testing.T) {
	path := diagtest.LatencyPath(t, 550*time.Millisecond)
	target := listenRight(t, path, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	_ = path.Left.Do(func() error {
		conn, r := ConnectTCP(t.Context(), target, ConnectOptions{})
		if conn == nil || r.SYNRetransmits != 0 || r.LateSYNs == 0 || r.RTT < 1100*time.Millisecond {
			t.Errorf("%+v", r)
			return nil
		}
		return conn.Close()
	})
	for _, tt := range []struct {
		rtt         time.Duration
		again, want int
	}{{20 * time.Millisecond, 2, 0}, {1200 * time.Millisecond, 1, 1}, {1200 * time.Millisecond, 2, 1}, {2500 * time.Millisecond, 1, 1}, {time.Second / 2, 0, 0}} {
		if got := lateSYNs(tt.rtt, tt.again); got != tt.want {
			t.Errorf("%v, %d times: %d, want %d", tt.rtt, tt.again, got, tt.want)
		}
	}
}
