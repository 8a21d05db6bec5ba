package probe

import (
	"context"
	"net"
	"time"

	"mqttdoctor/diag/patience"
)

// waitAtMost bounds reading and writing of conn by d in which this process ran, and by the end of ctx. The connection stays open when
// the bound is over, so that the kernel can be asked about it. The returned function lifts the bound.
func waitAtMost(ctx context.Context, conn net.Conn, d time.Duration) (lift func()) {
	waiting, cancel := patience.WithTimeout(ctx, d)
	ended := make(chan struct{})
	stop := context.AfterFunc(waiting, func() {
		defer close(ended)
		_ = conn.SetDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-ended
		}
		cancel()
		_ = conn.SetDeadline(time.Time{})
	}
}
