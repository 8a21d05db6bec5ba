package diag

import (
	"math"
	"slices"
	"strconv"
	"time"
)

func init() {
	register(func() *BurstRun { return &BurstRun{} })
}

// Evidence of numbered messages.
const (
	EvBurstSent       EvidenceKey = "burst.sent"
	EvBurstAcked      EvidenceKey = "burst.acked"
	EvBurstReceived   EvidenceKey = "burst.received"
	EvBurstLost       EvidenceKey = "burst.lost"
	EvBurstPattern    EvidenceKey = "burst.pattern"
	EvBurstFirstLost  EvidenceKey = "burst.first_lost"
	EvBurstPeriod     EvidenceKey = "burst.period"
	EvBurstPending    EvidenceKey = "burst.pending"
	EvBurstRefused    EvidenceKey = "burst.refused"
	EvBurstDoubled    EvidenceKey = "burst.doubled"
	EvBurstExtra      EvidenceKey = "burst.extra"
	EvBurstDup        EvidenceKey = "burst.dup"
	EvBurstReordered  EvidenceKey = "burst.reordered"
	EvBurstLate       EvidenceKey = "burst.late"
	EvBurstOurs       EvidenceKey = "burst.ours"
	EvBurstP50        EvidenceKey = "burst.p50"
	EvBurstP95        EvidenceKey = "burst.p95"
	EvBurstP99        EvidenceKey = "burst.p99"
	EvBurstMax        EvidenceKey = "burst.max"
	EvBurstHead       EvidenceKey = "burst.head"
	EvBurstAckMedian  EvidenceKey = "burst.ack_median"
	EvBurstRate       EvidenceKey = "burst.rate"
	EvBurstPaced      EvidenceKey = "burst.paced"
	EvBurstTried      EvidenceKey = "burst.tried"
	EvBurstWindow     EvidenceKey = "burst.window"
	EvBurstEndedSide  EvidenceKey = "burst.ended_side"
	EvBurstEndedAfter EvidenceKey = "burst.ended_after"
	EvBurstPayload    EvidenceKey = "burst.payload"
	EvBurstWitness    EvidenceKey = "burst.witness"
	EvBurstOfLost     EvidenceKey = "burst.of_lost"
	EvBurstBusy       EvidenceKey = "burst.busy"
	EvCopies          EvidenceKey = "msg.copies"
	EvFastest         EvidenceKey = "msg.fastest"
	EvSlowest         EvidenceKey = "msg.slowest"
	EvShareNetwork    EvidenceKey = "share.network"
	EvShareBroker     EvidenceKey = "share.broker"
	EvShareQueue      EvidenceKey = "share.queue"

	EvSequence    EvidenceKey = "burst.sequence"
	EvArrivedAt   EvidenceKey = "burst.arrived_at"
	EvAgainAt     EvidenceKey = "burst.again_at"
	EvLostSentAt  EvidenceKey = "burst.lost_sent_at"
	EvLatencyUpTo EvidenceKey = "burst.latency_up_to"
	EvLatencyBin  EvidenceKey = "burst.latency_bin"
)

// Pace is how numbered messages were sent.
type Pace string

// The paces.
const (
	PaceBurst   Pace = "burst"   // as fast as the window and the connection take them
	PaceSteps   Pace = "steps"   // each only after the one before had arrived
	PaceAtARate Pace = "at_rate" // at a rate
)

// LossPattern says where in a burst the lost messages lie.
type LossPattern string

// The patterns.
const (
	LossAll       LossPattern = "all"       // every one
	LossStart     LossPattern = "start"     // the first ones
	LossEnd       LossPattern = "end"       // the last few
	LossFrom      LossPattern = "from"      // all from one on: a limit was reached
	LossThinned   LossPattern = "thinned"   // none before one, and from there on some: a limit that lets through what is freed
	LossRegular   LossPattern = "regular"   // every nth
	LossBlock     LossPattern = "block"     // one gap
	LossScattered LossPattern = "scattered" // here and there
)

