package probe

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"mqttdoctor/diag"
)

const checkQuestions diag.ProbeID = "peer.questions"

// question is how one asks a server in its own language whether it is there: one that ends a connection without a word at what it
// does not understand answers that. Nothing is changed by it, and no login is tried.
type question struct {
	protocol string // as in dialects
	ask      []byte
	// answered tells the answer to this question from any other bytes.
	answered func([]byte) bool
	source   string
}

// ourID is what the questions are numbered with: an answer repeats it.
const ourID = 0x6D717474 // "mqtt"

// questions go to servers that are known to end a connection without a word at the start of MQTT, TLS or HTTP.
var questions = []question{
	{"postgresql", binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, 80877103),
		func(b []byte) bool { return len(b) == 1 && (b[0] == 'S' || b[0] == 'N') || isPostgres(b) },
		"postgresql.org/docs/current/protocol-message-formats.html: SSLRequest, and the one byte that answers it"},
	{"kafka", kafkaVersions(),
		func(b []byte) bool { return len(b) >= 10 && b[0] == 0 && binary.BigEndian.Uint32(b[4:]) == ourID },
		"kafka.apache.org/protocol.html: ApiVersions v0, whose response repeats the correlation id"},
	{"mongodb", mongoHello(),
		func(b []byte) bool {
			return len(b) >= 16 && binary.LittleEndian.Uint32(b[8:]) == ourID && binary.LittleEndian.Uint32(b[12:]) == mongoReply
		},
		"mongodb.com/docs/manual/reference/mongodb-wire-protocol: OP_QUERY of isMaster, which drivers begin with, and OP_REPLY"},
}

// kafkaVersions asks which versions of the API there are.
func kafkaVersions() []byte {
	const apiVersions, version = 18, 0
	body := binary.BigEndian.AppendUint16(nil, apiVersions)
	body = binary.BigEndian.AppendUint16(body, version)
	body = binary.BigEndian.AppendUint32(body, ourID)
	body = binary.BigEndian.AppendUint16(body, 0xFFFF) // no client id
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// The operations of MongoDB's wire protocol with which every connection may begin.
const mongoQuery, mongoReply = 2004, 1

// mongoHello asks what kind of server it is.
func mongoHello() []byte {
	document := []byte("\x13\x00\x00\x00\x10isMaster\x00\x01\x00\x00\x00\x00")
	binary.LittleEndian.PutUint32(document, uint32(len(document)))
	body := append([]byte{0, 0, 0, 0}, "admin.$cmd\x00"...)
	body = binary.LittleEndian.AppendUint32(body, 0)          // to skip
	body = binary.LittleEndian.AppendUint32(body, 0xFFFFFFFF) // to return: one
	body = append(body, document...)
	head := binary.LittleEndian.AppendUint32(nil, uint32(16+len(body)))
	for _, v := range []uint32{ourID, 0, mongoQuery} {
		head = binary.LittleEndian.AppendUint32(head, v)
	}
	return append(head, body...)
}

// peerQuestions asks a listener that ended whatever was sent to it without a word, and none that waits when nothing is sent,
// whether it is one of the servers that do so, and whether a single byte is enough, after which there is nothing to understand.
var peerQuestions = diag.Probe{
	ID: checkQuestions, Layer: diag.LayerTCP, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkListen},
	Ready: func(v *diag.View) diag.Decision {
		listened := diag.SeenBy[*diag.PeerAnswer](v, checkListen)
		switch at := brokenAt(v); {
		case len(listened) == 0 || listened[0].Seen.Outcome != diag.OutcomeSilent:
			return diag.Skip(diag.N("skip.not_the_question"))
		case transportKnown(v):
			return diag.Skip(diag.N("skip.already_clear"))
		case at == "":
			return diag.Wait()
		case !slices.Contains(transportLayers, at) || endedAfter(v) == 0 || !answeredNothing(v):
			return diag.Skip(diag.N("skip.not_the_question"))
		case !v.Ended(checkTransports):
			return diag.Wait()
		case slices.ContainsFunc(transportsTried(v), func(s diag.Sight[*diag.Attempt]) bool { return said(s.Seen) }):
			return diag.Skip(diag.N("skip.already_clear"))
		}
		return diag.Run()
	},
	Subjects: func(*diag.View) []diag.Subject {
		var out []diag.Subject
		for i, q := range questions {
			out = append(out, diag.Subject{Name: q.protocol, Value: i})
		}
		return append(out, diag.Subject{Name: "byte"})
	},
	Moot: transportKnown,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		address, ok := reachable(env.View)
		if !ok {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		if i, isIndex := s.Value.(int); isIndex {
			return questions[i].put(ctx, env, address)
		}
		return putFirstByte(ctx, env, address)
	},
}

