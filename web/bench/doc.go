// Package bench holds the benchmarks of the server as it is deployed: the program in a process of its own. Run them with
// "go test -bench . ./web/bench"; they need mosquitto, and websockify for the comparison.
//
// # What limits the relay
//
// Goals are 75 % of the rate of a direct connection, and 60 % with a trace that is looked at. On a quiet machine with 2 processors it
// is 91 % with 16 B, 99 % with 1 KB and 76 % with 64 KB, and 85, 97 and 64 % while somebody looks. Small messages are limited by system
// calls, which the relay saves the broker: so it comes near what a direct connection does. Messages of 64 KB are limited by copies:
// each goes through the kernel's memory twice more in each direction. The log of BenchmarkThroughput has the relay's
// processor time for one message there and back, which says so whatever else the machine does: of 64 KB about 65 us in the kernel
// (four copies, with the checks of the loopback) beside 15 us of its own, most of them for the mask that RFC 6455 5.3 asks of
// clients; a viewer of the trace adds 20 us. With 2 processors for client, relay and broker, that leaves the relay 70 to 85 % of a
// direct connection's rate of 400 MB/s on a busy machine, and half where a direct connection has both processors and memory for
// itself (1 GB/s): then its copies are as much work as the client's and the broker's together. What is its own is a fifth; bytes that
// must be unmasked, and may be traced, cannot be left to the kernel (splice) on the way from the client.
package bench
