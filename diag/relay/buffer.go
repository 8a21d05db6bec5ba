package relay

import (
	"net"
	"sync"
	"syscall"
)

// Buffers hold what one read brought, with room before it for the header of a frame. A connection has one only while there is
// something in it: most connections of most brokers are idle most of the time.
const (
	smallBuffer = 16 << 10
	// largeBuffer is used once a read has filled the small one: large messages come in few pieces then.
	largeBuffer = 64 << 10
)

type buffer struct{ b []byte } // headRoom bytes, then those that were read

var (
	smallBuffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, headRoom+smallBuffer)} }}
	largeBuffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, headRoom+largeBuffer)} }}
)

func takeBuffer(large bool) *buffer {
	if large {
		return largeBuffers.Get().(*buffer) //nolint:errcheck // its New
	}
	return smallBuffers.Get().(*buffer) //nolint:errcheck // its New
}

func (b *buffer) release() {
	if len(b.b) > headRoom+smallBuffer {
		largeBuffers.Put(b)
		return
	}
	smallBuffers.Put(b)
}

// source reads from a connection without holding a buffer while it waits. It is for one goroutine.
type source struct {
	conn  net.Conn
	raw   syscall.RawConn // nil: the connection offers none, or its bytes are not those of the socket (TLS)
	early []byte          // came before, with the opening handshake
	large bool
	first []byte // of readPlain

	read func(fd uintptr) bool // tryRead, made once
	buf  *buffer               // of the read under way
	n    int
	err  error
}

func newSource(conn net.Conn, early []byte) *source {
	s := &source{conn: conn, early: early}
	if c, ok := conn.(syscall.Conn); ok && canWait {
		if raw, err := c.SyscallConn(); err == nil {
			s.raw = raw
		}
	}
	s.read = s.tryRead
	return s
}

// next waits for bytes and returns them in a buffer, which the caller releases. Without bytes the buffer is nil.
func (s *source) next() (*buffer, int, error) {
	if len(s.early) > 0 {
		buf := takeBuffer(false)
		n := copy(buf.b[headRoom:], s.early)
		s.early = s.early[n:]
		return buf, n, nil
	}
	s.buf, s.n, s.err = nil, 0, nil
	if s.raw == nil {
		s.readPlain()
	} else if err := s.raw.Read(s.read); err != nil {
		s.err = err
	}
	buf, n := s.buf, s.n
	s.buf = nil
	if buf == nil {
		return nil, 0, s.err
	}
	if n <= 0 {
		buf.release()
		return nil, 0, s.err
	}
	// A read that fills what it was given says that there is more.
	switch {
	case s.raw == nil:
		s.large = n == smallBuffer || n == firstPiece && !s.large
	default:
		s.large = n == len(buf.b)-headRoom || s.large && n > smallBuffer/4
	}
	return buf, n, nil // an error comes again with the next read
}

// firstPiece is what a reader holds that cannot wait without a buffer.
const firstPiece = 512

// readPlain reads with a buffer in hand: a small one, until more comes than fits it. The other holds a TLS record
// (RFC 8446 5.1: 2^14 bytes), which is all that one read of a TLS connection returns.
func (s *source) readPlain() {
	if s.large {
		s.buf = takeBuffer(false)
		s.n, s.err = s.conn.Read(s.buf.b[headRoom:])
		return
	}
	if s.first == nil {
		s.first = make([]byte, firstPiece)
	}
	n, err := s.conn.Read(s.first)
	s.err = err
	if n == 0 {
		return
	}
	s.buf = takeBuffer(false)
	s.n = copy(s.buf.b[headRoom:], s.first[:n])
}

// drain reads and forgets until the connection ends or its deadline comes.
func (s *source) drain() {
	for {
		buf, _, err := s.next()
		if err != nil {
			return
		}
		buf.release()
	}
}
