package mqttwire

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// wire is what differs between versions: who gives out packet identifiers, and how packets are encoded. Each function
// enters its exchange with core.expect before it writes; errors are *limitError, *invalidError, those of ctx and of writing.
type wire interface {
	subscribe(ctx context.Context, subs []Subscription, x *exchange) error
	unsubscribe(ctx context.Context, filters []string, x *exchange) error
	publish(ctx context.Context, m Message, x *exchange) error
	// stop returns when the version's own goroutines have ended; the connection has been closed.
	stop()
}

// session is a core with a wire.
type session struct {
	*core
	wire wire
}

// startBound is how long Start functions without a context wait to be allowed to write.
const startBound = 10 * time.Second

// limitError: the server's CONNACK forbids it.
type limitError struct{ limit, section string }

func (e *limitError) Error() string {
	return e.limit + " of the server's CONNACK (MQTT " + e.section + ")"
}

// invalidError: it cannot be put into a packet.
type invalidError struct{ err error }

func (e *invalidError) Error() string { return e.err.Error() }

func invalid(format string, args ...any) error { return &invalidError{fmt.Errorf(format, args...)} }

// begin runs f, which writes a packet, for as long as ctx and the session last. f may outlive ctx, but not Close: waiting
// for a send quota ends with the session, writing with the connection.
func (s *session) begin(ctx context.Context, op string, f func() error) *Failure {
	s.mu.Lock()
	ended := s.end.Kind != ""
	if !ended {
		s.group.Add(1) // under the lock, so that Close does not wait before
	}
	s.mu.Unlock()
	if ended {
		return s.ClosedBy().failure(op)
	}
	result := make(chan error, 1)
	go func() {
		defer s.group.Done()
		result <- f()
	}()
	var err error
	select {
	case err = <-result:
	case <-ctx.Done():
		return contextFailure(op, ctx.Err())
	}
	return s.beginFailure(ctx, op, err)
}

func (s *session) beginFailure(ctx context.Context, op string, err error) *Failure {
	if err == nil {
		return nil
	}
	var limit *limitError
	var wrong *invalidError
	switch {
	case errors.As(err, &limit):
		return &Failure{Op: op, Kind: FailLimit, Reason: limit.limit, Err: err}
	case errors.As(err, &wrong):
		return &Failure{Op: op, Kind: FailInvalid, Err: err}
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return contextFailure(op, err)
	}
	// Writing failed, or the session ended before. What the reader learns of the reason is worth a moment.
	select {
	case <-s.done:
		return s.ClosedBy().failure(op)
	case <-ctx.Done():
	case <-time.After(writeGrace + writeGrace/2):
	}
	return &Failure{Op: op, Kind: FailWriteError, Err: err}
}

// PendingSubscribe awaits a SUBACK.
type PendingSubscribe struct {
	s       *session
	x       *exchange
	failure *Failure
}

// Wait returns the SUBACK. With FailMalformed it has not one code for each filter; those that it has are in the result.
func (p *PendingSubscribe) Wait(ctx context.Context) (SubscribeResult, *Failure) {
	if p.failure != nil {
		return SubscribeResult{}, p.failure
	}
	if failure := p.s.await(ctx, p.x); failure != nil {
		return SubscribeResult{}, failure
	}
	r := SubscribeResult{Codes: p.x.codes, ReasonString: p.x.reasonString, Duration: p.x.took()}
	if len(r.Codes) != p.x.filters { // [MQTT-3.8.4-6]
		return r, &Failure{Op: opSubscribe, Kind: FailMalformed, Err: &ErrMalformed{Type: SUBACK, Where: "Reason Codes",
			Offset: 2, Section: "3.9.3", Text: fmt.Sprintf("there are %d for %d filters", len(r.Codes), p.x.filters)}}
	}
	return r, nil
}

// PendingPublish awaits the acknowledgements of a PUBLISH.
type PendingPublish struct {
	s       *session
	x       *exchange
	failure *Failure
}

// Failure is why the PUBLISH could not be written; nil: it was.
func (p *PendingPublish) Failure() *Failure { return p.failure }

