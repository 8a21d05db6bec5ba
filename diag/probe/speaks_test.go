package probe

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSpeaks(t *testing.T) {
	for _, c := range []struct{ first, protocol, banner string }{
		{"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n", "http", "HTTP/1.1 400 Bad Request"},
		{"<!DOCTYPE html>\n<html>", "http", "<!DOCTYPE html>"},
		{"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80", "http", ""},
		{"HTTP/1.0 200 OK\r\n\r\nIt looks like you are trying to access MongoDB over HTTP on the native driver port.\r\n", "mongodb", "HTTP/1.0 200 OK"},
		{"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "ssh", "SSH-2.0-OpenSSH_9.2p1 Debian-2"},
		{"220 mail.example.com ESMTP Postfix\r\n", "smtp", "220 mail.example.com ESMTP Postfix"},
		{"220 ProFTPD Server (Debian)\r\n", "ftp", "220 ProFTPD Server (Debian)"},
		{"+OK POP3 ready\r\n", "pop3", "+OK POP3 ready"},
		{"-ERR unknown command 'x'\r\n", "redis", "-ERR unknown command 'x'"},
		{"+PONG\r\n", "redis", "+PONG"},
		{"-DENIED Redis is running in protected mode", "redis", "-DENIED Redis is running in protected mode"},
		{"* OK [CAPABILITY IMAP4rev1] ready\r\n", "imap", "* OK [CAPABILITY IMAP4rev1] ready"},
		{"AMQP\x00\x00\x09\x01", "amqp", ""},
		{"AMQP\x03\x01\x00\x00", "amqp", ""},
		{"\x00\x00\x01\x4a\x01ActiveMQ\x00\x00\x00\x0c", "activemq", ""},
		{"INFO {\"server_id\":\"x\"} \r\n", "nats", "INFO {\"server_id\":\"x\"}"},
		{"ERROR\nmessage:Unknown command\n\n", "stomp", "ERROR"},
		{"ERROR\r\n", "memcached", "ERROR"},
		{"RFB 003.008\n", "vnc", "RFB 003.008"},
		{"E\x00\x00\x00\x86SFATAL\x00VFATAL\x00C08P01\x00", "postgresql", ""},
		{"\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00", "mysql", ""},
		{"\x45\x00\x00\x00\xff\x6a\x04Host '192.0.2.1' is not allowed", "mysql", "E"},
		{"\xff\xfd\x18\xff\xfd\x20", "telnet", ""},
		{"\x03\x00\x00\x13\x0e\xd0\x00\x00\x124\x00", "rdp", ""},
		{"\x15\x03\x01\x00\x02\x02\x46", "tls", ""},
		{"\x16\x03\x03\x00\x5a\x02\x00", "tls", ""},
		{"ERRF\x10\x00\x00\x00\x00\x00\x7e\x80\xff\xff\xff\xff", "opcua", ""},
		{"ERRF\x10\x00\x00\x00", "", ""},
		{"\x40\xe1\x22\x08\x00\x40", "coap", ""},
		{"\x40\xe1\x92\x08\x00\x40", "", ""},
		{"\x00\xe1", "", ""},
		{"\x20\x02\x00\x00", "mqtt", ""},
		{"\x20\x02\x00\x05", "mqtt", ""},
		{"\x20\x03\x00\x87\x00", "mqtt", ""},
		{"\xe0\x02\x8e\x00", "mqtt", ""},
		// Noise, beginnings and look-alikes.
		{"", "", ""},
		{"\x20", "", ""},
		{"  hello there\r\n", "", "hello there"},
		{"\x16\x02\x00\x00\x00", "", ""},
		{"\x15\x03\x01\x40\x00", "", ""},
		{"220", "", "220"},
		{"\x00\x00\x00\x00", "", ""},
	} {
		protocol, banner := speaks([]byte(c.first))
		if protocol != c.protocol {
			t.Errorf("%q: %q, want %q", c.first, protocol, c.protocol)
		}
		if c.banner != "E" && banner != c.banner {
			t.Errorf("%q: banner %q, want %q", c.first, banner, c.banner)
		}
	}
}

func FuzzSpeaks(f *testing.F) {
	for _, seed := range []string{"HTTP/1.1 200 OK\r\n", "\x20\x02\x00\x00", "\x16\x03\x01\x02\x00", "AMQP\x00\x00\x09\x01", "\xff\xfb\x01", "220 x"} {
		f.Add([]byte(seed))
	}
	known := map[string]bool{"": true}
	for _, d := range dialects {
		if d.source == "" {
			f.Errorf("%s has no source", d.name)
		}
		known[d.name] = true
	}
	f.Fuzz(func(t *testing.T, first []byte) {
		protocol, banner := speaks(first)
		if !known[protocol] {
			t.Errorf("%q names the unknown protocol %q", first, protocol)
		}
		if !utf8.ValidString(banner) || strings.ContainsAny(banner, "\r\n\x00\x1b") || utf8.RuneCountInString(banner) > 121 {
			t.Errorf("banner %q", banner)
		}
	})
}
