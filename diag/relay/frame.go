package relay

import (
	"encoding/binary"
	"unicode/utf8"
)

// opcode is that of a WebSocket frame (RFC 6455 5.2).
type opcode byte

const (
	opContinuation opcode = 0
	opText         opcode = 1
	opBinary       opcode = 2
	opClose        opcode = 8
	opPing         opcode = 9
	opPong         opcode = 10
)

const (
	maxControl = 125 // bytes of a control frame's payload (RFC 6455 5.5)
	maxReason  = maxControl - 2
	// headRoom is the longest header of a frame: 2 bytes, 8 of length, 4 of masking key (RFC 6455 5.2).
	headRoom = 14
)

// frameError is a breach of RFC 6455 by the peer, and the status code that answers it (RFC 6455 7.4.1).
type frameError struct {
	status int
	text   string
}

func (e *frameError) Error() string { return e.text }

// The ways in which a peer can break the rules, and the one that MQTT adds.
var (
	errReserved   = &frameError{1002, "reserved bits are set in a WebSocket frame"}
	errOpcode     = &frameError{1002, "unknown opcode of a WebSocket frame"}
	errMask       = &frameError{1002, "a WebSocket frame is masked where it must not be, or not masked where it must"}
	errControl    = &frameError{1002, "a WebSocket control frame is fragmented or too long"}
	errSequence   = &frameError{1002, "WebSocket frames out of sequence"}
	errLength     = &frameError{1002, "the length of a WebSocket frame has its highest bit set"}
	errCloseFrame = &frameError{1002, "the payload of a WebSocket close frame is broken"}
	errText       = &frameError{1003, "MQTT is sent in binary messages, this is a text message"} // [MQTT-6.0.0-1]
)

// unframer takes the frames off a stream of WebSocket bytes, however the stream is cut. Its zero value reads unmasked frames,
// which a server sends.
type unframer struct {
	masked bool // the peer is a client: its frames must be masked, a server's must not (RFC 6455 5.1)
	// texts lets text messages pass, and says that one came.
	texts, sawText bool
	// control is told every control frame; its payload is valid during the call. An error ends strip.
	control func(op opcode, payload []byte) error

	head    [headRoom]byte
	have    int // bytes of head that have come
	payload bool
	op      opcode
	left    uint64 // bytes that are missing of the frame in progress
	mask    [4]byte
	at      int  // where in the mask the next byte stands
	open    bool // a fragmented message is not at its end
	small   [maxControl]byte
	smallN  int
}

// strip returns the payload of the data frames in buf, joined, as a part of buf, which it overwrites. Beside an error it
// returns what came before the breach.
func (u *unframer) strip(buf []byte) (data []byte, err error) {
	data = buf[:0]
	for len(buf) > 0 {
		if !u.payload {
			n, err := u.readHead(buf)
			buf = buf[n:]
			if err != nil {
				return data, err
			}
			if !u.payload {
				return data, nil // the header goes on in the next read
			}
		}
		n := int(min(uint64(len(buf)), u.left))
		piece := buf[:n]
		buf = buf[n:]
		u.left -= uint64(n)
		if u.masked {
			u.at = maskBytes(piece, u.mask, u.at)
		}
		if u.op >= opClose {
			u.smallN += copy(u.small[u.smallN:], piece)
		} else {
			data = join(data, piece)
		}
		if u.left > 0 {
			return data, nil
		}
		u.payload = false
		if u.op >= opClose {
			if err := u.control(u.op, u.small[:u.smallN]); err != nil {
				return data, err
			}
		}
	}
	return data, nil
}

// join appends a piece that lies behind data in the same buffer. The first one stays where it is.
func join(data, piece []byte) []byte {
	if len(data) == 0 {
		return piece
	}
	return append(data, piece...) // never past the piece's own place: headers lay between
}

// readHead takes bytes of a frame's header and returns how many. The frame's payload begins behind them where u.payload is
// set then.
func (u *unframer) readHead(buf []byte) (n int, err error) {
	for n < len(buf) {
		u.head[u.have] = buf[n]
		u.have++
		n++
		if u.have < 2 || u.have < u.headSize() {
			continue
		}
		u.have = 0
		return n, u.begin()
	}
	return n, nil
}

