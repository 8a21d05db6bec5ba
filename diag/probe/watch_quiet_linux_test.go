package probe

import (
	"crypto/tls"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"mqttdoctor/diag"
)

// TestWatchedConnectionsSendNothingByThemselves looks at the socket: TCP keep-alive probes would keep flows alive that a
// client's own would not.
func TestWatchedConnectionsSendNothingByThemselves(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	o, conn := dialTCP(t.Context(), &diag.Env{Options: diag.PlanOptions{Timeout: 5e9}, Allowed: func(string) error { return nil }, Conns: &diag.Counter{}},
		route{Address: listener.Addr().String()})
	if conn == nil {
		t.Fatal(o.Error)
	}
	defer conn.Close()
	for name, wrapped := range map[string]net.Conn{"TCP": conn, "TLS": tls.Client(conn, &tls.Config{ServerName: "x"}), "WebSocket": newWSConn(nil, conn),
		"both": newWSConn(nil, tls.Client(conn, &tls.Config{ServerName: "x"}))} {
		raw, err := conn.(*quickAck).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var before, after int
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
			before, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
		})
		quietTCP(wrapped)
		_ = raw.Control(func(fd uintptr) { after, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE) })
		if before == 0 || after != 0 {
			t.Errorf("%s: keep-alive probes were %d and are %d", name, before, after)
		}
	}
}
