//go:build linux

package diagtest

import (
	"errors"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestLatencyPath(t *testing.T) {
	if InRerun() {
		// The second run, all of it inside the left namespace.
		start := time.Now()
		conn, err := net.Dial("tcp", os.Getenv("BROKER"))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		t.Logf("inner handshake %d ms", time.Since(start).Milliseconds())
		return
	}
	path := LatencyPath(t, 50*time.Millisecond)
	// No bound from above: that is the machine's.
	atLeast := func(what string, got, low time.Duration) {
		t.Helper()
		if got < low {
			t.Errorf("%s took %v, want %v at least", what, got, low)
		}
	}
	for _, address := range []string{path.Right.IPv4, path.Right.IPv6} {
		out := path.Left.Run(t, "ping", "-c", "5", "-i", "0.2", address)
		match := regexp.MustCompile(`= ([0-9.]+)/`).FindStringSubmatch(out)
		if match == nil {
			t.Fatal(out)
		}
		best, _ := strconv.ParseFloat(match[1], 64)
		atLeast("ping "+address, time.Duration(best*float64(time.Millisecond)), 100*time.Millisecond)
	}

	var peer *PeerServer
	err := path.Right.Do(func() error {
		peer = Peer(t, Silent, At(path.Right.IPv4+":0"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	dial := func(addr string, limit time.Duration) (best time.Duration, err error) {
		best = time.Hour
		for range 5 {
			start := time.Now()
			err = path.Left.Do(func() error {
				conn, err := net.DialTimeout("tcp", addr, limit)
				if err == nil {
					conn.Close()
				}
				return err
			})
			best = min(best, time.Since(start))
		}
		return best, err
	}
	took, err := dial(peer.Addr, startLimit)
	if err != nil {
		t.Fatal(err)
	}
	atLeast("TCP handshake", took, 100*time.Millisecond)
	if _, err := net.DialTimeout("tcp", peer.Addr, 200*time.Millisecond); err == nil {
		t.Error("the peer can be reached from outside its namespace")
	}
	if out := path.Left.Rerun(t, "BROKER="+peer.Addr); !strings.Contains(out, "inner handshake") {
		t.Errorf("the run inside the namespace said:\n%s", out)
	}

	t.Run("closed", func(t *testing.T) {
		took, err := dial(path.Right.IPv4+":9", startLimit)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v", err)
		}
		atLeast("refusal", took, 100*time.Millisecond)
	})
	t.Run("filtered", func(t *testing.T) {
		path.Right.Filter(t, 10)
		if took, err := dial(path.Right.IPv4+":10", 250*time.Millisecond); !isTimeout(err) {
			t.Errorf("got %v after %v", err, took)
		}
	})
	t.Run("rejected", func(t *testing.T) {
		path.Right.Reject(t, 11, "icmp-host-prohibited")
		if took, err := dial(path.Right.IPv4+":11", startLimit); !errors.Is(err, syscall.EHOSTUNREACH) {
			t.Errorf("got %v after %v", err, took)
		}
	})
	t.Run("black hole", func(t *testing.T) {
		path.LimitSize(100, true, false)
		defer path.SetFilter(nil)
		err := path.Left.Do(func() error {
			conn, err := net.DialTimeout("tcp", peer.Addr, startLimit)
			if err != nil {
				return err
			}
			defer conn.Close()
			return conn.SetDeadline(time.Now())
		})
		if err != nil {
			t.Errorf("a handshake of small packets: %v", err)
		}
	})
	t.Run("cut", func(t *testing.T) {
		path.SetFilter(func(Packet) bool { return false })
		defer path.SetFilter(nil)
		if _, err := dial(peer.Addr, 200*time.Millisecond); err == nil {
			t.Error("packets got through")
		}
	})
}

func TestBrokerInsideNamespace(t *testing.T) {
	path := LatencyPath(t, 5*time.Millisecond)
	b := Mosquitto(t, MosquittoOptions{Netns: path.Right, Host: path.Right.IPv4})
	for _, u := range b.URLs() {
		start := time.Now()
		if err := path.Left.Do(func() error { return askMQTT(b.CA, u) }); err != nil {
			t.Errorf("%s: %v", u, err)
		}
		if took := time.Since(start); took < 20*time.Millisecond {
			t.Errorf("%s took %v", u, took)
		}
	}
}
