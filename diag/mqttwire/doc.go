// Package mqttwire speaks MQTT 3.1, 3.1.1 and 5 over a connection that somebody else has opened, and writes down what
// was said. It judges nothing: it says what came, when, and where in the specification a broken packet is broken.
//
// Peers are never trusted. Every packet is read whole by [Conn], which checks the declared length before a byte of memory
// is reserved for it, and decoded by this package; every wait is bounded by a context, every list by a constant. The MQTT 5
// session runs on eclipse/paho.golang, which sees only packets that this package has encoded again from what it understood:
// that library reserves what a length field claims, and dereferences nil on some answers. The MQTT 3 session uses the codec
// of eclipse/paho.mqtt.golang to write.
//
// A [Session] is safe for concurrent use. Its goroutines end before [Session.Close] returns, whatever the peer does. It
// sends nothing that was not asked for but the acknowledgements that the protocol demands: no automatic PINGREQ.
//
// Passwords given to [Connect] go into the CONNECT packet and nowhere else: [Session.Trace] keeps lengths, no bytes, and
// [Conn] keeps the first bytes of what came in, never of what went out.
package mqttwire
