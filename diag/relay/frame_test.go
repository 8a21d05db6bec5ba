package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// written is a frame as a peer would send it.
func written(op opcode, fin bool, payload string, key []byte) []byte {
	room := make([]byte, headRoom)
	head := frame(room, op, len(payload), key)
	if !fin {
		head[0] &^= 0x80
	}
	body := []byte(payload)
	if key != nil {
		maskBytes(body, [4]byte(key), 0)
	}
	return append(bytes.Clone(head), body...)
}

var testKey = []byte{0x11, 0x22, 0x33, 0xa4}

// However a stream of frames is cut, the same bytes come out of it.
func TestStripWhereverTheStreamIsCut(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 5000) // 80,000: a 64-bit length
	var stream []byte
	var want string
	for i, payload := range []string{"", "a", "bc", strings.Repeat("x", 125), strings.Repeat("y", 126), long, "end"} {
		stream = append(stream, written(opBinary, i%2 == 0, payload, testKey)...)
		want += payload
		stream = append(stream, written(opPing, true, "ping", testKey)...)
		if i%2 == 1 {
			stream = append(stream, written(opContinuation, true, "more", testKey)...)
			want += "more"
		}
	}
	for _, cut := range []int{1, 2, 3, 7, 100, 4096, len(stream)} {
		pings := 0
		u := unframer{masked: true, control: func(op opcode, payload []byte) error {
			if op != opPing || string(payload) != "ping" {
				t.Errorf("control %d %q", op, payload)
			}
			pings++
			return nil
		}}
		var got []byte
		for rest := bytes.Clone(stream); len(rest) > 0; {
			n := min(cut, len(rest))
			data, err := u.strip(rest[:n])
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, data...)
			rest = rest[n:]
		}
		if string(got) != want || pings != 7 {
			t.Errorf("cut at %d: %d bytes of %d, %d pings", cut, len(got), len(want), pings)
		}
	}
}

func TestStripRefuses(t *testing.T) {
	badLength := append([]byte{0x82, 0xff}, bytes.Repeat([]byte{0xff}, 8)...)
	for name, c := range map[string]struct {
		stream []byte
		want   error
	}{
		"a text message":           {written(opText, true, "a", testKey), errText},
		"a frame without mask":     {written(opBinary, true, "a", nil), errMask},
		"a reserved bit":           {[]byte{0xc2, 0x80, 0, 0, 0, 0}, errReserved},
		"an unknown opcode":        {[]byte{0x83, 0x80, 0, 0, 0, 0}, errOpcode},
		"a fragmented ping":        {written(opPing, false, "a", testKey), errControl},
		"a long ping":              {written(opPing, true, strings.Repeat("a", 126), testKey), errControl},
		"a continuation of naught": {written(opContinuation, true, "a", testKey), errSequence},
		"a message in a message":   {append(written(opBinary, false, "a", testKey), written(opBinary, true, "a", testKey)...), errSequence},
		"a negative length":        {append(badLength, testKey...), errLength},
	} {
		u := unframer{masked: true, control: func(opcode, []byte) error { return nil }}
		if _, err := u.strip(c.stream); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	masked := unframer{control: func(opcode, []byte) error { return nil }}
	if _, err := masked.strip(written(opBinary, true, "a", testKey)); !errors.Is(err, errMask) {
		t.Errorf("a server that masks: %v", err)
	}
}

func TestMaskBytesTwiceIsNothing(t *testing.T) {
	want := make([]byte, 300)
	for i := range want {
		want[i] = byte(i * 7)
	}
	for from := range 40 {
		for at := range 4 {
			got := bytes.Clone(want)
			maskBytes(got[from:], [4]byte(testKey), at)
			for i := from; i < len(got); i++ {
				if got[i] != want[i]^testKey[(at+i-from)&3] {
					t.Fatalf("byte %d from %d at %d", i, from, at)
				}
			}
		}
	}
}

func TestClosePayload(t *testing.T) {
	for _, c := range []struct {
		status int
		reason string
	}{{4001, "short"}, {4002, strings.Repeat("x", 200)}, {4003, strings.Repeat("连接", 40)}, {1000, ""}} {
		payload := closePayload(c.status, c.reason)
		if len(payload) > maxControl || !utf8.Valid(payload[2:]) {
			t.Errorf("%d bytes: %q", len(payload), payload)
		}
		status, reason, err := parseClose(payload)
		if err != nil || status != c.status || !strings.HasPrefix(c.reason, strings.TrimSuffix(reason, "…")) {
			t.Errorf("%d %q %v", status, reason, err)
		}
	}
	for _, payload := range []string{"\x03", "\x03\xed", "\x03\xee", "\x00\x01", "\x07\xd0", "\x03\xe8\xff"} {
		if _, _, err := parseClose([]byte(payload)); err == nil {
			t.Errorf("%x was taken", payload)
		}
	}
}

// FuzzStrip: whatever comes, strip keeps inside its buffer, and its answer does not depend on how the stream is cut.
func FuzzStrip(f *testing.F) {
	f.Add(append(written(opBinary, false, "hello", testKey), written(opContinuation, true, "world", testKey)...), uint8(3))
	f.Add(append(written(opPing, true, "p", testKey), written(opClose, true, "\x03\xe8bye", testKey)...), uint8(1))
	f.Add(binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, 1<<40), uint8(9))
	f.Fuzz(func(t *testing.T, stream []byte, cut uint8) {
		run := func(size int) (data, controls []byte, err error) {
			u := unframer{masked: true, control: func(op opcode, payload []byte) error {
				controls = append(append(controls, byte(op)), payload...)
				return nil
			}}
			for rest := bytes.Clone(stream); len(rest) > 0 && err == nil; {
				n := min(size, len(rest))
				var got []byte
				got, err = u.strip(rest[:n:n])
				data, rest = append(data, got...), rest[n:]
			}
			return data, controls, err
		}
		whole, controls, err := run(len(stream) + 1)
		pieces, piecewise, pieceErr := run(int(cut) + 1)
		if !bytes.Equal(whole, pieces) || !bytes.Equal(controls, piecewise) || err != pieceErr { //nolint:errorlint // the same value
			t.Errorf("whole %q %v, in pieces of %d %q %v", whole, err, int(cut)+1, pieces, pieceErr)
		}
	})
}