// BurstRun is what became of numbered messages from one client to another.
type BurstRun struct {
	Version      Version `json:"version"`
	Topic        string  `json:"topic"`
	Scratch      bool    `json:"scratch"` // ours under mqttdoctor/, not the user's
	QoS          byte    `json:"qos"`
	Count        int     `json:"count"` // to be sent
	PayloadBytes int     `json:"payload_bytes"`
	Pace         Pace    `json:"pace"`
	// Rate is what was aimed at with PaceAtARate, per second. Tried are the faster rates that did not go through whole before.
	Rate  float64   `json:"rate,omitempty"`
	Tried []float64 `json:"tried,omitempty"`
	// SentBefore is how many messages those took.
	SentBefore int `json:"sent_before,omitempty"`
	// Window is how many messages were unacknowledged at most (MQTT 5.0 4.9); 0 at QoS 0.
	Window int `json:"window,omitempty"`

	Sent     int `json:"sent"`  // written to the connection
	Acked    int `json:"acked"` // PUBACK or PUBCOMP that accepts; at QoS 0 none
	Received int `json:"received"`
	// Lost were sent and accepted as far as the QoS tells, and had not come when nothing more came for Waited. Pending were
	// still coming when time was up; they are neither.
	Lost    int           `json:"lost"`
	Pending int           `json:"pending,omitempty"`
	Waited  time.Duration `json:"waited,omitempty"`
	Pattern LossPattern   `json:"pattern,omitempty"`
	// FirstLost is the number of the first that was lost, from 1; Period of LossRegular: every nth.
	FirstLost int `json:"first_lost,omitempty"`
	Period    int `json:"period,omitempty"`
	// Refused by a reason code in PUBACK or PUBREC (MQTT 5), RefusedCode being the first.
	Refused       int    `json:"refused,omitempty"`
	RefusedCode   int    `json:"refused_code"` // -1: none
	RefusedReason string `json:"refused_reason,omitempty"`
	Unacked       int    `json:"unacked,omitempty"` // sent at QoS 1 or 2, and never acknowledged

	Doubled   int  `json:"doubled"`        // messages that came more than once
	Extra     int  `json:"extra"`          // further copies of them
	Dup       int  `json:"dup"`            // of these, with the DUP flag (MQTT 5.0 3.3.1.1)
	Loop      bool `json:"loop,omitempty"` // copies came without end
	Reordered int  `json:"reordered"`      // first copies that came behind one with a higher number
	Late      int  `json:"late,omitempty"` // of an earlier burst of the same run
	Ours      int  `json:"ours,omitempty"` // dropped on our side, which then says nothing of loss
	Delivered int  `json:"delivered"`      // lowest QoS with which one came; -1: none

	// Latency is from publishing to the first copy. Head is the median of the first 100, which does not grow with the burst.
	P50       time.Duration `json:"p50"`
	P95       time.Duration `json:"p95"`
	P99       time.Duration `json:"p99"`
	Max       time.Duration `json:"max"`
	Head      time.Duration `json:"head"`
	AckMedian time.Duration `json:"ack_median,omitempty"` // PUBLISH to the last acknowledgement
	Sending   time.Duration `json:"sending"`              // first to last PUBLISH
	Took      time.Duration `json:"took"`                 // first PUBLISH to last first copy
	// Busy is how much of the time our own process did not come to run: it may be part of any of the times above.
	Busy time.Duration `json:"busy,omitempty"`
	// PublisherPing and SubscriberPing are medians while messages were under way; 0: not measured.
	PublisherPing  time.Duration `json:"publisher_ping,omitempty"`
	SubscriberPing time.Duration `json:"subscriber_ping,omitempty"`
	// Stalled tells that the broker stopped to acknowledge or to read before all were sent.
	Stalled bool          `json:"stalled,omitempty"`
	End     *BurstEnd     `json:"end,omitempty"`     // nil: both connections lasted
	Witness *BurstWitness `json:"witness,omitempty"` // nil: there was none

	Bins   []int       `json:"bins,omitempty"` // of latencies, by [LatencyEdges]; the last one is open
	Raster BurstRaster `json:"raster"`
}

// BurstWitness is what the publisher itself got of the burst, by a subscription of QoS 0 that no queue or window holds back:
// what came to it has passed every limit on publishing.
type BurstWitness struct {
	Received int `json:"received"`
	OfLost   int `json:"of_lost"` // of what the subscriber did not get
}

// BurstEnd tells how a connection ended during a burst.
type BurstEnd struct {
	Side         Side    `json:"side"`
	Outcome      Outcome `json:"outcome"` // refused: by a DISCONNECT with Code
	Code         int     `json:"code"`    // -1: none
	Reason       string  `json:"reason,omitempty"`
	ReasonString string  `json:"reason_string,omitempty"`
	After        int     `json:"after"` // messages sent by then
}

// BurstRaster is the single messages, thinned out where there were many: what was lost or doubled stays. Times are in
// milliseconds since the first PUBLISH; -1: not.
type BurstRaster struct {
	Sequence []int32   `json:"sequence,omitempty"`
	Sent     []float32 `json:"sent,omitempty"`
	Arrived  []float32 `json:"arrived,omitempty"`
	Again    []float32 `json:"again,omitempty"` // second copy
}

