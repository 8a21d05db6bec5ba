// Package diagtest gives tests something real to diagnose: certificates of every broken kind, healthy brokers of five
// makes, scripted broken peers, DNS servers, filtered and closed ports, and a path with latency between two network
// namespaces.
//
// It is imported by tests alone. Everything listens on loopback, or inside a network namespace made for the test, on a
// port of its own, and ends with the test that asked for it: listeners and connections are closed, goroutines waited
// for, processes killed with their whole group. What a test binary shares (RabbitMQ, which takes ten seconds to start)
// ends with the binary, however that ends. Nothing here judges: helpers fail the test only when they themselves cannot
// do what they say.
//
// Helpers that listen open their socket on the goroutine of the caller, so that inside [Netns.Do] they listen in that
// namespace.
package diagtest