// Wait returns what came back. At QoS 0 it does not wait: nothing does. With a failure the result has what came before it.
func (p *PendingPublish) Wait(ctx context.Context) (PublishResult, *Failure) {
	if p.failure != nil {
		return PublishResult{}, p.failure
	}
	if p.x.qos == 0 {
		return PublishResult{Acked: true}, nil
	}
	failure := p.s.await(ctx, p.x)
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	r := PublishResult{Acked: failure == nil, Code: p.x.code, ReasonString: p.x.reasonString,
		Acks: append([]AckRecord(nil), p.x.acks...)}
	if len(r.Acks) > 0 {
		r.Reason = "Success"
		if p.s.version == V5 {
			r.Reason = LookupReason(V5, p.x.codeOf, r.Code).Name
		}
	}
	if r.Acked {
		r.Duration = p.x.took()
	}
	return r, failure
}

func (s *session) startSubscribe(ctx context.Context, subs []Subscription) *PendingSubscribe {
	p := &PendingSubscribe{s: s, x: newExchange(opSubscribe)}
	p.x.filters = len(subs)
	p.failure = s.begin(ctx, opSubscribe, func() error {
		if err := checkSubscriptions(subs); err != nil {
			return err
		}
		return s.wire.subscribe(ctx, subs, p.x)
	})
	return p
}

func (s *session) StartSubscribe(subs []Subscription) *PendingSubscribe {
	ctx, cancel := context.WithTimeout(context.Background(), startBound)
	defer cancel()
	return s.startSubscribe(ctx, subs)
}

func (s *session) StartPublishContext(ctx context.Context, m Message) *PendingPublish {
	p := &PendingPublish{s: s, x: newExchange(opPublish)}
	p.x.qos = m.QoS
	p.failure = s.begin(ctx, opPublish, func() error {
		if err := checkMessage(m); err != nil {
			return err
		}
		return s.wire.publish(ctx, m, p.x)
	})
	return p
}

func (s *session) StartPublish(m Message) *PendingPublish {
	ctx, cancel := context.WithTimeout(context.Background(), startBound)
	defer cancel()
	return s.StartPublishContext(ctx, m)
}

func (s *session) Subscribe(ctx context.Context, subs []Subscription) (SubscribeResult, *Failure) {
	return s.startSubscribe(ctx, subs).Wait(ctx)
}

func (s *session) Publish(ctx context.Context, m Message) (PublishResult, *Failure) {
	return s.StartPublishContext(ctx, m).Wait(ctx)
}

func (s *session) Unsubscribe(ctx context.Context, filters []string) (UnsubscribeResult, *Failure) {
	x := newExchange(opUnsubscribe)
	failure := s.begin(ctx, opUnsubscribe, func() error {
		if err := checkFilters(filters); err != nil {
			return err
		}
		return s.wire.unsubscribe(ctx, filters, x)
	})
	if failure == nil {
		failure = s.await(ctx, x)
	}
	if failure != nil {
		return UnsubscribeResult{}, failure
	}
	return UnsubscribeResult{Codes: x.codes, ReasonString: x.reasonString, Duration: x.took()}, nil
}

func (s *session) Ping(ctx context.Context) (time.Duration, *Failure) {
	x := newExchange(opPing)
	begun := time.Now()
	failure := s.begin(ctx, opPing, func() error {
		s.mu.Lock()
		x.sentAt = time.Now()
		s.pings = append(s.pings, x)
		s.mu.Unlock()
		return s.write([]byte{byte(PINGREQ) << 4, 0})
	})
	if failure == nil {
		failure = s.await(ctx, x)
	}
	if failure != nil {
		return time.Since(begun), failure
	}
	return x.took(), nil
}

// settleBound is how long Disconnect waits for acknowledgements that we owe.
const settleBound = time.Second

func (s *session) Disconnect(ctx context.Context) *Failure {
	return s.DisconnectWith(ctx, Disconnection{})
}

func (s *session) DisconnectWith(ctx context.Context, how Disconnection) *Failure {
	s.mu.Lock()
	settled := s.settled
	s.mu.Unlock()
	if settled != nil { // else the server would send those messages again to whoever resumes the session
		select {
		case <-settled:
		case <-s.done:
		case <-ctx.Done():
		case <-time.After(settleBound):
		}
	}
	failure := s.begin(ctx, "disconnect", func() error {
		s.mu.Lock()
		s.leaving = true // the server's closing is then our doing
		s.mu.Unlock()
		return s.write(how.packet(s.version))
	})
	_ = s.Close()
	return failure
}

func (s *session) Close() error {
	s.setEnd(End{Kind: FailLocal, At: time.Now()})
	_ = s.conn.Close()
	s.wire.stop()
	s.queue.end(true)
	s.group.Wait()
	return nil
}

// open makes a session of an accepted connection.
func open(s *core, w wire) *session {
	s.group.Go(s.queue.run)
	return &session{core: s, wire: w}
}
