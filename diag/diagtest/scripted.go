package diagtest

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	v5 "github.com/eclipse/paho.golang/packets"
)

// ScriptedPeer is a small broker whose behaviour a test writes, and which remembers what it was sent.
type ScriptedPeer struct {
	*PeerServer
	script Script
	scheme string

	mu            sync.Mutex
	sessions      map[*session]struct{}
	retained      map[string][]byte
	kept          map[string]*keptSession // by client id
	late          lateQueue
	connects      []Connect
	messages      []Message
	subscriptions []string
}

// ScriptedBroker starts a broker for MQTT 3.1, 3.1.1 and 5 that follows script, with TLS by [WithTLS].
func ScriptedBroker(t testing.TB, script Script, options ...PeerOption) *ScriptedPeer {
	t.Helper()
	b := &ScriptedPeer{script: script, sessions: map[*session]struct{}{}, retained: map[string][]byte{}, kept: map[string]*keptSession{}}
	handle, scheme := b.serve, "mqtt"
	if script.WS != nil {
		handle, scheme = func(conn net.Conn) { serveHTTP(conn, http.HandlerFunc(b.upgrade)) }, "ws"
	}
	var config peerConfig
	for _, option := range options {
		option(&config)
	}
	if config.tls != nil {
		scheme += "s"
	}
	b.scheme = scheme
	b.PeerServer = Peer(t, handle, options...)
	return b
}

// Target is the whole URL of the broker: scheme, address, and for WebSocket the path.
func (b *ScriptedPeer) Target() string {
	if ws := b.script.WS; ws != nil {
		path := ws.Path
		if path == "" {
			path = "/mqtt"
		}
		return b.URL(b.scheme, path)
	}
	return b.URL(b.scheme)
}

// Connects lists the CONNECT packets so far, refused ones too.
func (b *ScriptedPeer) Connects() []Connect {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.connects)
}

// Messages lists the messages that were published so far, wills not among them.
func (b *ScriptedPeer) Messages() []Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.messages)
}

// Subscriptions lists the filters that were asked for so far, refused ones too.
func (b *ScriptedPeer) Subscriptions() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.subscriptions)
}

// Retained lists the retained messages that the broker holds now, by topic: what a probe has left behind.
func (b *ScriptedPeer) Retained() map[string][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.retained)
}

// Retain holds a retained message from now on, as if another client had published it.
func (b *ScriptedPeer) Retain(topic string, payload []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.retained[topic] = payload
}

// Clients lists the client ids of the sessions that are open now.
func (b *ScriptedPeer) Clients() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for s := range b.sessions {
		ids = append(ids, s.client.ClientID)
	}
	return ids
}

// Publish sends a message to the subscribers as another client would.
func (b *ScriptedPeer) Publish(topic string, qos byte, payload []byte) {
	b.route(nil, &v5.Publish{Topic: topic, QoS: qos, Payload: payload}, PublishAnswer{})
}

// Disconnect ends every session: MQTT 5 clients get a DISCONNECT with the reason code first, unless it is 0.
func (b *ScriptedPeer) Disconnect(code byte) {
	b.mu.Lock()
	sessions := slices.Collect(maps.Keys(b.sessions))
	b.mu.Unlock()
	for _, s := range sessions {
		s.end(code)
	}
}

// lateQueue does things later, in the order in which they are due, and where that is the same in the order in which they were
// added. What is left at the end of a test ends by itself: a closed session is written to in vain.
type lateQueue struct {
	mu      sync.Mutex
	waiting []lateItem
}

type lateItem struct {
	due time.Time
	do  func()
}

func (q *lateQueue) add(after time.Duration, do func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	item := lateItem{time.Now().Add(after), do}
	i := len(q.waiting)
	for i > 0 && q.waiting[i-1].due.After(item.due) {
		i--
	}
	q.waiting = slices.Insert(q.waiting, i, item)
	time.AfterFunc(after, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		next := q.waiting[0] // one timer for each item, so there is one, though perhaps not the timer's own
		q.waiting = q.waiting[1:]
		next.do()
	})
}

