package probe

import (
	"bytes"
	"encoding/binary"
	"regexp"
)

// dialect is how one protocol is recognised by the first bytes that its servers send, greeting or complaining.
type dialect struct {
	name   string
	match  func([]byte) bool
	source string
}

// dialects are tried in order: what is more particular stands before what it could be taken for. Every test looks at bytes
// that the protocol's own document prescribes, so that noise is "unknown" rather than a wrong name. Kafka, Modbus and the
// like say nothing to a stranger and cannot be told from silence.
var dialects = []dialect{
	{"echo", isEcho, "RFC 862: what a client says first comes back"},
	{"tls", isTLSRecord, "RFC 8446 5.1, B.1"},
	{"mongodb", contains("MongoDB over HTTP"), "github.com/mongodb/mongo src/mongo/transport: answer to HTTP on the native port"},
	{"http", pattern(`^(HTTP/\d|(?i:<!doctype html|<html|<head))`), "RFC 9112 4; HTML without a status line is HTTP/0.9"},
	{"http", isHTTP2Settings, "RFC 9113 3.4, 6.5: a server's first frame is SETTINGS"},
	{"ssh", pattern(`^SSH-\d`), "RFC 4253 4.2"},
	{"ftp", pattern(`(?i)^(220|421|530)[ -][^\r\n]*ftp`), "RFC 959 5.4"},
	{"smtp", pattern(`^(220|421|554)[ -]`), "RFC 5321 4.2, 4.3.2"},
	{"redis", pattern(`^(\+PONG|-(ERR (unknown command|wrong number of arguments|Protocol error|unbalanced|max number of clients)|NOAUTH|WRONGPASS|DENIED Redis|LOADING|MISCONF))`), "redis.io/docs/latest/develop/reference/protocol-spec"},
	{"pop3", pattern(`^(\+OK|-ERR)[ \r]`), "RFC 1939 3"},
	{"imap", pattern(`^\* (OK|PREAUTH|BYE)[ \r]`), "RFC 3501 7.1"},
	{"amqp", isAMQP, "AMQP 0-9-1 4.2.2, AMQP 1.0 2.2: the protocol header answers a wrong one"},
	{"activemq", isOpenWire, "activemq.apache.org/openwire-version-2-specification: WireFormatInfo comes first"},
	{"nats", pattern(`^INFO \{`), "docs.nats.io/reference/reference-protocols/nats-protocol"},
	{"stomp", pattern(`^(ERROR|CONNECTED)\r?\n[a-zA-Z-]+:`), "stomp.github.io/stomp-specification-1.2.html"},
	{"memcached", pattern(`^(ERROR\r\n|CLIENT_ERROR |SERVER_ERROR )`), "github.com/memcached/memcached doc/protocol.txt"},
	{"vnc", pattern(`^RFB \d{3}\.\d{3}\n`), "RFC 6143 7.1.1"},
	{"rtsp", pattern(`^RTSP/\d`), "RFC 7826 8"},
	{"sip", pattern(`^SIP/\d`), "RFC 3261 7.2"},
	{"xmpp", pattern(`^(<\?xml[^>]*>\s*)?<stream:`), "RFC 6120 4.2"},
	{"irc", pattern(`^(:\S+ )?NOTICE (AUTH|\*|\S+) :`), "RFC 2812 3.3.2"},
	{"postgresql", isPostgres, "postgresql.org/docs/current/protocol-message-formats.html: ErrorResponse"},
	{"mysql", isMySQL, "dev.mysql.com/doc/dev/mysql-server/latest: Protocol::HandshakeV10, ERR_Packet"},
	{"oracle", isTNS, "TNS REFUSE packet, as in wireshark's packet-tns.c"},
	{"ldap", contains("1.3.6.1.4.1.1466.20036"), "RFC 4511 4.4.1: notice of disconnection"},
	{"telnet", isTelnet, "RFC 854: IAC WILL, WONT, DO, DONT"},
	{"rdp", isRDP, "MS-RDPBCGR 2.2.1.2, RFC 1006 6: TPKT with X.224 connection confirm"},
	{"opcua", isOPCUA, "OPC 10000-6 7.1.2.2, 7.1.2.5: Error in answer to what is no Hello"},
	{"coap", isCoAP, "RFC 8323 5.3: a server sends its Capabilities and Settings Message unasked"},
	{"mqtt", isMQTT, "MQTT 3.1.1 3.2, MQTT 5.0 3.2, 3.14"},
}

// speaks names the protocol of the first bytes that a peer sent, and gives the first line of text for people. An empty
// name means unknown. It is given whatever strangers send.
func speaks(first []byte) (protocol, banner string) {
	if len(first) > maxFirstBytes {
		first = first[:maxFirstBytes]
	}
	for _, d := range dialects {
		if d.match(first) {
			return d.name, bannerOf(first)
		}
	}
	return "", bannerOf(first)
}

// bannerOf is the first line, where the bytes are text.
func bannerOf(first []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimLeft(first, "\r\n"), []byte("\n"))
	legible := 0
	for _, b := range line {
		if b >= 0x20 && b < 0x7f || b == '\t' {
			legible++
		}
	}
	if len(line) < 3 || legible*10 < len(line)*8 {
		return ""
	}
	return printable(string(line), 120)
}

