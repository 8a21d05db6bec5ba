package probe

// sizeHunt narrows down the largest payload that passes. It is pure: it is told what came of each size, and says which to
// try next.
type sizeHunt struct {
	pass  int // the largest that passed
	fail  int // the smallest that did not; 0: none yet
	bound int // no larger one is tried

	first  int // the first size beyond what is known to pass
	growth int // by which it is raised
}

// sizeGrowth takes few steps up to a limit that most brokers have at 128 KiB or above; firstSize is beyond what the single
// test messages have.
const (
	firstSize  = 1024
	sizeGrowth = 4
)

func newSizeHunt(bound int) sizeHunt {
	return sizeHunt{bound: bound, first: firstSize, growth: sizeGrowth}
}

// next is the size to try; ok is false once the limit is known to the byte, or the bound has passed.
func (h *sizeHunt) next() (bytes int, ok bool) {
	switch {
	case h.fail == 0 && h.pass >= h.bound:
		return 0, false
	case h.fail == 0:
		return min(h.bound, max(h.first, h.growth*h.pass)), true
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
