package mqttwire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Bounds of what a session keeps.
const (
	defaultMaxPacket = 1 << 20
	maxFirstBytes    = 512
	receivedQueue    = 1024
	maxQoS2Open      = 65535
)

// Subscription is one filter of a SUBSCRIBE (MQTT 5.0 3.8.3). NoLocal and the retain options are of MQTT 5 alone.
type Subscription struct {
	Filter            string
	QoS               byte
	NoLocal           bool
	RetainHandling    byte
	RetainAsPublished bool
}

// SubscribeResult is a SUBACK.
type SubscribeResult struct {
	Codes        []byte // one per filter
	ReasonString string
}

// Message is what is published.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
}

// PublishResult is what came back for a PUBLISH: for QoS 0 nothing does, and Acked only says that it was sent.
type PublishResult struct {
	Acked        bool // QoS 0: written; QoS 1: PUBACK; QoS 2: PUBCOMP, or a PUBREC that refuses
	Code         byte // 0x80 and above: refused
	Reason       string
	ReasonString string
}

// Received is a message that came.
type Received struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
	Dup     bool
	At      time.Time
}

// End tells how a session ended.
type End struct {
	Kind            FailureKind // empty: it has not ended
	Code            byte        // of the server's DISCONNECT, where Kind is refused
	Reason          string
	ReasonString    string
	ServerReference string
	At              time.Time
	Err             error
}

// Session is an accepted connection.
type Session interface {
	Version() Version
	// StartSubscribe and StartPublish write their packet and return; what they return awaits the answer. The order of
	// the calls is the order on the wire.
	StartSubscribe(subs []Subscription) *PendingSubscribe
	StartPublish(m Message) *PendingPublish
	Unsubscribe(ctx context.Context, filters []string) *Failure
	// Ping sends PINGREQ and awaits PINGRESP; the duration is between the two.
	Ping(ctx context.Context) (time.Duration, *Failure)
	// Messages are what the subscriptions bring, each QoS 2 message once. The channel is closed when the session has
	// ended. A reader too slow for it loses messages, counted by Dropped.
	Messages() <-chan Received
	Dropped() int
	// Done is closed when the session has ended; ClosedBy then tells how.
	Done() <-chan struct{}
	ClosedBy() End
	// Disconnect ends the session in order, Close at once; both end the connection.
	Disconnect(ctx context.Context) error
	Close() error
}

// ConnectResult is what came of a CONNECT.
type ConnectResult struct {
	Connack    *Connack // nil: none came
	RawConnack []byte
	Err        *Failure // nil where the CONNACK accepts
	Duration   time.Duration
	FirstBytes []byte // what came where no CONNACK did, at most 512 bytes
}

type session struct {
	conn    net.Conn
	r       *bufio.Reader
	version Version
	max     int

	writeMu sync.Mutex

	mu       sync.Mutex
	nextID   uint16
	pending  map[uint16]*pendingAck
	pings    []chan time.Time
	qos2     map[uint16]bool // received, not yet released
	dropped  int
	end      End
	messages chan Received
	done     chan struct{}
}

type pendingAck struct {
	kind byte // awaited packet type; of QoS 2 first PUBREC, then PUBCOMP
	ch   chan acknowledgement
}