// MaxRaster bounds the messages of a [BurstRaster].
const MaxRaster = 2000

// LatencyEdges are the upper edges of the bins of a burst's latencies: 1, 2 and 5 in each decade.
var LatencyEdges = func() []time.Duration {
	var edges []time.Duration
	for decade := 100 * time.Microsecond; decade <= 100*time.Second; decade *= 10 {
		edges = append(edges, decade, 2*decade, 5*decade)
	}
	return edges
}()

// Kind names the type in stored runs.
func (*BurstRun) Kind() string { return "msg.burst" }

// Whole tells whether every message was sent, taken and came.
func (b *BurstRun) Whole() bool {
	return b.Sent == b.Count && b.Received == b.Sent && b.Refused == 0 && b.End == nil
}

// Faulty tells whether the broker did not take or deliver some of the messages. Trouble on our own side is none.
func (b *BurstRun) Faulty() bool {
	return b.Ours == 0 && (b.Lost > 0 || b.Refused > 0 || b.End != nil || b.Stalled)
}

// Unacknowledged tells a burst of which the broker acknowledged nothing at all, as one does that has no answer for QoS 2.
func (b *BurstRun) Unacknowledged() bool {
	return b.QoS > 0 && b.Sent > 0 && b.Acked == 0 && b.Refused == 0 && b.End == nil
}

