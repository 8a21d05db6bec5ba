package mqttwire

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"testing"
	"testing/iotest"
	"time"
)

func TestReadFrame(t *testing.T) {
	body := bytes.Repeat([]byte{7}, 20000)
	for _, c := range []struct {
		name  string
		in    []byte
		limit int
		body  int   // length of the body
		err   error // by type, or the same
		left  int   // bytes that must still be in the stream
	}{
		{"empty body", []byte{0xd0, 0, 1, 2}, 0, 0, nil, 2},
		{"one byte of length", []byte{0x20, 2, 0, 0, 0xd0}, 0, 2, nil, 1},
		{"two bytes of length", append([]byte{0x30, 0xa0, 0x9c, 1}, body...), 0, 20000, nil, 0},
		{"length not minimal", []byte{0x20, 0x82, 0x80, 0x00, 0, 0}, 0, 2, nil, 0}, // tolerated: its value is clear
		{"exactly the limit", []byte{0x20, 2, 0, 0}, 4, 2, nil, 0},
		{"one over the limit", []byte{0x20, 3, 0, 0, 0}, 4, 0, &ErrTooLarge{}, 3},
		{"256 MB", []byte{0x20, 0xff, 0xff, 0xff, 0x7f, 0, 0}, 0, 0, &ErrTooLarge{}, 2},
		{"over the largest limit", []byte{0x20, 0xff, 0xff, 0xff, 0xff, 0x7f}, 1 << 30, 0, &ErrMalformed{}, 1},
		{"nothing", nil, 0, 0, io.EOF, 0},
		{"one byte", []byte{0x20}, 0, 0, io.ErrUnexpectedEOF, 0},
		{"half a length", []byte{0x20, 0x80}, 0, 0, io.ErrUnexpectedEOF, 0},
		{"half a body", []byte{0x20, 2, 0}, 0, 0, io.ErrUnexpectedEOF, 0},
	} {
		for how, wrap := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "bytewise": iotest.OneByteReader,
			"with error": iotest.DataErrReader,
		} {
			in := bytes.NewReader(c.in)
			frame, err := ReadFrame(wrap(in), c.limit)
			switch want := c.err.(type) {
			case nil:
				if err != nil || len(frame.Body) != c.body || frame.Type != PacketType(c.in[0]>>4) || !bytes.Equal(frame.Raw, c.in[:len(c.in)-c.left]) {
					t.Errorf("%s %s: %v, %d bytes of body", c.name, how, err, len(frame.Body))
				}
			case *ErrTooLarge:
				if !errors.As(err, &want) {
					t.Errorf("%s %s: %v", c.name, how, err)
				}
			case *ErrMalformed:
				if !errors.As(err, &want) || want.Section != "1.5.5" {
					t.Errorf("%s %s: %v", c.name, how, err)
				}
			default:
				if err != c.err {
					t.Errorf("%s %s: %v, want %v", c.name, how, err, c.err)
				}
			}
			if how != "with error" && in.Len() != c.left {
				t.Errorf("%s %s: %d bytes left, want %d", c.name, how, in.Len(), c.left)
			}
		}
	}
}

// A declared length costs nothing until the bytes come.
func TestFrameMemoryFollowsBytes(t *testing.T) {
	in := append([]byte{0x30, 0xff, 0xff, 0xff, 0x7f}, make([]byte, 10000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ReadFrame(bytes.NewReader(in), LargestPacketBytes)
	runtime.ReadMemStats(&after)
	if err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 128<<10 {
		t.Errorf("%d bytes were allocated for 10 kB", grown)
	}
}

// After a time-out in the middle of a packet reading goes on.
func TestFrameReaderResumes(t *testing.T) {
	in := iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader([]byte{0x20, 2, 0, 5})))
	fr := NewFrameReader(in, 0)
	if _, err := fr.Next(); err != iotest.ErrTimeout || len(fr.Partial()) != 1 {
		t.Fatalf("%v with %v", err, fr.Partial())
	}
	frame, err := fr.Next()
	if err != nil || !bytes.Equal(frame.Raw, []byte{0x20, 2, 0, 5}) {
		t.Errorf("%v, %v", frame, err)
	}
	if errors.Is(iotest.ErrTimeout, os.ErrDeadlineExceeded) {
		t.Error("the test's time-out is one of ours")
	}
}

func TestSplitter(t *testing.T) {
	stream := []byte{0xc0, 0, 0x30, 5, 0, 1, 'a', 'x', 'y', 0xe0, 0, 0x10}
	for size := 1; size <= len(stream); size++ {
		var s Splitter
		var got []byte
		for rest := stream; len(rest) > 0; {
			n := min(size, len(rest))
			frames, err := s.Feed(rest[:n], time.Now())
			if err != nil {
				t.Fatal(err)
			}
			for _, frame := range frames {
				got = append(got, frame.Raw...)
			}
			rest = rest[n:]
		}
		if !bytes.Equal(got, stream[:len(stream)-1]) {
			t.Errorf("in pieces of %d: % x", size, got)
		}
	}
	s := Splitter{MaxBytes: 10}
	frames, err := s.Feed([]byte{0xc0, 0, 0x30, 100}, time.Now())
	var tooLarge *ErrTooLarge
	if len(frames) != 1 || !errors.As(err, &tooLarge) || tooLarge.Declared != 100 {
		t.Errorf("%v, %v", frames, err)
	}
	if _, again := s.Feed([]byte{0xc0, 0}, time.Now()); again != err {
		t.Errorf("after the error: %v", again)
	}
}

func FuzzReadFrame(f *testing.F) {
	for _, seed := range [][]byte{{0x20, 2, 0, 0}, {0x30, 0xff, 0xff, 0xff, 0x7f}, {0x20, 0xff, 0xff, 0xff, 0xff}, {0xc0, 0, 0xd0}, {}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		reader := bytes.NewReader(data)
		fr := NewFrameReader(reader, 1000)
		var s Splitter
		s.MaxBytes = 1000
		pushed, pushErr := s.Feed(data, time.Now())
		var pulled []Frame
		for {
			frame, err := fr.Next()
			if err != nil {
				if (pushErr != nil) != (err != io.EOF && err != io.ErrUnexpectedEOF) {
					t.Fatalf("pulled %v, pushed %v", err, pushErr)
				}
				break
			}
			if len(frame.Raw) > 1000 {
				t.Fatalf("%d bytes", len(frame.Raw))
			}
			pulled = append(pulled, frame)
		}
		if len(pulled) != len(pushed) {
			t.Fatalf("%d pulled, %d pushed", len(pulled), len(pushed))
		}
		for i := range pulled {
			if !bytes.Equal(pulled[i].Raw, pushed[i].Raw) || !bytes.Equal(pulled[i].Body, pushed[i].Body) {
				t.Fatalf("frame %d differs", i)
			}
		}
	})
}
