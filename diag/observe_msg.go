package diag

import (
	"strconv"
	"time"
)

func init() {
	register(func() *Subscription { return &Subscription{} })
	register(func() *Delivery { return &Delivery{} })
	register(func() *FilterMatch { return &FilterMatch{} })
}

// FilterMatch is the pure comparison of a publish topic with one subscription filter (MQTT 5.0 4.7).
type FilterMatch struct {
	Topic    string `json:"topic"`
	Filter   string `json:"filter"`
	Matches  bool   `json:"matches"`
	Reason   string `json:"reason,omitempty"` // code of mqttwire's closed list
	Level    int    `json:"level,omitempty"`  // first level that differs, from 1
	InTopic  string `json:"in_topic,omitempty"`
	InFilter string `json:"in_filter,omitempty"`
}

// Kind names the type in stored runs.
func (*FilterMatch) Kind() string { return "msg.filter" }

// Facts lists what was seen.
func (m *FilterMatch) Facts() []Evidence {
	f := facts{}
	f.add(EvTopic, m.Topic)
	f.add(EvFilter, m.Filter)
	f.yesno(EvMatches, m.Matches)
	f.add(EvMismatch, m.Reason)
	return f.items
}

// Subscription is one filter of a SUBSCRIBE and its answer.
type Subscription struct {
	Version Version `json:"version"`
	Filter  string  `json:"filter"`
	Scratch bool    `json:"scratch"` // ours under mqttdoctor/, not the user's
	QoS     byte    `json:"qos"`     // asked
	// Outcome: ok (granted), refused (SUBACK 0x80 or above, or a DISCONNECT), silent, closed, reset.
	Outcome      Outcome       `json:"outcome"`
	Code         int           `json:"code"` // SUBACK's; -1: none came
	Reason       string        `json:"reason,omitempty"`
	ReasonString string        `json:"reason_string,omitempty"`
	Took         time.Duration `json:"took"`
	Error        string        `json:"error,omitempty"`
}

// Kind names the type in stored runs.
func (*Subscription) Kind() string { return "msg.subscribe" }

// Granted is the granted QoS; ok is false where the filter was not granted.
func (s *Subscription) Granted() (qos byte, ok bool) {
	if s.Outcome != OutcomeOK || s.Code < 0 || s.Code > 2 {
		return 0, false
	}
	return byte(s.Code), true
}

// Facts lists what was seen.
func (s *Subscription) Facts() []Evidence {
	f := facts{}
	f.add(EvFilter, s.Filter)
	f.add(EvQoSAsked, strconv.Itoa(int(s.QoS)))
	if q, ok := s.Granted(); ok {
		f.add(EvQoSGranted, strconv.Itoa(int(q)))
	} else if s.Code >= 0 {
		f.add(EvReasonCode, codeText(s.Code, s.Version)+" "+s.Reason)
	}
	f.add(EvReasonString, s.ReasonString)
	f.add(EvOutcome, string(s.Outcome))
	f.ms(EvDuration, s.Took)
	f.add(EvError, s.Error)
	return f.items
}

// Delivery is one test message: published, acknowledged, and received or not.
type Delivery struct {
	Version Version `json:"version"`
	Topic   string  `json:"topic"`
	Scratch bool    `json:"scratch"`
	QoS     byte    `json:"qos"`   // of the PUBLISH
	Bytes   int     `json:"bytes"` // of its payload
	// Published: ok (acknowledged without fault, or sent at QoS 0), refused (0x80 or above, or DISCONNECT), silent, closed, reset.
	Published    Outcome `json:"published"`
	Code         int     `json:"code"` // of PUBACK or PUBREC; -1: none
	Reason       string  `json:"reason,omitempty"`
	ReasonString string  `json:"reason_string,omitempty"`
	// Expected tells that a granted subscription of the same session matches the topic, so that it should come back.
	Expected     bool          `json:"expected"`
	Delivered    bool          `json:"delivered"`
	Copies       int           `json:"copies"`
	DeliveredQoS byte          `json:"delivered_qos"`
	Took         time.Duration `json:"took"`     // PUBLISH sent to received
	AckTook      time.Duration `json:"ack_took"` // PUBLISH sent to PUBACK or PUBCOMP
	Waited       time.Duration `json:"waited"`   // how long a delivery was awaited in vain
	// Altered tells that what came on a topic of our own, where nobody else publishes, was not what had been sent: something on
	// the way writes messages anew. AlteredBytes is the length of its payload.
	Altered      bool   `json:"altered,omitempty"`
	AlteredBytes int    `json:"altered_bytes,omitempty"`
	Error        string `json:"error,omitempty"`
}

// Kind names the type in stored runs.
func (*Delivery) Kind() string { return "msg.roundtrip" }

// Facts lists what was seen.
func (d *Delivery) Facts() []Evidence {
	f := facts{}
	f.add(EvTopic, d.Topic)
	f.add(EvQoSAsked, strconv.Itoa(int(d.QoS)))
	f.add(EvPublished, string(d.Published))
	if d.Code >= 0 {
		f.add(EvReasonCode, codeText(d.Code, d.Version)+" "+d.Reason)
	}
	f.add(EvReasonString, d.ReasonString)
	if d.Expected {
		f.yesno(EvDelivered, d.Delivered)
	}
	if d.Delivered {
		f.add(EvQoSDelivered, strconv.Itoa(int(d.DeliveredQoS)))
		if d.Copies > 1 {
			f.count(EvCopies, d.Copies)
		}
		f.ms(EvDuration, d.Took)
	} else if d.Expected {
		f.ms(EvWaited, d.Waited)
	}
	if d.Altered {
		f.add(EvAltered, strconv.Itoa(d.Bytes)+" → "+strconv.Itoa(d.AlteredBytes))
	}
	f.add(EvError, d.Error)
	return f.items
}
