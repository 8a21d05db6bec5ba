package web

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/coder/websocket"

	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
)

// A packet as large as MQTT allows goes through the server to a client that reads it, beside one that reads nothing of it; a third
// client's echoes come back all the while, and the trace names the packet without keeping it.
func TestFloodDisturbsNobodyElse(t *testing.T) {
	const body = 268_435_455 // MQTT 5.0 1.5.5: the largest Remaining Length
	healthy := diagtest.Peer(t, func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
	flood := diagtest.Peer(t, func(conn net.Conn) {
		if _, err := conn.Read(make([]byte, len(connectV311))); err != nil {
			return
		}
		if _, err := conn.Write([]byte{0x20, 2, 0, 0, 0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 't'}); err != nil {
			return
		}
		chunk := make([]byte, 1<<20)
		for left := body - 3; left > 0; left -= len(chunk) {
			if _, err := conn.Write(chunk[:min(left, len(chunk))]); err != nil {
				return
			}
		}
		_, _ = conn.Read(chunk) // until the relay goes
	})
	s := consoleServer(t, guard.Laptop)
	ctx, cancel := context.WithTimeout(t.Context(), 8*patience) // for all of it
	defer cancel()
	bystander := s.relay(s.openFor(healthy.URL("mqtt"), "").RelayURL, "mqtt")
	echo := func() {
		t.Helper()
		if err := bystander.Write(ctx, websocket.MessageBinary, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, data, err := bystander.Read(ctx); err != nil || string(data) != "hello" {
			t.Fatalf("the bystander: %q %v", data, err)
		}
	}
	echo()
	stalled := s.relay(s.openFor(flood.URL("mqtt"), "").RelayURL, "mqtt")
	_ = stalled.Write(ctx, websocket.MessageBinary, connectV311) // and it reads nothing

	o := s.openFor(flood.URL("mqtt"), "")
	viewer := s.relay(o.TraceURL + "?lang=en")
	reader := s.relay(o.RelayURL, "mqtt")
	reader.SetReadLimit(-1)
	_ = reader.Write(ctx, websocket.MessageBinary, connectV311)
	const whole = 4 + 5 + body
	for got, next := 0, 0; got < whole; {
		_, message, err := reader.Reader(ctx)
		if err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
		n, err := io.Copy(io.Discard, message)
		if got += int(n); err != nil || got > whole {
			t.Fatalf("%d bytes: %v", got, err)
		}
		if got >= next {
			echo()
			next = got + 16<<20
		}
	}
	all := readTrace(t, viewer, func(f traced) bool { return f.Type == "PUBLISH" })
	if f := all[len(all)-1]; f.Explanation == "" || len(f.Warnings) > 0 || f.Fields["payload_bytes"] != float64(body-3) {
		t.Errorf("%+v", f.Fields["payload_bytes"])
	}
	s.do("DELETE", "/api/v1/console/"+o.ID, "", "Authorization", "Bearer "+o.DeleteToken).want(http.StatusNoContent)
	echo()
}
