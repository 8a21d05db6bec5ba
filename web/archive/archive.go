// Package archive keeps runs: their reports, and while they are under way their events, so that a crash loses no finished
// step. What it keeps is in no language and holds no secret (diag.Secret marshals to whether one was given); of tokens it
// keeps hashes. What is erased is erased in the files too.
package archive

import (
	"context"
	"errors"
	"time"

	"mqttdoctor/diag"
)

// ErrNotFound: there is no such run, or it has expired.
var ErrNotFound = errors.New("archive: no such run")

// ErrEnded: the run has ended, so nothing can be added to it. Where its process still works on it, others have taken that
// process for dead.
var ErrEnded = errors.New("archive: the run has ended")

// ErrNewer: a later version of the program made this archive's schema.
var ErrNewer = errors.New("archive: made by a later version")

// Store is where runs are kept. One suite of tests runs on every implementation. All methods are safe for concurrent use.
type Store interface {
	// Create adds a run that begins: header is its report without steps.
	Create(ctx context.Context, header diag.Report, owner Owner) error
	// Append keeps events of a run, numbered without gap from 1. With run.finished it keeps the report that the event
	// carries, in the same transaction; nothing can be appended after that. ErrNotFound: the run was erased.
	// ErrEnded: it has ended.
	Append(ctx context.Context, id string, events []diag.Event) error
	// Run returns what is kept of a run besides its events.
	Run(ctx context.Context, id string) (Run, error)
	// Events returns up to limit events with a number greater than after, in order.
	Events(ctx context.Context, id string, after, limit int) ([]diag.Event, error)
	// Erase removes a run and every trace of it from the files. ErrNotFound: there was none.
	Erase(ctx context.Context, id string) error
	// Expire erases the runs whose time has come and returns how many.
	Expire(ctx context.Context) (int, error)
	// Unfinished lists the runs that have no end: those of a process that died.
	Unfinished(ctx context.Context) ([]string, error)
	// Ping tells whether the store can be read and written.
	Ping(ctx context.Context) error
	// Close ends the store in order. It is called once, when nothing else is under way.
	Close() error
}

// Owner is how a run's maker is known again. Both are SHA-256 of random values of 128 bits or more.
type Owner struct {
	TokenHash []byte // of the delete token
	// CookieHash is of the browser's owner cookie; empty: made by a program.
	CookieHash []byte
}

// Run is what is kept of a run.
type Run struct {
	// Report is the whole report of a run that has ended, else the header that it began with.
	Report diag.Report
	Owner  Owner
	// LastSeq is the number of the newest event.
	LastSeq int
}

// clock is the system's; the suite sets it.
type clock func() time.Time
