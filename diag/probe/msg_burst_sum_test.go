package probe

import (
	"testing"

	"mqttdoctor/diag"
)

func TestLossPattern(t *testing.T) {
	t.Parallel()
	where := func(bad func(n int) bool) []int32 {
		var lost []int32
		for n := range 100 {
			if bad(n + 1) {
				lost = append(lost, int32(n))
			}
		}
		return lost
	}
	for _, c := range []struct {
		name    string
		lost    []int32
		pattern diag.LossPattern
		first   int
		period  int
	}{
		{"none", nil, "", 0, 0},
		{"all", where(func(int) bool { return true }), diag.LossAll, 1, 0},
		{"the first", where(func(n int) bool { return n == 1 }), diag.LossStart, 1, 0},
		{"the first twenty", where(func(n int) bool { return n <= 20 }), diag.LossStart, 1, 0},
		{"the last", where(func(n int) bool { return n == 100 }), diag.LossEnd, 100, 0},
		{"the last five", where(func(n int) bool { return n > 95 }), diag.LossEnd, 96, 0},
		{"from thirty on", where(func(n int) bool { return n >= 30 }), diag.LossFrom, 30, 0},
		{"one in the middle", where(func(n int) bool { return n == 50 }), diag.LossBlock, 50, 0},
		{"a gap", where(func(n int) bool { return n >= 40 && n < 60 }), diag.LossBlock, 40, 0},
		{"every second", where(func(n int) bool { return n%2 == 0 }), diag.LossRegular, 2, 2},
		{"every tenth", where(func(n int) bool { return n%10 == 0 }), diag.LossRegular, 10, 10},
		{"every third, but for one", where(func(n int) bool { return n%3 == 0 && n != 51 }), diag.LossRegular, 3, 3},
		{"most from thirty on", where(func(n int) bool { return n >= 30 && n%7 != 0 }), diag.LossThinned, 30, 0},
		{"two", where(func(n int) bool { return n == 13 || n == 77 }), diag.LossScattered, 13, 0},
		{"here and there", where(func(n int) bool { return n*37%101 < 12 }), diag.LossScattered, 0, 0},
	} {
		pattern, first, period := lossPattern(c.lost, 100)
		if pattern != c.pattern || c.first > 0 && first != c.first || period != c.period {
			t.Errorf("%s: %s from %d, every %d; want %s from %d, every %d", c.name, pattern, first, period, c.pattern, c.first, c.period)
		}
	}
}

func TestRasterKeepsWhatStandsOut(t *testing.T) {
	t.Parallel()
	const n = 100_000
	b := &burst{spec: burstSpec{count: n, qos: 1}, o: &diag.BurstRun{Sent: n, Lost: 3}, sent: make([]int32, n), arrived: make([]int32, n), acked: make([]int32, n),
		copies: make([]uint8, n), again: map[int32]int32{77_777: 99}}
	lost := []int32{12_345, 12_346, 98_765}
	for i := range n {
		b.sent[i], b.arrived[i], b.copies[i] = int32(i+1), int32(i+50), 1
	}
	b.copies[77_777] = 2
	for _, i := range lost {
		b.arrived[i], b.copies[i] = 0, 0
	}
	b.raster(lost)
	r := b.o.Raster
	if len(r.Sequence) > diag.MaxRaster || len(r.Sent) != len(r.Sequence) || len(r.Arrived) != len(r.Sequence) || len(r.Again) != len(r.Sequence) {
		t.Fatalf("%d, %d, %d and %d rows", len(r.Sequence), len(r.Sent), len(r.Arrived), len(r.Again))
	}
	missing, twice := 0, 0
	for i := range r.Sequence {
		if r.Arrived[i] < 0 {
			missing++
		}
		if r.Again[i] >= 0 {
			twice++
		}
	}
	if missing != 3 || twice != 1 {
		t.Errorf("%d lost and %d doubled ones are left, want 3 and 1", missing, twice)
	}
}