// Connect sends a CONNECT and awaits its answer until ctx ends. The session is nil unless the CONNACK accepts; the
// connection is then the caller's to close. A session owns the connection. It sends nothing of its own accord, no PINGREQ
// either: it is for exchanges shorter than the keep alive.
func Connect(ctx context.Context, conn net.Conn, o ConnectOptions) (Session, ConnectResult) {
	if o.MaxPacketBytes == 0 {
		o.MaxPacketBytes = defaultMaxPacket
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	begun := time.Now()
	var result ConnectResult
	// After a write error something may still be there to be read: the alert or refusal that caused it.
	_, writeErr := conn.Write(EncodeConnect(o))
	r := bufio.NewReaderSize(conn, 4096)
	frame, err := readAnswer(r, o, &result)
	result.Duration = time.Since(begun)
	if err == nil && frame.Type == typeConnack {
		result.RawConnack = frame.Raw
		if result.Connack, err = DecodeConnack(frame, o.Version); err != nil {
			result.FirstBytes = clip(frame.Raw)
		}
	}
	switch {
	case err != nil:
		result.Err = failureOf(err)
		if errors.Is(err, errNotMQTT) {
			result.Err.Kind = FailNotMQTT
		}
		if writeErr != nil && result.Err.Kind != FailTLSAlert && len(result.FirstBytes) == 0 {
			result.Err = failureOf(writeErr)
		}
		if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
			result.Err.Kind = FailCanceled
		}
		return nil, result
	case frame.Type == typeDisconnect || frame.Type == typeAuth:
		code, reasonString, _, derr := decodeDisconnect(frame)
		result.FirstBytes = clip(frame.Raw)
		result.Err = &Failure{Kind: FailRefused, Code: code, Reason: ReasonName(code), ReasonString: reasonString, Err: derr}
		return nil, result
	case result.Connack.Code != 0:
		result.Err = &Failure{Kind: FailRefused, Code: result.Connack.Code, Reason: result.Connack.Reason(),
			ReasonString: result.Connack.ReasonString}
		return nil, result
	}
	if !stop() { // canceled in this very moment
		result.Err = &Failure{Kind: FailCanceled, Err: ctx.Err()}
		return nil, result
	}
	_ = conn.SetDeadline(time.Time{})
	s := &session{conn: conn, r: r, version: result.Connack.Version, max: o.MaxPacketBytes,
		pending: map[uint16]*pendingAck{}, qos2: map[uint16]bool{}, messages: make(chan Received, receivedQueue), done: make(chan struct{})}
	go s.read()
	return s, result
}

var errNotMQTT = errors.New("the answer is not MQTT")

// readAnswer reads the first packet. What does not begin as one that may come is read a little further, as evidence.
func readAnswer(r *bufio.Reader, o ConnectOptions, result *ConnectResult) (Frame, error) {
	first, err := r.Peek(1)
	if err != nil {
		return Frame{}, err
	}
	// CONNACK; DISCONNECT or AUTH in MQTT 5 (MQTT 5.0 4.12, 4.13). Their reserved flags are 0.
	if b := first[0]; b != 0x20 && !(o.Version == V5 && (b == 0xE0 || b == 0xF0)) {
		result.FirstBytes = rest(r)
		return Frame{}, errNotMQTT
	}
	if head, err := r.Peek(2); err == nil && head[0] == 0x20 && (head[1] < 2 || (o.Version != V5 && head[1] != 2)) {
		result.FirstBytes = rest(r)
		if head[1] >= 0x20 && head[1] < 0x7F { // a text that begins with a blank
			return Frame{}, errNotMQTT
		}
		return Frame{}, &MalformedError{What: fmt.Sprintf("the CONNACK declares %d bytes", head[1]), Section: "MQTT 3.1.1 3.2.1"}
	}
	frame, err := ReadFrame(r, o.MaxPacketBytes)
	if err != nil {
		result.FirstBytes = clip(frame.Raw)
	}
	return frame, err
}

// rest is what has come so far: reading on would wait for more that nobody promised.
func rest(r *bufio.Reader) []byte {
	b, _ := r.Peek(min(r.Buffered(), maxFirstBytes))
	return append([]byte(nil), b...)
}

func clip(b []byte) []byte { return append([]byte(nil), b[:min(len(b), maxFirstBytes)]...) }

// read is the session's only goroutine.
func (s *session) read() {
	var err error
	for err == nil {
		var f Frame
		if f, err = ReadFrame(s.r, s.max); err == nil {
			err = s.handle(f)
		}
	}
	s.finish(err)
}

// errServerDisconnect carries the server's DISCONNECT out of the loop.
type errServerDisconnect struct{ end End }

func (e errServerDisconnect) Error() string { return "the server sent DISCONNECT" }

func (s *session) finish(err error) {
	end := End{At: time.Now(), Err: err}
	var disconnect errServerDisconnect
	if errors.As(err, &disconnect) {
		end = disconnect.end
	} else {
		end.Kind = failureOf(err).Kind
	}
	_ = s.conn.Close()
	s.mu.Lock()
	if s.end.Kind == "" {
		s.end = end
	}
	s.mu.Unlock()
	close(s.done)
	close(s.messages)
}

