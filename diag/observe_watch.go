package diag

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

func init() {
	register(func() *ConnectionWatch { return &ConnectionWatch{} })
}

// Evidence of a watch.
const (
	EvWatched       EvidenceKey = "watch.watched"
	EvWatchAsked    EvidenceKey = "watch.asked"
	EvWatchLanes    EvidenceKey = "watch.lanes"
	EvWatchDrops    EvidenceKey = "watch.drops"
	EvWatchKinds    EvidenceKey = "watch.kinds"
	EvWatchTries    EvidenceKey = "watch.tries"
	EvWatchDown     EvidenceKey = "watch.down"
	EvRTTMedian     EvidenceKey = "watch.rtt_median"
	EvRTT95         EvidenceKey = "watch.rtt_p95"
	EvRTTMax        EvidenceKey = "watch.rtt_max"
	EvLane          EvidenceKey = "watch.lane"
	EvLaneRole      EvidenceKey = "watch.role"
	EvLanePause     EvidenceKey = "watch.pause"
	EvLaneDrops     EvidenceKey = "watch.lane_drops"
	EvLaneLongest   EvidenceKey = "watch.longest"
	EvLaneHeld      EvidenceKey = "watch.held"
	EvWatchAt       EvidenceKey = "watch.at"
	EvDropHow       EvidenceKey = "watch.how"
	EvDropAge       EvidenceKey = "watch.age"
	EvDropQuiet     EvidenceKey = "watch.quiet"
	EvSinceSent     EvidenceKey = "watch.since_sent"
	EvSinceReceived EvidenceKey = "watch.since_received"
	EvTryNumber     EvidenceKey = "watch.try"
	EvTryWait       EvidenceKey = "watch.wait"
	EvTCPAcked      EvidenceKey = "watch.tcp_acked"
)

// ConnectionWatch is what became of several connections that were held side by side for some time, each with another rhythm
// of its own: who lives and who dies tells what ends connections. All times in it are since its beginning.
type ConnectionWatch struct {
	Address string        `json:"address"`
	Version Version       `json:"version"`
	Asked   time.Duration `json:"asked"`   // how long it was to be
	Watched time.Duration `json:"watched"` // how long it was
	Lanes   []Lane        `json:"lanes"`
	// Drops are the first ones, at most MaxDrops; DropCount are all.
	Drops     []Drop `json:"drops,omitempty"`
	DropCount int    `json:"drop_count"`
	// Tries are the attempts to connect again, the first MaxTries of TryCount.
	Tries    []Reconnect `json:"tries,omitempty"`
	TryCount int         `json:"try_count"`
	// Down is the longest time for which no attempt to connect again succeeded on any lane.
	Down time.Duration `json:"down,omitempty"`
	RTT  RTTSeries     `json:"rtt"`
}

// What is recorded in full of a watch: a day of drops every second ends in counts.
const (
	MaxDrops     = 400
	MaxTries     = 400
	MaxRTTPoints = 2000
	MaxLanes     = 40
)

// LaneRole says what a connection of a watch is there for.
type LaneRole string

// The roles.
const (
	LaneAsked  LaneRole = "asked"  // the asked keep alive, and a ping whenever it is due, as a proper client does
	LaneIdle   LaneRole = "idle"   // not a byte of ours
	LaneChat   LaneRole = "chat"   // something every few seconds
	LaneSearch LaneRole = "search" // another keep alive: which ones hold
)

// Lane is one of the connections of a watch with its setting. It is connected again after a drop; with another setting it is
// a lane of its own.
type Lane struct {
	Role        LaneRole      `json:"role"`
	OwnClientID bool          `json:"own_client_id,omitempty"` // the user's own, with consent
	KeepAlive   time.Duration `json:"keepalive"`               // in force: that of the CONNECT, or the server's own
	Pause       time.Duration `json:"pause"`                   // a ping goes out after so long without a packet of ours; 0: never
	Begun       time.Duration `json:"begun"`
	// Ended is when it was given up, for another setting or because it was refused; 0: watched to the end.
	Ended    time.Duration `json:"ended,omitempty"`
	Connects int           `json:"connects"`
	Drops    int           `json:"drops"`
	// Since is when the connection was made that was still open at the end; -1: none was.
	Since   time.Duration `json:"since"`
	Longest time.Duration `json:"longest"` // the greatest age that a connection has reached
	// Held is the longest time without a byte in either direction after which the broker still answered a ping, and HeldCount
	// how many pings after a pause of the lane's own length it answered.
	Held      time.Duration `json:"held,omitempty"`
	HeldCount int           `json:"held_count,omitempty"`
	Refused   Outcome       `json:"refused,omitempty"` // it could not be opened at all
}

