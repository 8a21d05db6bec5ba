package mqttwire

import "sync"

// idsource gives out packet identifiers in turn, so that a late answer to one exchange is not taken for that of the next
// (MQTT 5.0 2.2.1). mu covers next and what the caller does to take the identifier.
type idsource struct {
	taken func(uint16) bool
	mu    sync.Mutex
	last  uint16
}

// next finds an identifier that is not taken; false where there is none.
func (s *idsource) next() (uint16, bool) {
	for range 65535 {
		s.last++
		if s.last == 0 {
			s.last = 1
		}
		if !s.taken(s.last) {
			return s.last, true
		}
	}
	return 0, false
}
