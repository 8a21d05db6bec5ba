package diag

import (
	"strconv"
	"time"
)

func init() {
	register(func() *RetainedCheck { return &RetainedCheck{} })
	register(func() *RetainedSeen { return &RetainedSeen{} })
}

// Evidence of retained messages.
const (
	EvRetainedSet     EvidenceKey = "retained.set"
	EvRetainedPlain   EvidenceKey = "retained.plain"
	EvRetainedExact   EvidenceKey = "retained.exact"
	EvRetainedPlus    EvidenceKey = "retained.plus"
	EvRetainedHash    EvidenceKey = "retained.hash"
	EvRetainedCleared EvidenceKey = "retained.cleared"
	EvRetainedCount   EvidenceKey = "retained.count"
	EvRetainedTopic   EvidenceKey = "retained.topic"
	EvRetainedBytes   EvidenceKey = "retained.bytes"
)

// RetainedCheck is what came of retained messages that were set on topics of our own, read by another client that subscribed
// afterwards, and cleared.
type RetainedCheck struct {
	Version   Version `json:"version"`
	Address   string  `json:"address"`
	Topic     string  `json:"topic"`               // of the message that is read by its exact name
	Announced *bool   `json:"announced,omitempty"` // Retain Available of the CONNACK; nil: absent, which means yes
	// Set: ok, refused (PUBACK, PUBREC or DISCONNECT with Code; or nothing was sent, since Announced forbids it), silent,
	// closed, reset.
	Set          Outcome `json:"set"`
	Code         int     `json:"code"` // -1: none
	Reason       string  `json:"reason,omitempty"`
	ReasonString string  `json:"reason_string,omitempty"`
	// Plain is what came of the same message without the retain flag, sent where the retained one was not taken.
	Plain Outcome `json:"plain,omitempty"`
	// The reads by the exact topic, and by filters with + and # for topics beside it.
	Exact RetainedRead `json:"exact"`
	Plus  RetainedRead `json:"plus"`
	Hash  RetainedRead `json:"hash"`
	// Cleared tells that the broker took the empty messages that remove the retained ones (MQTT 5.0 3.3.1.3), or that
	// nothing had been sent.
	Cleared     bool `json:"cleared"`
	Connections int  `json:"connections"`
}

// RetainedRead is a subscription made after a retained message was set.
type RetainedRead struct {
	Filter  string `json:"filter,omitempty"`
	Granted int    `json:"granted"` // QoS; -1: not granted, or not asked for
	Came    bool   `json:"came"`    // the retained message did
	Twice   bool   `json:"twice"`   // not for the first subscription, so a second one was made
	// ByName tells that the message, which the filter with a wildcard did not bring, came by its exact topic.
	ByName bool `json:"by_name,omitempty"`
	// Live tells that a message without the flag came by the same subscription afterwards: it works but for retained ones.
	Live   bool          `json:"live,omitempty"`
	Waited time.Duration `json:"waited,omitempty"` // in vain
}

// Withheld tells a subscription that works, but for the retained message.
func (r *RetainedRead) Withheld() bool { return r.Granted >= 0 && !r.Came && r.Live }

// Kind names the type in stored runs.
func (*RetainedCheck) Kind() string { return "msg.retained" }

// Facts lists what was seen.
func (r *RetainedCheck) Facts() []Evidence {
	f := facts{}
	f.add(EvTopic, r.Topic)
	f.bool(EvRetainAvailable, r.Announced)
	f.add(EvRetainedSet, string(r.Set))
	if r.Code >= 0 {
		f.add(EvReasonCode, codeText(r.Code, r.Version)+" "+r.Reason)
	}
	f.add(EvReasonString, r.ReasonString)
	f.add(EvRetainedPlain, string(r.Plain))
	for _, read := range []struct {
		key EvidenceKey
		r   RetainedRead
	}{{EvRetainedExact, r.Exact}, {EvRetainedPlus, r.Plus}, {EvRetainedHash, r.Hash}} {
		if r.Set == OutcomeOK && read.r.Granted >= 0 {
			f.yesno(read.key, read.r.Came)
		}
	}
	f.ms(EvWaited, r.Exact.Waited)
	f.yesno(EvRetainedCleared, r.Cleared)
	return f.items
}

// RetainedSeen lists the retained messages that answered the user's own subscriptions. Of their payload only the length is
// kept, and nothing tells their age.
type RetainedSeen struct {
	Messages []RetainedMessage `json:"messages,omitempty"` // the first 16 topics
	Total    int               `json:"total"`              // of all topics that were counted
	Filters  []string          `json:"filters,omitempty"`
}

// RetainedMessage is one of them.
type RetainedMessage struct {
	Topic string `json:"topic"`
	Bytes int    `json:"bytes"` // of the payload
}

// Kind names the type in stored runs.
func (*RetainedSeen) Kind() string { return "msg.retained_own" }

// Facts lists what was seen.
func (r *RetainedSeen) Facts() []Evidence {
	f := facts{}
	f.add(EvRetainedCount, strconv.Itoa(r.Total))
	if len(r.Messages) > 0 {
		f.add(EvRetainedTopic, r.Messages[0].Topic)
		f.unit(EvRetainedBytes, strconv.Itoa(r.Messages[0].Bytes), "bytes")
	}
	f.list(EvFilter, r.Filters)
	return f.items
}

// Tables has one row for each message.
func (r *RetainedSeen) Tables() []Table {
	if len(r.Messages) == 0 {
		return nil
	}
	topic, bytes := Column{Key: EvRetainedTopic}, Column{Key: EvRetainedBytes, Unit: "bytes"}
	for _, m := range r.Messages {
		topic.Words = append(topic.Words, m.Topic)
		bytes.Numbers = append(bytes.Numbers, float64(m.Bytes))
	}
	return []Table{{Name: "retained.own", Plot: PlotGrid, Columns: []Column{topic, bytes}}}
}
