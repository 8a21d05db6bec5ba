package probe_test

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// forgetful is a path with a NAT that forgets a flow after so long without a packet: from then on nothing of it passes, in
// either direction, and nobody is told.
func forgetful(after time.Duration) func(testing.TB, *diagtest.Path) farSide {
	return func(t testing.TB, p *diagtest.Path) farSide {
		w := pathBroker(false, func(*diagtest.Path) {})(t, p)
		var mu sync.Mutex
		last, forgotten := map[uint16]time.Time{}, map[uint16]bool{}
		p.SetFilter(func(packet diagtest.Packet) bool {
			d := packet.Data
			if len(d) < 40 || d[0]>>4 != 4 || d[9] != 6 {
				return true
			}
			tcp := d[int(d[0]&15)*4:]
			port := binary.BigEndian.Uint16(tcp) // the client's, which names the flow here
			if !packet.FromLeft {
				port = binary.BigEndian.Uint16(tcp[2:])
			}
			mu.Lock()
			defer mu.Unlock()
			seen, known := last[port]
			if known && time.Since(seen) > after {
				forgotten[port] = true
			}
			if tcp[13] == 0x02 { // a new flow (RFC 9293 3.1: SYN alone)
				delete(forgotten, port)
			}
			last[port] = time.Now()
			return !forgotten[port]
		})
		return w
	}
}

// TestWatchBehindAForgetfulPath takes the packets away themselves: our own TCP must not keep the flow alive, and a ping that
// nobody acknowledges is the path's fault.
func TestWatchBehindAForgetfulPath(t *testing.T) {
	t.Parallel()
	plan := watching(26 * time.Second)
	runPathScenarios(t, []pathScenario{
		{scenario{name: "five seconds", in: diag.TargetInput{KeepaliveS: new(12)}, plan: plan, want: "mqtt.idle_disconnect", variant: "between",
			check: func(t *testing.T, r diag.Report) {
				o := watchOf(t, r)
				if l := o.Read().Idle; l == nil || l.Exact || l.Held > 6*time.Second || l.After < 5*time.Second || len(o.Drops) == 0 || o.Drops[0].TCPAcked == nil || *o.Drops[0].TCPAcked {
					t.Errorf("read as %+v of %+v", l, o.Drops)
				}
			}}, forgetful(5 * time.Second)},
	})
}
