package probe

import (
	"slices"
	"time"

	"mqttdoctor/diag"
)

// laneSetting is how one connection of a watch is held.
type laneSetting struct {
	role      diag.LaneRole
	own       bool          // the user's client id
	keepAlive time.Duration // for the CONNECT, whole seconds; 0: none
	pause     time.Duration // a ping goes out after so long without a packet of ours; 0: never
}

// searched are keep alives whose pauses lie around the usual time-outs: 60 s (nginx, ELB), 100 s (CDN), 120 to 300 s (mobile
// networks), 240 s (Azure), 350 s (AWS NLB), 600 s and an hour (cloud firewalls).
var searched = []time.Duration{10 * time.Second, 15 * time.Second, 30 * time.Second, 45 * time.Second, time.Minute, 2 * time.Minute,
	4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour}

// How many other keep alives are held beside the asked one: few connections, and the nearest ones tell most.
const (
	searchShorter = 3
	searchLonger  = 2
)

// watchLanes chooses the connections of a watch of the given length, in the order in which they are opened: the asked keep
// alive (0: none) first.
func watchLanes(length, asked time.Duration, own bool) []laneSetting {
	lanes := []laneSetting{
		{role: diag.LaneAsked, own: own, keepAlive: asked, pause: asked},
		{role: diag.LaneChat, keepAlive: max(asked, chatKeepAlive), pause: chatPause(length)},
	}
	if asked > 0 || own { // else the asked one is idle
		lanes = append(lanes, laneSetting{role: diag.LaneIdle, keepAlive: idleKeepAlive(length, asked)})
	}
	var shorter, longer []time.Duration
	for _, k := range searched {
		switch {
		case 2*k > length || asked > 0 && k > asked*9/10 && k < asked*11/10: // it has to be held for longer than its pause
		case asked == 0 || k < asked:
			shorter = append(shorter, k)
		default:
			longer = append(longer, k)
		}
	}
	shorter = shorter[max(0, len(shorter)-searchShorter):]
	longer = longer[:min(len(longer), searchLonger)]
	others := slices.Concat(shorter, longer)
	if len(others) == 0 { // a short watch
		others = append(others, max(handy(length/4), leastPause))
	}
	for _, k := range others {
		lanes = append(lanes, laneSetting{role: diag.LaneSearch, keepAlive: k, pause: k})
	}
	return lanes
}

// chatKeepAlive is announced by the chatting connection, which never needs it: brokers that refuse small ones take it.
const chatKeepAlive = time.Minute

// chatPause is short enough to show on a plot what the path does, and over a day not too much.
func chatPause(length time.Duration) time.Duration {
	switch {
	case length <= time.Minute:
		return time.Second
	case length <= 10*time.Minute:
		return 2 * time.Second
	}
	return 5 * time.Second
}

// maxKeepAlive is what the field of a CONNECT holds (MQTT 5.0 3.1.2.10).
const maxKeepAlive = 65535 * time.Second

// idleKeepAlive gives the broker no right to end a connection that stays silent for the whole watch (MQTT 5.0 3.1.2.10: it
// may after one and a half times the keep alive): what ends it is then something else.
func idleKeepAlive(length, asked time.Duration) time.Duration {
	return min(max(asked, length+time.Minute), maxKeepAlive).Truncate(time.Second)
}

// betweenLanes is the time between opening two of them, so that an end at one age can be told from one at one time.
func betweenLanes(length time.Duration) time.Duration {
	return min(max(length/60, 250*time.Millisecond), 2*time.Second)
}

// leastPause: a ping more often than once in two seconds is no keep alive.
const leastPause = 2 * time.Second

// keepAliveSearch narrows down which pauses hold a connection, from what each lane has seen so far. It knows no time.
type keepAliveSearch struct {
	survived, died map[time.Duration]bool // times without a byte, in seconds
	held           time.Duration          // the longest one that is safe
	limit          time.Duration          // the shortest one that ends connections; 0: none is known
	exact          bool                   // limit was seen as it happened, not found by a ping
	exactly        map[time.Duration]bool
	tried          []time.Duration
}

// maxQuiets bounds what is kept: a lane has one pause, and what is quiet by chance tells little.
const maxQuiets = 256

func note(at *map[time.Duration]bool, quiet time.Duration) {
	if *at == nil {
		*at = map[time.Duration]bool{}
	}
	if len(*at) < maxQuiets {
		(*at)[quiet.Round(time.Second)] = true
	}
}

// answered notes a ping that was answered after the given quiet.
func (s *keepAliveSearch) answered(quiet time.Duration) {
	note(&s.survived, quiet)
	s.sort()
}

// dropped notes the end of a connection, and tells whether the quiet may have been its reason.
func (s *keepAliveSearch) dropped(quiet time.Duration, atPing bool) bool {
	if quiet < leastPause {
		return false
	}
	note(&s.died, quiet)
	if !atPing {
		note(&s.exactly, quiet)
	}
	s.sort()
	return s.ends(quiet)
}

// ends tells whether so long a quiet ends connections, as far as is known.
func (s *keepAliveSearch) ends(quiet time.Duration) bool {
	return s.limit > 0 && quiet.Round(time.Second) >= s.limit*95/100
}

// sort finds the limit: the shortest quiet that was not survived while no clearly longer one was.
func (s *keepAliveSearch) sort() {
	var longest time.Duration
	for q := range s.survived {
		longest = max(longest, q)
	}
	s.limit, s.held, s.exact = 0, 0, false
	for q := range s.died {
		if longest <= q*105/100 && (s.limit == 0 || q < s.limit) {
			s.limit, s.exact = q, s.exactly[q]
		}
	}
	for q := range s.survived {
		if s.limit == 0 || q < s.limit*95/100 {
			s.held = max(s.held, q)
		}
	}
}

// next is the pause to try in place of one that died; ok is false where nothing is left to learn in the time that is left.
func (s *keepAliveSearch) next(left time.Duration) (pause time.Duration, ok bool) {
	switch {
	case s.limit == 0:
		return 0, false
	case s.exact:
		pause = s.limit * 3 / 4
	case s.limit-s.held <= max(5*time.Second, s.limit/8): // near enough
		return 0, false
	default:
		pause = (s.held + s.limit) / 2
	}
	pause = handy(pause)
	// It has to be survived twice, and to live for longer than what died.
	if pause < leastPause || pause >= s.limit || left < max(2*pause, s.limit)+5*time.Second {
		return 0, false
	}
	if slices.ContainsFunc(s.tried, func(t time.Duration) bool {
		if s.exact {
			return t <= s.limit*9/10 && t >= s.limit/2
		}
		return t > s.held && t < s.limit
	}) {
		return 0, false
	}
	s.tried = append(s.tried, pause)
	return pause, true
}

// handy rounds down to a number that people like to read.
func handy(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Minute:
		return d.Truncate(time.Minute)
	case d >= 2*time.Minute:
		return d.Truncate(10 * time.Second)
	case d >= 20*time.Second:
		return d.Truncate(5 * time.Second)
	}
	return d.Truncate(time.Second)
}
