package diag

import (
	"strconv"
	"time"
)

func init() {
	register(func() *SizeSearch { return &SizeSearch{} })
}

// Evidence of a search for the largest message.
const (
	EvSizeLargest     EvidenceKey = "size.largest"
	EvSizeSmallest    EvidenceKey = "size.smallest"
	EvSizeEnd         EvidenceKey = "size.end"
	EvSizeBound       EvidenceKey = "size.bound"
	EvSizeStopped     EvidenceKey = "size.stopped"
	EvSizeTries       EvidenceKey = "size.tries"
	EvSizeConnections EvidenceKey = "size.connections"
	EvSizeVerified    EvidenceKey = "size.verified"
	EvSizeBytes       EvidenceKey = "size.bytes"
	EvSizeTook        EvidenceKey = "size.took"
)

// SizeEnd is what became of one message of a size.
type SizeEnd string

// The ends.
const (
	SizePassed       SizeEnd = "passed"       // it came back whole
	SizeRefused      SizeEnd = "refused"      // PUBACK or PUBREC of 0x80 or above
	SizeDisconnected SizeEnd = "disconnected" // DISCONNECT with a reason (MQTT 5.0 3.14.2.1)
	SizeClosed       SizeEnd = "closed"       // the connection ended without a word
	SizeDropped      SizeEnd = "dropped"      // it was taken and did not come, while a small one sent behind it did
	SizeStuck        SizeEnd = "stuck"        // nothing came, and the connection stayed open
)

// SizeStop is why a search ended before its bound was reached or the limit was found to the byte.
type SizeStop string

// The reasons.
const (
	SizeStopTime        SizeStop = "time"        // a message of the next size would have taken too long
	SizeStopConnections SizeStop = "connections" // each failure ends a connection, and enough were made
	SizeStopConnect     SizeStop = "connect"     // the broker took no further connection, or no subscription
	SizeStopUnsteady    SizeStop = "unsteady"    // what failed once passed the second time, or the reverse
	SizeStopCanceled    SizeStop = "canceled"
)

// SizeSearch is what came of messages of growing size to a topic of our own and back, over a connection of its own: payload
// sizes are first raised fourfold, then halved in between.
type SizeSearch struct {
	Version Version `json:"version"`
	Address string  `json:"address"`
	Topic   string  `json:"topic"`
	Scratch bool    `json:"scratch"`
	QoS     byte    `json:"qos"`
	// AnnouncedBytes is the Maximum Packet Size of the CONNACK, for whole packets; 0: none. No larger ones are sent
	// ([MQTT-3.2.2-15]).
	AnnouncedBytes uint32 `json:"announced_bytes,omitempty"`
	BoundBytes     int    `json:"bound_bytes"` // largest payload that would have been tried
	// LargestBytes is the largest payload that came back whole; SmallestBytes the smallest that did not, in the way End; 0: none.
	LargestBytes  int       `json:"largest_bytes"`
	SmallestBytes int       `json:"smallest_bytes,omitempty"`
	End           SizeEnd   `json:"end,omitempty"`
	Code          int       `json:"code"` // of the PUBACK, PUBREC or DISCONNECT; -1: none
	Reason        string    `json:"reason,omitempty"`
	ReasonString  string    `json:"reason_string,omitempty"`
	Verified      bool      `json:"verified,omitempty"` // both sizes were tried once more, with the same result
	Stopped       SizeStop  `json:"stopped,omitempty"`
	Tries         []SizeTry `json:"tries,omitempty"`
	Connections   int       `json:"connections"`
	// TCP is what the system knew of the connection on which a message got stuck, when waiting ended.
	TCP *TCPInfoFact `json:"tcp,omitempty"`
}

// SizeTry is one message of a search.
type SizeTry struct {
	Bytes int           `json:"bytes"` // of the payload
	End   SizeEnd       `json:"end"`
	Took  time.Duration `json:"took"`
}

// PayloadRoom is the largest payload that fits into a PUBLISH of the given size in all: beside it there are the fixed header
// of two to five bytes (MQTT 5.0 2.1.4), the topic, at QoS 1 and 2 the packet identifier, and in MQTT 5 the length of no
// properties. It is -1 where not even an empty message fits.
func PayloadRoom(packetBytes int64, v Version, topic string, qos byte) int {
	rest := int64(2 + len(topic))
	if qos > 0 {
		rest += 2
	}
	if v == Version5 {
		rest++
	}
	room := int64(-1)
	for digits, most := int64(1), int64(1<<7-1); digits <= 4; digits, most = digits+1, most<<7|0x7f {
		room = max(room, min(packetBytes-1-digits, most)-rest)
	}
	return int(room)
}

// Kind names the type in stored runs.
func (*SizeSearch) Kind() string { return "msg.size" }

// Limited tells whether a limit was found and seen twice.
func (s *SizeSearch) Limited() bool { return s.SmallestBytes > 0 && s.Verified }

// Facts lists what was seen.
func (s *SizeSearch) Facts() []Evidence {
	f := facts{}
	if s.LargestBytes > 0 {
		f.unit(EvSizeLargest, strconv.Itoa(s.LargestBytes), "bytes")
	}
	if s.SmallestBytes > 0 {
		f.unit(EvSizeSmallest, strconv.Itoa(s.SmallestBytes), "bytes")
		f.add(EvSizeEnd, string(s.End))
		f.yesno(EvSizeVerified, s.Verified)
	}
	if s.Code >= 0 {
		f.add(EvReasonCode, codeText(s.Code, s.Version)+" "+s.Reason)
	}
	f.add(EvReasonString, s.ReasonString)
	f.unit(EvSizeBound, strconv.Itoa(s.BoundBytes), "bytes")
	if s.AnnouncedBytes > 0 {
		f.unit(EvMaximumPacket, strconv.FormatUint(uint64(s.AnnouncedBytes), 10), "bytes")
	}
	f.add(EvSizeStopped, string(s.Stopped))
	f.add(EvTopic, s.Topic)
	f.add(EvQoSAsked, strconv.Itoa(int(s.QoS)))
	f.add(EvSizeTries, strconv.Itoa(len(s.Tries)))
	f.add(EvSizeConnections, strconv.Itoa(s.Connections))
	return f.items
}

// Tables has one row for each message of the search.
func (s *SizeSearch) Tables() []Table {
	size, end, took := Column{Key: EvSizeBytes, Unit: "bytes"}, Column{Key: EvSizeEnd}, Column{Key: EvSizeTook, Unit: "ms"}
	for _, t := range s.Tries {
		size.Numbers = append(size.Numbers, float64(t.Bytes))
		end.Words = append(end.Words, string(t.End))
		took.Numbers = append(took.Numbers, float64(t.Took.Microseconds())/1000)
	}
	return []Table{{Name: "size.search", Plot: PlotGrid, Columns: []Column{size, end, took}}}
}
