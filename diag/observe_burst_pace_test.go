package diag

import (
	"testing"
	"time"
)

func TestUnderWay(t *testing.T) {
	// batches is a burst whose messages come in batches a round trip of 100 ms apart; the nth is read so much later.
	batches := func(size, count int, late map[int]float32) *BurstRun {
		b := &BurstRun{Sent: size * count}
		at := float32(100)
		for n := range count {
			at += late[n]
			for i := range size {
				b.Raster.Arrived = append(b.Raster.Arrived, at+float32(i)/10)
			}
			at += 100
		}
		return b
	}
	for name, tt := range map[string]struct {
		b    *BurstRun
		want int
	}{
		"one at a time":                    {batches(1, 20, nil), 1},
		"one at a time and a stall":        {batches(1, 20, map[int]float32{3: 2500, 7: 80}), 1},
		"three at a time":                  {batches(3, 20, map[int]float32{5: 50}), 3},
		"all at once":                      {batches(100, 1, nil), 100},
		"some never came, and out of turn": {&BurstRun{Sent: 4, Raster: BurstRaster{Arrived: []float32{200, -1, 100, 110}}}, 2},
		"none":                             {&BurstRun{}, 0},
		"too many to know each":            {&BurstRun{Sent: MaxRaster + 1, Raster: BurstRaster{Arrived: []float32{1, 2}}}, 0},
	} {
		if got := tt.b.UnderWay(90 * time.Millisecond); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

func TestOffPace(t *testing.T) {
	for _, tt := range []struct {
		b    BurstRun
		want bool
	}{
		{BurstRun{Rate: 50, Sent: 101, Sending: 2 * time.Second}, false},
		{BurstRun{Rate: 50, Sent: 101, Sending: 3 * time.Second}, true},
		{BurstRun{Sent: 101, Sending: time.Minute}, false},
		{BurstRun{Rate: 2, Sent: 1}, false},
	} {
		if got := tt.b.OffPace(); got != tt.want {
			t.Errorf("%+v: %v", tt.b, got)
		}
	}
}
