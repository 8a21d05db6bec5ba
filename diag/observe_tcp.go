package diag

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

func init() {
	register(func() *TCPConnect { return &TCPConnect{} })
	register(func() *Trace { return &Trace{} })
	register(func() *Echo { return &Echo{} })
	register(func() *PeerAnswer { return &PeerAnswer{} })
}

// TCPConnect is one TCP handshake with one address.
type TCPConnect struct {
	Purpose Purpose `json:"purpose"`
	Address string  `json:"address"` // address:port
	Outcome Outcome `json:"outcome"` // ok, refused (RST), silent, icmp, unreachable, forbidden, local_error, canceled
	// RTT is the time from SYN to the answer: one round trip where no SYN was lost.
	RTT   time.Duration `json:"rtt"`
	Errno string        `json:"errno,omitempty"` // such as ECONNREFUSED
	Error string        `json:"error,omitempty"`
	// ICMP type, code and sender, where the error queue told (RFC 792, RFC 4443).
	ICMPType     int    `json:"icmp_type,omitempty"`
	ICMPCode     int    `json:"icmp_code,omitempty"`
	ICMPFamily   int    `json:"icmp_family,omitempty"` // 4 or 6; 0: no ICMP seen
	ICMPOffender string `json:"icmp_offender,omitempty"`
	Retransmits  int    `json:"retransmits,omitempty"` // of the SYN, where known
}

// Kind names the type in stored runs.
func (*TCPConnect) Kind() string { return "tcp.connect" }

// Facts lists what was seen.
func (c *TCPConnect) Facts() []Evidence {
	f := facts{}
	f.add(EvAddress, c.Address)
	f.add(EvOutcome, string(c.Outcome))
	if c.Outcome == OutcomeOK || c.Outcome == OutcomeRefused || c.Outcome == OutcomeICMP {
		f.ms(EvRTT, c.RTT)
	} else {
		f.ms(EvWaited, c.RTT)
	}
	f.add(EvErrno, c.Errno)
	if c.ICMPFamily != 0 {
		f.add(EvICMP, "type "+strconv.Itoa(c.ICMPType)+", code "+strconv.Itoa(c.ICMPCode))
		f.add(EvICMPOffender, c.ICMPOffender)
	}
	f.add(EvError, c.Error)
	return f.items
}

// Trace is a TCP trace towards the target's port.
type Trace struct {
	Address string `json:"address"`
	Hops    []Hop  `json:"hops"`
	// LastHop is the farthest router that answered; empty: none.
	LastHop string `json:"last_hop,omitempty"`
	LastTTL int    `json:"last_ttl,omitempty"`
	Reached bool   `json:"reached"` // the target itself answered
}

// Hop is one distance of a trace.
type Hop struct {
	TTL     int           `json:"ttl"`
	Address string        `json:"address,omitempty"` // empty: silent
	RTT     time.Duration `json:"rtt,omitempty"`
	What    string        `json:"what"` // silent, time_exceeded, connected, reset, unreachable
}

// Kind names the type in stored runs.
func (*Trace) Kind() string { return "net.trace" }

// Facts lists what was seen.
func (t *Trace) Facts() []Evidence {
	f := facts{}
	f.add(EvAddress, t.Address)
	f.add(EvLastHop, t.LastHop)
	var path []string
	for _, h := range t.Hops {
		if h.Address == "" {
			path = append(path, "*")
			continue
		}
		path = append(path, h.Address)
	}
	f.add(EvTracePath, strings.Join(path, " → "))
	return f.items
}

// Echo is an ICMP echo to one address.
type Echo struct {
	Address  string          `json:"address"`
	Sent     int             `json:"sent"`
	Answered int             `json:"answered"`
	RTTs     []time.Duration `json:"rtts,omitempty"`
}

// Kind names the type in stored runs.
func (*Echo) Kind() string { return "net.echo" }

