// Package relay carries the bytes of MQTT clients that speak WebSocket to a target over mqtt, mqtts, ws or wss.
//
// The bytes are not changed, and whoever is slow slows the other side: each direction holds one buffer of at most 64 KiB, and
// only while something is in it. An idle connection holds none. What passes is shown to a [Tap] before it is sent on; the
// relay never waits for it.
//
// It frames WebSocket messages itself (RFC 6455 5), on either side, and leaves the opening handshake of the client's side to
// the caller: [Client] begins behind it. A library that hands out whole messages costs two copies, two buffers per connection
// and a system call for each of the small messages that MQTT is made of; here what one read brought is unmasked where it lies
// and goes out in one write, however many messages it was ([MQTT-6.0.0-2] lets borders fall anywhere).
//
// Everything that is dialled goes through [Dialer.Dial]. Goroutines: two for each connection under way, both ended when
// [Session.Carry] returns.
package relay
