package probe

import "testing"

// The search finds every limit to the byte, in few steps.
func TestSizeHunt(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 80, 999, 1000, 1024, 1025, 4095, 65536, 131072, 200_000, 999_999, 1_000_000, 5_000_000} {
		h := newSizeHunt(sizeDeep)
		steps := 0
		for {
			size, more := h.next()
			if !more {
				break
			}
			if steps++; steps > sizeTries {
				t.Fatalf("limit %d: more than %d steps", limit, steps)
			}
			h.tell(size, size <= limit)
		}
		wantPass, wantFail := limit, limit+1
		if limit >= sizeDeep {
			wantPass, wantFail = sizeDeep, 0
		}
		if h.pass != wantPass || h.fail != wantFail {
			t.Errorf("limit %d: passed %d, failed %d", limit, h.pass, h.fail)
		}
	}
}
