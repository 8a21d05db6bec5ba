// Package bench holds the benchmarks of whole runs: how long a diagnosis takes beside what the network's own round trips
// demand. Run them with "go test -bench . ./diag/probe/bench"; they need root, ip and mosquitto.
package bench
