package patience

import "time"

const (
	// slices is into how many parts a wait is cut: the more, the shorter the stalls that are noticed.
	slices = 20
	// grace is how many further slices a wait may end with on a machine that never comes to rest.
	grace = 5
	// shortest is the shortest slice: timers come up to a millisecond late on any machine.
	shortest = 5 * time.Millisecond
	longest  = 100 * time.Millisecond
)

// budget is what is left of a wait, spent slice by slice. A slice that took half as long again as it should is one in which the
// process did not run all the time: it counts as one slice, and the wait never ends with it, since what came meanwhile may not
// have been read yet.
type budget struct {
	slice, left time.Duration
	late        int // slices that may still come late
}

func newBudget(d time.Duration) budget {
	slice := min(max(d/slices, shortest), longest)
	return budget{slice: slice, left: d, late: int(d/slice) + grace}
}

// next is how long the next slice is to be.
func (b *budget) next() time.Duration { return min(b.slice, b.left) }

// spend takes the time that a slice took, and tells whether that was the last one.
func (b *budget) spend(took time.Duration) (over bool) {
	if took > b.next()+max(b.slice/2, shortest) && b.late > 0 {
		b.late--
		b.left = max(b.left-b.next(), min(b.slice, b.left))
		return false
	}
	b.left -= took
	return b.left <= 0
}