// Drop is the end of a watched connection that was none of our doing.
type Drop struct {
	Lane int           `json:"lane"` // index
	At   time.Duration `json:"at"`   // when it was noticed
	// How: closed (FIN), reset (RST), refused (DISCONNECT, with Code), silent (a ping was not answered, nobody closed).
	How    Outcome `json:"how"`
	Code   int     `json:"code"` // of the DISCONNECT; -1: none came
	Reason string  `json:"reason,omitempty"`
	Error  string  `json:"error,omitempty"`
	// Age is from the CONNACK to the end, with AtPing to the ping.
	Age time.Duration `json:"age"`
	// Quiet is for how long no byte had gone in either direction when it ended, with AtPing when the ping was sent.
	Quiet time.Duration `json:"quiet"`
	// AtPing tells that it was noticed by a ping of ours: the connection may have been dead for some time.
	AtPing        bool          `json:"at_ping,omitempty"`
	SinceSent     time.Duration `json:"since_sent"`
	SinceReceived time.Duration `json:"since_received"`
	// TCPAcked tells, of an unanswered ping, whether its segment was acknowledged: the host, or a proxy, was still there; nil:
	// the system does not tell.
	TCPAcked *bool `json:"tcp_acked,omitempty"`
}

// Reconnect is one attempt to connect again after a drop.
type Reconnect struct {
	Lane    int           `json:"lane"`
	At      time.Duration `json:"at"`
	Number  int           `json:"number"` // from 1 since the drop
	Wait    time.Duration `json:"wait"`   // before it: exponential with jitter
	Outcome Outcome       `json:"outcome"`
}

// RTTSeries are round trips from PINGREQ to PINGRESP over time, thinned out to MaxRTTPoints by keeping the slower of neighbours.
type RTTSeries struct {
	AtS []float64 `json:"at_s,omitempty"`
	MS  []float64 `json:"ms,omitempty"`
}

// Kind names the type in stored runs.
func (*ConnectionWatch) Kind() string { return "mqtt.watch" }

// Facts lists what was seen.
func (o *ConnectionWatch) Facts() []Evidence {
	f := facts{}
	f.seconds(EvWatched, o.Watched)
	if o.Asked > o.Watched+time.Second {
		f.seconds(EvWatchAsked, o.Asked)
	}
	f.add(EvWatchLanes, strconv.Itoa(o.held()))
	f.add(EvWatchDrops, strconv.Itoa(o.DropCount))
	f.list(EvWatchKinds, o.kinds())
	if o.TryCount > 0 {
		f.add(EvWatchTries, strconv.Itoa(o.TryCount))
	}
	f.seconds(EvWatchDown, o.Down)
	f.add(EvAddress, o.Address)
	f.add(EvMQTTVersion, string(o.Version))
	if rtt := slices.Sorted(slices.Values(o.RTT.MS)); len(rtt) > 0 {
		at := func(percent int) time.Duration {
			return time.Duration(rtt[min((len(rtt)*percent+99)/100, len(rtt))-1] * float64(time.Millisecond))
		}
		f.ms(EvRTTMedian, at(50))
		f.ms(EvRTT95, at(95))
		f.ms(EvRTTMax, at(100))
	}
	return f.items
}

// held counts the lanes that were connected at all.
func (o *ConnectionWatch) held() int {
	n := 0
	for _, l := range o.Lanes {
		if l.Connects > 0 {
			n++
		}
	}
	return n
}

// kinds counts the drops by how they came, the most frequent first: words that need no translation.
func (o *ConnectionWatch) kinds() []string {
	counts := map[string]int{}
	for _, d := range o.Drops {
		counts[d.Kind(o.Version)]++
	}
	var out []string
	for kind, n := range counts {
		out = append(out, fmt.Sprintf("%d × %s", n, kind))
	}
	slices.SortFunc(out, func(a, b string) int {
		var m, n int
		_, _ = fmt.Sscan(a, &m)
		_, _ = fmt.Sscan(b, &n)
		if m != n {
			return n - m
		}
		return strings.Compare(a, b)
	})
	return out
}

// Kind says in one word how the connection ended: FIN, RST, no PINGRESP, or DISCONNECT with its code.
func (d Drop) Kind(v Version) string {
	switch {
	case d.Code >= 0:
		return "DISCONNECT " + codeText(d.Code, v)
	case d.How == OutcomeClosed:
		return "FIN"
	case d.How == OutcomeReset:
		return "RST"
	case d.How == OutcomeSilent:
		return "no PINGRESP"
	}
	return string(d.How)
}

// Label names a lane for people, in words that need no translation: its number, and the pause between its pings.
func (o *ConnectionWatch) Label(lane int) string {
	l := o.Lanes[lane]
	if l.Pause == 0 {
		return "#" + strconv.Itoa(lane+1)
	}
	return "#" + strconv.Itoa(lane+1) + " · " + FormatSpan(l.Pause)
}

// Tables has the round trips with the drops, the connections, the drops and the attempts to connect again.
func (o *ConnectionWatch) Tables() []Table {
	var out []Table
	if len(o.RTT.AtS) > 0 {
		line := Table{Name: "watch.rtt", Plot: PlotLine, Columns: []Column{
			{Key: EvWatchAt, Unit: "s", Numbers: o.RTT.AtS}, {Key: EvRTT, Unit: "ms", Numbers: o.RTT.MS}}}
		for _, d := range o.Drops {
			line.Marks = append(line.Marks, Mark{At: roundS(d.At), Key: EvDropHow, Value: d.Kind(o.Version)})
		}
		out = append(out, line)
	}
	out = append(out, o.laneTable())
	if len(o.Drops) > 0 {
		out = append(out, o.dropTable())
	}
	if len(o.Tries) > 0 {
		out = append(out, o.tryTable())
	}
	return out
}

