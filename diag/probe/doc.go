// Package probe holds the checks: one file for each, doing I/O through [diag.Env] and returning typed observations. A
// probe never judges and words nothing; what its observations mean is the business of diag/rule, what to tell people that
// of diag/catalogue. Every read from a peer is bounded in bytes and time, and no goroutine outlives a probe's Run, except
// the readers of connections that it put into the run's stash, which end when the stash closes them.
package probe
