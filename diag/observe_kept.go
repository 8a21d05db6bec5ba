package diag

import (
	"strconv"
	"time"
)

func init() {
	register(func() *KeptSession { return &KeptSession{} })
}

// Evidence of sessions that outlast their connection.
const (
	EvKeptSubscribed EvidenceKey = "kept.subscribed"
	EvKeptExpiry     EvidenceKey = "kept.expiry"
	EvKeptAnnounced  EvidenceKey = "kept.announced"
	EvKeptSent       EvidenceKey = "kept.sent"
	EvKeptArrived    EvidenceKey = "kept.arrived"
	EvKeptPart       EvidenceKey = "kept.part"
	EvKeptLeave      EvidenceKey = "kept.leave"
	EvKeptPresent    EvidenceKey = "kept.present"
	EvKeptQoS        EvidenceKey = "kept.qos"
	EvKeptDuplicates EvidenceKey = "kept.duplicates"
	EvKeptOutOfOrder EvidenceKey = "kept.out_of_order"
	EvKeptLive       EvidenceKey = "kept.live"
	EvKeptQueue      EvidenceKey = "kept.queue"
	EvKeptTook       EvidenceKey = "kept.took"
	EvKeptEnded      EvidenceKey = "kept.ended"
)

// Leave is how a client's connection ended while its session was to stay.
type Leave string

// The ways to leave.
const (
	LeaveDisconnect Leave = "disconnect" // in order, with DISCONNECT
	LeaveCut        Leave = "cut"        // without a word, as when the network goes away
)

// KeptStage is how far the measurement of a kept session came.
type KeptStage string

// The stages, in order.
const (
	StageConnect   KeptStage = "connect"   // the client whose session is to be kept connects
	StagePublisher KeptStage = "publisher" // another one, which publishes, connects
	StageSubscribe KeptStage = "subscribe" // the first one subscribes
	StageLive      KeptStage = "live"      // a message reaches it while it is there
	StageAway      KeptStage = "away"      // messages are published while it is away
	StageReturn    KeptStage = "return"    // it comes back
	StageDone      KeptStage = "done"
)

// KeptSession is what came of a session of a temporary client that was to outlast its connection (MQTT 5.0 4.1), and of the
// messages that were sent to it while it was away.
type KeptSession struct {
	Version Version `json:"version"`
	Address string  `json:"address"`
	Topic   string  `json:"topic"`
	Scratch bool    `json:"scratch"` // ours under mqttdoctor/, not the user's
	Wanted  bool    `json:"wanted"`  // the user's own client asks for a kept session
	// Stage is where the measurement stopped, done where it did not; Outcome, Code and Reason are then what happened there.
	Stage   KeptStage `json:"stage"`
	Outcome Outcome   `json:"outcome"`
	Code    int       `json:"code"` // of a CONNACK, SUBACK, PUBACK or DISCONNECT that refused; -1: none
	Reason  string    `json:"reason,omitempty"`
	// ExpiryS is the Session Expiry Interval that was asked for, of MQTT 5 alone; Announced what the CONNACK said instead, nil:
	// nothing, which means that it is as asked (MQTT 5.0 3.2.2.3.2).
	ExpiryS   uint32  `json:"expiry_s,omitempty"`
	Announced *uint32 `json:"announced_s,omitempty"`
	// Granted is the QoS of the subscription, -1: not granted. At QoS 0 nothing need be kept (MQTT 5.0 4.1).
	Granted int          `json:"granted"`
	Returns []KeptReturn `json:"returns,omitempty"` // in the order of time
	// Live is the same number of messages sent to the client while it was there, to see whether they get through at all; nil:
	// there was no need.
	Live *KeptCount `json:"live,omitempty"`
	// Ended tells that the session was ended by a CONNECT with clean start.
	Ended bool `json:"ended"`
}

// KeptCount compares numbered messages with what came of them.
type KeptCount struct {
	Sent    int `json:"sent"`              // acknowledged by the broker
	Arrived int `json:"arrived"`           // each counted once
	Lowest  int `json:"lowest,omitempty"`  // number of the first message that arrived, from 1; 0: none
	Highest int `json:"highest,omitempty"` // number of the last one
	// Duplicates are further copies without DUP, Repeated such with it: the same message sent again (MQTT 5.0 3.3.1.1).
	Duplicates int `json:"duplicates,omitempty"`
	Repeated   int `json:"repeated,omitempty"`
	OutOfOrder int `json:"out_of_order,omitempty"` // that came behind one with a higher number
	Others     int `json:"others,omitempty"`       // other people's messages, which take places in the same queue
	QoS        int `json:"qos"`                    // lowest that a message arrived with; -1: none arrived
	// Took is from the CONNACK (or the first PUBLISH) to the last arrival; Waited how long nothing more came.
	Took   time.Duration `json:"took,omitempty"`
	Waited time.Duration `json:"waited,omitempty"`
}

// Part says which of the messages arrived.
type Part string

// The parts.
const (
	PartAll   Part = "all"
	PartNone  Part = "none"
	PartFirst Part = "first" // the first ones without a gap: further ones were not taken
	PartLast  Part = "last"  // the last ones without a gap: older ones were thrown away
	PartSome  Part = "some"
)

// Part tells which of the messages arrived.
func (c KeptCount) Part() Part {
	whole := c.Highest-c.Lowest+1 == c.Arrived
	switch {
	case c.Arrived >= c.Sent:
		return PartAll
	case c.Arrived == 0:
		return PartNone
	case whole && c.Lowest == 1:
		return PartFirst
	case whole && c.Highest == c.Sent:
		return PartLast
	}
	return PartSome
}

