// Package archive keeps runs: their reports, and while they are under way their events, so that a crash loses no finished
// step. What it keeps is in no language and holds no secret (diag.Secret marshals to whether one was given); of tokens it
// keeps hashes. What is erased is erased in the files too.
//
// Several processes may work with one database. Each says every few seconds that it lives; a run belongs to the process that
// began it and to no other, ever: when that process dies, another one writes its end.
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

// ErrOutOfTurn: an event is not the one that comes next.
var ErrOutOfTurn = errors.New("archive: event out of turn")

// ErrNewer: a later version of the program made this archive's schema.
var ErrNewer = errors.New("archive: made by a later version")

// Store is where runs are kept. One suite of tests runs on every implementation. All methods are safe for concurrent use.
type Store interface {
	// Create adds a run that begins, and that this process carries: header is its report without steps. Counting against room
	// and adding are one act, over all processes; the run gives its place back with its end. Errors: *Full.
	Create(ctx context.Context, header diag.Report, owner Owner, room Room) error
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
	// Runs lists runs, the newest first.
	Runs(ctx context.Context, f RunFilter) ([]RunLine, error)
	// Bytes is how much the reports and events take that are kept. The files are somewhat larger.
	Bytes(ctx context.Context) (int64, error)
	// Shrink erases the oldest runs until the rest takes no more than limit bytes, and returns how many. Runs under way stay.
	Shrink(ctx context.Context, limit int64) (int, error)
	// Hold notes until when this process holds the secrets of a run, in its memory.
	Hold(ctx context.Context, id string, until time.Time) error
	// Ping tells whether the store can be read and written.
	Ping(ctx context.Context) error

	Crew
	People
	Traces
	Shares
	Requests

	// Close ends the store in order. It is called once, when nothing else is under way.
	Close() error
}

// Owner is how a run's maker is known again. Both are SHA-256 of random values of 128 bits or more.
type Owner struct {
	TokenHash []byte // of the delete token
	// CookieHash is of the browser's owner cookie; empty: made by a program.
	CookieHash []byte
	// Person is who was signed in, by what the provider knows him by, and Name what people know him by; empty: nobody.
	Person, Name string
	// HelperHash is of the owner cookie of who asked for the run and may repeat it; empty: nobody did.
	HelperHash []byte
	// Request is what the run was made for; empty: nothing.
	Request string
	// Hide is what its link hides; nil: [diag.DefaultHides].
	Hide []diag.Hide
}

func (o Owner) hides() []diag.Hide {
	if o.Hide == nil {
		return diag.DefaultHides
	}
	return o.Hide
}

// Run is what is kept of a run.
type Run struct {
	// Report is the whole report of a run that has ended, else the header that it began with.
	Report diag.Report
	Owner  Owner
	// Hide is what its link hides; PreviewHost as in [Share].
	Hide        []diag.Hide
	PreviewHost bool
	// LastSeq is the number of the newest event.
	LastSeq int
	// Process is who carries the run, or carried it.
	Process string
	// HeldUntil is until when that process holds the run's secrets; the zero value where it holds none, or is dead.
	HeldUntil time.Time
}

// Room is a limit. The zero value lets everything in.
type Room struct {
	Client           string // whom a place counts for: a person, an address, or a network
	InAll, PerClient int    // 0: no limit
}

// Full says that there is no place.
type Full struct{ PerClient bool }

func (e *Full) Error() string {
	if e.PerClient {
		return "archive: this client has as many places as it may"
	}
	return "archive: every place is taken"
}

// clock is the system's; the suite sets it.
type clock func() time.Time