// session is one connected client.
type session struct {
	broker *ScriptedPeer
	stream net.Conn // carries MQTT
	base   net.Conn // the TCP or TLS connection below
	client Connect
	will   *v5.Publish // nil: none, or no longer wanted
	expiry uint32      // seconds, MQTT 5
	left   bool        // in order, with DISCONNECT
	over   bool        // taken over by another connection

	writing sync.Mutex

	mu            sync.Mutex
	subscriptions map[string]v5.SubOptions
	nextID        uint16
	incoming      map[uint16]bool // QoS 2 messages that await PUBREL
}

func (b *ScriptedPeer) serve(conn net.Conn) { b.run(conn, conn, nil) }

// upgrade serves one WebSocket connection.
func (b *ScriptedPeer) upgrade(w http.ResponseWriter, r *http.Request) {
	ws := b.script.WS
	if ws.Path != "" && r.URL.Path != ws.Path {
		http.NotFound(w, r)
		return
	}
	if origin := r.Header.Get("Origin"); origin != "" && len(ws.Origins) > 0 && !slices.Contains(ws.Origins, origin) {
		http.Error(w, "origin not allowed", http.StatusForbidden)
		return
	}
	if ws.Status != 0 {
		maps.Copy(w.Header(), ws.Header)
		w.WriteHeader(ws.Status)
		return
	}
	header := r.Header.Clone()
	var offered []string
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(line, ",") {
			offered = append(offered, strings.TrimSpace(name))
		}
	}
	choose := ws.Subprotocol
	if choose == nil {
		choose = chooseMQTT
	}
	accept := &websocket.AcceptOptions{InsecureSkipVerify: true} // origins were judged above
	// The library answers with what was offered only, so what it is to answer is made the offer.
	r.Header.Del("Sec-WebSocket-Protocol")
	if chosen := choose(offered); chosen != "" {
		r.Header.Set("Sec-WebSocket-Protocol", chosen)
		accept.Subprotocols = []string{chosen}
	}
	conn, err := websocket.Accept(w, r, accept)
	if err != nil {
		return
	}
	base := connOf(r)
	stream := &wsStream{Conn: base, ws: conn, kind: websocket.MessageBinary, frame: ws.FrameBytes}
	if ws.Text {
		stream.kind = websocket.MessageText
	}
	b.run(stream, base, header)
	conn.Close(websocket.StatusNormalClosure, "")
}

func chooseMQTT(offered []string) string {
	for _, name := range offered {
		if name == "mqtt" || name == "mqttv3.1" {
			return name
		}
	}
	return ""
}

// wsStream is the byte stream inside a WebSocket's messages, of whatever kind and length they are.
type wsStream struct {
	net.Conn // the connection below, for deadlines
	ws       *websocket.Conn
	kind     websocket.MessageType
	frame    int
	message  io.Reader
}

