package diag

import (
	"encoding/json"
	"math"
	"testing"
)

func TestWhatWasNotMeasuredIsNull(t *testing.T) {
	data, err := json.Marshal(Numbers{1.5, NotMeasured, math.Inf(1), 0})
	if err != nil || string(data) != "[1.5,null,null,0]" {
		t.Fatal(string(data), err)
	}
	var back Numbers
	if err := json.Unmarshal(data, &back); err != nil || len(back) != 4 || !math.IsNaN(back[1]) || back[3] != 0 {
		t.Fatal(back, err)
	}
}
