package mqttwire

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// writeGrace is how long reading goes on after an error of writing: what ended the connection may still be on its way.
const writeGrace = time.Second

// core is what sessions of all versions share: the connection, what was seen on it, and who waits for what.
type core struct {
	version  Version
	conn     *Conn
	queue    *queue
	clientID string
	group    sync.WaitGroup // goroutines of the session

	mu      sync.Mutex
	trace   []FrameRecord
	stats   Stats
	sentAt  time.Time // CONNECT
	pending map[uint16]*exchange
	pings   []*exchange
	inQoS2  map[uint16]bool // received and not yet released
	owed    int             // acknowledgements of ours that are not written yet
	settled chan struct{}   // closed once owed is 0 again; nil while it is
	broken  bool            // writing has failed
	leaving bool            // our DISCONNECT is on its way

	connack    *Connack
	rawConnack []byte
	answeredAt time.Time
	refusal    *Failure

	end  End
	done chan struct{}
}

func newCore(conn net.Conn, o ConnectOptions) *core {
	s := &core{version: o.Version, clientID: o.ClientID, queue: newQueue(), pending: map[uint16]*exchange{},
		inQoS2: map[uint16]bool{}, done: make(chan struct{})}
	s.conn = NewConn(conn, ConnConfig{Version: o.Version, MaxPacketBytes: o.MaxPacketBytes, Sink: s.record})
	return s
}

// record is the connection's sink.
func (s *core) record(dir Direction, at time.Time, f Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.trace) < maxTrace {
		s.trace = append(s.trace, FrameRecord{At: at, Dir: dir, Type: f.Type, Flags: f.Flags, Length: len(f.Raw)})
	}
	if dir != Out {
		return
	}
	switch f.Type {
	case CONNECT:
		s.sentAt = at
	case PUBACK, PUBREC, PUBCOMP:
		if s.owed > 0 {
			s.owed--
			if s.owed == 0 {
				close(s.settled)
				s.settled = nil
			}
		}
	}
}

func (s *core) oweLocked() {
	if s.owed == 0 {
		s.settled = make(chan struct{})
	}
	s.owed++
}

// interrupt ends reading and writing at once: the connect phase is over.
func (s *core) interrupt() {
	if s.conn.SetDeadline(time.Unix(1, 0)) != nil {
		_ = s.conn.Close() // a connection without deadlines
	}
}

// write sends a packet. After an error the reader has a little time left to learn why.
func (s *core) write(packet []byte) error {
	_, err := s.conn.Write(packet)
	if err == nil {
		return nil
	}
	s.mu.Lock()
	first := !s.broken
	s.broken = true
	s.mu.Unlock()
	if first {
		s.shortenReading()
	}
	return err
}

// shortenReading gives the reader writeGrace from now, or less where it has less.
func (s *core) shortenReading() {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	until := time.Now().Add(writeGrace)
	if d := s.conn.readDeadline; d.IsZero() || d.After(until) {
		s.conn.readDeadline = until
		_ = s.conn.inner.SetReadDeadline(until)
	}
}

// liftDeadline begins the part of the session that only its own exchanges bound.
func (s *core) liftDeadline() {
	_ = s.conn.SetDeadline(time.Time{})
	s.mu.Lock()
	broken := s.broken
	s.mu.Unlock()
	if broken {
		s.shortenReading()
	}
}

// next reads a packet and takes notice of it. An error is the end of reading.
func (s *core) next() (Packet, error) {
	frame, err := s.conn.ReadFrame()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	answered := s.connack != nil
	s.mu.Unlock()
	if !answered {
		return s.first(frame)
	}
	if frame.Type == CONNACK || frame.Type == AUTH { // MQTT 5.0 3.2 [MQTT-3.2.0-2], and 4.12: we named no method
		return nil, &ErrMalformed{Type: frame.Type, Where: "packet type", Offset: -1, Section: "4.13.1",
			Text: "it may not come at this point"}
	}
	packet, err := Decode(s.version, frame)
	if err != nil {
		return nil, err
	}
	return packet, s.handle(packet, frame.At)
}

// first takes the answer to CONNECT.
func (s *core) first(frame Frame) (Packet, error) {
	packet, err := Decode(s.version, frame)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answeredAt = frame.At
	s.breachesLocked(packet)
	refusal := &Failure{Op: "connect", Kind: FailRefused, Packet: frame.Type}
	switch p := packet.(type) {
	case *Connack:
		s.connack, s.rawConnack = p, frame.Raw
		if p.AssignedClientID != "" {
			s.clientID = p.AssignedClientID
		}
		if p.Accepted() {
			return p, nil
		}
		if p.Legacy && p.Code == 0 {
			// It accepts in a form that MQTT 5 does not have. What it speaks from here on is anybody's guess.
			s.connack = nil
			return nil, &ErrMalformed{Type: CONNACK, Where: "Property Length", Offset: 2, Section: "3.2.2.3",
				Text: "it is missing: this is the form of MQTT 3.1.1"}
		}
		refusal.Code, refusal.Reason, refusal.ReasonString = p.Code, p.Reason(), p.ReasonString
	case *Disconnect:
		refusal.Code, refusal.Reason, refusal.ReasonString = p.Code, p.Reason(), p.ReasonString
	case *Auth:
		refusal.Code, refusal.Reason = p.Code, LookupReason(V5, AUTH, p.Code).Name
		refusal.ReasonString = p.ReasonString
	}
	s.refusal = refusal
	return nil, errRefused
}

