package diag

import "strconv"

func init() {
	register(func() *AccessCheck { return &AccessCheck{} })
}

// Evidence of what MQTT 5 says about access.
const (
	EvAccessOwn     EvidenceKey = "access.own"
	EvAccessScratch EvidenceKey = "access.scratch"
)

// AccessCheck is what a server of MQTT 5 answers to a message with QoS 1 on the user's publish topic and on one of ours:
// older versions, and QoS 0 in any, cannot say that a message is not allowed.
type AccessCheck struct {
	Address string `json:"address"`
	// OtherID tells that the user gave a client id of their own and this is another one: access rules may go by it.
	OtherID bool         `json:"other_id,omitempty"`
	Own     AccessAnswer `json:"own"`
	Scratch AccessAnswer `json:"scratch"`
}

// AccessAnswer is the answer to one message.
type AccessAnswer struct {
	Topic string `json:"topic"`
	// Outcome: ok, refused (with Code), silent, closed, reset; empty: not asked.
	Outcome      Outcome `json:"outcome,omitempty"`
	Code         int     `json:"code"` // -1: none
	Reason       string  `json:"reason,omitempty"`
	ReasonString string  `json:"reason_string,omitempty"`
}

// Denied tells that the server declined the message, with or without a word.
func (a *AccessAnswer) Denied() bool { return a.Outcome == OutcomeRefused || a.Outcome.Ended() }

// Kind names the type in stored runs.
func (*AccessCheck) Kind() string { return "msg.access" }

// Facts lists what was seen.
func (a *AccessCheck) Facts() []Evidence {
	f := facts{}
	f.add(EvTopic, a.Own.Topic)
	f.add(EvAccessOwn, string(a.Own.Outcome))
	f.add(EvAccessScratch, string(a.Scratch.Outcome))
	for _, one := range []AccessAnswer{a.Own, a.Scratch} {
		if one.Code >= 0 {
			f.add(EvReasonCode, codeText(one.Code, Version5)+" "+one.Reason)
			f.add(EvReasonString, one.ReasonString)
			break
		}
	}
	f.add(EvQoSAsked, strconv.Itoa(1))
	return f.items
}
