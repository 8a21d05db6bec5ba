package diag

import "time"

func init() {
	register(func() *SessionWatch { return &SessionWatch{} })
}

// SessionWatch is what became of an accepted session while it was watched.
type SessionWatch struct {
	Address     string  `json:"address"`
	Version     Version `json:"version"`
	ClientID    string  `json:"client_id"`
	OwnClientID bool    `json:"own_client_id"` // the user's own
	Idle        bool    `json:"idle"`          // nothing of ours but the CONNECT went over it
	// Outcome: ok (it lasts), refused (DISCONNECT came, with Code), closed, reset.
	Outcome      Outcome       `json:"outcome"`
	Lasted       time.Duration `json:"lasted"` // from CONNACK to its end, or to the end of watching
	Code         int           `json:"code"`   // of the DISCONNECT; -1: none came
	Reason       string        `json:"reason,omitempty"`
	ReasonString string        `json:"reason_string,omitempty"`
	Error        string        `json:"error,omitempty"`
	// OnePerLogin tells that a second session of ours, with the same login and another client id, ended this one: the broker
	// tells its clients apart by their user name or certificate.
	OnePerLogin bool `json:"one_per_login,omitempty"`
	// Busy is how long a further session lasted that pinged all the while, after this one had ended; 0: none was held.
	Busy time.Duration `json:"busy,omitempty"`
	// BusyPause is how long that one was quiet between its pings.
	BusyPause time.Duration `json:"busy_pause,omitempty"`
}

// Kind names the type in stored runs.
func (*SessionWatch) Kind() string { return "mqtt.session" }

// Ended tells whether the broker, or something between, ended the session.
func (s *SessionWatch) Ended() bool { return s.Outcome == OutcomeRefused || s.Outcome.Ended() }

// OnlyQuiet tells that a session with traffic outlived this one, which had none: it is the quiet that ends sessions. It has to
// outlive it by half its age and by more than a busy machine is late, and the broker must have given no other reason.
func (s *SessionWatch) OnlyQuiet() bool {
	return s.Idle && s.Ended() && 2*s.Busy > 3*s.Lasted+2*clearlyLater && (s.Code < 0 || s.Code == 0x80 || s.Code == 0x8D)
}

// clearlyLater is what two ends are apart that are not the same limit, met late by a machine with much to do. Sessions with
// traffic are held for twice the age and a second.
const clearlyLater = 750 * time.Millisecond

// Facts lists what was seen.
func (s *SessionWatch) Facts() []Evidence {
	f := facts{}
	f.add(EvAddress, s.Address)
	f.add(EvMQTTVersion, string(s.Version))
	f.add(EvClientID, s.ClientID)
	f.add(EvOutcome, string(s.Outcome))
	if s.Code >= 0 {
		f.add(EvReasonCode, codeText(s.Code, s.Version)+" "+s.Reason)
	}
	f.add(EvReasonString, s.ReasonString)
	f.ms(EvDuration, s.Lasted)
	f.add(EvError, s.Error)
	f.ms(EvBusyLasted, s.Busy)
	if s.OnePerLogin {
		f.add(EvOnePerLogin, "true")
	}
	return f.items
}
