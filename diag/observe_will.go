package diag

import (
	"strconv"
	"time"
)

func init() {
	register(func() *WillWatch { return &WillWatch{} })
}

// Evidence of wills.
const (
	EvWillEnd      EvidenceKey = "will.end"
	EvWillArrived  EvidenceKey = "will.arrived"
	EvWillTook     EvidenceKey = "will.took"
	EvWillDelay    EvidenceKey = "will.delay"
	EvWillQoS      EvidenceKey = "will.qos"
	EvWillRetained EvidenceKey = "will.retained"
)

// WillEnd is how a client with a will left.
type WillEnd string

// The ends that publish a will (MQTT 5.0 3.1.2.5).
const (
	WillCut        WillEnd = "cut"        // its connection closed without a DISCONNECT
	WillDisconnect WillEnd = "disconnect" // DISCONNECT with reason code 0x04, of MQTT 5 alone
)

// WillWatch is what a subscriber saw of the wills of temporary clients that left.
type WillWatch struct {
	Version Version `json:"version"`
	Address string  `json:"address"`
	Topic   string  `json:"topic"`
	Scratch bool    `json:"scratch"` // ours under mqttdoctor/, not the user's
	// Stage is where the measurement stopped: connect, subscribe, live (a plain message of the same client to the same topic
	// does not reach the subscriber), done; Outcome, Code and Reason are then what happened there.
	Stage   KeptStage `json:"stage"`
	Outcome Outcome   `json:"outcome"`
	Code    int       `json:"code"` // of a CONNACK, SUBACK or PUBACK that refused; -1: none
	Reason  string    `json:"reason,omitempty"`
	Tries   []WillTry `json:"tries,omitempty"`
}

// WillTry is one client that left.
type WillTry struct {
	End        WillEnd `json:"end"`
	DelayS     uint32  `json:"delay_s,omitempty"` // Will Delay Interval, of MQTT 5 alone
	KeepAliveS int     `json:"keepalive_s"`       // in force: the server's own overrides ours
	Arrived    bool    `json:"arrived"`
	QoS        int     `json:"qos"` // with which it arrived, sent with 1; -1: it did not
	// Retained tells that it came as a retained message, which was not asked for.
	Retained bool          `json:"retained,omitempty"`
	Took     time.Duration `json:"took,omitempty"`   // from the end to the will's arrival
	Waited   time.Duration `json:"waited,omitempty"` // for a will that did not come
}

// Late tells that the will came when the keep alive ran out, not with the end of the connection.
func (t WillTry) Late() bool {
	return t.Arrived && t.DelayS == 0 && t.Took >= time.Duration(t.KeepAliveS)*time.Second
}

// Kind names the type in stored runs.
func (*WillWatch) Kind() string { return "msg.will" }

// Facts lists what was seen.
func (w *WillWatch) Facts() []Evidence {
	f := facts{}
	if w.Stage != StageDone {
		f.add(EvOutcome, string(w.Outcome))
		if w.Code >= 0 {
			f.add(EvReasonCode, codeText(w.Code, w.Version)+" "+w.Reason)
		}
	}
	for _, t := range w.Tries {
		f.add(EvWillEnd, string(t.End))
		if t.DelayS > 0 {
			f.unit(EvWillDelay, strconv.Itoa(int(t.DelayS)), "s")
		}
		f.yesno(EvWillArrived, t.Arrived)
		f.ms(EvWillTook, t.Took)
		f.ms(EvWaited, t.Waited)
		if t.Arrived {
			f.add(EvWillQoS, strconv.Itoa(t.QoS))
		}
		if t.Retained {
			f.yesno(EvWillRetained, true)
		}
	}
	if len(w.Tries) > 0 {
		f.unit(EvKeepAlive, strconv.Itoa(w.Tries[0].KeepAliveS), "s")
	}
	f.add(EvTopic, w.Topic)
	f.add(EvMQTTVersion, string(w.Version))
	f.add(EvAddress, w.Address)
	return f.items
}
