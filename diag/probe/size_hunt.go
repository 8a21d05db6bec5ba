package probe

// sizeHunt narrows down the largest payload that passes. It is pure: it is told what came of each size, and says which to
// try next.
type sizeHunt struct {
	pass  int // the largest that passed
	fail  int // the smallest that did not; 0: none yet
	bound int // no larger one is tried
}

// The first size beyond what the single test messages have, and how it grows: few steps up to a limit that most brokers have
// at 128 KiB or above.
const (
	firstSize  = 1024
	sizeGrowth = 4
)

// next is the size to try; ok is false once the limit is known to the byte, or the bound has passed.
func (h *sizeHunt) next() (bytes int, ok bool) {
	switch {
	case h.fail == 0 && h.pass >= h.bound:
		return 0, false
	case h.fail == 0:
		return min(h.bound, max(firstSize, sizeGrowth*h.pass)), true
	case h.fail-h.pass <= 1:
		return 0, false
	}
	return h.pass + (h.fail-h.pass)/2, true
}

// near tells whether the limit is known closely enough where each further step costs a connection: to one part in 64.
func (h *sizeHunt) near() bool { return h.fail > 0 && h.fail-h.pass <= max(1, h.pass/64) }

// tell takes what came of a size.
func (h *sizeHunt) tell(bytes int, passed bool) {
	switch {
	case passed:
		h.pass = max(h.pass, bytes)
	case h.fail == 0 || bytes < h.fail:
		h.fail = bytes
	}
}
