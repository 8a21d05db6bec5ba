package relay

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"mqttdoctor/diag/mqttwire"
)

const (
	// linger bounds the end of a connection: the answer to a close frame, and what is still under way behind it.
	linger = 2 * time.Second

	// DefaultPing keeps proxies, which cut quiet connections after 30 to 60 s, from cutting a client that says little.
	DefaultPing = 25 * time.Second
	// DefaultIdle is far above the longest interval that anybody keeps alive with; a client without keep alive may be that
	// quiet for long, but not for ever on somebody else's server.
	DefaultIdle = 2 * time.Hour
	// DefaultStall is how long one side may take nothing: a page that a debugger holds, a broker that works off a backlog.
	DefaultStall = time.Minute
)

// Tap sees what passes on one connection: Opened or nothing, then Bytes, then Ended. Bytes is called on two goroutines, one for
// each direction; it must neither keep nor change what it is given, and must not wait.
type Tap interface {
	Opened(Path)
	Bytes(dir mqttwire.Direction, b []byte)
	Ended(End)
}

// Meter counts over many sessions. Out is what clients sent, In what targets sent, in bytes of MQTT.
type Meter struct {
	Open    atomic.Int64 // connections under way
	Out, In atomic.Int64
}

// Session relays any number of clients to one target, each on a connection of its own. Its fields are set before use.
type Session struct {
	Dialer Dialer
	// NewTap makes the tap of a connection; nil: nobody looks.
	NewTap func() Tap
	// Meter counts; nil: nobody does.
	Meter *Meter
	// Ping, Idle and Stall are the times after which a quiet client is pinged, a quiet connection ended, and one ended that
	// cannot get rid of its bytes; 0: the defaults. They are looked at by Sweep.
	Ping, Idle, Stall time.Duration

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// conn is a connection under way.
type conn struct {
	client *Client
	up     *upstream
	target *source
	tap    Tap // nil: none
	meter  *Meter

	once sync.Once
	over atomic.Bool
	end  *End

	writeErr atomic.Pointer[End] // the target takes nothing more; what it said last is being read

	// What Sweep looks at: how many pieces have passed, and whether a write is under way.
	passed             atomic.Uint64
	toTarget, toClient atomic.Bool
	seen               uint64 // of Sweep
	since, pinged      time.Time
}

// Carry dials the target for a client and carries bytes until one of them ends, or the context does: its cause should then be
// an *End. It returns how it ended, with the client's connection closed.
func (s *Session) Carry(ctx context.Context, client *Client) End {
	if s.Meter != nil {
		s.Meter.Open.Add(1)
		defer s.Meter.Open.Add(-1)
	}
	var tap Tap
	if s.NewTap != nil {
		tap = s.NewTap()
	}
	up, path, end := s.Dialer.open(ctx, client.subprotocol)
	if end != nil {
		if end.Why == WhyEnded {
			end = causeOf(ctx)
		}
		if tap != nil {
			tap.Ended(*end)
		}
		client.Refuse(end)
		return *end
	}
	if tap != nil {
		tap.Opened(path)
	}
	c := &conn{client: client, up: up, target: newSource(up.Conn, up.early), tap: tap, meter: s.Meter, since: time.Now()}
	if s.Meter == nil {
		c.meter = &Meter{}
	}
	s.add(c)
	defer s.remove(c)
	stop := context.AfterFunc(ctx, func() { c.finish(causeOf(ctx)) })
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.down()
	}()
	c.upward()
	<-done
	_ = c.up.Close()
	_ = client.ws.conn.Close()
	if tap != nil {
		tap.Ended(*c.end)
	}
	return *c.end
}

// causeOf is why a context ended.
func causeOf(ctx context.Context) *End {
	var end *End
	if errors.As(context.Cause(ctx), &end) {
		return end
	}
	return &End{By: ByRelay, Why: WhyEnded}
}

// upward carries the client's bytes to the target. It returns when the client has ended, or its connection.
func (c *conn) upward() {
	for {
		buf, n, err := c.client.source.next()
		if err != nil {
			c.finish(clientEnd(err))
			return
		}
		data, err := c.client.ws.in.strip(buf.b[headRoom : headRoom+n])
		if len(data) > 0 && !c.over.Load() && c.writeErr.Load() == nil {
			c.pass(mqttwire.Out, data)
			c.toTarget.Store(true)
			failed := c.up.send(buf, data)
			c.toTarget.Store(false)
			if failed != nil {
				c.unwritable(failed)
			}
		}
		buf.release()
		if err != nil {
			c.finish(c.client.frameEnd(err))
			if !errors.Is(err, closeFrame{}) {
				c.client.source.drain() // or our close frame would be lost in a reset
			}
			return
		}
	}
}

// down carries the target's bytes to the client.
func (c *conn) down() {
	for {
		buf, n, err := c.target.next()
		if err != nil {
			end := readEnd(err)
			if broken := c.writeErr.Load(); broken != nil && end.Why == WhyTimeout {
				end = broken
			}
			c.finish(end)
			return
		}
		data := buf.b[headRoom : headRoom+n]
		if c.up.ws != nil {
			data, err = c.up.ws.in.strip(data)
		}
		if len(data) > 0 && !c.over.Load() {
			c.pass(mqttwire.In, data)
			c.toClient.Store(true)
			failed := c.client.ws.send(buf.b[:offset(buf, data)+len(data)], offset(buf, data))
			c.toClient.Store(false)
			if failed != nil && !c.over.Load() {
				c.finish(clientEnd(failed))
			}
		}
		buf.release()
		if err != nil {
			end := readEnd(err)
			if errors.Is(err, closeFrame{}) {
				end = &End{By: ByBroker, Why: WhyClosed, PeerStatus: c.up.ws.status, Text: closeText(c.up.ws)}
			}
			c.finish(end)
			return
		}
	}
}

