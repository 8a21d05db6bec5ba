// Package demo is a small MQTT broker on loopback with healthy and broken listeners, so that a newcomer sees a diagnosis
// without having a broker, and the scenarios that the home page offers on it.
//
// The broker is mochi-mqtt, which one malformed packet of a connected MQTT 5 client can bring down with its whole
// process. So the server never runs [Start] itself: a [Child] runs it as a process of its own, starts it anew when it
// dies, on the same ports where it can, and ends it with the server. The process reads its standard input, and ends
// when that does, so that it cannot outlive a parent that was killed.
//
// It listens on loopback addresses only and refuses any other.
package demo
