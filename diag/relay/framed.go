package relay

import (
	"net"
	"sync"
	"sync/atomic"
)

// framed is a side of the relay that speaks WebSocket: the client's always, the target's where its URL is ws or wss. One
// goroutine reads, any write.
type framed struct {
	conn   net.Conn
	in     unframer
	masks  bool // we are the WebSocket client, and mask what we send
	keys   keys // under mu
	status int  // of the close frame that the peer sent; 0: none. Of the reading goroutine.
	reason string

	mu     sync.Mutex // held while a frame is written
	closed bool       // a close frame was sent: nothing may follow it

	waiting atomic.Pointer[[]byte] // a control frame for when the writer is free
}

// closeFrame ends strip: the peer has closed.
type closeFrame struct{}

func (closeFrame) Error() string { return "WebSocket close frame" }

func newFramed(conn net.Conn, client bool) *framed {
	f := &framed{conn: conn, masks: client}
	// Our client must send binary messages; a broker that sends text is borne, and told of in the trace.
	f.in = unframer{masked: !client, texts: client, control: f.onControl}
	return f
}

// onControl answers pings, and ends reading at a close frame.
func (f *framed) onControl(op opcode, payload []byte) error {
	switch op {
	case opPing:
		f.control(opPong, payload)
	case opClose:
		var err error
		if f.status, f.reason, err = parseClose(payload); err != nil {
			return err
		}
		return closeFrame{}
	}
	return nil
}

// send writes bytes that stand in a buffer from off on as one binary message. What stands before them is overwritten, and so
// are they where they are masked.
func (f *framed) send(buf []byte, off int) error {
	f.mu.Lock()
	err := f.sendLocked(buf, off, opBinary)
	f.flushLocked()
	f.mu.Unlock()
	if f.waiting.Load() != nil { // came between the two lines above
		f.flush()
	}
	return err
}

func (f *framed) sendLocked(buf []byte, off int, op opcode) error {
	if f.closed {
		return net.ErrClosed
	}
	var key []byte
	if f.masks {
		key = f.keys.next()
	}
	head := frame(buf[:off], op, len(buf)-off, key)
	if key != nil {
		maskBytes(buf[off:], [4]byte(key), 0)
	}
	_, err := f.conn.Write(buf[off-len(head):])
	return err
}

// control sends a control frame as soon as the writer is free; it does not wait for that. A frame that still waits is replaced:
// only the newest ping needs an answer (RFC 6455 5.5.3).
func (f *framed) control(op opcode, payload []byte) {
	whole := make([]byte, headRoom+len(payload))
	whole[0] = byte(op) // sendLocked writes its header over it
	copy(whole[headRoom:], payload)
	f.waiting.Store(&whole)
	f.flush()
}

func (f *framed) flush() {
	if f.mu.TryLock() {
		f.flushLocked()
		f.mu.Unlock()
	}
}

func (f *framed) flushLocked() {
	if whole := f.waiting.Swap(nil); whole != nil {
		_ = f.sendLocked(*whole, headRoom, opcode((*whole)[0])) // a broken connection shows where it is read
	}
}

// ping keeps proxies from taking a quiet connection for a dead one.
func (f *framed) ping() { f.control(opPing, nil) }

// close sends a close frame and lets nothing follow it. The caller has set a deadline.
func (f *framed) close(status int, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	payload := closePayload(status, reason)
	whole := make([]byte, headRoom+len(payload))
	copy(whole[headRoom:], payload)
	_ = f.sendLocked(whole, headRoom, opClose) // to a peer that is gone
	f.closed = true
}

// keys are masking keys, fresh for each frame and not to be guessed (RFC 6455 5.3), drawn many at a time.
type keys struct{ left []byte }

func (k *keys) next() []byte {
	if len(k.left) == 0 {
		k.left = randomBytes(64)
	}
	key := k.left[:4:4]
	k.left = k.left[4:]
	return key
}
