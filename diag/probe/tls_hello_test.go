package probe

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"mqttdoctor/diag"
)

// A hand-made hello says what it is told to say: a real server reads it so.
func TestHelloIsReadAsWritten(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	got := make(chan *tls.ClientHelloInfo, 1)
	go func() {
		config := &tls.Config{GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
			got <- info
			return nil, errors.New("seen enough")
		}}
		_ = tls.Server(server, config).Handshake()
	}()
	go io.Copy(io.Discard, client)
	h := hello{version: tls.VersionTLS12, versions: []uint16{tls.VersionTLS13, tls.VersionTLS12}, suites: []uint16{0x1301, 0xc02f},
		groups: []uint16{groupX25519, groupP256}, signatures: []uint16{0x0403}, serverName: "broker.example.com", alpn: []string{"mqtt"}}
	if _, err := client.Write(h.encode()); err != nil {
		t.Fatal(err)
	}
	select {
	case info := <-got:
		if info.ServerName != h.serverName || fmt.Sprint(info.CipherSuites) != fmt.Sprint(h.suites) || info.SupportedProtos[0] != "mqtt" ||
			fmt.Sprint(info.SupportedVersions) != fmt.Sprint(h.versions) || len(info.SupportedCurves) != 2 || info.SignatureSchemes[0] != 0x0403 {
			t.Errorf("%+v", info)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the server made nothing of it")
	}
}

func TestParseServerHello(t *testing.T) {
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, 0, 0xc0, 0x2f, 0)
	message := append([]byte{2, 0, 0, byte(len(body))}, body...)
	whole := appendVector([]byte{0x16, 3, 3}, 2, message)
	if h, ok := parseServerHello(whole); !ok || h.version != tls.VersionTLS12 || h.suite != 0xc02f {
		t.Errorf("%+v %v", h, ok)
	}
	split := append(appendVector([]byte{0x16, 3, 3}, 2, message[:9]), appendVector([]byte{0x16, 3, 3}, 2, message[9:])...)
	if h, ok := parseServerHello(split); !ok || h.suite != 0xc02f {
		t.Errorf("split over records: %+v %v", h, ok)
	}
	for n := range whole {
		if _, ok := parseServerHello(whole[:n]); ok {
			t.Errorf("%d of %d bytes were enough", n, len(whole))
		}
	}
}

func FuzzParseServerHello(f *testing.F) {
	f.Add([]byte{0x16, 3, 3, 0, 4, 2, 0, 0, 0})
	f.Add(append([]byte{0x16, 3, 3, 0, 44, 2, 0, 0, 40}, bytes.Repeat([]byte{3}, 40)...))
	f.Add([]byte{0x15, 3, 1, 0, 2, 2, 70})
	f.Fuzz(func(t *testing.T, first []byte) {
		if h, ok := parseServerHello(first); ok {
			if !isTLSRecord(first) {
				t.Errorf("%x is a ServerHello and no TLS", first)
			}
			if again, _ := parseServerHello(append(bytes.Clone(first), 0x17)); again != h {
				t.Errorf("what follows changes it: %+v, %+v", h, again)
			}
		}
		plainAlert(first)
		handshakeOutcome(io.EOF, first)
	})
}

func TestHandshakeOutcome(t *testing.T) {
	for _, c := range []struct {
		err   error
		first string
		want  diag.Outcome
	}{
		{io.EOF, "", diag.OutcomeClosed},
		{io.ErrUnexpectedEOF, "\x16\x03\x03", diag.OutcomeClosed},
		{tls.RecordHeaderError{}, "HTTP/1.1 400", diag.OutcomeOther},
		{errors.New("tls: server selected unsupported protocol version 301"), "\x16\x03\x01\x00\x30\x02", diag.OutcomeMalformed},
		{io.EOF, "\x15\x03\x01\x00\x02\x02\x46", diag.OutcomeRefused},
	} {
		if got, _ := handshakeOutcome(c.err, []byte(c.first)); got != c.want {
			t.Errorf("%v after %q: %s, want %s", c.err, c.first, got, c.want)
		}
	}
}

// Every suite that is offered by number has a name, and every device a source and something to offer.
func TestDevices(t *testing.T) {
	if len(devices) < 10 {
		t.Errorf("%d devices", len(devices))
	}
	for _, d := range devices {
		if d.source == "" || len(d.versions) == 0 || len(d.suites) == 0 {
			t.Errorf("%s lacks something", d.name)
		}
		for _, id := range d.suites {
			if suites[id] == "" {
				t.Errorf("%s offers %04x, which has no name", d.name, id)
			}
		}
	}
}
