package diagtest

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Path is a network path between two namespaces with a delay: every packet, SYN and ICMP and FIN too, is carried from
// one TUN device to the other by this process after a wait. Unlike tc netem it works on any kernel with TUN, and unlike
// a TCP proxy it delays the handshake.
type Path struct {
	// Left is where the client stands, Right where the broker does. Both have an IPv4 and an IPv6 address and a
	// loopback of their own.
	Left, Right *Netns

	delay  atomic.Int64 // one way, in nanoseconds
	filter atomic.Pointer[func(Packet) bool]
}

// Packet is an IP packet on its way over a [Path].
type Packet struct {
	FromLeft bool
	Data     []byte // from the first byte of the IP header
}

// LatencyPath makes a path whose packets take oneWay in each direction, so that a round trip takes twice that.
func LatencyPath(t testing.TB, oneWay time.Duration) *Path {
	t.Helper()
	RequireNetns(t)
	p := &Path{}
	p.SetDelay(oneWay)
	left, leftTUN := newEnd(t, "10.99.0.1", "fd99::1")
	right, rightTUN := newEnd(t, "10.99.0.2", "fd99::2")
	p.Left, p.Right = left, right
	var carriers sync.WaitGroup
	carriers.Go(func() { p.carry(leftTUN, rightTUN, true) })
	carriers.Go(func() { p.carry(rightTUN, leftTUN, false) })
	t.Cleanup(func() {
		leftTUN.Close()
		rightTUN.Close()
		carriers.Wait()
		unix.Close(left.fd)
		unix.Close(right.fd)
	})
	return p
}

// newEnd makes a namespace with loopback and a TUN device up.
func newEnd(t testing.TB, ipv4, ipv6 string) (*Netns, *os.File) {
	t.Helper()
	ns, err := newNetns()
	if err != nil {
		t.Fatal(err)
	}
	ns.IPv4, ns.IPv6 = ipv4, ipv6
	tun, err := ns.openTUN("path0")
	if err != nil {
		unix.Close(ns.fd)
		t.Fatal(err)
	}
	ns.Run(t, "ip", "link", "set", "lo", "up")
	ns.Run(t, "ip", "addr", "add", ipv4+"/24", "dev", "path0")
	// Without nodad the address could not be used during its duplicate detection (RFC 4862 5.4).
	ns.Run(t, "ip", "-6", "addr", "add", ipv6+"/64", "dev", "path0", "nodad")
	ns.Run(t, "ip", "link", "set", "path0", "txqueuelen", "4000", "up")
	return ns, tun
}

// SetDelay changes the time that packets take in one direction, for those that enter from now on.
func (p *Path) SetDelay(oneWay time.Duration) { p.delay.Store(int64(oneWay)) }

// SetFilter drops, from now on, each packet for which keep returns false; nil keeps all. It is called from two
// goroutines at once.
func (p *Path) SetFilter(keep func(Packet) bool) {
	if keep == nil {
		p.filter.Store(nil)
		return
	}
	p.filter.Store(&keep)
}

// LimitSize drops, without a word to the sender, packets larger than bytes: a path-MTU black hole. fromLeft and
// fromRight choose the directions.
func (p *Path) LimitSize(bytes int, fromLeft, fromRight bool) {
	p.SetFilter(func(packet Packet) bool {
		limited := fromLeft && packet.FromLeft || fromRight && !packet.FromLeft
		return !limited || len(packet.Data) <= bytes
	})
}

// carry takes packets from one device to the other until a device is closed. Packets keep their order.
func (p *Path) carry(from, to *os.File, fromLeft bool) {
	type parcel struct {
		data []byte
		due  time.Time
	}
	// Room for a window of 4 MB on the way; when it is full the device's own queue fills, as on a real line.
	onTheWay := make(chan parcel, 4096)
	var delivery sync.WaitGroup
	delivery.Go(func() {
		for parcel := range onTheWay {
			time.Sleep(time.Until(parcel.due))
			_, _ = to.Write(parcel.data) // refused by a device that is down: the packet is lost, as on a real line
		}
	})
	defer delivery.Wait()
	defer close(onTheWay)
	buffer := make([]byte, 65536)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return // closed by the test's end
		}
		due := time.Now().Add(time.Duration(p.delay.Load()))
		data := append([]byte(nil), buffer[:n]...)
		if keep := p.filter.Load(); keep != nil && !(*keep)(Packet{FromLeft: fromLeft, Data: data}) {
			continue
		}
		onTheWay <- parcel{data, due}
	}
}
