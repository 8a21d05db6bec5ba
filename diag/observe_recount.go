package diag

import (
	"strconv"
	"time"
)

func init() { register(func() *Recount { return &Recount{} }) }

// Recount is what had come of all test messages to one topic, each sent by itself, when the last of them had been awaited, and
// of those that were sent because something was odd about the first.
type Recount struct {
	Version Version `json:"version"`
	Address string  `json:"address"`
	Topic   string  `json:"topic"`
	Scratch bool    `json:"scratch"` // ours under mqttdoctor/, not the user's
	// Path is what the network's round trip takes, by the TCP handshake.
	Path time.Duration `json:"path"`
	// Filters counts the granted subscriptions that match the topic: a server may send one copy for each (MQTT 5.0 3.3.4).
	Filters  int           `json:"filters"`
	Messages []TestMessage `json:"messages"`
	// SentAgain counts those that were sent because something was odd, whatever came of them; Bytes is the payload of each.
	SentAgain int `json:"sent_again"`
	Bytes     int `json:"bytes"`
	// Busy is how much of the time of those sent again our own process did not run.
	Busy time.Duration `json:"busy,omitempty"`
}

// TestMessage is one of them.
type TestMessage struct {
	QoS       byte          `json:"qos"`   // of the PUBLISH
	Again     bool          `json:"again"` // sent because something was odd about those before
	Delivered bool          `json:"delivered"`
	Took      time.Duration `json:"took"`   // PUBLISH to delivery
	Waited    time.Duration `json:"waited"` // in vain
	Copies    int           `json:"copies"`
	Dup       int           `json:"dup"` // copies with the DUP flag
}

// SlowDelivery is the time over which the delivery of a single message is slow on a path with that round trip: ten round trips,
// and a second more than one. A second covers what healthy brokers and systems add: delayed acknowledgements and Nagle's
// algorithm 40 to 200 ms, a repeated segment 200 to 400 ms, a first message that makes RabbitMQ declare a queue some 100 ms.
func SlowDelivery(path time.Duration) time.Duration { return max(10*path, path+time.Second) }

// Arrived counts the messages of which at least one copy came.
func (r *Recount) Arrived() int {
	n := 0
	for _, m := range r.Messages {
		if m.Delivered {
			n++
		}
	}
	return n
}

// Slow tells whether every one of three or more messages that came was slow: one late message may be a hiccup. fastest is the
// least that one of them took. What our own process did not run may be part of that.
func (r *Recount) Slow() (fastest time.Duration, slow bool) {
	for _, m := range r.Messages {
		if m.Delivered && (fastest == 0 || m.Took < fastest) {
			fastest = m.Took
		}
	}
	return fastest, r.Arrived() >= 3 && fastest-r.Busy > SlowDelivery(r.Path)
}

// Doubled is the message with the most copies; ok is false where none came twice.
func (r *Recount) Doubled() (m TestMessage, count int, ok bool) {
	for _, one := range r.Messages {
		if one.Copies > 1 {
			count++
		}
		if one.Copies > m.Copies {
			m = one
		}
	}
	return m, count, count > 0
}

// Kind names the type in stored runs.
func (*Recount) Kind() string { return "msg.recount" }

// Facts lists what was seen.
func (r *Recount) Facts() []Evidence {
	f := facts{}
	f.add(EvTopic, r.Topic)
	arrived := r.Arrived()
	f.add(EvBurstSent, strconv.Itoa(len(r.Messages)))
	f.add(EvBurstReceived, strconv.Itoa(arrived))
	if lost := len(r.Messages) - arrived; lost > 0 {
		f.add(EvBurstLost, strconv.Itoa(lost))
	}
	if m, count, ok := r.Doubled(); ok {
		f.add(EvBurstDoubled, strconv.Itoa(count))
		f.count(EvCopies, m.Copies)
	}
	var longest time.Duration
	for _, m := range r.Messages {
		longest = max(longest, m.Took)
	}
	if fastest, _ := r.Slow(); fastest > 0 {
		f.ms(EvFastest, fastest)
		f.ms(EvSlowest, longest)
	}
	f.ms(EvPathRTT, r.Path)
	f.add(EvMQTTVersion, string(r.Version))
	f.add(EvAddress, r.Address)
	return f.items
}