// Facts lists what was seen.
func (e *Echo) Facts() []Evidence {
	f := facts{}
	f.add(EvAddress, e.Address)
	f.add(EvEchoSent, strconv.Itoa(e.Sent))
	f.add(EvEchoAnswered, strconv.Itoa(e.Answered))
	for _, rtt := range e.RTTs {
		f.ms(EvRTT, rtt)
		break
	}
	return f.items
}

// PeerAnswer is what a listener did when it was sent something on a fresh connection: the fingerprint of what it speaks.
type PeerAnswer struct {
	Purpose Purpose       `json:"purpose"`
	Address string        `json:"address"`
	Sent    string        `json:"sent"` // nothing, mqtt_connect, client_hello, http_upgrade, proxy_header, question, first_byte
	Outcome Outcome       `json:"outcome"`
	First   []byte        `json:"first,omitempty"`  // at most the first 512 bytes
	Speaks  string        `json:"speaks,omitempty"` // recognised protocol: mqtt, tls, http, ssh, smtp, …; empty: unknown
	Banner  string        `json:"banner,omitempty"` // first line, printable part
	Took    time.Duration `json:"took"`
	Error   string        `json:"error,omitempty"`
}

// Kind names the type in stored runs.
func (*PeerAnswer) Kind() string { return "peer.answer" }

// Facts lists what was seen.
func (p *PeerAnswer) Facts() []Evidence {
	f := facts{}
	f.add(EvAddress, p.Address)
	f.add(EvSent, p.Sent)
	f.add(EvOutcome, string(p.Outcome))
	f.add(EvSpeaks, p.Speaks)
	f.add(EvBanner, p.Banner)
	f.bytes(EvFirstBytes, p.First)
	f.ms(EvDuration, p.Took)
	f.add(EvError, p.Error)
	return f.items
}

func init() {
	register(func() *ConnectSeries { return &ConnectSeries{} })
}

// ConnectSeries is what came of connecting to one address many times in a row.
type ConnectSeries struct {
	Address string `json:"address"`
	// Ends tells of each connection in order: ok, repeated (its SYN had to be sent again), silent, or other (an answer that
	// is no connection).
	Ends []string `json:"ends"`
	// Median of the round trips of those that needed no repeat.
	Median time.Duration `json:"median"`
	// Again is how many segments had been sent again on the run's other connections before.
	Again int `json:"again,omitempty"`
	// Pings are PINGREQs that were answered one after the other on one connection, after connections of the series had needed
	// repeats, and PingsAgain how many segments had to be sent again meanwhile.
	Pings      int `json:"pings,omitempty"`
	PingsAgain int `json:"pings_again,omitempty"`
}

// The ends of a [ConnectSeries].
const (
	EndOK       = "ok"
	EndRepeated = "repeated"
	EndSilent   = "silent"
	EndOther    = "other"
	EndBusy     = "busy" // repeated while our own process did not run, which tells nothing: the answer may have been there
)

// Count tells how many connections ended in one of the given ways.
func (s *ConnectSeries) Count(ends ...string) int {
	n := 0
	for _, e := range s.Ends {
		if slices.Contains(ends, e) {
			n++
		}
	}
	return n
}

// Kind names the type in stored runs.
func (*ConnectSeries) Kind() string { return "tcp.series" }

// Facts lists what was seen.
func (s *ConnectSeries) Facts() []Evidence {
	f := facts{}
	f.add(EvAddress, s.Address)
	f.add(EvSeriesTries, strconv.Itoa(len(s.Ends)))
	f.add(EvSeriesRepeated, strconv.Itoa(s.Count(EndRepeated)))
	f.add(EvSeriesSilent, strconv.Itoa(s.Count(EndSilent)))
	if s.Again > 0 {
		f.add(EvSentAgain, strconv.Itoa(s.Again))
	}
	if s.Pings > 0 {
		f.add(EvSeriesPings, strconv.Itoa(s.Pings))
		f.add(EvSeriesPingsAgain, strconv.Itoa(s.PingsAgain))
	}
	f.ms(EvRTT, s.Median)
	return f.items
}
