package trace

// keepBody is how much is kept of a packet's body: a payload of maxPayload, and what usually stands before it.
const keepBody = maxPayload + 4<<10

// walker follows the packets in one direction of a connection, from the stream's bytes alone and without keeping any: where
// packets end, and which bytes are worth keeping. It costs a few nanoseconds for each packet.
type walker struct {
	have   int    // bytes of the fixed header that have come, 0 between packets
	body   bool   // the fixed header is complete
	left   uint32 // bytes missing of the packet in progress
	room   uint32 // of these, bytes to keep
	ended  bool   // the part to keep is complete
	broken bool   // no packets can be told any more

	keep []piece // what to keep of the last walk's bytes
}

type piece struct{ from, to int }

// walked is what a walk found.
type walked struct {
	ends     int  // packets whose part to keep ended
	lead     int  // bytes to keep that belong to a packet begun before
	leadEnds bool // that packet's part to keep ended too
}

// walk takes the next bytes of the stream.
func (w *walker) walk(b []byte) (out walked) {
	w.keep = w.keep[:0]
	leading := w.have > 0 && !w.ended
	for i := 0; i < len(b) && !w.broken; {
		if !w.body {
			w.have++
			w.take(i, i+1, &out, leading)
			if w.have > 1 {
				w.left |= uint32(b[i]&0x7f) << (7 * (w.have - 2))
				w.body = b[i]&0x80 == 0
				w.broken = w.have == 5 && !w.body
			}
			i++
			if w.body {
				w.room = min(w.left, keepBody)
			}
		} else {
			n := int(min(uint64(len(b)-i), uint64(w.left)))
			kept := int(min(uint64(n), uint64(w.room)))
			if kept > 0 {
				w.take(i, i+kept, &out, leading)
				w.room -= uint32(kept)
			}
			w.left -= uint32(n)
			i += n
		}
		if w.broken || w.body && w.room == 0 && !w.ended {
			w.ended = true
			out.ends++
			if leading {
				out.leadEnds, leading = true, false
			}
		}
		if w.body && w.left == 0 {
			w.have, w.body, w.ended = 0, false, false
		}
	}
	return out
}

// take notes bytes to keep.
func (w *walker) take(from, to int, out *walked, leading bool) {
	if leading {
		out.lead += to - from
	}
	if n := len(w.keep); n > 0 && w.keep[n-1].to == from {
		w.keep[n-1].to = to
		return
	}
	w.keep = append(w.keep, piece{from, to})
}

// cut is a packet as it was kept.
type cut struct {
	raw       []byte // fixed header and what was kept of the body
	header    int    // bytes of the fixed header
	length    int    // bytes of the whole packet
	truncated bool
	broken    bool // the fixed header has no end
}

// assembler cuts packets out of what was kept, in step with the walker.
type assembler struct {
	partial []byte
	lost    bool // pieces are missing: what comes belongs to an unknown packet until the next one begins
}

// feed takes the next kept bytes and returns the packets that end in them. Of a packet whose beginning was lost nothing is
// returned; skipped counts it.
func (a *assembler) feed(data []byte, w walked) (cuts []cut, skipped int) {
	if a.lost {
		a.partial = nil
		if !w.leadEnds && w.lead == len(data) && len(data) > 0 && w.ends == 0 {
			return nil, 0 // still inside it
		}
		data = data[w.lead:]
		if w.leadEnds {
			skipped = 1
		}
		a.lost = false
	}
	own := len(a.partial) > 0 // data is ours to keep
	if own {
		data = append(a.partial, data...)
		a.partial = nil
	}
	for len(data) > 0 {
		header, remaining, broken := fixedHeader(data)
		if broken {
			return append(cuts, cut{raw: data[:5], header: 5, length: 5, broken: true}), skipped
		}
		kept := header + min(remaining, keepBody)
		if header == 0 || len(data) < kept {
			if !own || len(cuts) > 0 {
				data = append([]byte(nil), data...)
			}
			a.partial = data
			break
		}
		cuts = append(cuts, cut{raw: data[:kept:kept], header: header, length: header + remaining, truncated: remaining > keepBody})
		data = data[kept:]
	}
	return cuts, skipped
}

// fixedHeader reads a fixed header (MQTT 5.0 2.1); size is 0 while bytes are missing.
func fixedHeader(b []byte) (size, remaining int, broken bool) {
	for i := 1; i < len(b) && i < 5; i++ {
		remaining |= int(b[i]&0x7f) << (7 * (i - 1))
		if b[i]&0x80 == 0 {
			return i + 1, remaining, false
		}
	}
	return 0, 0, len(b) >= 5
}
