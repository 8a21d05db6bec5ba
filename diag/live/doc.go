// Package live holds runs in progress: one log of numbered events for each, read by any number of viewers.
//
// It starts no goroutine and dials nothing. Appending never waits for a viewer: viewers read from the log at their own
// pace, and one that stays behind for too long is told to come back. What a log holds is bounded, whatever a probe
// reports. All types are safe for concurrent use, except [Viewer], which belongs to one goroutine.
package live
