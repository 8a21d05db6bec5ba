package diag

import "strconv"

func init() {
	register(func() *HeldConnections { return &HeldConnections{} })
}

// HeldConnections is what came of holding several connections open at once.
type HeldConnections struct {
	Held        int     `json:"held"`    // how many were accepted and held
	Tried       int     `json:"tried"`   // how many were tried at most
	Refused     bool    `json:"refused"` // a further one was not accepted while the others were held
	How         Outcome `json:"how,omitempty"`
	Code        int     `json:"code"`         // of that one's CONNACK; -1: none
	Closed      bool    `json:"closed"`       // one was closed to try again; false: none was held that could be closed
	RetryWorked bool    `json:"retry_worked"` // one more was accepted after one was closed
	Dropped     int     `json:"dropped"`      // of the held ones, how many the broker ended
}

// Kind names the type in stored runs.
func (*HeldConnections) Kind() string { return "mqtt.held" }

// Facts lists what was seen.
func (h *HeldConnections) Facts() []Evidence {
	f := facts{}
	f.add(EvHeld, strconv.Itoa(h.Held))
	f.yesno(EvFurtherRefused, h.Refused)
	if h.Refused {
		f.add(EvOutcome, string(h.How))
		if h.Closed {
			f.yesno(EvRetryWorked, h.RetryWorked)
		}
	}
	return f.items
}