// pass shows bytes to those who look and count, before they go on and perhaps are masked.
func (c *conn) pass(dir mqttwire.Direction, data []byte) {
	c.passed.Add(1)
	if dir == mqttwire.Out {
		c.meter.Out.Add(int64(len(data)))
	} else {
		c.meter.In.Add(int64(len(data)))
	}
	if c.tap != nil {
		c.tap.Bytes(dir, data)
	}
}

// offset is where in the buffer a part of it begins.
func offset(buf *buffer, part []byte) int { return cap(buf.b) - cap(part) }

// send writes a part of a buffer to the target.
func (u *upstream) send(buf *buffer, data []byte) error {
	if u.ws != nil {
		off := offset(buf, data)
		return u.ws.send(buf.b[:off+len(data)], off)
	}
	_, err := u.Write(data)
	return err
}

// unwritable notes that the target takes nothing more. Why is told by what it says last, or by how its connection ends: that
// is read first, and the client's bytes are thrown away meanwhile.
func (c *conn) unwritable(err error) {
	end := readEnd(err)
	if end.Why == WhyTimeout || end.Why == WhyNetwork {
		end = &End{By: ByBroker, Why: WhyReset}
	}
	c.writeErr.Store(end)
	_ = c.up.SetReadDeadline(time.Now().Add(linger))
}

// clientEnd says what an error means that came from the client's connection.
func clientEnd(error) *End { return &End{By: ByClient, Why: WhyGone} }

// frameEnd says how the client's frames ended.
func (c *Client) frameEnd(err error) *End {
	var breach *frameError
	switch {
	case errors.Is(err, closeFrame{}):
		return &End{By: ByClient, Why: WhyClosed, PeerStatus: c.ws.status, Text: closeText(c.ws)}
	case errors.Is(err, errText):
		return &End{By: ByClient, Why: WhyText}
	case errors.As(err, &breach):
		return &End{By: ByClient, Why: WhyFrames, Text: breach.text}
	}
	return clientEnd(err)
}

func closeText(f *framed) string { return plain(f.reason) }

// finish ends the connection, the first time it is called. Both directions stop within the time of linger; who still has
// something to say is heard until then, and no longer passed on.
func (c *conn) finish(end *End) {
	c.once.Do(func() {
		c.end = end
		c.over.Store(true)
		until := time.Now().Add(linger)
		_ = c.client.ws.conn.SetDeadline(until) // frees a write that hangs, and bounds those below
		_ = c.up.SetDeadline(until)
		switch {
		case end.Why == WhyClosed && end.By == ByClient:
			c.client.ws.close(end.PeerStatus, "") // RFC 6455 5.5.1: the same status goes back
		case end.Status() != 0:
			c.client.ws.close(end.Status(), end.Reason())
		}
		c.endTarget(end)
	})
}

// endTarget tells the target that nothing more comes. It answers by closing; what it sends before that is read, since a close
// with unread bytes would be a reset, and might overtake the client's DISCONNECT.
func (c *conn) endTarget(end *End) {
	if end.By == ByBroker && end.Why != WhyStalled {
		_ = c.up.Close()
		return
	}
	if c.up.ws != nil {
		status := end.PeerStatus
		if end.By != ByClient || status == noStatus || status == 0 {
			status = StatusGoingAway
		}
		c.up.ws.close(status, "")
	}
	if half, ok := c.up.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

func (s *Session) add(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = map[*conn]struct{}{}
	}
	s.conns[c] = struct{}{}
}

func (s *Session) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Sweep looks at every connection: it pings quiet clients, and ends connections that are quiet for too long or stand still
// with bytes in hand. It is to be called every few seconds, from one goroutine, and does not wait for anybody.
func (s *Session) Sweep(now time.Time) {
	s.mu.Lock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		if end := c.look(now, or(s.Ping, DefaultPing), or(s.Idle, DefaultIdle), or(s.Stall, DefaultStall)); end != nil {
			go c.finish(end) // bounded by linger: its close frames wait for a peer
		}
	}
}

func or(given, otherwise time.Duration) time.Duration {
	if given > 0 {
		return given
	}
	return otherwise
}

// look judges one connection for Sweep.
func (c *conn) look(now time.Time, ping, idle, stall time.Duration) *End {
	if passed := c.passed.Load(); passed != c.seen {
		c.seen, c.since = passed, now
		return nil
	}
	quiet := now.Sub(c.since)
	toClient, toTarget := c.toClient.Load(), c.toTarget.Load()
	switch {
	case toClient && quiet >= stall:
		return &End{By: ByClient, Why: WhyStalled}
	case toTarget && quiet >= stall:
		return &End{By: ByBroker, Why: WhyStalled}
	case toClient || toTarget:
		return nil
	case quiet >= idle:
		return &End{By: ByRelay, Why: WhyIdle}
	case quiet >= ping && now.Sub(c.pinged) >= ping:
		c.pinged = now
		c.client.ws.ping()
	}
	return nil
}
