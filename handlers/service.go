package handlers

import (
	"context"
	"net/netip"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/trace"
)

// Runs is what pages and API need of the run manager. All methods are safe for concurrent use. Errors that callers tell
// apart are those of failure.go; everything else is trouble on our side.
type Runs interface {
	// Start checks the input and begins a run, which goes on whether anyone watches or not; ctx bounds the start alone.
	// Errors: diag.FieldErrors, *ForbiddenTarget, *Busy, ErrStopping.
	Start(ctx context.Context, by Actor, in diag.RunInput) (Started, error)
	// Get returns the report, also of a run that is under way: then with the steps so far, running ones among them.
	// Of what its owner hides only he sees anything. Errors: ErrNotFound.
	Get(ctx context.Context, id string, by Actor) (diag.Report, error)
	// Watch returns a viewer of the run's events with a number greater than after, past and future, in order, without
	// gap or repeat. It works for ended runs too, also after a restart. The caller stops it. Errors: ErrNotFound,
	// *AfterAhead, *TooManyViewers. What is hidden is hidden from then on where the owner changes it meanwhile.
	Watch(ctx context.Context, id string, by Actor, after int) (Viewer, error)
	// Share returns what the run's link shows and how often it did, to the owner. Errors: ErrNotFound, ErrNoToken, ErrNotYours.
	Share(ctx context.Context, id string, by Actor) (Share, error)
	// SetShare changes what the link shows and how long. Errors: those of Share.
	SetShare(ctx context.Context, id string, by Actor, change ShareChange) error
	// Viewed counts that somebody opened the link, unless he is the owner or did so a moment ago.
	Viewed(ctx context.Context, id string, by Actor)
	// Rights tells what this actor may do with the run; for the buttons of the run page. Errors: ErrNotFound.
	Rights(ctx context.Context, id string, by Actor) (Rights, error)
	// Cancel ends a run that is under way; of an ended run it changes nothing. Errors: ErrNotFound, ErrNoToken, ErrNotYours.
	Cancel(ctx context.Context, id string, by Actor) error
	// Delete ends the run and erases everything kept of it. Errors: ErrNotFound, ErrNoToken, ErrNotYours.
	Delete(ctx context.Context, id string, by Actor) error
	// Import keeps a finished report that was made elsewhere, marked as such, under an id of its own. Errors: *Busy, ErrStopping.
	Import(ctx context.Context, by Actor, r diag.Report) (Started, error)
	// Rerun starts a run of the same target and plan. Errors: those of Start, ErrNotFound, *SecretsGone, ErrNotYours.
	Rerun(ctx context.Context, id string, by Actor, with RerunOptions) (Started, error)
	// Attach keeps a console's trace with a run, in place of one that is there, until the run is erased. read is called for the
	// run's maker alone. Errors: ErrNotFound, ErrNoToken, ErrNotYours, those of read.
	Attach(ctx context.Context, id string, by Actor, read func() (trace.Attached, error)) (trace.Attached, error)
	// Attached returns the trace of a run, in no language. Errors: ErrNotFound, ErrNoAttached.
	Attached(ctx context.Context, id string, by Actor) (trace.Attached, error)
	// Detach erases the trace of a run. Errors: ErrNotFound, ErrNoAttached, ErrNoToken, ErrNotYours.
	Detach(ctx context.Context, id string, by Actor) error
	// Mine lists the runs of this actor, the newest first: of who is signed in, else of the browser.
	Mine(ctx context.Context, by Actor, q MineQuery) ([]RunLine, error)
	// History returns the last runs of the same target by the same owner, to him and to administrators. Errors: those of Share.
	History(ctx context.Context, id string, by Actor, limit int) (History, error)
}

// MineQuery chooses runs of an actor. The zero value chooses none: Limit is needed.
type MineQuery struct {
	Address string       // the whole address, as reports have it; empty: any
	Target  string       // a part of the address; empty: all
	Verdict diag.Overall // empty: any
	Before  Cursor       // zero: from the newest
	Limit   int
}

// Cursor is a run's place in a list: what is asked for comes after it. The zero value is before the newest.
type Cursor struct {
	At time.Time
	ID string
}