func pattern(expr string) func([]byte) bool { return regexp.MustCompile(expr).Match }

func contains(text string) func([]byte) bool {
	return func(b []byte) bool { return bytes.Contains(b, []byte(text)) }
}

// isEcho recognises what only a client says: a CONNECT, a ClientHello, the request of an upgrade.
func isEcho(b []byte) bool {
	switch {
	case len(b) > 5 && b[0] == 0x16 && b[1] == 3:
		return b[5] == 1
	case len(b) > 6 && b[0] == 0x10:
		name := b[2:min(len(b), 10)]
		return bytes.Contains(name, []byte("\x00\x04MQTT")) || bytes.Contains(name, []byte("\x00\x06MQI"))
	}
	return bytes.HasPrefix(b, []byte("GET /"))
}

// isTLSRecord recognises an alert or a handshake record. Nothing else may come first.
func isTLSRecord(b []byte) bool {
	if len(b) < 3 || b[1] != 3 || b[2] > 4 || isEcho(b) {
		return false
	}
	switch b[0] {
	case 0x15: // two bytes in the clear
		return len(b) < 5 || binary.BigEndian.Uint16(b[3:]) == 2
	case 0x16: // at most 2^14 bytes
		return len(b) < 5 || binary.BigEndian.Uint16(b[3:]) <= 1<<14
	}
	return false
}

func isHTTP2Settings(b []byte) bool {
	return len(b) >= 9 && b[0] == 0 && b[1] == 0 && b[2]%6 == 0 && b[3] == 4 && b[4] == 0 && bytes.Equal(b[5:9], []byte{0, 0, 0, 0})
}

func isAMQP(b []byte) bool { return len(b) >= 8 && string(b[:4]) == "AMQP" && b[4] < 4 }

func isOpenWire(b []byte) bool { return len(b) >= 13 && b[4] == 1 && string(b[5:13]) == "ActiveMQ" }

// isPostgres recognises an ErrorResponse: 'E', a length, then fields of which the first is the severity.
func isPostgres(b []byte) bool {
	return len(b) >= 11 && b[0] == 'E' && binary.BigEndian.Uint32(b[1:]) < 1<<16 &&
		(bytes.HasPrefix(b[5:], []byte("SFATAL\x00")) || bytes.HasPrefix(b[5:], []byte("SERROR\x00")))
}

// isMySQL recognises a packet of the first sequence number that holds a greeting of protocol 10 or an error.
func isMySQL(b []byte) bool {
	if len(b) < 8 || b[3] != 0 || int(b[0])|int(b[1])<<8|int(b[2])<<16 > 1024 {
		return false
	}
	if b[4] == 0xff {
		code := binary.LittleEndian.Uint16(b[5:])
		return code >= 1000 && code < 5000
	}
	return b[4] == 10 && b[5] >= '0' && b[5] <= '9' && bytes.IndexByte(b[5:min(len(b), 40)], '.') > 0
}

func isTNS(b []byte) bool {
	return len(b) >= 12 && b[4] == 4 && b[2] == 0 && b[3] == 0 && bytes.Contains(b, []byte("(DESCRIPTION"))
}

func isTelnet(b []byte) bool {
	return len(b) >= 3 && b[0] == 0xff && b[1] >= 0xfb && b[1] <= 0xfe && b[2] < 50
}

func isRDP(b []byte) bool {
	return len(b) >= 7 && b[0] == 3 && b[1] == 0 && int(binary.BigEndian.Uint16(b[2:])) < 256 && b[5] == 0xd0
}

// isOPCUA recognises an Error message: its type, and its own size of at least type, size, code and length of the reason.
func isOPCUA(b []byte) bool {
	if len(b) < 16 || string(b[:4]) != "ERRF" {
		return false
	}
	size := binary.LittleEndian.Uint32(b[4:])
	return size >= 16 && size <= 16+4096
}

// isCoAP recognises a Capabilities and Settings Message without a token, with one of its options first: Max-Message-Size (2) or
// Block-Wise-Transfer (4). One without options is two bytes that could be anything.
func isCoAP(b []byte) bool {
	if len(b) < 3 || b[0]&0x0f != 0 || b[1] != 0xe1 {
		return false
	}
	length, option := int(b[0]>>4), b[2]>>4
	return length >= 1 && length <= 12 && len(b) >= 2+length && (option == 2 || option == 4)
}

// isMQTT recognises what a server may say first: a CONNACK, or in MQTT 5 a DISCONNECT with an error, or AUTH.
func isMQTT(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	remaining, n := binary.Uvarint(b[1:min(len(b), 5)]) // the same encoding as MQTT's, MQTT 5.0 1.5.5
	if n <= 0 {
		return false
	}
	body := b[1+n:]
	switch b[0] {
	case 0x20:
		return remaining >= 2 && remaining < 1<<20 && (len(body) == 0 || body[0] <= 1) &&
			(len(body) < 2 || body[1] <= 5 || body[1] >= 0x80)
	case 0xe0:
		return remaining >= 1 && remaining < 1<<20 && len(body) > 0 && body[0] >= 0x80 && body[0] <= 0xa2
	case 0xf0:
		return remaining >= 2 && remaining < 1<<20 && len(body) > 0 && (body[0] == 0x18 || body[0] == 0)
	}
	return false
}
