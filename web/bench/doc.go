// Package bench holds the benchmarks of the server as it is deployed: the program in a process of its own. Run them with
// "go test -bench . ./web/bench"; they need mosquitto, and websockify for the comparison.
package bench