// History is what became of a target from run to run. Runs are of the same target where their addresses are the same: scheme,
// host, port and path, as reports have them. Who signs in there and what else is set may differ; a comparison says so.
type History struct {
	Of   diag.Report
	Runs []RunLine // the newest first, Of among them unless it is too old; empty: a program made it, or only the token is known
	// Previous is the last run before Of that came to its end on this server; nil: there is none, or Of is no such run itself.
	Previous *diag.Report
}

// RunLine is a run in a list.
type RunLine struct {
	ID        string
	State     diag.State
	Verdict   diag.Overall // empty: not yet
	RootCause diag.Code    // empty: none
	CreatedAt time.Time
	Target    string // URL, without user information
	// Duration is until the end; 0: not yet. Connect is from dialling until the broker accepted; 0: not measured.
	Duration, Connect time.Duration
	Imported          bool // made elsewhere, and came as a file
}

// Viewer reads a run's events. It is for one goroutine.
type Viewer interface {
	// Next waits for events and returns at least one. io.EOF follows run.finished; ErrSlow tells that the viewer was too
	// long behind and should come back with ?after=.
	Next(ctx context.Context) ([]diag.Event, error)
	// Stop ends the viewer; it may be called more than once.
	Stop()
}

// Actor is who asks. The zero value is a stranger who has the link and nothing else.
type Actor struct {
	// Addr is the client's address, for limits; behind a trusted proxy the one that the proxy names.
	Addr netip.Addr
	// Owner is the value of the browser's owner cookie; empty: none.
	Owner string
	// Token is the delete token that came as "Authorization: Bearer"; empty: none.
	Token string
	// Person is who is signed in; the zero value: nobody.
	Person Person
}

// Started is a run that has begun.
type Started struct {
	ID string
	// DeleteToken is given out once, here; only its hash is kept.
	DeleteToken string
}

// Rights are what an actor may do with a run.
type Rights struct {
	// Owner: made by this browser, or the delete token was given.
	Owner  bool
	Cancel bool // it is under way, and this actor may cancel it
	Delete bool
	// Rerun at once, without typing anything again.
	Rerun bool
	// Helper: asked for this run, and did not make it. Rerun then is with the secrets of who made it, who let him.
	Helper bool
	// Request is what the run was made for, for its maker and its helper; empty: nothing.
	Request string
	// Missing are the secret fields that must be typed again for a rerun, such as "target.password"; empty: none.
	Missing []string
}

// LongestShare is for how long a report can be kept at its owner's wish, where the server does not keep it longer anyway.
const LongestShare = 365 * 24 * time.Hour

// Share is what the link of a run shows.
type Share struct {
	Hide []diag.Hide // from everybody but the owner
	// PreviewHost tells that what messengers show of the link may name the host, unless it is hidden.
	PreviewHost bool
	ExpiresAt   time.Time
	Views       int       // how often others than the owner opened the link
	ViewedAt    time.Time // when last; zero: never
}

// ShareChange is what an owner changes; what is not set stays.
type ShareChange struct {
	Hide        *[]diag.Hide
	PreviewHost *bool
	Keep        time.Duration // from now on; 0: as it is
}

// RerunOptions change what is run again. The zero value repeats the run as it was.
type RerunOptions struct {
	// Apply is the code of a finding whose suggestion (tried, and found to work) is taken over; empty: none.
	Apply diag.Code
	// Secrets are given anew: only Password, TLS.KeyPEM and WS.Headers are read, and from who must not see
	// them the user name and TLS.CertPEM.
	Secrets diag.TargetInput
	// Only this check is repeated, and what it needs; empty: all that was run.
	Only diag.ProbeID
	// Lang of the new run; empty: as before.
	Lang string
}

// Demo is the demo broker, a child process that starts at first use.
type Demo interface {
	// Scenarios starts the broker where it does not run and lists what can be tried on it.
	Scenarios(ctx context.Context) ([]DemoScenario, error)
}

// DemoScenario is a target on the demo broker that is ready to run. Its password is meant to be shown.
type DemoScenario struct {
	ID     string // such as "healthy", "cert_expired"
	Target diag.TargetInput
	// Expect are the root causes that a run of it should find; empty: healthy.
	Expect []diag.Code
}

// Health tells whether the server can work.
type Health interface {
	// Ready returns nil where the archive answers and the server is not stopping.
	Ready(ctx context.Context) error
}