func (s *core) breachesLocked(packet Packet) {
	for _, breach := range packet.Breaches() {
		if len(s.stats.Breaches) < maxViolations {
			s.stats.Breaches = append(s.stats.Breaches, breach)
		}
	}
}

// errDisconnected ends reading after the server's DISCONNECT, which the session's end tells of.
var errDisconnected = errors.New("the server has sent DISCONNECT")

// handle takes notice of a packet of an established session.
func (s *core) handle(packet Packet, at time.Time) error {
	s.mu.Lock()
	s.breachesLocked(packet)
	var arrived *Received
	var end *End
	switch p := packet.(type) {
	case *Publish:
		arrived = s.publishLocked(p, at)
	case *Ack:
		s.ackLocked(p, at)
	case *Suback:
		s.answerLocked(p.PacketID, SUBACK, p.Codes, p.ReasonString, at)
	case *Unsuback:
		s.answerLocked(p.PacketID, UNSUBACK, p.Codes, p.ReasonString, at)
	case *Pingresp:
		if len(s.pings) > 0 {
			s.pings[0].resolve(at)
			s.pings = s.pings[1:]
		} else {
			s.stats.Stray++
		}
	case *Disconnect:
		end = &End{Kind: FailRefused, Code: p.Code, Reason: p.Reason(), ReasonString: p.ReasonString,
			ServerReference: p.ServerReference, At: at}
	}
	s.mu.Unlock()
	if arrived != nil {
		s.queue.put(*arrived)
	}
	if end != nil {
		s.setEnd(*end)
		return errDisconnected
	}
	return nil
}

// publishLocked returns the message to hand out, nil where it was already.
func (s *core) publishLocked(p *Publish, at time.Time) *Received {
	if p.QoS > 0 && p.PacketID != 0 {
		s.oweLocked()
	}
	if p.QoS == 2 {
		if s.inQoS2[p.PacketID] {
			s.stats.Repeats++
			return nil
		}
		s.inQoS2[p.PacketID] = true // bounded by the 65,535 identifiers
	}
	return &Received{Topic: p.Topic, Payload: append([]byte(nil), p.Payload[:min(len(p.Payload), keepPayload)]...),
		PayloadBytes: len(p.Payload), QoS: p.QoS, Retain: p.Retain, Dup: p.Dup, At: at,
		SubscriptionIDs: p.SubscriptionIDs[:min(len(p.SubscriptionIDs), 16)]}
}

func (s *core) ackLocked(a *Ack, at time.Time) {
	if a.Type == PUBREL {
		delete(s.inQoS2, a.PacketID)
		if a.Code < 0x80 {
			s.oweLocked()
		}
		return
	}
	x, ok := s.pending[a.PacketID]
	if !ok || x.op != opPublish {
		s.stats.Stray++
		return
	}
	if len(x.acks) < 4 {
		x.acks = append(x.acks, AckRecord{Type: a.Type, Code: a.Code, At: at})
	}
	if x.code < 0x80 && (a.Type != PUBCOMP || a.Code >= 0x80) {
		x.code, x.codeOf = a.Code, a.Type // a PUBCOMP's success says nothing about the PUBREC's
	}
	if a.ReasonString != "" {
		x.reasonString = a.ReasonString
	}
	last := a.Type == PUBACK && x.qos == 1 ||
		a.Type == PUBACK && x.qos == 2 || // RabbitMQ before 3.13 treats QoS 2 as QoS 1
		a.Type == PUBCOMP && x.qos == 2 ||
		a.Type == PUBREC && x.qos == 2 && a.Code >= 0x80 // [MQTT-4.3.3-4]
	if last {
		delete(s.pending, a.PacketID)
		x.resolve(at)
	}
}

func (s *core) answerLocked(id uint16, kind PacketType, codes []byte, reasonString string, at time.Time) {
	x, ok := s.pending[id]
	if !ok || x.op != opSubscribe && kind == SUBACK || x.op != opUnsubscribe && kind == UNSUBACK {
		s.stats.Stray++
		return
	}
	x.codes, x.reasonString = codes, reasonString
	delete(s.pending, id)
	x.resolve(at)
}

// The names of exchanges in failures.
const (
	opSubscribe   = "subscribe"
	opUnsubscribe = "unsubscribe"
	opPublish     = "publish"
	opPing        = "ping"
)