// KeptReturn is one time of being away.
type KeptReturn struct {
	KeptCount
	Left Leave `json:"left"`
	// Present is the CONNACK's Session Present (MQTT 5.0 3.2.2.1.1); MQTT 3.1 has none.
	Present bool `json:"present"`
	// Subscribed tells whether a message that was sent after the return, with no new subscription, arrived; nil: not tried.
	Subscribed *bool `json:"subscribed,omitempty"`
	// Search marks the tries with more messages than were asked for, which look for the queue's limit.
	Search bool `json:"search,omitempty"`
}

// Kept tells whether the session was there on return. The flag alone is no proof of that: a session without its
// subscriptions is none.
func (r KeptReturn) Kept() bool {
	switch {
	case r.Arrived > 0:
		return true
	case r.Subscribed != nil:
		return *r.Subscribed
	}
	return r.Present
}

// Forgotten tells that the session was said to be there, and its subscriptions were not.
func (r KeptReturn) Forgotten() bool { return r.Present && !r.Kept() }

// Unflagged tells that the session was there on every return, and the broker said each time that it was not: Session Present has
// to tell (MQTT 5.0 3.2.2.1.1, [MQTT-3.2.2-2] of 3.1.1). MQTT 3.1 has no such flag.
func (k *KeptSession) Unflagged() bool {
	if k.Version == Version31 {
		return false
	}
	for _, r := range k.Returns {
		if r.Present || !r.Kept() {
			return false
		}
	}
	return len(k.Returns) > 0
}

// Kind names the type in stored runs.
func (*KeptSession) Kind() string { return "msg.session" }

// Limit is the number of messages that the broker keeps for a client that is away, seen twice nearly alike (a message may slip in
// or out while the client leaves or returns); ok is false where no limit was found.
func (k *KeptSession) Limit() (limit int, part Part, ok bool) {
	var before *KeptReturn
	for i, r := range k.Returns {
		part = r.Part()
		if !r.Kept() || part != PartFirst && part != PartLast {
			continue
		}
		if before != nil && before.Part() == part {
			least, most := min(before.Arrived, r.Arrived), max(before.Arrived, r.Arrived)
			if most-least <= 1+least/50 {
				return least, part, true
			}
		}
		before = &k.Returns[i]
	}
	return 0, "", false
}

// Facts lists what was seen.
func (k *KeptSession) Facts() []Evidence {
	f := facts{}
	if k.Stage != StageDone {
		f.add(EvOutcome, string(k.Outcome))
		if k.Code >= 0 {
			f.add(EvReasonCode, codeText(k.Code, k.Version)+" "+k.Reason)
		}
	}
	for _, r := range k.Returns {
		f.add(EvKeptLeave, string(r.Left))
		if k.Version != Version31 {
			f.yesno(EvKeptPresent, r.Present)
		}
		if r.Sent > 0 {
			f.add(EvKeptSent, strconv.Itoa(r.Sent))
			f.add(EvKeptArrived, strconv.Itoa(r.Arrived))
			f.add(EvKeptPart, string(r.Part()))
		}
		if r.QoS >= 0 && r.Arrived > 0 {
			f.add(EvKeptQoS, strconv.Itoa(r.QoS))
		}
		if r.Duplicates > 0 {
			f.add(EvKeptDuplicates, strconv.Itoa(r.Duplicates))
		}
		if r.OutOfOrder > 0 {
			f.add(EvKeptOutOfOrder, strconv.Itoa(r.OutOfOrder))
		}
		f.ms(EvKeptTook, r.Took)
		f.ms(EvWaited, r.Waited)
		f.bool(EvKeptSubscribed, r.Subscribed)
	}
	if limit, _, ok := k.Limit(); ok {
		f.add(EvKeptQueue, strconv.Itoa(limit))
	}
	if k.Live != nil {
		f.add(EvKeptLive, strconv.Itoa(k.Live.Arrived)+"/"+strconv.Itoa(k.Live.Sent))
	}
	if k.ExpiryS > 0 {
		f.unit(EvKeptExpiry, strconv.FormatUint(uint64(k.ExpiryS), 10), "s")
	}
	if k.Announced != nil {
		f.unit(EvKeptAnnounced, strconv.FormatUint(uint64(*k.Announced), 10), "s")
	}
	f.add(EvTopic, k.Topic)
	f.add(EvMQTTVersion, string(k.Version))
	f.add(EvAddress, k.Address)
	if len(k.Returns) > 0 || k.Stage != StageConnect {
		f.yesno(EvKeptEnded, k.Ended)
	}
	return f.items
}

// Tables has one row for each time of being away.
func (k *KeptSession) Tables() []Table {
	if len(k.Returns) == 0 {
		return nil
	}
	left, present := Column{Key: EvKeptLeave}, Column{Key: EvKeptPresent}
	sent, arrived, part := Column{Key: EvKeptSent}, Column{Key: EvKeptArrived}, Column{Key: EvKeptPart}
	for _, r := range k.Returns {
		left.Words = append(left.Words, string(r.Left))
		present.Words = append(present.Words, map[bool]string{true: "yes", false: "no"}[r.Present])
		sent.Numbers = append(sent.Numbers, float64(r.Sent))
		arrived.Numbers = append(arrived.Numbers, float64(r.Arrived))
		part.Words = append(part.Words, string(r.Part()))
	}
	columns := []Column{left, present, sent, arrived, part}
	if k.Version == Version31 {
		columns = []Column{left, sent, arrived, part}
	}
	return []Table{{Name: "session.returns", Plot: PlotGrid, Columns: columns}}
}
