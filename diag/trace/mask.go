package trace

import (
	"bytes"
	"slices"

	"mqttdoctor/diag/mqttwire"
)

// masked returns the kept bytes of a packet with asterisks in place of every secret, as many as it has bytes: passwords and
// authentication data. Where they stand cannot be told in a packet that cannot be read: then its whole body is masked.
func (p *Packet) masked() []byte {
	dir := out
	if p.Dir == mqttwire.In {
		dir = in
	}
	frame := p.frame()
	kind := frame.Type
	if p.hidden || p.broken {
		return maskedBody(p.raw, p.header)
	}
	packet, why := p.decode(dir, p.Version)
	if packet == nil || why != nil {
		if dir == out && (kind == mqttwire.CONNECT || kind == mqttwire.AUTH) || kind == mqttwire.CONNACK || kind == mqttwire.AUTH {
			return maskedBody(p.raw, p.header)
		}
		return p.raw
	}
	raw := p.raw
	mask := func(at, n int) {
		if at > 0 && n > 0 {
			raw = maskedAt(raw, p.header+at, n)
		}
	}
	switch p := packet.(type) {
	case *mqttwire.ConnectPacket:
		if misread(p) {
			return maskedBody(raw, len(raw)-len(frame.Body))
		}
		mask(p.PasswordAt, p.PasswordBytes)
		mask(p.AuthenticationAt, len(p.AuthenticationData))
	case *mqttwire.Connack:
		mask(p.AuthenticationAt, len(p.AuthenticationData))
	case *mqttwire.Auth:
		mask(p.AuthenticationAt, len(p.AuthenticationData))
	}
	return raw
}

// misread tells that a CONNECT has more bytes than its flags speak of: a field may have been taken for another, and the
// password for what is shown.
func misread(p *mqttwire.ConnectPacket) bool {
	return slices.ContainsFunc(p.Violations, func(e *mqttwire.ErrMalformed) bool { return e.Code == mqttwire.BreachTrailing })
}

func maskedBody(raw []byte, header int) []byte { return maskedAt(raw, header, len(raw)-header) }

func maskedAt(raw []byte, at, n int) []byte {
	masked := bytes.Clone(raw)
	for i := at; i < at+n && i < len(masked); i++ {
		masked[i] = '*'
	}
	return masked
}
