package diag

import (
	"slices"
	"strconv"
	"time"
)

func init() {
	register(func() *ClientPair { return &ClientPair{} })
	register(func() *QoSGrid { return &QoSGrid{} })
}

// Evidence of two clients of our own.
const (
	EvPairSide       EvidenceKey = "pair.side"
	EvPublisherPing  EvidenceKey = "pair.publisher_ping"
	EvSubscriberPing EvidenceKey = "pair.subscriber_ping"
	EvPathRTT        EvidenceKey = "pair.path_rtt"
	EvLoneCount      EvidenceKey = "pair.lone_count"
	EvLoneArrived    EvidenceKey = "pair.lone_arrived"
	EvLoneMedian     EvidenceKey = "pair.lone_median"
	EvLoneMax        EvidenceKey = "pair.lone_max"
	EvQoSPublished   EvidenceKey = "qos.published"
	EvQoSSubscribed  EvidenceKey = "qos.subscribed"
	EvQoSGrantedAs   EvidenceKey = "qos.granted"
	EvQoSDeliveredAs EvidenceKey = "qos.delivered"
	EvQoSCells       EvidenceKey = "qos.cells"
)

// Side is one of the two clients of a pair.
type Side string

// The sides.
const (
	SidePublisher  Side = "publisher"
	SideSubscriber Side = "subscriber"
)

// ClientPair is a publisher and a subscriber of our own with temporary client ids, and how single messages travel from one to
// the other: what a burst is measured against.
type ClientPair struct {
	Version Version `json:"version"`
	Address string  `json:"address"`
	Topic   string  `json:"topic"`
	Scratch bool    `json:"scratch"` // ours under mqttdoctor/, not the user's
	QoS     byte    `json:"qos"`     // of the lone messages
	// Outcome: ok, or how it failed at the side Failed: at its connection, at its SUBSCRIBE or at its first PUBLISH. With
	// silent both worked, and the first messages did not arrive.
	Outcome Outcome `json:"outcome"`
	Failed  Side    `json:"failed,omitempty"`
	Code    int     `json:"code"` // of the CONNACK, SUBACK, PUBACK or DISCONNECT that refused; -1: none
	Reason  string  `json:"reason,omitempty"`
	Granted int     `json:"granted"` // QoS of the subscription; -1: none
	// PathRTT is the TCP handshake's round trip; the pings go through the broker (or what ends TLS or the upgrade before it),
	// the median of three. 0: not measured.
	PathRTT        time.Duration `json:"path_rtt"`
	PublisherPing  time.Duration `json:"publisher_ping"`
	SubscriberPing time.Duration `json:"subscriber_ping"`
	// Lone messages were sent one at a time, each after the one before had arrived: with no queue before them, they show what
	// path and broker need. Sorted; those that did not come are missing. Disturbed are those during which our own process did not
	// run for a part of the time, without that: path and broker took at least so long.
	LoneCount int             `json:"lone_count"`
	LoneBytes int             `json:"lone_bytes"` // of each payload
	Lone      []time.Duration `json:"lone,omitempty"`
	Disturbed []time.Duration `json:"disturbed,omitempty"`
	Waited    time.Duration   `json:"waited,omitempty"` // for a message that did not come
	// What the CONNACK announced; nil: nothing, which means 65,535 and 2 (MQTT 5.0 3.2.2.3.3, 3.2.2.3.4).
	ReceiveMaximum *uint16 `json:"receive_maximum,omitempty"`
	MaximumQoS     *byte   `json:"maximum_qos,omitempty"`
}

// Kind names the type in stored runs.
func (*ClientPair) Kind() string { return "msg.pair" }

// Works tells whether messages go from one client to the other.
func (p *ClientPair) Works() bool { return p.Outcome == OutcomeOK }

// Arrived is how many of the lone messages came.
func (p *ClientPair) Arrived() int { return len(p.Lone) + len(p.Disturbed) }

// Singly is what the lone messages took, sorted: those that were not disturbed if there are so many, else all.
func (p *ClientPair) Singly(least int) []time.Duration {
	if len(p.Lone) >= least {
		return p.Lone
	}
	return slices.Sorted(slices.Values(slices.Concat(p.Lone, p.Disturbed)))
}

// Median is that of the lone messages; 0: none arrived.
func (p *ClientPair) Median() time.Duration { return Percentile(p.Singly(2), 50) }

