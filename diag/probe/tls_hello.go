package probe

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"time"

	"mqttdoctor/diag"
)

// hello is a ClientHello (RFC 5246 7.4.1.2, RFC 8446 4.1.2) written by hand: crypto/tls neither speaks SSL 3.0 nor offers
// suites that it does not implement, and what a server takes is told by its ServerHello, before any of them is needed.
type hello struct {
	version    uint16   // highest without supported_versions
	versions   []uint16 // supported_versions; nil: not sent (TLS 1.2 and older)
	suites     []uint16
	groups     []uint16
	signatures []uint16
	serverName string
	alpn       []string
	// bare leaves out every extension, as SSL 3.0 and the oldest stacks do.
	bare bool
}

// Numbers of extensions (RFC 8446 4.2, RFC 6066, RFC 7301, RFC 7627, RFC 8422).
const (
	extServerName        = 0
	extGroups            = 10
	extPointFormats      = 11
	extSignatures        = 13
	extALPN              = 16
	extMasterSecret      = 23
	extSupportedVersions = 43
	extKeyShare          = 51
	extRenegotiation     = 0xff01
)

const (
	groupP256   = 23
	groupP384   = 24
	groupP521   = 25
	groupX25519 = 29
)

// usualGroups and usualSignatures are what OpenSSL 3 offers, without its post-quantum shares.
var (
	usualGroups     = []uint16{groupX25519, groupP256, 30, groupP521, groupP384, 256, 257}
	usualSignatures = []uint16{0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0809, 0x080a, 0x080b, 0x0804, 0x0805, 0x0806,
		0x0401, 0x0501, 0x0601, 0x0303, 0x0301, 0x0203, 0x0201}
)

