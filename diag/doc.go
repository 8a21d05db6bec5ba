// Package diag is the language of diagnosis: targets, plans, probes, steps, evidence, findings and reports, and the
// runner that walks a plan.
//
// Probes observe, rules conclude, the catalogue advises. This package opens no sockets, knows no SQL and no HTML, and
// holds no sentence that a person reads: everything worded is a [Note], a key with arguments, and becomes text in
// diag/catalogue in the reader's language. Only the runner starts goroutines, and each of them ends before
// [Runner.Run] returns.
package diag
