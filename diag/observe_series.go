package diag

func init() {
	register(func() *SessionSeries { return &SessionSeries{} })
}

// SessionSeries is what came of making a connection that works several times more, one after the other.
type SessionSeries struct {
	Address  string  `json:"address"`
	Version  Version `json:"version"`
	Tries    int     `json:"tries"`
	Accepted int     `json:"accepted"`
	Silent   int     `json:"silent"` // the CONNECT got no answer in time
	Ended    int     `json:"ended"`  // the connection was ended in place of an answer
	Before   int     `json:"before"` // it failed before the CONNECT, in TCP, TLS or the WebSocket upgrade
	Other    int     `json:"other"`  // refused by a code, or answered in another way
	// Refusals are the codes of those that were refused by one.
	Refusals []ConnectRefusal `json:"refusals,omitempty"`
}

// ConnectRefusal is what a CONNACK refused a connection with.
type ConnectRefusal struct {
	Code   int    `json:"code"`
	Reason string `json:"reason,omitempty"`
}

// Kind names the type in stored runs.
func (*SessionSeries) Kind() string { return "mqtt.sessions" }

// Failed counts the tries that did not come to a session.
func (s *SessionSeries) Failed() int { return s.Silent + s.Ended + s.Before + s.Other }

// Facts lists what was seen.
func (s *SessionSeries) Facts() []Evidence {
	f := facts{}
	f.add(EvAddress, s.Address)
	f.add(EvMQTTVersion, string(s.Version))
	f.count(EvConnectTries, s.Tries)
	f.count(EvConnectAccepted, s.Accepted)
	f.count(EvConnectSilent, s.Silent)
	f.count(EvConnectEnded, s.Ended)
	var codes []string
	for _, r := range s.Refusals {
		codes = append(codes, codeText(r.Code, s.Version)+" "+r.Reason)
	}
	f.list(EvReasonCode, codes)
	return f.items
}