func (s *wsStream) Read(p []byte) (int, error) {
	for {
		if s.message == nil {
			_, message, err := s.ws.Reader(context.Background()) // ends with the connection below
			if err != nil {
				return 0, err
			}
			s.message = message
		}
		n, err := s.message.Read(p)
		if err == io.EOF {
			s.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (s *wsStream) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		end := len(p)
		if s.frame > 0 {
			end = min(end, written+s.frame)
		}
		if err := s.ws.Write(context.Background(), s.kind, p[written:end]); err != nil {
			return written, err
		}
		written = end
	}
	return written, nil
}

func (s *wsStream) Close() error { return s.ws.Close(websocket.StatusNormalClosure, "") }

// run speaks MQTT with one client until either side ends.
func (b *ScriptedPeer) run(stream, base net.Conn, header http.Header) {
	s := &session{broker: b, stream: stream, base: base, subscriptions: map[string]v5.SubOptions{},
		incoming: map[uint16]bool{}}
	raw, err := readPacket(stream)
	if err != nil || raw[0] != 0x10 || !s.connect(raw, header) {
		return
	}
	defer b.remove(s)
	for {
		if s.client.KeepAlive > 0 {
			// One and a half times the Keep Alive, MQTT 5.0 3.1.2.10.
			stream.SetReadDeadline(time.Now().Add(time.Duration(s.client.KeepAlive) * 1500 * time.Millisecond))
		}
		raw, err := readPacket(stream)
		if err != nil {
			return
		}
		packet, err := decode(s.client.Level, raw)
		if err != nil {
			s.end(v5.DisconnectMalformedPacket)
			return
		}
		if !s.handle(packet) {
			return
		}
	}
}

// connect answers the CONNECT and tells whether there is a session.
func (s *session) connect(raw []byte, header http.Header) bool {
	packet, err := decode(connectLevel(raw), raw)
	if err != nil {
		return false
	}
	p := packet.Content.(*v5.Connect)
	s.client = Connect{Level: connectLevel(raw), ClientID: p.ClientID, Username: p.Username, Password: string(p.Password),
		UsernameGiven: p.UsernameFlag, PasswordGiven: p.PasswordFlag, KeepAlive: p.KeepAlive, Clean: p.CleanStart,
		Raw: raw, TLS: tlsState(s.base), Header: header}
	if p.Properties.SessionExpiryInterval != nil {
		s.client.SessionExpiry = *p.Properties.SessionExpiryInterval
		s.expiry = s.client.SessionExpiry
	}
	if p.WillFlag {
		s.client.WillTopic = p.WillTopic
		s.will = &v5.Publish{Topic: p.WillTopic, Payload: p.WillMessage, QoS: p.WillQOS, Retain: p.WillRetain}
	}
	b := s.broker
	b.mu.Lock()
	b.connects = append(b.connects, s.client)
	b.mu.Unlock()
	var answer ConnectAnswer
	if b.script.OnConnect != nil {
		answer = b.script.OnConnect(s.client)
	}
	connack := &v5.Connack{SessionPresent: answer.SessionPresent, Properties: &v5.Properties{
		ReasonString: answer.ReasonString, ServerReference: answer.ServerReference,
		AssignedClientID: answer.AssignedClientID, MaximumQOS: b.script.MaxQoS}}
	switch answer.Action {
	case Refuse:
		if connack.ReasonCode = answer.V3; s.client.Level >= 5 {
			connack.ReasonCode = answer.V5
		}
		connack.Properties.MaximumQOS = nil
		s.send(connack)
		return false
	case Drop, Silence:
		Silent(s.stream)
		return false
	case Close:
		return false
	case Cut:
		Reset(s.base)
		return false
	}
	if answer.ServerKeepAlive != 0 {
		connack.Properties.ServerKeepAlive = &answer.ServerKeepAlive
		if s.client.Level >= 5 {
			s.client.KeepAlive = answer.ServerKeepAlive
		}
	}
	if s.client.ClientID == "" && s.client.Level >= 5 && connack.Properties.AssignedClientID == "" {
		connack.Properties.AssignedClientID = "assigned-by-diagtest" // must be given, MQTT 5.0 3.2.2.3.7
	}
	if b.script.Properties != nil {
		b.script.Properties(connack.Properties)
	}
	waiting := b.resume(s, connack)
	b.add(s)
	s.send(connack)
	for _, p := range waiting {
		s.deliver(p)
	}
	return true
}

func (b *ScriptedPeer) add(s *session) {
	var older *session
	b.mu.Lock()
	for other := range b.sessions {
		if other.client.ClientID == s.client.ClientID && s.client.ClientID != "" && !b.script.NoTakeOver {
			older = other
			delete(b.sessions, other)
		}
	}
	b.sessions[s] = struct{}{}
	b.mu.Unlock()
	if older != nil {
		older.mu.Lock()
		older.over = true // the session is the new connection's
		older.mu.Unlock()
		older.end(v5.DisconnectSessionTakenOver)
	}
}

func (b *ScriptedPeer) remove(s *session) {
	b.mu.Lock()
	delete(b.sessions, s)
	b.mu.Unlock()
	b.keep(s)
	if s.will != nil && (b.script.OnWill == nil || b.script.OnWill(s.client, !s.left)) {
		b.route(s, s.will, PublishAnswer{})
	}
}

// end closes a session from the broker's side.
func (s *session) end(code byte) {
	if code != 0 && s.client.Level >= 5 {
		s.send(&v5.Disconnect{ReasonCode: code, Properties: &v5.Properties{}})
	}
	s.stream.Close()
}

func (s *session) send(content v5.Packet) {
	if delay := s.broker.script.Delay; delay > 0 && !pause(s.base, delay) {
		return
	}
	data := encode(s.client.Level, content)
	if len(data) == 0 {
		return
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	// A client that does not read must not hold up the one that publishes to it for ever.
	s.stream.SetWriteDeadline(time.Now().Add(5 * time.Second))
	s.stream.Write(data)
}

// handle answers one packet and tells whether the session goes on.
func (s *session) handle(packet *v5.ControlPacket) bool {
	none := &v5.Properties{}
	switch p := packet.Content.(type) {
	case *v5.Publish:
		return s.publish(p)
	case *v5.Pubrec:
		if p.ReasonCode < 0x80 {
			s.send(&v5.Pubrel{PacketID: p.PacketID, Properties: none})
		}
	case *v5.Pubrel:
		s.mu.Lock()
		delete(s.incoming, p.PacketID)
		s.mu.Unlock()
		s.send(&v5.Pubcomp{PacketID: p.PacketID, Properties: none})
	case *v5.Subscribe:
		s.subscribe(p)
	case *v5.Unsubscribe:
		s.mu.Lock()
		codes := make([]byte, len(p.Topics))
		for i, topic := range p.Topics {
			if _, subscribed := s.subscriptions[topic]; !subscribed {
				codes[i] = 0x11 // No subscription existed, MQTT 5.0 3.11.3
			}
			delete(s.subscriptions, topic)
		}
		s.mu.Unlock()
		s.send(&v5.Unsuback{PacketID: p.PacketID, Reasons: codes, Properties: none})
	case *v5.Pingreq:
		switch {
		case s.broker.script.PingEnds:
			s.end(0)
		case !s.broker.script.NoPingresp:
			s.send(&v5.Pingresp{})
		}
	case *v5.Disconnect:
		if p.ReasonCode != v5.DisconnectDisconnectWithWillMessage {
			s.will = nil
		}
		s.left = true
		if p.Properties != nil && p.Properties.SessionExpiryInterval != nil {
			s.expiry = *p.Properties.SessionExpiryInterval
		}
		return false
	case *v5.Connect:
		s.end(v5.DisconnectProtocolError) // a second CONNECT, MQTT 5.0 3.1.0-2
		return false
	}
	return true
}

func (s *session) subscribe(p *v5.Subscribe) {
	b := s.broker
	codes := make([]byte, len(p.Subscriptions))
	for i, asked := range p.Subscriptions {
		b.mu.Lock()
		b.subscriptions = append(b.subscriptions, asked.Topic)
		b.mu.Unlock()
		codes[i] = asked.QoS
		if b.script.OnSubscribe != nil {
			codes[i] = b.script.OnSubscribe(s.client, asked.Topic, asked.QoS)
		}
		if b.script.MaxQoS != nil && codes[i] < 3 {
			codes[i] = min(codes[i], *b.script.MaxQoS)
		}
		if codes[i] < 3 {
			granted := asked
			granted.QoS = codes[i]
			s.mu.Lock()
			s.subscriptions[asked.Topic] = granted
			s.mu.Unlock()
		}
	}
	// What is retained from now on comes by the subscription itself: looked up after the SUBACK, it could come twice.
	retained := b.Retained()
	s.send(&v5.Suback{PacketID: p.PacketID, Reasons: codes, Properties: &v5.Properties{}})
	for i, asked := range p.Subscriptions {
		if codes[i] > 2 || asked.RetainHandling == 2 || strings.HasPrefix(asked.Topic, "$share/") ||
			b.script.RetainExactOnly && strings.ContainsAny(asked.Topic, "+#") {
			continue
		}
		for topic, payload := range retained {
			if topicMatches(asked.Topic, topic) {
				s.deliver(&v5.Publish{Topic: topic, Payload: payload, QoS: codes[i], Retain: true})
			}
		}
	}
}

// publish handles a message of the client and tells whether the session goes on.
func (s *session) publish(p *v5.Publish) bool {
	b := s.broker
	s.mu.Lock()
	again := p.QoS == 2 && s.incoming[p.PacketID] // a retransmission: acknowledged, not delivered twice
	if p.QoS == 2 {
		s.incoming[p.PacketID] = true
	}
	s.mu.Unlock()
	message := Message{From: s.client, Topic: p.Topic, Payload: p.Payload, QoS: p.QoS, Retain: p.Retain}
	var answer PublishAnswer
	if !again {
		b.mu.Lock()
		b.messages = append(b.messages, message)
		b.mu.Unlock()
		if b.script.OnPublish != nil {
			answer = b.script.OnPublish(message)
		}
	}
	var code byte
	switch answer.Action {
	case Refuse:
		code = answer.Code
	case Silence:
		return true
	case Close:
		if answer.Code != 0 && s.client.Level >= 5 {
			// Closed with messages unread, the connection would be reset and the DISCONNECT perhaps lost.
			s.send(&v5.Disconnect{ReasonCode: answer.Code, Properties: &v5.Properties{}})
			s.stream.SetReadDeadline(time.Now().Add(3 * time.Second))
			io.Copy(io.Discard, s.stream)
		}
		s.stream.Close()
		return false
	case Cut:
		Reset(s.base)
		return false
	}
	switch p.QoS {
	case 1:
		s.send(&v5.Puback{PacketID: p.PacketID, ReasonCode: code, Properties: &v5.Properties{}})
	case 2:
		s.send(&v5.Pubrec{PacketID: p.PacketID, ReasonCode: code, Properties: &v5.Properties{}})
	}
	if answer.Action == Accept && !again {
		if answer.After > 0 {
			b.late.add(answer.After, func() { b.route(s, p, answer) })
		} else {
			b.route(s, p, answer)
		}
	}
	return answer.Pause == 0 || pause(s.base, answer.Pause)
}

// route gives a message to whom it belongs. From is nil for a message of the broker's own.
func (b *ScriptedPeer) route(from *session, p *v5.Publish, answer PublishAnswer) {
	payload := p.Payload
	if answer.Payload != nil {
		payload = answer.Payload
	}
	b.mu.Lock()
	if p.Retain && !b.script.NoRetain {
		if len(p.Payload) == 0 {
			delete(b.retained, p.Topic)
		} else {
			b.retained[p.Topic] = payload
		}
	}
	if b.script.Kept != nil {
		b.queueLocked(p, payload)
	}
	sessions := slices.Collect(maps.Keys(b.sessions))
	b.mu.Unlock()
	served := map[string]bool{} // shared subscriptions that have had it
	for _, s := range sessions {
		qos, wanted := s.wants(p.Topic, s == from, served)
		if !wanted {
			continue
		}
		qos = min(qos, p.QoS)
		if answer.DeliverQoS != nil {
			qos = min(qos, *answer.DeliverQoS)
		}
		for i := range max(1, answer.Copies) {
			s.deliver(&v5.Publish{Topic: p.Topic, Payload: payload, QoS: qos, Duplicate: answer.Dup && i > 0 && qos > 0})
		}
	}
}

// wants tells whether the client subscribes to the topic, and with which QoS: the highest of all filters that match.
func (s *session) wants(topic string, own bool, served map[string]bool) (qos byte, wanted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for filter, options := range s.subscriptions {
		if own && options.NoLocal {
			continue
		}
		pattern := filter
		if group, ok := strings.CutPrefix(filter, "$share/"); ok { // MQTT 5.0 4.8.2
			if _, pattern, _ = strings.Cut(group, "/"); served[filter] {
				continue
			}
		}
		if topicMatches(pattern, topic) {
			if pattern != filter {
				served[filter] = true
			}
			qos, wanted = max(qos, options.QoS), true
		}
	}
	return qos, wanted
}

func (s *session) deliver(p *v5.Publish) {
	p.Properties = &v5.Properties{}
	if p.QoS > 0 {
		s.mu.Lock()
		if s.nextID++; s.nextID == 0 {
			s.nextID = 1
		}
		p.PacketID = s.nextID
		s.mu.Unlock()
	}
	s.send(p)
}

// topicMatches follows MQTT 5.0 4.7. It is no judge of wrong filters.
func topicMatches(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") != strings.HasPrefix(filter, "$") {
		return false // wildcards do not reach $SYS, MQTT 5.0 4.7.2
	}
	filters, levels := strings.Split(filter, "/"), strings.Split(topic, "/")
	for i, f := range filters {
		if f == "#" {
			return true
		}
		if i >= len(levels) || f != "+" && f != levels[i] {
			return false
		}
	}
	return len(filters) == len(levels)
}
