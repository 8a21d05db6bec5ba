package mqttwire

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// PacketType is the MQTT Control Packet type (MQTT 5.0 2.1.2).
type PacketType byte

// The packet types.
const (
	CONNECT     PacketType = 1
	CONNACK     PacketType = 2
	PUBLISH     PacketType = 3
	PUBACK      PacketType = 4
	PUBREC      PacketType = 5
	PUBREL      PacketType = 6
	PUBCOMP     PacketType = 7
	SUBSCRIBE   PacketType = 8
	SUBACK      PacketType = 9
	UNSUBSCRIBE PacketType = 10
	UNSUBACK    PacketType = 11
	PINGREQ     PacketType = 12
	PINGRESP    PacketType = 13
	DISCONNECT  PacketType = 14
	AUTH        PacketType = 15 // MQTT 5 alone
)

var packetNames = [16]string{"reserved packet", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
	"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"}

// String is the name in the specification.
func (t PacketType) String() string {
	if int(t) < len(packetNames) {
		return packetNames[t]
	}
	return fmt.Sprintf("packet type %d", byte(t))
}

// Bounds on the bytes of one packet from a peer.
const (
	// DefaultMaxPacketBytes is far above any test message, and little enough for many runs at once.
	DefaultMaxPacketBytes = 1 << 20
	// LargestPacketBytes is the most that a packet can have: five bytes of fixed header and 268,435,455 more
	// (MQTT 5.0 1.5.5).
	LargestPacketBytes = 5 + maxRemaining

	maxRemaining = 1<<28 - 1
	// firstChunk is reserved for a body before any of it has come; from there the buffer doubles with what really came.
	firstChunk = 4 << 10
)

// Frame is one MQTT packet, cut out of the stream and not decoded.
type Frame struct {
	Type  PacketType
	Flags byte      // low four bits of the first byte (MQTT 5.0 2.1.3)
	Body  []byte    // what follows the fixed header; a part of Raw
	Raw   []byte    // the whole packet
	At    time.Time // when its last byte was read, or its first was about to be written
}

// header reads a fixed header (MQTT 5.0 2.1). size is its length, 0 while bytes are missing.
func header(raw []byte) (size, remaining int, err error) {
	for i := 1; i < len(raw); i++ {
		remaining |= int(raw[i]&0x7f) << (7 * (i - 1))
		if raw[i]&0x80 == 0 {
			return i + 1, remaining, nil
		}
		if i == 4 {
			return 0, 0, malformed(PacketType(raw[0]>>4), BreachEndless, "Remaining Length", -1, "1.5.5", "", "")
		}
	}
	return 0, 0, nil
}

// checkSize refuses a declared length above max bytes for the whole packet.
func checkSize(first byte, size, remaining, limit int) error {
	if size+remaining > limit {
		return &ErrTooLarge{Type: PacketType(first >> 4), Declared: remaining, Max: limit}
	}
	return nil
}

func newFrame(raw []byte, size int, at time.Time) Frame {
	return Frame{Type: PacketType(raw[0] >> 4), Flags: raw[0] & 0x0f, Body: raw[size:], Raw: raw, At: at}
}

// limitBytes puts a configured limit into what the protocol allows; 0 means the default.
func limitBytes(limit int) int {
	if limit <= 0 {
		return DefaultMaxPacketBytes
	}
	return min(limit, LargestPacketBytes)
}

// FrameReader cuts a stream into frames. It reads from the stream no byte more than the frame needs. After an error that
// is not the stream's end (a time-out), Next goes on where it stopped. It is not safe for concurrent use.
type FrameReader struct {
	r     io.Reader
	limit int
	raw   []byte // of the frame in progress
}

// NewFrameReader reads from r frames of at most maxBytes in all; 0 is DefaultMaxPacketBytes, and nothing is above
// LargestPacketBytes.
func NewFrameReader(r io.Reader, maxBytes int) *FrameReader {
	return &FrameReader{r: r, limit: limitBytes(maxBytes)}
}

// Partial returns what has come of the frame in progress; it is valid until the next call of Next.
func (fr *FrameReader) Partial() []byte { return fr.raw }

// Next returns the next frame. Errors: *ErrTooLarge, *ErrMalformed, io.EOF at the border between frames,
// io.ErrUnexpectedEOF inside one, and those of the stream.
func (fr *FrameReader) Next() (Frame, error) {
	for {
		size, remaining, err := header(fr.raw)
		if err != nil {
			return Frame{}, err
		}
		missing := 1 // the header comes byte by byte: one too many would belong to the next frame
		if size > 0 {
			if err := checkSize(fr.raw[0], size, remaining, fr.limit); err != nil {
				return Frame{}, err
			}
			missing = size + remaining - len(fr.raw)
			if missing == 0 {
				frame := newFrame(fr.raw, size, time.Now())
				fr.raw = nil
				return frame, nil
			}
			// Memory follows what came, not what was promised.
			missing = min(missing, max(len(fr.raw), firstChunk))
		}
		if err := fr.read(missing); err != nil {
			return Frame{}, err
		}
	}
}

// read appends at most n bytes.
func (fr *FrameReader) read(n int) error {
	have := len(fr.raw)
	if cap(fr.raw) < have+n {
		grown := make([]byte, have, max(have+n, 16))
		copy(grown, fr.raw)
		fr.raw = grown
	}
	got, err := fr.r.Read(fr.raw[have : have+n])
	fr.raw = fr.raw[:have+got]
	if got > 0 {
		return nil // an error comes again with the next read
	}
	if errors.Is(err, io.EOF) && have > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ReadFrame reads one frame, and no byte more. Errors are those of [FrameReader.Next].
func ReadFrame(r io.Reader, maxBytes int) (Frame, error) { return NewFrameReader(r, maxBytes).Next() }

// Splitter cuts a stream into frames as its bytes are pushed in: for a side that writes. It is not safe for concurrent use.
type Splitter struct {
	MaxBytes int // as in NewFrameReader
	raw      []byte
	err      error
}

// Feed takes the next bytes of the stream and returns the frames that they complete; their bytes are copies. An error is
// for good: the frames before it are returned with it, and from then on only it.
func (s *Splitter) Feed(data []byte, at time.Time) ([]Frame, error) {
	if s.err != nil {
		return nil, s.err
	}
	s.raw = append(s.raw, data...)
	var frames []Frame
	for {
		size, remaining, err := header(s.raw)
		if err == nil && size > 0 {
			err = checkSize(s.raw[0], size, remaining, limitBytes(s.MaxBytes))
		}
		if err != nil {
			s.raw, s.err = nil, err
			return frames, err
		}
		if size == 0 || len(s.raw) < size+remaining {
			return frames, nil
		}
		whole := size + remaining
		frames = append(frames, newFrame(append([]byte(nil), s.raw[:whole]...), size, at))
		s.raw = s.raw[whole:]
	}
}
