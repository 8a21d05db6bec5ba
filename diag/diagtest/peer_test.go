package diagtest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// exchange dials, writes, and reads up to limit bytes: for as long as it takes until there are least bytes, and then until
// nothing has ended the connection for patience.
func exchange(t *testing.T, addr string, write []byte, least, limit int, patience time.Duration) ([]byte, error) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, startLimit)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(startLimit))
	conn.Write(write)
	got := make([]byte, least)
	if n, err := io.ReadFull(conn, got); err != nil {
		return got[:n], err
	}
	conn.SetDeadline(time.Now().Add(patience))
	rest, err := io.ReadAll(io.LimitReader(conn, int64(limit-least)))
	return append(got, rest...), err
}

func TestBrokenPeers(t *testing.T) {
	timeout := func(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
	end := func(err error) bool { return err == nil }
	reset := func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }
	v5Connect := append([]byte(nil), connect311...)
	v5Connect = append(append(v5Connect[:8], 5), v5Connect[9:12]...)
	v5Connect = append(v5Connect, 0, 0, 5, 'r', 'e', 'a', 'd', 'y')
	v5Connect[1]++
	for _, test := range []struct {
		name   string
		handle Handler
		write  []byte
		want   string
		err    func(error) bool
	}{
		{"silent", Silent, connect311, "", timeout},
		{"close at once", CloseAtOnce, nil, "", end},
		{"reset at once", ResetAtOnce, nil, "", reset},
		{"close after first bytes", CloseAfterFirstBytes, connect311, "", end},
		{"reset after first bytes", ResetAfterFirstBytes, connect311, "", reset},
		{"SSH", Banner(SSHBanner), nil, SSHBanner, timeout},
		{"half CONNACK", HalfConnack, connect311, "\x20\x02\x00", timeout},
		{"half and close", AnswerAndClose(0x20, 2), connect311, "\x20\x02", end},
		{"huge CONNACK", HugeConnack, connect311, "\x20\xff\xff\xff\x7f\x00\x00", timeout},
		{"huge PUBLISH", HugePublish, connect311, "\x20\x02\x00\x00\x30\xff\xff\xff\x7f\x00\x01a", timeout},
		{"bad length", BadLength, connect311, "\x20\xff\xff\xff\xff\x7f", timeout},
		{"drip", Drip(20*time.Millisecond, 'a', 'b'), connect311, "ababab", end},
		{"endless", Endless('x', 'y'), connect311, "xyxyxy", end},
		{"CONNACK 4 to 3.1.1", Connack(4, 0x86), connect311, "\x20\x02\x00\x04", end},
		{"CONNACK 0x86 to 5", Connack(4, 0x86), v5Connect, "\x20\x03\x00\x86\x00", end},
		{"CONNACK 0", Connack(0, 0), connect311, "\x20\x02\x00\x00", timeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := Peer(t, test.handle)
			limit := 1000
			if strings.HasPrefix(test.name, "drip") || test.name == "endless" {
				limit = 6
			}
			patience := startLimit
			if test.err(os.ErrDeadlineExceeded) {
				patience = 300 * time.Millisecond
			}
			got, err := exchange(t, p.Addr, test.write, len(test.want), limit, patience)
			if string(got) != test.want || !test.err(err) {
				t.Errorf("got %q, %v", got, err)
			}
			eventually(t, "the peer has taken the connection", func() bool { return p.Connections() > 0 })
			if p.Connections() != 1 || p.URL("mqtt") != "mqtt://"+p.Addr {
				t.Errorf("%d connections to %s", p.Connections(), p.URL("mqtt"))
			}
		})
	}
}

func TestHTTPPeers(t *testing.T) {
	hasty := HTTPPeer(t, HTTPStatus(http.StatusForbidden, "Server", "proxy"))
	response, err := http.Get(hasty.URL("http", "/mqtt"))
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	body, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if response.StatusCode != 403 || response.Header.Get("Server") != "proxy" || !strings.Contains(string(body), "403") {
		t.Errorf("got %d %q", response.StatusCode, body)
	}
	got, err := exchange(t, hasty.Addr, connect311, 0, 1000, startLimit)
	if !bytes.HasPrefix(got, []byte("HTTP/1.1 400 ")) || err != nil {
		t.Errorf("to a CONNECT: %q %v", got, err)
	}
	patient := PatientHTTPPeer(t, HTTPStatus(404))
	if got, err := exchange(t, patient.Addr, connect311, 0, 1000, 200*time.Millisecond); len(got) > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("patient, to a CONNECT: %q %v", got, err)
	}
}

func TestClosedAndFilteredPorts(t *testing.T) {
	_, err := net.DialTimeout("tcp", "127.0.0.1:"+strconv.Itoa(ClosedPort(t)), startLimit)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("closed port: %v", err)
	}
	_, err = net.DialTimeout("tcp", "127.0.0.1:"+strconv.Itoa(FilteredPort(t)), 500*time.Millisecond)
	if !isTimeout(err) {
		t.Errorf("filtered port: %v", err)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
