package trace

import (
	"bytes"
	"testing"
)

// packet makes a packet of a type with a body of n bytes.
func packet(first byte, n int) []byte {
	out := []byte{first}
	for rest := n; ; {
		digit := byte(rest & 0x7f)
		if rest >>= 7; rest > 0 {
			out = append(out, digit|0x80)
			continue
		}
		out = append(out, digit)
		break
	}
	return append(out, bytes.Repeat([]byte{first}, n)...)
}

// follow walks and assembles a stream in pieces, losing those that lose names.
func follow(t testing.TB, stream []byte, size int, lose func(i int) bool) (cuts []cut, ends, skipped int) {
	t.Helper()
	var w walker
	var a assembler
	for i := 0; len(stream) > 0; i++ {
		n := min(size, len(stream))
		out := w.walk(stream[:n])
		var kept []byte
		for _, p := range w.keep {
			kept = append(kept, stream[p.from:p.to]...)
		}
		stream = stream[n:]
		ends += out.ends
		if lose != nil && lose(i) {
			a.lost = true
			skipped += out.ends
			continue
		}
		got, lost := a.feed(kept, out)
		if len(got)+lost != out.ends {
			t.Fatalf("piece %d: the walker counted %d packets, %d were cut and %d lost", i, out.ends, len(got), lost)
		}
		cuts, skipped = append(cuts, got...), skipped+lost
	}
	return cuts, ends, skipped
}

func TestWalkerAndAssemblerAgree(t *testing.T) {
	sizes := []int{0, 2, 125, 130, 3000, keepBody, keepBody + 1, 100_000, 0, 1, 70_000, 5}
	var stream []byte
	for i, n := range sizes {
		stream = append(stream, packet(byte(i+1)<<4, n)...)
	}
	for _, size := range []int{1, 2, 3, 7, 100, 4096, 1 << 20} {
		cuts, ends, skipped := follow(t, stream, size, nil)
		if len(cuts) != len(sizes) || ends != len(sizes) || skipped != 0 {
			t.Fatalf("in pieces of %d: %d packets, %d ends, %d lost", size, len(cuts), ends, skipped)
		}
		for i, n := range sizes {
			c := cuts[i]
			if c.raw[0] != byte(i+1)<<4 || c.length != c.header+n || c.truncated != (n > keepBody) || len(c.raw) != c.header+min(n, keepBody) {
				t.Errorf("in pieces of %d: packet %d: %d kept of %d", size, i, len(c.raw), c.length)
			}
		}
		// Whatever is lost, those behind it are found again.
		for lost := range 40 {
			if size < 7 {
				break
			}
			cuts, ends, skipped := follow(t, stream, size, func(i int) bool { return i == lost })
			if len(cuts)+skipped != ends {
				t.Errorf("in pieces of %d without number %d: %d packets and %d lost of %d", size, lost, len(cuts), skipped, ends)
			}
			for _, c := range cuts {
				if c.raw[0]&0x0f != 0 || len(c.raw) > c.header && c.raw[len(c.raw)-1] != c.raw[0] {
					t.Errorf("in pieces of %d without number %d: not a packet: %x", size, lost, c.raw[:min(8, len(c.raw))])
				}
			}
		}
	}
}

func TestWalkerStopsAtAHeaderWithoutEnd(t *testing.T) {
	stream := append(packet(0x30, 3), 0x30, 0x80, 0x80, 0x80, 0x80, 1, 2, 3)
	cuts, _, _ := follow(t, stream, 2, nil)
	if len(cuts) != 2 || !cuts[1].broken {
		t.Errorf("%+v", cuts)
	}
}

func FuzzWalk(f *testing.F) {
	f.Add(append(packet(0x30, 3), packet(0xc0, 0)...), uint8(2), uint8(1))
	f.Add(append(packet(0x30, 30_000), packet(0xe0, 2)...), uint8(200), uint8(9))
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0x7f, 1, 2}, uint8(1), uint8(0))
	f.Fuzz(func(t *testing.T, stream []byte, size, lost uint8) {
		whole, _, _ := follow(t, bytes.Clone(stream), len(stream)+1, nil)
		pieces, _, _ := follow(t, bytes.Clone(stream), int(size)+1, nil)
		if len(whole) != len(pieces) {
			t.Fatalf("%d packets whole, %d in pieces", len(whole), len(pieces))
		}
		for i := range whole {
			if !bytes.Equal(whole[i].raw, pieces[i].raw) || whole[i].length != pieces[i].length {
				t.Fatalf("packet %d: %x and %x", i, whole[i].raw, pieces[i].raw)
			}
		}
		cuts, ends, skipped := follow(t, bytes.Clone(stream), int(size)+1, func(i int) bool { return i == int(lost) })
		if len(cuts)+skipped != ends {
			t.Fatalf("%d packets, %d lost, %d in all", len(cuts), skipped, ends)
		}
	})
}
