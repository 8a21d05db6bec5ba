package diag

import "testing"

func TestPayloadRoom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		packet int64
		v      Version
		topic  string
		qos    byte
		want   int
	}{
		{127 + 2, Version311, "a", 0, 127 - 3},
		{128 + 2, Version311, "a", 0, 127 - 3}, // one byte more needs two digits: nothing is won
		{128 + 3, Version311, "a", 0, 128 - 3},
		{2000, Version311, "a/b", 1, 2000 - 3 - 7},
		{2000, Version5, "a/b", 1, 2000 - 3 - 8},
		{1 << 20, Version5, "a/b", 2, 1<<20 - 4 - 8},
		{1<<32 - 1, Version5, "a", 0, 1<<28 - 1 - 4},
		{4, Version5, "a/b", 1, -1},
	} {
		if got := PayloadRoom(c.packet, c.v, c.topic, c.qos); got != c.want {
			t.Errorf("%d bytes, MQTT %s, %q, QoS %d: %d, want %d", c.packet, c.v, c.topic, c.qos, got, c.want)
		}
	}
}
