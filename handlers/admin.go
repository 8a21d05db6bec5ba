package handlers

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Admin is what administrators see and set. Only they get to the handlers that ask it.
type Admin interface {
	// Runs lists runs of everybody, the newest first.
	Runs(ctx context.Context, q RunQuery) ([]ListedRun, error)
	// Audit lists who did what, the newest first.
	Audit(ctx context.Context, q AuditQuery) ([]AuditLine, error)
	// Limits are those that can be set.
	Limits() []Limit
	// SetLimits sets some, for all processes; an empty value goes back to the configuration. Errors: *WrongLimits.
	SetLimits(ctx context.Context, by Actor, to map[string]string) error
	// Bytes is how much all reports take.
	Bytes(ctx context.Context) (int64, error)
}

// RunQuery chooses runs. The zero value chooses none: Limit is needed.
type RunQuery struct {
	Target string    // a part of the address; empty: all
	Before time.Time // created before; zero: now
	Limit  int
}

// ListedRun is a run in the list of all.
type ListedRun struct {
	RunLine
	ExpiresAt time.Time
	Person    Person // ID and Name
	Bytes     int64
}

// AuditQuery chooses lines. The zero value chooses none: Limit is needed.
type AuditQuery struct {
	Person, Target string // parts of them; empty: all
	Before         int64  // lines with a smaller id; 0: from the newest
	Limit          int
}

// AuditLine is something that somebody did.
type AuditLine struct {
	ID     int64
	At     time.Time
	Person Person // ID and Name; the zero value: nobody who was signed in
	Client string // address
	Act    string // such as "run", "sign_in"
	Run    string // the beginning of its id
	Target string // scheme, host and port
	Note   string // more about it, in no language
}

// Limit can be set by administrators.
type Limit struct {
	Name       string // as the flag
	Value      string // as set; empty: not set
	Configured string // what holds then
}

// WrongLimits says which limits cannot be set so.
type WrongLimits struct{ Names []string }

func (e *WrongLimits) Error() string {
	return fmt.Sprintf("wrong limits: %s", strings.Join(e.Names, ", "))
}