func (s *session) handle(f Frame) error {
	switch f.Type {
	case typePublish:
		return s.handlePublish(f)
	case typePubrel:
		a, err := decodeAck(f, s.version)
		if err != nil {
			return err
		}
		s.mu.Lock()
		delete(s.qos2, a.id)
		s.mu.Unlock()
		return s.write(ack(typePubcomp, a.id))
	case typePuback, typePubrec, typePubcomp, typeSuback, typeUnsuback:
		a, err := decodeAck(f, s.version)
		if err != nil {
			return err
		}
		s.deliverAck(f.Type, a)
		return nil
	case typePingresp:
		s.mu.Lock()
		if len(s.pings) > 0 {
			s.pings[0] <- f.At
			s.pings = s.pings[1:]
		}
		s.mu.Unlock()
		return nil
	case typeDisconnect:
		if s.version == V5 {
			code, reasonString, reference, err := decodeDisconnect(f)
			return errServerDisconnect{End{Kind: FailRefused, Code: code, Reason: ReasonName(code), ReasonString: reasonString,
				ServerReference: reference, At: f.At, Err: err}}
		}
	case typeAuth:
		if s.version == V5 {
			return nil
		}
	}
	return &MalformedError{What: fmt.Sprintf("a server may not send packet type %d", f.Type), Section: "MQTT 5.0 2.1.2"}
}

func (s *session) handlePublish(f Frame) error {
	m, id, err := decodePublish(f, s.version)
	if err != nil {
		return err
	}
	switch m.QoS {
	case 1:
		if err := s.write(ack(typePuback, id)); err != nil {
			return err
		}
	case 2:
		s.mu.Lock()
		seen := s.qos2[id]
		if len(s.qos2) < maxQoS2Open {
			s.qos2[id] = true
		}
		s.mu.Unlock()
		if err := s.write(ack(typePubrec, id)); err != nil {
			return err
		}
		if seen { // sent again before its PUBREL: the same message (MQTT 5.0 4.3.3)
			return nil
		}
	}
	select {
	case s.messages <- m:
	default:
		s.mu.Lock()
		s.dropped++
		s.mu.Unlock()
	}
	return nil
}

func (s *session) deliverAck(kind byte, a acknowledgement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.pending[a.id]
	if !ok {
		return
	}
	if p.kind == typePubrec && kind == typePubrec && (len(a.codes) == 0 || a.codes[0] < 0x80) {
		p.kind = typePubcomp
		go s.release(a.id) // not under the lock; write bounds it
		return
	}
	// RabbitMQ answers a QoS 2 PUBLISH, which it treats as QoS 1, with PUBACK.
	if kind != p.kind && !(p.kind == typePubrec && kind == typePuback) {
		return
	}
	delete(s.pending, a.id)
	p.ch <- a
}

func (s *session) release(id uint16) { _ = s.write(ack(typePubrel, id)) }

// writeBound keeps a peer that does not read from holding us up.
const writeBound = 10 * time.Second

func (s *session) write(b []byte) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeBound))
	_, err := s.conn.Write(b)
	return err
}

// reserve takes a packet identifier and prepares for its answer.
func (s *session) reserve(kind byte) (uint16, *pendingAck) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		s.nextID++
		if _, taken := s.pending[s.nextID]; s.nextID != 0 && !taken {
			p := &pendingAck{kind: kind, ch: make(chan acknowledgement, 1)}
			s.pending[s.nextID] = p
			return s.nextID, p
		}
	}
}

func (s *session) forget(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, id)
}

// await waits for an acknowledgement, the end of the session, or of ctx.
func (s *session) await(ctx context.Context, id uint16, p *pendingAck) (acknowledgement, *Failure) {
	select {
	case a := <-p.ch:
		return a, nil
	case <-s.done:
		select {
		case a := <-p.ch: // it came just before the end
			return a, nil
		default:
		}
		return acknowledgement{}, s.endFailure()
	case <-ctx.Done():
		s.forget(id)
		return acknowledgement{}, failureOf(ctx.Err())
	}
}

func (s *session) endFailure() *Failure {
	end := s.ClosedBy()
	return &Failure{Kind: end.Kind, Code: end.Code, Reason: end.Reason, ReasonString: end.ReasonString, Err: end.Err}
}

// PendingSubscribe awaits a SUBACK.
type PendingSubscribe struct {
	s   *session
	id  uint16
	p   *pendingAck
	err error
}

