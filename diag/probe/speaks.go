package probe

import (
	"bytes"
	"regexp"
	"strings"
)

// signature recognises a protocol by the first bytes that its servers send, unasked or in answer to something they do not
// understand.
type signature struct {
	protocol string
	source   string // who says so
	matches  func([]byte) bool
}

func prefix(texts ...string) func([]byte) bool {
	return func(b []byte) bool {
		for _, t := range texts {
			if bytes.HasPrefix(b, []byte(t)) {
				return true
			}
		}
		return false
	}
}

func pattern(expr string) func([]byte) bool {
	re := regexp.MustCompile(expr)
	return re.Match
}

// signatures are data, the surest first.
var signatures = []signature{
	{"http", "RFC 9112 4", prefix("HTTP/1.", "HTTP/2", "HTTP/0.9")},
	{"http", "servers that answer an unreadable request with a bare page", pattern(`(?i)^\s*<(!doctype html|html|head|\?xml)`)},
	{"ssh", "RFC 4253 4.2", prefix("SSH-")},
	{"tls", "RFC 8446 5.1: record type alert or handshake, version 3.x", func(b []byte) bool {
		return len(b) >= 3 && (b[0] == 0x15 || b[0] == 0x16) && b[1] == 0x03 && b[2] <= 0x04
	}},
	{"http2", "RFC 9113 3.4: a SETTINGS frame first", func(b []byte) bool {
		return len(b) >= 9 && b[0] == 0 && b[3] == 4 && b[4] <= 1 && bytes.Equal(b[5:9], []byte{0, 0, 0, 0}) && int(b[2])%6 == 0
	}},
	{"amqp", "AMQP 0-9-1 4.2.2, AMQP 1.0 2.2", prefix("AMQP")},
	{"smtp", "RFC 5321 4.2", pattern(`(?i)^(220|421|554)[ -][^\r\n]*(smtp|mail|postfix|exim|sendmail)`)},
	{"ftp", "RFC 959 5.4", pattern(`(?i)^220[ -][^\r\n]*ftp`)},
	{"smtp", "RFC 5321 4.2: 500 or 502 to an unknown command", pattern(`(?i)^50[0-3] [0-9]\.[0-9]\.[0-9]`)},
	{"ftp", "RFC 959 4.2: a three-digit reply", pattern(`^(220|421|500|530)[ -]`)},
	{"pop3", "RFC 1939 3", prefix("+OK")},
	{"imap", "RFC 3501 7.1", prefix("* OK", "* BYE", "* PREAUTH", "* BAD")},
	{"redis", "Redis serialization protocol", prefix("-ERR", "-DENIED", "-NOAUTH", "+PONG", "-MISCONF", "-LOADING")},
	{"nats", "NATS client protocol", prefix("INFO {", "-ERR 'Unknown Protocol", "-ERR '")},
	{"stomp", "STOMP 1.2", prefix("ERROR\nmessage", "CONNECTED\n")},
	{"memcached", "memcached protocol.txt", prefix("ERROR\r\n", "CLIENT_ERROR")},
	{"mysql", "MySQL protocol, initial handshake", func(b []byte) bool {
		return len(b) > 5 && b[3] == 0 && (b[4] == 0x0A || b[4] == 0xFF) && int(b[0])|int(b[1])<<8|int(b[2])<<16 < 1024
	}},
	{"postgresql", "PostgreSQL protocol, ErrorResponse", func(b []byte) bool {
		return len(b) >= 6 && b[0] == 'E' && b[1] == 0 && b[2] == 0 && (b[5] == 'S' || bytes.Contains(b, []byte("FATAL")))
	}},
	{"vnc", "RFC 6143 7.1.1", prefix("RFB ")},
	{"telnet", "RFC 854: IAC and WILL, WONT, DO or DONT", func(b []byte) bool { return len(b) >= 3 && b[0] == 0xFF && b[1] >= 0xFB && b[1] <= 0xFE }},
	{"rdp", "X.224 connection confirm in TPKT", func(b []byte) bool { return len(b) >= 6 && b[0] == 3 && b[1] == 0 && b[5] == 0xD0 }},
	{"rtsp", "RFC 2326 7", prefix("RTSP/")},
	{"sip", "RFC 3261 7.2", prefix("SIP/")},
	{"irc", "RFC 2812", pattern(`^(:\S+ )?(NOTICE|ERROR) `)},
	{"xmpp", "RFC 6120 4", prefix("<?xml version='1.0'?><stream:", "<stream:")},
	{"mqtt", "MQTT 5.0 3.2: a CONNACK", func(b []byte) bool { return len(b) >= 4 && b[0] == 0x20 && b[1] >= 2 && b[1] < 0x80 && b[2] <= 1 }},
}

// speaks recognises a protocol by its first bytes; empty where it is none that is known. The banner is the first line in
// printable characters.
func speaks(first []byte) (protocol, banner string) {
	line, _, _ := strings.Cut(string(first), "\n")
	banner = printable(line, 120)
	for _, s := range signatures {
		if s.matches(first) {
			if s.protocol == "tls" || s.protocol == "mqtt" || s.protocol == "http2" {
				banner = ""
			}
			return s.protocol, banner
		}
	}
	return "", banner
}
