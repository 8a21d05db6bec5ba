package handlers

import (
	"errors"
	"fmt"
	"time"
)

// Errors that a service returns and errors.go puts into words.
var (
	// ErrNotFound: there is no such run, or no longer.
	ErrNotFound = errors.New("no such run")
	// ErrNoToken: the act needs the delete token or the owner's browser, and neither came.
	ErrNoToken = errors.New("delete token missing")
	// ErrNotYours: a token or owner cookie came, and it is not this run's.
	ErrNotYours = errors.New("not the owner of the run")
	// ErrNoConsole: there is no such console, or no longer.
	ErrNoConsole = errors.New("no such console")
	// ErrNoTrace: the console was opened without a trace.
	ErrNoTrace = errors.New("console without trace")
	// ErrNoAttached: no trace is attached to the run.
	ErrNoAttached = errors.New("run without trace")
	// ErrStopping: the server is going down and takes no new runs.
	ErrStopping = errors.New("server is stopping")
	// ErrSlow: a viewer was behind for too long.
	ErrSlow = errors.New("viewer too slow")
	// ErrNoSuggestion: the finding to apply is not in the report, or suggests nothing.
	ErrNoSuggestion = errors.New("finding without suggestion")
	// ErrNoDemo: this server offers no demo broker.
	ErrNoDemo = errors.New("no demo broker here")
)

// Busy says that as many runs are under way as may be, or as many consoles open.
type Busy struct {
	Consoles   bool // it is the limit of consoles
	Requests   bool // it is that of requests, which end by themselves or are deleted
	RetryAfter time.Duration
	// PerClient tells that it is this client's own limit, not the server's.
	PerClient bool
	Limit     int
}

func (e *Busy) Error() string {
	if e.Consoles {
		return fmt.Sprintf("%d consoles at once are the limit", e.Limit)
	}
	if e.Requests {
		return fmt.Sprintf("%d requests at once are the limit", e.Limit)
	}
	return fmt.Sprintf("%d runs at once are the limit", e.Limit)
}

// ForbiddenTarget says that the policy of this server does not let an address be reached.
type ForbiddenTarget struct {
	Field   string // such as "target.url"
	Address string
	Policy  string // its name: laptop, public, intranet
	Cause   error
}

func (e *ForbiddenTarget) Error() string {
	return fmt.Sprintf("address %s is not allowed by policy %s", e.Address, e.Policy)
}

// Unwrap returns the guard's refusal.
func (e *ForbiddenTarget) Unwrap() error { return e.Cause }

// SecretsGone says that a rerun needs secrets that are no longer, or never were, at hand for this actor.
type SecretsGone struct {
	Fields []string // such as "target.password"
}

func (e *SecretsGone) Error() string { return fmt.Sprintf("secrets are gone: %v", e.Fields) }

// AfterAhead says that a viewer claims to have seen events that have not happened.
type AfterAhead struct {
	Last int // number of the newest event
}

func (e *AfterAhead) Error() string { return fmt.Sprintf("last event is %d", e.Last) }

// TooManyViewers says that as many viewers are attached as may be.
type TooManyViewers struct {
	Limit int
}

func (e *TooManyViewers) Error() string { return fmt.Sprintf("%d viewers are the limit", e.Limit) }