// Wait returns the SUBACK, or how it failed.
func (p *PendingSubscribe) Wait(ctx context.Context) (SubscribeResult, *Failure) {
	if p.err != nil {
		return SubscribeResult{}, p.s.writeFailure(p.err)
	}
	a, failure := p.s.await(ctx, p.id, p.p)
	if failure == nil && len(a.codes) == 0 {
		failure = &Failure{Kind: FailMalformed, Err: &MalformedError{What: "a SUBACK without codes", Section: "MQTT 5.0 3.9.3"}}
	}
	return SubscribeResult{Codes: a.codes, ReasonString: a.reasonString}, failure
}

// writeFailure prefers what the reader learnt of the end to the bare error of writing into it.
func (s *session) writeFailure(err error) *Failure {
	select {
	case <-s.done:
	case <-time.After(200 * time.Millisecond):
	}
	if s.ClosedBy().Kind != "" {
		return s.endFailure()
	}
	return failureOf(err)
}

func (s *session) StartSubscribe(subs []Subscription) *PendingSubscribe {
	id, p := s.reserve(typeSuback)
	return &PendingSubscribe{s: s, id: id, p: p, err: s.write(encodeSubscribe(s.version, id, subs))}
}

// PendingPublish awaits PUBACK or PUBCOMP.
type PendingPublish struct {
	s   *session
	id  uint16
	p   *pendingAck
	err error
}

// Wait returns what came back for the PUBLISH. Of QoS 0 nothing does.
func (p *PendingPublish) Wait(ctx context.Context) (PublishResult, *Failure) {
	if p.err != nil {
		return PublishResult{}, p.s.writeFailure(p.err)
	}
	if p.p == nil {
		return PublishResult{Acked: true}, nil
	}
	a, failure := p.s.await(ctx, p.id, p.p)
	if failure != nil {
		return PublishResult{}, failure
	}
	r := PublishResult{Acked: true, ReasonString: a.reasonString}
	if len(a.codes) > 0 {
		r.Code, r.Reason = a.codes[0], ReasonName(a.codes[0])
	}
	return r, nil
}

func (s *session) StartPublish(m Message) *PendingPublish {
	pending := &PendingPublish{s: s}
	switch m.QoS {
	case 1:
		pending.id, pending.p = s.reserve(typePuback)
	case 2:
		pending.id, pending.p = s.reserve(typePubrec)
	}
	pending.err = s.write(encodePublish(s.version, pending.id, m))
	return pending
}

func (s *session) Unsubscribe(ctx context.Context, filters []string) *Failure {
	id, p := s.reserve(typeUnsuback)
	if err := s.write(encodeUnsubscribe(s.version, id, filters)); err != nil {
		return s.writeFailure(err)
	}
	_, failure := s.await(ctx, id, p)
	return failure
}

func (s *session) Ping(ctx context.Context) (time.Duration, *Failure) {
	ch := make(chan time.Time, 1)
	s.mu.Lock()
	s.pings = append(s.pings, ch)
	s.mu.Unlock()
	begun := time.Now()
	if err := s.write([]byte{typePingreq << 4, 0}); err != nil {
		return 0, s.writeFailure(err)
	}
	select {
	case at := <-ch:
		return at.Sub(begun), nil
	case <-s.done:
		return time.Since(begun), s.endFailure()
	case <-ctx.Done():
		return time.Since(begun), failureOf(ctx.Err())
	}
}

func (s *session) Version() Version          { return s.version }
func (s *session) Messages() <-chan Received { return s.messages }
func (s *session) Done() <-chan struct{}     { return s.done }

func (s *session) Dropped() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

func (s *session) ClosedBy() End {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

// Disconnect sends DISCONNECT and ends the connection in order (MQTT 5.0 3.14.4).
func (s *session) Disconnect(ctx context.Context) error {
	err := s.write([]byte{typeDisconnect << 4, 0})
	if tcp, ok := s.conn.(interface{ CloseWrite() error }); ok && err == nil {
		_ = tcp.CloseWrite()
		select { // the broker closes in turn; a reset by our close could overtake what it still has to read
		case <-s.done:
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	return errors.Join(err, s.Close())
}

func (s *session) Close() error {
	s.mu.Lock()
	if s.end.Kind == "" {
		s.end = End{Kind: FailLocal, At: time.Now()}
	}
	s.mu.Unlock()
	_ = s.conn.Close()
	<-s.done
	return nil
}
