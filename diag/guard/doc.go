// Package guard decides which addresses this server may dial for its users, and is the one door through which it dials.
//
// [Policy.Check] is a pure classifier of addresses. [Dialer] asks it about the address that the operating system is
// about to be handed, so a name that resolves to something else the second time (DNS rebinding) gains nothing. Nothing
// here starts goroutines; policies and dialers are values, safe for concurrent use as long as nobody changes them.
//
// What is refused follows the IANA special-purpose address registries (RFC 6890, RFC 8190), read by
// their column "Globally Reachable", and adds what the clouds serve to their machines.
package guard