// Facts lists what was seen.
func (p *ClientPair) Facts() []Evidence {
	f := facts{}
	f.add(EvOutcome, string(p.Outcome))
	f.add(EvPairSide, string(p.Failed))
	if p.Code >= 0 {
		f.add(EvReasonCode, codeText(p.Code, p.Version)+" "+p.Reason)
	}
	f.add(EvAddress, p.Address)
	f.add(EvMQTTVersion, string(p.Version))
	f.add(EvTopic, p.Topic)
	sent, came := p.LoneCount, p.Singly(2)
	if len(p.Lone) >= 2 {
		sent -= len(p.Disturbed)
	}
	if sent > 0 {
		f.add(EvLoneCount, strconv.Itoa(sent))
		f.add(EvLoneArrived, strconv.Itoa(len(came)))
	}
	f.ms(EvLoneMedian, p.Median())
	f.ms(EvLoneMax, Percentile(came, 100))
	f.ms(EvWaited, p.Waited)
	f.ms(EvPathRTT, p.PathRTT)
	f.ms(EvPublisherPing, p.PublisherPing)
	f.ms(EvSubscriberPing, p.SubscriberPing)
	f.uint(EvReceiveMaximum, p.ReceiveMaximum)
	f.uint8(EvMaximumQoS, p.MaximumQoS)
	return f.items
}

// Percentile is the smallest value that at least the given percentage of sorted values does not exceed; 0 of none.
func Percentile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*percent + 99) / 100
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// QoSGrid shows for each QoS of publisher and subscription at which QoS a message arrived: the lower of the two
// (MQTT 5.0 3.8.4).
type QoSGrid struct {
	Version Version   `json:"version"`
	Cells   []QoSCell `json:"cells"`
}

// QoSCell is one message of a [QoSGrid].
type QoSCell struct {
	Publish   byte `json:"publish"`
	Subscribe byte `json:"subscribe"` // asked for
	Granted   int  `json:"granted"`   // to the subscription; -1: refused
	// Published: ok (acknowledged, or at QoS 0 written), refused, silent, closed, reset; empty: not sent, since the broker had
	// said or shown that it does not take this QoS.
	Published Outcome `json:"published,omitempty"`
	Delivered int     `json:"delivered"` // QoS of the first copy; -1: none came
	Copies    int     `json:"copies"`
}

// Lowered tells whether the message arrived with a lower QoS than the lower of publisher and subscription.
func (c QoSCell) Lowered() bool {
	return c.Delivered >= 0 && c.Delivered < int(min(c.Publish, c.Subscribe))
}

// Kind names the type in stored runs.
func (*QoSGrid) Kind() string { return "msg.qos_grid" }

// Facts lists what was seen: the delivered QoS of each message, as publisher, subscription and delivery.
func (g *QoSGrid) Facts() []Evidence {
	f := facts{}
	var cells []string
	for _, c := range g.Cells {
		cells = append(cells, strconv.Itoa(int(c.Publish))+"+"+strconv.Itoa(int(c.Subscribe))+"→"+c.arrived())
	}
	f.list(EvQoSCells, cells)
	f.add(EvMQTTVersion, string(g.Version))
	return f.items
}

func (c QoSCell) arrived() string {
	if c.Delivered < 0 {
		return "–"
	}
	return strconv.Itoa(c.Delivered)
}

// Tables has one row for each message.
func (g *QoSGrid) Tables() []Table {
	published, subscribed := Column{Key: EvQoSPublished}, Column{Key: EvQoSSubscribed}
	granted, delivered := Column{Key: EvQoSGrantedAs}, Column{Key: EvQoSDeliveredAs}
	for _, c := range slices.SortedFunc(slices.Values(g.Cells), func(a, b QoSCell) int {
		return 3*int(a.Publish) + int(a.Subscribe) - 3*int(b.Publish) - int(b.Subscribe)
	}) {
		published.Numbers = append(published.Numbers, float64(c.Publish))
		subscribed.Numbers = append(subscribed.Numbers, float64(c.Subscribe))
		granted.Numbers = append(granted.Numbers, orNotMeasured(c.Granted))
		delivered.Numbers = append(delivered.Numbers, orNotMeasured(c.Delivered))
	}
	return []Table{{Name: "qos.grid", Plot: PlotGrid, Columns: []Column{published, subscribed, granted, delivered}}}
}

// orNotMeasured is NaN for a negative number.
func orNotMeasured(n int) float64 {
	if n < 0 {
		return NotMeasured
	}
	return float64(n)
}