func (o *ConnectionWatch) laneTable() Table {
	number, role, keepAlive := Column{Key: EvLane}, Column{Key: EvLaneRole}, Column{Key: EvKeepAlive, Unit: "s"}
	pause, drops := Column{Key: EvLanePause, Unit: "s"}, Column{Key: EvLaneDrops}
	longest, held := Column{Key: EvLaneLongest, Unit: "s"}, Column{Key: EvLaneHeld, Unit: "s"}
	for i, l := range o.Lanes {
		number.Words = append(number.Words, "#"+strconv.Itoa(i+1))
		role.Words = append(role.Words, string(l.Role))
		keepAlive.Numbers = append(keepAlive.Numbers, l.KeepAlive.Seconds())
		pause.Numbers = append(pause.Numbers, positive(l.Pause))
		drops.Numbers = append(drops.Numbers, float64(l.Drops))
		longest.Numbers = append(longest.Numbers, positive(l.Longest))
		held.Numbers = append(held.Numbers, positive(l.Held))
	}
	return Table{Name: "watch.lanes", Plot: PlotGrid, Columns: []Column{number, role, keepAlive, pause, drops, longest, held}}
}

func (o *ConnectionWatch) dropTable() Table {
	at, lane, how := Column{Key: EvWatchAt, Unit: "s"}, Column{Key: EvLane}, Column{Key: EvDropHow}
	age, quiet := Column{Key: EvDropAge, Unit: "s"}, Column{Key: EvDropQuiet, Unit: "s"}
	sent, received, acked := Column{Key: EvSinceSent, Unit: "s"}, Column{Key: EvSinceReceived, Unit: "s"}, Column{Key: EvTCPAcked}
	for _, d := range o.Drops {
		at.Numbers = append(at.Numbers, roundS(d.At))
		lane.Words = append(lane.Words, o.Label(d.Lane))
		how.Words = append(how.Words, d.Kind(o.Version))
		age.Numbers = append(age.Numbers, roundS(d.Age))
		quiet.Numbers = append(quiet.Numbers, roundS(d.Quiet))
		sent.Numbers = append(sent.Numbers, roundS(d.SinceSent))
		received.Numbers = append(received.Numbers, roundS(d.SinceReceived))
		word := "–"
		if d.TCPAcked != nil {
			word = map[bool]string{true: "yes", false: "no"}[*d.TCPAcked]
		}
		acked.Words = append(acked.Words, word)
	}
	columns := []Column{at, lane, how, age, quiet, sent, received}
	if slices.ContainsFunc(o.Drops, func(d Drop) bool { return d.TCPAcked != nil }) {
		columns = append(columns, acked)
	}
	return Table{Name: "watch.drops", Plot: PlotGrid, Columns: columns}
}

func (o *ConnectionWatch) tryTable() Table {
	at, lane, number := Column{Key: EvWatchAt, Unit: "s"}, Column{Key: EvLane}, Column{Key: EvTryNumber}
	wait, outcome := Column{Key: EvTryWait, Unit: "s"}, Column{Key: EvOutcome}
	for _, r := range o.Tries {
		at.Numbers = append(at.Numbers, roundS(r.At))
		lane.Words = append(lane.Words, o.Label(r.Lane))
		number.Numbers = append(number.Numbers, float64(r.Number))
		wait.Numbers = append(wait.Numbers, roundS(r.Wait))
		outcome.Words = append(outcome.Words, string(r.Outcome))
	}
	return Table{Name: "watch.tries", Plot: PlotGrid, Columns: []Column{at, lane, number, wait, outcome}}
}

// positive is NaN for what did not happen.
func positive(d time.Duration) float64 {
	if d <= 0 {
		return NotMeasured
	}
	return roundS(d)
}

// roundS is a duration in seconds with one digit behind the point.
func roundS(d time.Duration) float64 {
	return float64(d.Round(100*time.Millisecond)) / float64(time.Second)
}

// FormatSpan writes a longer time for people: "0.4 s", "20 s", "350 s", "45 min", "8 h 20 min".
func FormatSpan(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return strconv.FormatFloat(roundS(d), 'f', -1, 64) + " s"
	case d < 10*time.Minute:
		return strconv.Itoa(int(d.Round(time.Second)/time.Second)) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Round(time.Minute)/time.Minute)) + " min"
	}
	d = d.Round(time.Minute)
	if d%time.Hour == 0 {
		return strconv.Itoa(int(d/time.Hour)) + " h"
	}
	return strconv.Itoa(int(d/time.Hour)) + " h " + strconv.Itoa(int(d%time.Hour/time.Minute)) + " min"
}
