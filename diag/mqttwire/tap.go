package mqttwire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"mqttdoctor/diag/errno"
)

// Direction says which way a packet goes.
type Direction string

// The directions, seen from us.
const (
	In  Direction = "in"
	Out Direction = "out"
)

const (
	// evidenceBytes are kept of what comes in: a whole HTTP error page's head, any banner, any CONNACK worth reading.
	evidenceBytes = 4096
	// foreignBytes are read of an answer that is not MQTT (RFC 4253 4.2 allows an SSH banner 255, an HTTP head is longer).
	foreignBytes = 512
	// A foreign answer is taken to be complete after foreignPause without another byte; while it is so short that it can
	// hardly be told what it is, after foreignWait. foreignTotal bounds a peer that dribbles.
	foreignPause = 50 * time.Millisecond
	foreignWait  = time.Second
	foreignTotal = 2 * time.Second
	foreignShort = 5 // "HTTP/", "SSH-2", the header of a TLS record
	// writeBound keeps a peer that does not read from holding us up: its window has then been shut for that long.
	writeBound = 10 * time.Second
)

// ConnConfig says how a [Conn] reads.
type ConnConfig struct {
	// Version decides what may come; in it MQTT 5 properties are checked.
	Version Version
	// MaxPacketBytes bounds one packet; 0: DefaultMaxPacketBytes, at most LargestPacketBytes.
	MaxPacketBytes int
	// Sink gets every whole packet: those that come in as they are read, those that go out just before they are written.
	// It is called on the goroutine that reads or writes, for one direction never twice at a time; it must not block. A
	// CONNECT holds the password.
	Sink func(Direction, time.Time, Frame)
}

// Traffic is what has passed over a [Conn].
type Traffic struct {
	BytesIn, BytesOut int64
	LastIn, LastOut   time.Time // zero: nothing yet
	// First holds the first bytes that came in, at most 4096.
	First []byte
	// ReadError and WriteError are the first errors of the connection below; nil while there is none. Time-outs of reading
	// do not count, since reading can go on after them.
	ReadError, WriteError error
	// Ended says how the connection ended, as far as reading has shown: "" while it has not.
	Ended FailureKind
}

// Conn is a connection to an MQTT server that hands out nothing it has not checked: it reads packet by packet, each with a
// declared length under its limit, of a type that a server may send, and well-formed; anything else is a typed error
// (*ErrNotMQTT for a first byte that no answer to CONNECT can have, *ErrTooLarge, *ErrMalformed) after which reading is
// over. It may be read by one goroutine, written by several (each call of Write is written whole), and closed by any.
type Conn struct {
	inner net.Conn
	cfg   ConnConfig

	readMu  sync.Mutex
	buffer  *bufio.Reader
	frames  *FrameReader
	begun   bool   // the first byte has been judged
	ready   []byte // checked, and not yet handed out by Read
	readErr error  // for good

	writeMu sync.Mutex
	split   Splitter

	mu            sync.Mutex
	traffic       Traffic
	readDeadline  time.Time
	writeDeadline time.Time
	closed        bool
}

// NewConn wraps a connection: TCP, TLS or the byte stream of a WebSocket.
func NewConn(inner net.Conn, cfg ConnConfig) *Conn {
	c := &Conn{inner: inner, cfg: cfg, split: Splitter{MaxBytes: LargestPacketBytes}}
	c.buffer = bufio.NewReaderSize(rawReader{c}, evidenceBytes)
	c.frames = NewFrameReader(c.buffer, cfg.MaxPacketBytes)
	return c
}

// Read hands out the bytes of checked packets.
func (c *Conn) Read(p []byte) (int, error) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	if len(c.ready) == 0 {
		frame, err := c.next()
		if err == nil {
			_, err = Decode(c.cfg.Version, frame)
			c.readErr = err
		}
		if err != nil {
			return 0, err
		}
		c.ready = frame.Raw
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

// ReadFrame returns the next packet with its length and type checked and its body not decoded. It and Read take from the
// same stream: use one of them.
func (c *Conn) ReadFrame() (Frame, error) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	return c.next()
}

func (c *Conn) next() (Frame, error) {
	if c.readErr != nil {
		return Frame{}, c.readErr
	}
	frame, err := c.read()
	if err != nil {
		if !isTimeout(err) { // after a time-out reading goes on where it stopped
			c.readErr = err
		}
		return Frame{}, err
	}
	c.mu.Lock()
	frame.At = c.traffic.LastIn // not when we got round to it
	c.mu.Unlock()
	if c.cfg.Sink != nil {
		c.cfg.Sink(In, frame.At, frame)
	}
	return frame, nil
}

func (c *Conn) read() (Frame, error) {
	if !c.begun {
		first, err := c.buffer.Peek(1)
		if err != nil {
			return Frame{}, err
		}
		if !mayAnswerConnect(c.cfg.Version, first[0]) {
			return Frame{}, &ErrNotMQTT{First: c.foreign()}
		}
		c.begun = true
	}
	return c.frames.Next()
}

