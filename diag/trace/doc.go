// Package trace keeps what passes between an MQTT client and its broker for a while, and takes it apart when somebody looks:
// packets in words, round trips joined, mistakes of either side with the section of the specification.
//
// A [Recorder] is fed by those who carry the bytes, and costs them little: it copies a piece, counts the packets that end in it
// and forgets the oldest. Nothing is decoded until a [Viewer] or an export asks; that happens on the asker's goroutine, and
// what went by faster than it was asked for is counted and said to be lost. A Recorder is bounded in packets and bytes
// whatever comes; it starts no goroutine and is safe for concurrent use.
//
// Passwords and authentication data are in no frame, no export and no text, nor is a password that the broker repeats. They are
// in memory as long as the packet that held them, and passwords as long as what is kept of their connection.
package trace
