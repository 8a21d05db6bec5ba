package diag

import "strconv"

func init() {
	register(func() *LargeMessage { return &LargeMessage{} })
}

// LargeMessage is what came of a message that fills several packets, sent to our own topic and back.
type LargeMessage struct {
	Address string    `json:"address"`
	Bytes   int       `json:"bytes"` // of the payload
	Usual   LargeTry  `json:"usual"` // in packets of the usual size
	Again   *LargeTry `json:"again,omitempty"`
	Small   *LargeTry `json:"small,omitempty"` // in small packets; both only where the first one hung
	Segment int       `json:"segment,omitempty"`
}

// LargeTry is one such message.
type LargeTry struct {
	Outcome   Outcome      `json:"outcome"` // ok, silent, refused (by the broker), closed, …
	Acked     bool         `json:"acked"`
	Delivered bool         `json:"delivered"`
	TCP       *TCPInfoFact `json:"tcp,omitempty"` // of the connection, where it hung
}

// Hung tells whether the message or its way back got stuck while the connection stayed open.
func (l *LargeTry) Hung() bool {
	return l.Outcome == OutcomeSilent && (!l.Acked || l.TCP != nil && l.TCP.OutOfOrder > 0)
}

// Kind names the type in stored runs.
func (*LargeMessage) Kind() string { return "net.large" }

// Facts lists what was seen.
func (l *LargeMessage) Facts() []Evidence {
	f := facts{}
	f.add(EvAddress, l.Address)
	f.unit(EvMessageBytes, strconv.Itoa(l.Bytes), "bytes")
	f.add(EvOutcome, string(l.Usual.Outcome))
	f.yesno(EvPublished, l.Usual.Acked)
	f.yesno(EvDelivered, l.Usual.Delivered)
	if l.Small != nil {
		f.unit(EvSegment, strconv.Itoa(l.Segment), "bytes")
		f.add(EvSmallOutcome, string(l.Small.Outcome))
	}
	return f.items
}