// mayAnswerConnect tells whether a first byte can begin an answer to CONNECT: CONNACK, or in MQTT 5 DISCONNECT or AUTH
// (MQTT 5.0 3.1.4, 4.13), with their flags, which are 0. Whole packets would not tell: "HTTP/" reads as a PUBACK.
func mayAnswerConnect(v Version, b byte) bool {
	return b == byte(CONNACK)<<4 || v == V5 && (b == byte(DISCONNECT)<<4 || b == byte(AUTH)<<4)
}

// foreign reads what else belongs to an answer that is not MQTT, and returns its first bytes.
func (c *Conn) foreign() []byte {
	limit := time.Now().Add(foreignTotal)
	for {
		first := c.Traffic().First
		if len(first) >= foreignBytes {
			break
		}
		pause := foreignPause
		if len(first) < foreignShort {
			pause = foreignWait
		}
		until := time.Now().Add(pause)
		if until.After(limit) {
			until = limit
		}
		if !c.readUntil(until) {
			break
		}
		if _, err := (rawReader{c}).Read(make([]byte, foreignBytes-len(first))); err != nil {
			break
		}
	}
	first := c.Traffic().First
	return first[:min(len(first), foreignBytes)]
}

// readUntil sets a deadline of our own, unless the one that was given is earlier. Reading is over afterwards anyway.
func (c *Conn) readUntil(until time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.readDeadline; !d.IsZero() && d.Before(until) {
		until = d
	}
	return !c.closed && c.inner.SetReadDeadline(until) == nil
}

// rawReader reads from the connection below and takes notes.
type rawReader struct{ c *Conn }

func (r rawReader) Read(p []byte) (int, error) {
	c := r.c
	n, err := c.inner.Read(p)
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.traffic
	if n > 0 {
		t.BytesIn += int64(n)
		t.LastIn = now
		t.First = append(t.First, p[:min(n, evidenceBytes-len(t.First))]...)
	}
	if err != nil && !isTimeout(err) && t.ReadError == nil {
		t.ReadError, t.Ended = err, kindOf(err)
		if c.closed {
			t.Ended = FailLocal // a close of ours shows as one error or another
		}
	}
	return n, err
}

// Write writes p whole: no other Write comes between. Bytes are passed on as they are.
func (c *Conn) Write(p []byte) (int, error) {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	now := time.Now()
	if c.cfg.Sink != nil {
		frames, _ := c.split.Feed(p, now) // our own packets: what is wrong with them is not for here
		for _, frame := range frames {
			c.cfg.Sink(Out, now, frame)
		}
	}
	c.mu.Lock()
	deadline := now.Add(writeBound)
	if !c.writeDeadline.IsZero() && c.writeDeadline.Before(deadline) {
		deadline = c.writeDeadline
	}
	err := c.inner.SetWriteDeadline(deadline) // under the lock, so that a deadline set meanwhile is not undone
	c.mu.Unlock()
	n := 0
	if err == nil {
		n, err = c.inner.Write(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 {
		c.traffic.BytesOut += int64(n)
		c.traffic.LastOut = now
	}
	if err != nil && c.traffic.WriteError == nil {
		c.traffic.WriteError = err
	}
	return n, err
}

// Traffic returns what has passed so far.
func (c *Conn) Traffic() Traffic {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.traffic
	t.First = bytes.Clone(t.First)
	return t
}

// Close closes the connection below.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	return c.inner.Close()
}

func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// LocalAddr is that of the connection below.
func (c *Conn) LocalAddr() net.Addr { return c.inner.LocalAddr() }

// RemoteAddr is that of the connection below.
func (c *Conn) RemoteAddr() net.Addr { return c.inner.RemoteAddr() }

// SetDeadline sets both deadlines. They are points in time: a peer that dribbles bytes does not move them.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline bounds reading.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readDeadline = t
	return c.inner.SetReadDeadline(t)
}

// SetWriteDeadline bounds writing, beside the ten seconds that each Write has.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeDeadline = t
	return c.inner.SetWriteDeadline(t)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// kindOf classes an error of reading or writing.
func kindOf(err error) FailureKind {
	var (
		tooLarge  *ErrTooLarge
		malformed *ErrMalformed
		notMQTT   *ErrNotMQTT
	)
	_, isAlert := TLSAlert(err)
	switch {
	case errors.As(err, &tooLarge):
		return FailTooLarge
	case errors.As(err, &malformed):
		return FailMalformed
	case errors.As(err, &notMQTT):
		return FailNotMQTT
	case isAlert:
		return FailTLSAlert
	case errno.Is(err, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED):
		return FailReset
	case errors.Is(err, net.ErrClosed):
		return FailLocal
	case isTimeout(err):
		return FailNoAnswer
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe):
		return FailClosed
	}
	return FailClosed // what else ends a stream (a TLS or WebSocket error) ends it all the same; the error tells which
}
