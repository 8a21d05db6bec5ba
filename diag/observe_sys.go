package diag

import (
	"strconv"
	"time"
)

func init() {
	register(func() *BrokerHealth { return &BrokerHealth{} })
}

// Evidence of what a broker says of itself below $SYS.
const (
	EvSysProduct     EvidenceKey = "sys.product"
	EvSysRelease     EvidenceKey = "sys.release"
	EvSysNode        EvidenceKey = "sys.node"
	EvSysUptime      EvidenceKey = "sys.uptime"
	EvSysAlarm       EvidenceKey = "sys.alarm"
	EvSysFigure      EvidenceKey = "sys.figure"
	EvSysFirst       EvidenceKey = "sys.first"
	EvSysLast        EvidenceKey = "sys.last"
	EvSysDroppedRise EvidenceKey = "sys.dropped_rise"

	EvSysConnected     EvidenceKey = "sys.connected"
	EvSysConnectedMost EvidenceKey = "sys.connected_most"
	EvSysSessions      EvidenceKey = "sys.sessions"
	EvSysSubscriptions EvidenceKey = "sys.subscriptions"
	EvSysRetained      EvidenceKey = "sys.retained"
	EvSysStored        EvidenceKey = "sys.stored"
	EvSysDropped       EvidenceKey = "sys.dropped"
	EvSysMemory        EvidenceKey = "sys.memory"
	EvSysUtilization   EvidenceKey = "sys.utilization"
)

// FigureName names a number that a broker tells of itself.
type FigureName string

// The figures. Counters count from the start of the broker.
const (
	FigureConnected     FigureName = "connected"      // clients
	FigureConnectedMost FigureName = "connected_most" // most clients so far
	FigureSessions      FigureName = "sessions"       // of clients that are connected or away
	FigureSubscriptions FigureName = "subscriptions"
	FigureRetained      FigureName = "retained" // messages
	FigureStored        FigureName = "stored"   // messages
	FigureDropped       FigureName = "dropped"  // counter: messages that a full queue had no place for
	FigureMemory        FigureName = "memory"   // bytes
	FigureUtilization   FigureName = "utilization"
)

// BrokerHealth is what a broker says of itself below $SYS, as far as it lets the client read that.
type BrokerHealth struct {
	Version Version `json:"version"`
	Address string  `json:"address"`
	// Outcome: ok (at least one filter was granted), refused, closed, reset, silent.
	Outcome  Outcome       `json:"outcome"`
	Product  string        `json:"product,omitempty"` // as in fixes: mosquitto, emqx, …; empty: not recognised
	Release  string        `json:"release,omitempty"`
	Uptime   time.Duration `json:"uptime,omitempty"` // 0: not told
	Figures  []Figure      `json:"figures,omitempty"`
	Alarms   []BrokerAlarm `json:"alarms,omitempty"`
	Messages int           `json:"messages"` // that came below $SYS and were understood
	// Watched is the time from the first message to the end of reading.
	Watched time.Duration `json:"watched,omitempty"`
}

// Figure is a number as it was told first and last.
type Figure struct {
	Name  FigureName `json:"name"`
	Node  string     `json:"node,omitempty"` // of a cluster; empty: the broker
	First float64    `json:"first"`
	Last  float64    `json:"last"`
	Times int        `json:"times"` // how often it was told
}

// BrokerAlarm is an alarm that the broker raised itself.
type BrokerAlarm struct {
	Name    string `json:"name"`
	Message string `json:"message,omitempty"`
	Node    string `json:"node,omitempty"`
	Over    bool   `json:"over,omitempty"` // it was cleared again
}

// Kind names the type in stored runs.
func (*BrokerHealth) Kind() string { return "broker.sys" }

// Figure adds up a number over the nodes; ok is false where none told it.
func (b *BrokerHealth) Figure(name FigureName) (sum Figure, ok bool) {
	sum.Name = name
	for _, f := range b.Figures {
		if f.Name == name {
			sum.First, sum.Last, sum.Times, ok = sum.First+f.First, sum.Last+f.Last, max(sum.Times, f.Times), true
		}
	}
	return sum, ok
}

// Facts lists what was told.
func (b *BrokerHealth) Facts() []Evidence {
	f := facts{}
	f.add(EvOutcome, string(b.Outcome))
	f.add(EvSysProduct, b.Product)
	f.add(EvSysRelease, b.Release)
	if b.Uptime > 0 {
		f.unit(EvSysUptime, strconv.Itoa(int(b.Uptime/time.Second)), "s")
	}
	for _, a := range b.Alarms {
		f.add(EvSysAlarm, a.Name+": "+a.Message)
	}
	for _, x := range b.Figures {
		value := number(x.First)
		if x.Last != x.First {
			value += " → " + number(x.Last)
		}
		if x.Node != "" {
			value += " (" + x.Node + ")"
		}
		f.add(EvidenceKey("sys."+string(x.Name)), value)
	}
	if d, ok := b.Figure(FigureDropped); ok && d.Times > 1 {
		f.add(EvSysDroppedRise, number(d.Last-d.First))
	}
	return f.items
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// Tables has one row for each figure.
func (b *BrokerHealth) Tables() []Table {
	if len(b.Figures) == 0 {
		return nil
	}
	name, node := Column{Key: EvSysFigure}, Column{Key: EvSysNode}
	first, last := Column{Key: EvSysFirst}, Column{Key: EvSysLast}
	clustered := false
	for _, f := range b.Figures {
		name.Words, node.Words = append(name.Words, string(f.Name)), append(node.Words, f.Node)
		first.Numbers, last.Numbers = append(first.Numbers, f.First), append(last.Numbers, f.Last)
		clustered = clustered || f.Node != ""
	}
	columns := []Column{name, first, last}
	if clustered {
		columns = []Column{name, node, first, last}
	}
	return []Table{{Name: "broker.figures", Plot: PlotGrid, Columns: columns}}
}
