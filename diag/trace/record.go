package trace

import (
	"sync"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
)

// Recorder keeps what passed on the connections to one target.
type Recorder struct {
	now func() time.Time

	mu      sync.Mutex
	ring    []record
	base    uint64 // number of ring[0]; records are numbered from 1
	bytes   int    // of the records' data
	packets int
	seq     uint64 // of the newest packet or event
	conns   int
	page    *page // where the next data goes
	spare   *page // one that is no longer in use, to save the collector work where much passes
	closed  bool
	waiting bool          // somebody waits for wake
	wake    chan struct{} // closed when there is something new

	decode  sync.Mutex // held while records are decoded, in order
	decoded uint64     // number of the last record that was decoded, or was gone before it could be; under decode
}

// record is what came at once on one connection in one direction, or an event. It is not changed once it is in the ring, but
// for packets.
type record struct {
	at    time.Time
	conn  *Conn
	dir   int
	index uint64 // of the connection's records, from 0
	first uint64 // number of the first packet that ends here
	data  []byte // as much as is kept; a part of the page
	page  *page
	walk  walked
	event *Event // then it is this, and nothing else

	done    bool
	packets []Packet
}

// page holds the data of records that came one after the other. What is written is not written again, unless nobody can
// have it any more.
type page struct {
	buf     []byte
	records int  // in the ring
	lent    bool // somebody was given parts of it
}

// size is how many packets and events end here.
func (r *record) size() int {
	if r.event != nil {
		return 1
	}
	return r.walk.ends
}

// The types of events.
const (
	EventConnected = "connected"
	EventClosed    = "closed" // its field "by" says who
	EventError     = "error"  // the target was not reached
)

// Event is something that happened to a connection, rather than on it.
type Event struct {
	Type   string
	Fields map[string]any // facts, no secret among them
	Note   diag.Note      // the same in words
	// Warning is what is wrong with it, if anything.
	Warning *Warning
}

// NewRecorder returns an empty recorder. now is the clock; nil: the system's.
func NewRecorder(now func() time.Time) *Recorder {
	if now == nil {
		now = time.Now
	}
	return &Recorder{now: now, base: 1, wake: make(chan struct{})}
}

// Conn records one connection. Bytes may be called for both directions at once.
type Conn struct {
	recorder *Recorder
	number   int
	walkers  [2]walker
	heads    [2][]byte // the beginning of each direction; under the recorder's mu
	headed   [2]bool   // likewise: the first packet is in its head
	records  uint64    // likewise

	// Under the recorder's decode.
	state *decoder
}

// Connection adds a connection; they are numbered from 1.
func (r *Recorder) Connection() *Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns++
	return &Conn{recorder: r, number: r.conns}
}

// Bytes takes a copy of what passes. It does not wait, unless for another who copies.
func (c *Conn) Bytes(direction mqttwire.Direction, b []byte) {
	dir := out
	if direction == mqttwire.In {
		dir = in
	}
	w := &c.walkers[dir] // of this direction alone, as is the caller
	walk := w.walk(b)
	r := c.recorder
	at := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if room := headBytes - len(c.heads[dir]); room > 0 && !c.headed[dir] {
		c.heads[dir] = append(c.heads[dir], b[:min(room, len(b))]...)
		c.headed[dir] = walk.ends > 0
	}
	data := r.copyLocked(b, w.keep)
	if len(data) == 0 && walk.ends == 0 {
		return // inside a packet of which enough is kept
	}
	rec := record{at: at, conn: c, dir: dir, index: c.records, data: data, walk: walk}
	if len(data) > 0 {
		rec.page = r.page
		rec.page.records++
	}
	r.addLocked(rec)
	c.records++
}

// Event notes what happened to the connection.
func (c *Conn) Event(e Event) {
	r := c.recorder
	at := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.addLocked(record{at: at, conn: c, event: &e})
	}
}

// copyLocked copies what is to be kept of b onto a page.
func (r *Recorder) copyLocked(b []byte, keep []piece) []byte {
	total := 0
	for _, p := range keep {
		total += p.to - p.from
	}
	if total == 0 {
		return nil
	}
	p := r.page
	if p == nil || cap(p.buf)-len(p.buf) < total {
		p = r.newPageLocked(total)
		r.page = p
	}
	start := len(p.buf)
	for _, k := range keep {
		p.buf = append(p.buf, b[k.from:k.to]...)
	}
	return p.buf[start:len(p.buf):len(p.buf)]
}

// newPageLocked returns an empty page for at least so many bytes.
func (r *Recorder) newPageLocked(least int) *page {
	if r.spare != nil && cap(r.spare.buf) >= least {
		p := r.spare
		r.spare = nil
		p.buf = p.buf[:0]
		return p
	}
	size := pageBytes
	if r.page == nil {
		size = firstPageBytes // many consoles see a CONNECT and little else
	}
	return &page{buf: make([]byte, 0, max(size, least))}
}

// addLocked numbers a record and forgets the oldest where there are too many.
func (r *Recorder) addLocked(rec record) {
	n := rec.size()
	rec.first = r.seq + 1
	r.seq += uint64(n)
	r.ring = append(r.ring, rec)
	r.packets += n
	r.bytes += len(rec.data)
	gone := 0
	for gone < len(r.ring)-1 && (r.packets > maxPackets || r.bytes > maxBytes || len(r.ring)-gone > 2*maxPackets) {
		old := &r.ring[gone]
		r.packets -= old.size()
		r.bytes -= len(old.data)
		if p := old.page; p != nil {
			if p.records--; p.records == 0 && p != r.page && !p.lent && cap(p.buf) >= pageBytes {
				r.spare = p
			}
		}
		gone++
	}
	r.base += uint64(gone)
	clear(r.ring[:gone]) // lets go of pages
	r.ring = r.ring[gone:]
	if r.waiting {
		r.waiting = false
		close(r.wake)
		r.wake = make(chan struct{})
	}
}

// Close ends the recorder: nothing more is taken, and viewers end when they have seen what there is.
func (r *Recorder) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	close(r.wake)
	r.wake = make(chan struct{})
}
