package netprobe

import (
	"fmt"
	"net"
	"syscall"
	"time"
)

// Info is what the kernel knows of a TCP connection (TCP_INFO, linux/tcp.h). A count that the kernel is too old for is 0;
// the newest is RcvOutOfOrder, of Linux 5.4.
type Info struct {
	RTT    time.Duration // smoothed round trip (RFC 6298 2)
	MinRTT time.Duration // the smallest seen; right after connecting it is the handshake's
	RTO    time.Duration // the retransmission time-out

	Retransmits int // segments sent again, in all
	Spurious    int // of these, those that the peer already had (RFC 2883); it tells so when it next acknowledges something
	Backoff     int // how often the RTO was doubled for the segment that is waiting now
	Unacked     int // segments sent and not acknowledged
	Lost        int // segments believed lost

	BytesAcked    uint64 // of ours; the SYN counts as one
	BytesReceived uint64 // in order, delivered or deliverable
	SndMSS        int    // bytes per segment that we send
	RcvMSS        int    // bytes per segment that we receive, as estimated
	PMTU          int    // path MTU as far as known: in a black hole it stays the interface's

	SegsIn        int // segments received
	DataSegsIn    int // of these, with data
	RcvOutOfOrder int // segments that came before one that is missing
}

// TCPInfo reads the kernel's view of a connection, also while others read or write it. It looks below whatever offers
// NetConn, such as *tls.Conn. [ErrUnsupported] where there is no TCP socket below or it is not Linux.
func TCPInfo(conn net.Conn) (Info, error) {
	for {
		if c, ok := conn.(syscall.Conn); ok {
			return tcpInfo(c)
		}
		wrapper, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return Info{}, fmt.Errorf("TCP_INFO of a %T: %w", conn, ErrUnsupported)
		}
		conn = wrapper.NetConn()
	}
}