// headSize is how long the header is, by its first two bytes.
func (u *unframer) headSize() int {
	size := 2
	switch u.head[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if u.head[1]&0x80 != 0 {
		size += 4
	}
	return size
}

// begin reads a whole header.
func (u *unframer) begin() error {
	fin, op := u.head[0]&0x80 != 0, opcode(u.head[0]&0x0f)
	masked, length := u.head[1]&0x80 != 0, uint64(u.head[1]&0x7f)
	key := u.head[2:]
	switch length {
	case 126:
		length, key = uint64(binary.BigEndian.Uint16(key)), key[2:]
	case 127:
		length, key = binary.BigEndian.Uint64(key), key[8:]
	}
	switch {
	case u.head[0]&0x70 != 0: // no extension was agreed on
		return errReserved
	case masked != u.masked:
		return errMask
	case length>>63 != 0:
		return errLength
	}
	switch op {
	case opText, opBinary:
		if u.open {
			return errSequence
		}
		if op == opText {
			if u.sawText = true; !u.texts {
				return errText
			}
		}
		u.open = !fin
	case opContinuation:
		if !u.open {
			return errSequence
		}
		u.open = !fin
	case opClose, opPing, opPong:
		if !fin || length > maxControl {
			return errControl
		}
		u.smallN = 0
	default:
		return errOpcode
	}
	u.op, u.left, u.payload, u.at = op, length, true, 0
	copy(u.mask[:], key)
	return nil
}

// maskBytes masks or unmasks (RFC 6455 5.3) and returns where in the key the next byte stands.
func maskBytes(b []byte, key [4]byte, at int) int {
	next := (at + len(b)) & 3
	if len(b) >= 16 {
		var turned [8]byte
		for i := range turned {
			turned[i] = key[(at+i)&3]
		}
		word := binary.NativeEndian.Uint64(turned[:])
		for len(b) >= 32 {
			v := b[:32:32]
			binary.NativeEndian.PutUint64(v, binary.NativeEndian.Uint64(v)^word)
			binary.NativeEndian.PutUint64(v[8:], binary.NativeEndian.Uint64(v[8:])^word)
			binary.NativeEndian.PutUint64(v[16:], binary.NativeEndian.Uint64(v[16:])^word)
			binary.NativeEndian.PutUint64(v[24:], binary.NativeEndian.Uint64(v[24:])^word)
			b = b[32:]
		}
		for len(b) >= 8 {
			binary.NativeEndian.PutUint64(b, binary.NativeEndian.Uint64(b)^word)
			b = b[8:]
		}
	}
	for i := range b {
		b[i] ^= key[(at+i)&3]
	}
	return next
}

// frame writes the header of a whole message of n bytes into the end of room, which is headRoom bytes, and returns the part
// that it takes: the frame begins there and goes on behind room. key is nil for a server, whose frames are not masked.
func frame(room []byte, op opcode, n int, key []byte) []byte {
	size := 2
	switch {
	case n > 0xffff:
		size += 8
	case n > maxControl:
		size += 2
	}
	head := room[len(room)-size-len(key):]
	head[0] = 0x80 | byte(op)
	switch {
	case n > 0xffff:
		head[1] = 127
		binary.BigEndian.PutUint64(head[2:], uint64(n))
	case n > maxControl:
		head[1] = 126
		binary.BigEndian.PutUint16(head[2:], uint16(n))
	default:
		head[1] = byte(n)
	}
	if key != nil {
		head[1] |= 0x80
		copy(head[size:], key)
	}
	return head
}

// closePayload is the payload of a close frame (RFC 6455 5.5.1). The reason is cut to what a frame holds, at a character.
func closePayload(status int, reason string) []byte {
	if status == 0 || status == noStatus {
		return nil
	}
	if len(reason) > maxReason {
		cut := maxReason - len("…")
		for cut > 0 && !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = reason[:cut] + "…"
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(status)), reason...)
}

// noStatus says that a close frame carried no status (RFC 6455 7.1.5).
const noStatus = 1005

// parseClose reads the payload of a close frame.
func parseClose(payload []byte) (status int, reason string, err error) {
	switch {
	case len(payload) == 0:
		return noStatus, "", nil
	case len(payload) == 1, !utf8.Valid(payload[2:]):
		return 0, "", errCloseFrame
	}
	status = int(binary.BigEndian.Uint16(payload))
	// RFC 6455 7.4: 1004, 1005, 1006 and 1015 are never sent, 1016 to 2999 and what is below 1000 or above 4999 has no meaning.
	if status < 1000 || status > 4999 || status >= 1016 && status < 3000 || status >= 1004 && status <= 1006 || status == 1015 {
		return 0, "", errCloseFrame
	}
	return status, string(payload[2:]), nil
}