// UnderWay is how many messages came at most within a time. With a round trip's, no more come than the broker leaves
// unacknowledged at once, however late any of them is read: what is still to come follows an acknowledgement of ours. 0: not known.
func (b *BurstRun) UnderWay(within time.Duration) int {
	if b.Sent > MaxRaster {
		return 0 // the raster is thinned out
	}
	at := slices.DeleteFunc(slices.Clone(b.Raster.Arrived), func(ms float32) bool { return ms < 0 })
	slices.Sort(at)
	most, first := 0, 0
	for i := range at {
		for time.Duration(float64(at[i]-at[first])*float64(time.Millisecond)) >= within && first < i {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// Ran is what of a latency is left where our own process ran only for a part of the time.
func (b *BurstRun) Ran(d time.Duration) time.Duration {
	if all := max(b.Took, b.Sending); all > 0 {
		return d - time.Duration(float64(d)*min(1, b.Busy.Seconds()/all.Seconds()))
	}
	return d
}

// OffPace tells that messages which were to be sent at a rate went clearly slower: then they say nothing about that rate.
func (b *BurstRun) OffPace() bool {
	return b.Rate > 0 && b.Sent > 1 && b.Sending.Seconds() > 1.25*float64(b.Sent-1)/b.Rate
}

// PerSecond is how many messages arrived per second; 0: not known.
func (b *BurstRun) PerSecond() float64 {
	if b.Took <= 0 || b.Received < 2 {
		return 0
	}
	return float64(b.Received-1) / b.Took.Seconds()
}

// FormatRate writes a number per second with two digits that carry meaning.
func FormatRate(perSecond float64) string {
	if perSecond <= 0 {
		return ""
	}
	if perSecond >= 10 {
		unit := math.Pow(10, math.Floor(math.Log10(perSecond))-1)
		return strconv.FormatFloat(math.Round(perSecond/unit)*unit, 'f', 0, 64)
	}
	return strconv.FormatFloat(perSecond, 'g', 2, 64)
}

// Facts lists what was seen.
func (b *BurstRun) Facts() []Evidence {
	f := facts{}
	f.add(EvQoSAsked, strconv.Itoa(int(b.QoS)))
	f.add(EvBurstSent, strconv.Itoa(b.Sent))
	if b.QoS > 0 {
		f.add(EvBurstAcked, strconv.Itoa(b.Acked))
	}
	f.add(EvBurstReceived, strconv.Itoa(b.Received))
	f.add(EvBurstLost, strconv.Itoa(b.Lost))
	if b.Lost > 0 {
		f.add(EvBurstPattern, string(b.Pattern))
		f.count(EvBurstFirstLost, b.FirstLost)
		f.count(EvBurstPeriod, b.Period)
		f.ms(EvWaited, b.Waited)
	}
	if b.Witness != nil {
		f.add(EvBurstWitness, strconv.Itoa(b.Witness.Received))
		f.add(EvBurstOfLost, strconv.Itoa(b.Witness.OfLost))
	}
	f.count(EvBurstPending, b.Pending)
	if b.Refused > 0 {
		f.count(EvBurstRefused, b.Refused)
		f.add(EvReasonCode, codeText(b.RefusedCode, Version5)+" "+b.RefusedReason)
	}
	f.add(EvBurstDoubled, strconv.Itoa(b.Doubled))
	if b.Doubled > 0 {
		f.add(EvBurstExtra, strconv.Itoa(b.Extra))
		f.add(EvBurstDup, strconv.Itoa(b.Dup))
	}
	f.add(EvBurstReordered, strconv.Itoa(b.Reordered))
	f.count(EvBurstLate, b.Late)
	f.count(EvBurstOurs, b.Ours)
	if b.End != nil {
		f.add(EvBurstEndedSide, string(b.End.Side))
		f.add(EvOutcome, string(b.End.Outcome))
		if b.End.Code >= 0 {
			f.add(EvReasonCode, codeText(b.End.Code, Version5)+" "+b.End.Reason)
		}
		f.add(EvReasonString, b.End.ReasonString)
		f.add(EvBurstEndedAfter, strconv.Itoa(b.End.After))
	}
	f.ms(EvBurstP50, b.P50)
	f.ms(EvBurstP95, b.P95)
	f.ms(EvBurstP99, b.P99)
	f.ms(EvBurstMax, b.Max)
	f.ms(EvBurstAckMedian, b.AckMedian)
	f.unit(EvBurstRate, FormatRate(b.PerSecond()), "per_s")
	f.unit(EvBurstPaced, FormatRate(b.Rate), "per_s")
	var tried []string
	for _, rate := range b.Tried {
		tried = append(tried, FormatRate(rate))
	}
	f.list(EvBurstTried, tried)
	f.count(EvBurstWindow, b.Window)
	f.unit(EvBurstPayload, strconv.Itoa(b.PayloadBytes), "bytes")
	if b.Busy >= notedBusy {
		f.ms(EvBurstBusy, b.Busy)
	}
	f.ms(EvPublisherPing, b.PublisherPing)
	f.ms(EvSubscriberPing, b.SubscriberPing)
	f.add(EvTopic, b.Topic)
	return f.items
}

// notedBusy is below what anybody would ask about.
const notedBusy = 50 * time.Millisecond

// count adds what is above 0.
func (f *facts) count(key EvidenceKey, n int) {
	if n > 0 {
		f.add(key, strconv.Itoa(n))
	}
}

// Tables has a histogram of latencies and the raster of arrivals.
func (b *BurstRun) Tables() []Table {
	qos := "QoS " + strconv.Itoa(int(b.QoS))
	var out []Table
	first, last := 0, 0
	for i, n := range b.Bins {
		if n > 0 {
			if last == 0 {
				first = i
			}
			last = i + 1
		}
	}
	if last > 0 {
		edge, n := Column{Key: EvLatencyUpTo, Unit: "ms"}, Column{Key: EvLatencyBin, Suffix: qos}
		for i := first; i < last; i++ {
			edge.Numbers = append(edge.Numbers, float64(LatencyEdges[min(i, len(LatencyEdges)-1)])/float64(time.Millisecond))
			n.Numbers = append(n.Numbers, float64(b.Bins[i]))
		}
		out = append(out, Table{Name: "burst.latency", Plot: PlotHistogram, Columns: []Column{edge, n}})
	}
	if len(b.Raster.Sequence) == 0 {
		return out
	}
	seq, arrived := Column{Key: EvSequence}, Column{Key: EvArrivedAt, Unit: "ms"}
	again, lost := Column{Key: EvAgainAt, Unit: "ms"}, Column{Key: EvLostSentAt, Unit: "ms"}
	for i, number := range b.Raster.Sequence {
		seq.Numbers = append(seq.Numbers, float64(number))
		arrived.Numbers = append(arrived.Numbers, since(b.Raster.Arrived[i]))
		again.Numbers = append(again.Numbers, since(b.Raster.Again[i]))
		lostAt := float32(-1)
		if b.Raster.Arrived[i] < 0 {
			lostAt = b.Raster.Sent[i]
		}
		lost.Numbers = append(lost.Numbers, since(lostAt))
	}
	return append(out, Table{Name: "burst.raster", Plot: PlotRaster, Columns: []Column{seq, arrived, again, lost}})
}

// since is a time of a raster with three digits behind the point: float32 has no more.
func since(ms float32) float64 {
	if ms < 0 {
		return NotMeasured
	}
	return math.Round(float64(ms)*1000) / 1000
}