// exchange is a packet of ours that awaits its answer.
type exchange struct {
	op      string
	qos     byte // of a PUBLISH
	filters int  // of a SUBSCRIBE
	sentAt  time.Time
	done    chan struct{}

	// Set before done is closed.
	answeredAt   time.Time
	codes        []byte
	code         byte
	codeOf       PacketType
	acks         []AckRecord
	reasonString string
}

func newExchange(op string) *exchange { return &exchange{op: op, done: make(chan struct{})} }

func (x *exchange) resolve(at time.Time) {
	x.answeredAt = at
	close(x.done)
}

func (x *exchange) took() time.Duration { return max(0, x.answeredAt.Sub(x.sentAt)) }

// expect enters an exchange under its packet identifier, just before it is written.
func (s *core) expect(id uint16, x *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x.sentAt = time.Now()
	s.pending[id] = x
}

// await waits for an exchange's answer, the end of the session or of ctx.
func (s *core) await(ctx context.Context, x *exchange) *Failure {
	select {
	case <-x.done:
		return nil
	case <-s.done:
	case <-ctx.Done():
	}
	select { // an answer that came with the end is an answer
	case <-x.done:
		return nil
	default:
	}
	if end := s.ClosedBy(); end.Kind != "" {
		return end.failure(x.op)
	}
	return contextFailure(x.op, ctx.Err())
}

// setEnd notes how the session ended; the first one counts.
func (s *core) setEnd(end End) {
	s.mu.Lock()
	first := s.end.Kind == ""
	if first {
		s.end = end
		close(s.done)
	}
	s.mu.Unlock()
	s.queue.end(false)
}

// finish ends the session after an error of reading.
func (s *core) finish(err error) {
	end := End{Kind: kindOf(err), At: time.Now(), Err: err}
	s.mu.Lock()
	broken, leaving := s.broken, s.leaving
	s.mu.Unlock()
	switch {
	case s.conn.isClosed(), leaving && (end.Kind == FailClosed || end.Kind == FailReset):
		end.Kind = FailLocal
	case end.Kind == FailNoAnswer && broken: // nothing came in the time that was left after the error
		end.Kind, end.Err = FailWriteError, s.conn.Traffic().WriteError
	case end.Kind == FailTLSAlert:
		end.Alert, _ = TLSAlert(err)
	}
	s.setEnd(end)
	_ = s.conn.Close()
}

// connectResult puts together what came of the CONNECT; err is why there is no session, nil where there is one.
func (s *core) connectResult(ctx context.Context, err error) ConnectResult {
	traffic := s.conn.Traffic()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := ConnectResult{Connack: s.connack, RawConnack: s.rawConnack, SentAt: s.sentAt, AnsweredAt: s.answeredAt}
	switch {
	case !s.answeredAt.IsZero():
		r.Duration = max(0, s.answeredAt.Sub(s.sentAt))
	case !s.sentAt.IsZero():
		r.Duration = time.Since(s.sentAt)
	}
	if s.connack == nil {
		r.RawConnack = nil
		r.FirstBytes = traffic.First[:min(len(traffic.First), foreignBytes)]
	}
	switch {
	case s.refusal != nil:
		r.Err = s.refusal
	case err != nil:
		r.Err = s.connectFailureLocked(ctx, err, traffic)
	}
	if r.Err != nil {
		switch r.Err.Kind {
		case FailClosed, FailReset, FailTLSAlert:
			r.Closed = r.Err.Kind
		}
	}
	return r
}

func (s *core) connectFailureLocked(ctx context.Context, err error, traffic Traffic) *Failure {
	f := &Failure{Op: "connect", Kind: kindOf(err), Err: err}
	switch {
	case errors.Is(err, context.Canceled):
		f.Kind = FailCanceled
	case f.Kind == FailTLSAlert:
		f.Alert, _ = TLSAlert(err)
	case ctx.Err() != nil && (f.Kind == FailNoAnswer || f.Kind == FailLocal):
		f = contextFailure("connect", ctx.Err())
	case f.Kind == FailNoAnswer && s.broken:
		f.Kind, f.Err = FailWriteError, traffic.WriteError
	}
	return f
}

func (s *core) Version() Version          { return s.version }
func (s *core) Messages() <-chan Received { return s.queue.out }
func (s *core) Done() <-chan struct{}     { return s.done }
func (s *core) Dropped() int              { return s.queue.drops() }
func (s *core) Traffic() Traffic          { return s.conn.Traffic() }

func (s *core) Connack() *Connack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connack
}

func (s *core) ClientID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clientID
}

func (s *core) ClosedBy() End {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

func (s *core) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Dropped = s.queue.drops()
	stats.Breaches = append([]*ErrMalformed(nil), stats.Breaches...)
	return stats
}

func (s *core) Trace() []FrameRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]FrameRecord(nil), s.trace...)
}