// said tells whether a connection brought any bytes back.
func said(a *diag.Attempt) bool {
	return a.TLS != nil && (a.TLS.ServerHello || len(a.TLS.First) > 0) || a.WS != nil && (a.WS.HTTP() || len(a.WS.First) > 0) ||
		a.MQTT != nil && (a.MQTT.Code >= 0 || len(a.MQTT.First) > 0)
}

// put asks the question on a connection of its own.
func (q question) put(ctx context.Context, env *diag.Env, address string) diag.Result {
	o, failed := sendAndListen(ctx, env, address, q.protocol, q.ask)
	if o == nil {
		return failed
	}
	o.Sent = "question"
	switch {
	case q.answered(o.First):
		o.Speaks = q.protocol
	case o.Outcome == diag.OutcomeCanceled:
		return diag.Skipped(diag.N("skip.canceled"))
	}
	args := []string{"address", address, "value", q.protocol, "protocol", orUnknown(o.Speaks)}
	if len(o.First) > 0 {
		return diag.Passed(o, diag.N("step.peer.questions.answered", args...))
	}
	return diag.Warned(o, diag.N("step.peer.questions.unanswered", args...))
}

// putFirstByte sends the first byte of what the asked transport begins with, and no more: a server that reads what it gets waits
// for the rest.
func putFirstByte(ctx context.Context, env *diag.Env, address string) diag.Result {
	first := byte(0x10) // CONNECT (MQTT 5.0 3.1.1)
	switch {
	case env.Target.Scheme.UsesTLS():
		first = 0x16 // a handshake record (RFC 8446 5.1)
	case env.Target.Scheme.IsWebSocket():
		first = 'G' // GET
	}
	o, failed := sendAndListen(ctx, env, address, "byte", []byte{first})
	switch {
	case o == nil:
		return failed
	case o.Outcome == diag.OutcomeCanceled:
		return diag.Skipped(diag.N("skip.canceled"))
	}
	o.Sent = "first_byte"
	args := []string{"address", address, "duration", diag.FormatMS(o.Took) + " ms"}
	if o.Outcome.Ended() {
		return diag.Warned(o, diag.N("step.peer.questions.byte_ended", args...))
	}
	return diag.Passed(o, diag.N("step.peer.questions.byte_kept", args...))
}

// sendAndListen makes a connection, sends what is given and listens for the answer. nil: there was no connection, as the result
// says.
func sendAndListen(ctx context.Context, env *diag.Env, address, label string, ask []byte) (*diag.PeerAnswer, diag.Result) {
	r := askedRoute(env.Target, address).with(diag.PurposeQuestion, label, nil)
	tcp, conn := dialTCP(ctx, env, r)
	if conn == nil {
		return nil, attemptResult(&diag.Attempt{Purpose: diag.PurposeQuestion, Label: label, Address: address, Transport: r.Transport, TCP: tcp})
	}
	defer conn.Close()
	d := listenFor(env.Options.Timeout, roundTrip(env.View, address))
	_ = conn.SetWriteDeadline(time.Now().Add(d))
	_, err := conn.Write(ask)
	o := &diag.PeerAnswer{Outcome: outcomeOf(err)}
	if err == nil {
		o = listen(ctx, conn, d)
	}
	o.Purpose, o.Address = diag.PurposeQuestion, address
	return o, diag.Result{}
}