// encode writes the hello as one record.
func (h hello) encode() []byte {
	body := binary.BigEndian.AppendUint16(nil, h.version)
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	body = append(body, random...)
	if len(h.versions) > 0 { // RFC 8446 D.4: middleboxes want to see a session id
		body = append(body, 32)
		id := make([]byte, 32)
		_, _ = rand.Read(id)
		body = append(body, id...)
	} else {
		body = append(body, 0)
	}
	body = appendList(body, 2, h.suites)
	body = append(body, 1, 0) // no compression
	if !h.bare {
		body = appendVector(body, 2, h.extensions())
	}
	message := append([]byte{1, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
	record := []byte{0x16, 3, 1}
	if h.version < 0x0301 {
		record[2] = 0
	}
	return appendVector(record, 2, message)
}

func (h hello) extensions() []byte {
	var out []byte
	add := func(number uint16, data []byte) {
		out = appendVector(binary.BigEndian.AppendUint16(out, number), 2, data)
	}
	if h.serverName != "" {
		add(extServerName, appendVector(nil, 2, appendVector([]byte{0}, 2, []byte(h.serverName))))
	}
	add(extRenegotiation, []byte{0})
	if len(h.groups) > 0 {
		add(extPointFormats, []byte{1, 0})
		add(extGroups, appendList(nil, 2, h.groups))
	}
	if len(h.alpn) > 0 {
		var names []byte
		for _, name := range h.alpn {
			names = appendVector(names, 1, []byte(name))
		}
		add(extALPN, appendVector(nil, 2, names))
	}
	add(extMasterSecret, nil)
	if len(h.signatures) > 0 {
		add(extSignatures, appendList(nil, 2, h.signatures))
	}
	if len(h.versions) > 0 {
		add(extSupportedVersions, appendList(nil, 1, h.versions))
		add(extKeyShare, appendVector(nil, 2, keyShares(h.groups)))
	}
	return out
}

// keyShares makes a share of the first group that this build can make one of; a server that wants another asks for it,
// which tells its version just as well.
func keyShares(groups []uint16) []byte {
	curves := map[uint16]ecdh.Curve{groupX25519: ecdh.X25519(), groupP256: ecdh.P256(), groupP384: ecdh.P384(), groupP521: ecdh.P521()}
	for _, group := range groups {
		curve, can := curves[group]
		if !can {
			continue
		}
		key, err := curve.GenerateKey(rand.Reader)
		if err != nil {
			continue
		}
		return appendVector(binary.BigEndian.AppendUint16(nil, group), 2, key.PublicKey().Bytes())
	}
	return nil
}

// appendVector appends data behind its length in so many bytes.
func appendVector(out []byte, lengthBytes int, data []byte) []byte {
	for i := lengthBytes - 1; i >= 0; i-- {
		out = append(out, byte(len(data)>>(8*i)))
	}
	return append(out, data...)
}

func appendList(out []byte, lengthBytes int, values []uint16) []byte {
	var data []byte
	for _, v := range values {
		data = binary.BigEndian.AppendUint16(data, v)
	}
	return appendVector(out, lengthBytes, data)
}

// serverHello is what a server chose.
type serverHello struct {
	version uint16
	suite   uint16
	group   uint16 // TLS 1.3
	alpn    string // TLS 1.2 and older: later versions encrypt it
	retry   bool   // a HelloRetryRequest (RFC 8446 4.1.4): the same choice, with another key share wanted
}

// helloRetryRandom marks a HelloRetryRequest (RFC 8446 4.1.3).
var helloRetryRandom = [32]byte{0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
	0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C}

// parseServerHello reads a ServerHello from the first bytes that a server sent; false where it is none or not whole.
func parseServerHello(b []byte) (serverHello, bool) {
	var message []byte
	for len(message) < 4 || len(message) < 4+int24(message[1:]) { // it may be split over records
		if len(b) < 5 || b[0] != 0x16 || b[1] != 3 || b[2] > 4 {
			return serverHello{}, false
		}
		n := int(binary.BigEndian.Uint16(b[3:]))
		if n == 0 || n > 1<<14 || len(message)+n > maxHelloBytes {
			return serverHello{}, false
		}
		take := min(n, len(b)-5)
		message = append(message, b[5:5+take]...)
		if take < n && (len(message) < 4 || len(message) < 4+int24(message[1:])) {
			return serverHello{}, false
		}
		b = b[5+take:]
	}
	if message[0] != 2 {
		return serverHello{}, false
	}
	return parseHelloBody(message[4 : 4+int24(message[1:])])
}

func int24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

func parseHelloBody(b []byte) (serverHello, bool) {
	// version 2, random 32, session id 1+n, suite 2, compression 1
	if len(b) < 38 {
		return serverHello{}, false
	}
	h := serverHello{version: binary.BigEndian.Uint16(b), retry: [32]byte(b[2:34]) == helloRetryRandom}
	n := int(b[34])
	if len(b) < 38+n {
		return serverHello{}, false
	}
	h.suite = binary.BigEndian.Uint16(b[35+n:])
	rest := b[38+n:]
	if len(rest) < 2 {
		return h, true // without extensions
	}
	rest = rest[2:]
	for len(rest) >= 4 {
		number, size := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		if len(rest) < 4+size {
			break
		}
		data := rest[4 : 4+size]
		switch {
		case number == extSupportedVersions && size == 2:
			h.version = binary.BigEndian.Uint16(data)
		case number == extKeyShare && size >= 2:
			h.group = binary.BigEndian.Uint16(data)
		case number == extALPN && size > 3 && int(data[2]) <= size-3:
			h.alpn = string(data[3 : 3+int(data[2])])
		}
		rest = rest[4+size:]
	}
	return h, true
}

// maxHelloBytes is far above any ServerHello; what follows it is not read.
const maxHelloBytes = 8 << 10

// sayHello sends a hand-made ClientHello on a fresh connection, reads no further than the ServerHello, and ends it.
func sayHello(ctx context.Context, env *diag.Env, r route, label string, h hello) *diag.TLSHello {
	o := &diag.TLSHello{Purpose: r.Purpose, Label: label, Address: r.Address, ServerName: h.serverName}
	begun := time.Now()
	tcp, conn := dialTCP(ctx, env, r)
	if conn == nil {
		o.Outcome, o.Error, o.NoTCP, o.Took = tcp.Outcome, tcp.Error, true, time.Since(begun)
		return o
	}
	defer conn.Close()
	defer waitAtMost(ctx, conn, env.Options.Timeout)()
	if _, err := conn.Write(h.encode()); err != nil {
		o.Error = err.Error() // the answer may have come all the same
	}
	first, err := readHello(conn)
	o.Took = time.Since(begun)
	if chosen, ok := parseServerHello(first); ok {
		o.Outcome, o.Error = diag.OutcomeOK, ""
		o.Version, o.Suite, o.Group, o.ALPN = versionName(chosen.version), suiteName(chosen.suite), groupName(chosen.group), printable(chosen.alpn, 60)
		return o
	}
	if alert, ok := plainAlert(first); ok {
		o.Outcome, o.Alert = diag.OutcomeRefused, alert
		return o
	}
	o.Error = errorText(err)
	switch {
	case len(first) > 0 && !isTLSRecord(first):
		o.Outcome = diag.OutcomeOther
	case len(first) > 0 && outcomeOf(err) != diag.OutcomeSilent:
		o.Outcome = diag.OutcomeMalformed
	default:
		o.Outcome = outcomeOf(err)
	}
	return o
}

// readHello reads until a ServerHello or an alert is whole, the peer ends, or too much has come.
func readHello(conn net.Conn) ([]byte, error) {
	var first []byte
	buf := make([]byte, 2048)
	for len(first) < maxHelloBytes {
		n, err := conn.Read(buf)
		first = append(first, buf[:n]...)
		if _, ok := parseServerHello(first); ok {
			return first, nil
		}
		if _, ok := plainAlert(first); ok {
			return first, nil
		}
		if err != nil {
			return first, err
		}
		if len(first) >= 3 && !isTLSRecord(first) {
			return first, nil
		}
	}
	return first, io.ErrShortBuffer
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return printable(err.Error(), 300)
}
