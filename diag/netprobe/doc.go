// Package netprobe observes how an address can be reached, as low as one gets without privileges: what exactly answered a
// SYN, which routers are on the way, what the kernel knows of a connection. It reports what was seen and judges nothing.
//
// Targets are literal addresses. Nothing here asks a policy by itself: callers hand in an [Allow], usually the Check of
// their guard.Policy, and what it refuses is not sent a single packet.
//
// Every function runs on the caller's goroutine, ends with its context, and leaves no goroutine and no descriptor behind.
// What needs Linux returns [ErrUnsupported] elsewhere.
package netprobe

import (
	"errors"
	"net/netip"
)

// ErrUnsupported says that this system cannot make the observation: another operating system, an older kernel, or a right
// that was not given. It tells nothing of the target.
var ErrUnsupported = errors.New("netprobe: not supported on this system")

// Allow judges an address before anything is sent to it; nil lets it be probed. A nil Allow lets everything.
type Allow func(netip.Addr) error

func (a Allow) check(addr netip.Addr) error {
	if a == nil {
		return nil
	}
	return a(addr)
}

// checkAll asks each of the optional judges of a function.
func checkAll(allow []Allow, addr netip.Addr) error {
	for _, a := range allow {
		if err := a.check(addr); err != nil {
			return err
		}
	}
	return nil
}
