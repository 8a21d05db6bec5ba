package handlers

import (
	"context"
	"errors"
	"time"

	"mqttdoctor/diag"
)

// Requests is what pages and API need of runs that one person asks another one to make: a helper fills in what he knows and
// gives a link away, somebody who knows the secrets opens it and runs. All methods are safe for concurrent use.
type Requests interface {
	// Ask keeps a request. What it holds of secrets is left out of what is kept. Errors: diag.FieldErrors, *ForbiddenTarget, *Busy.
	Ask(ctx context.Context, by Actor, in RequestInput) (Asked, error)
	// Request returns one as this actor sees it. Errors: ErrNoRequest.
	Request(ctx context.Context, id string, by Actor) (Request, error)
	// Requests lists those that this actor made, the newest first, at most limit of them, without their runs.
	Requests(ctx context.Context, by Actor, limit int) ([]Request, error)
	// OpenedRequest notes that somebody looked at the link, unless he is the helper.
	OpenedRequest(ctx context.Context, id string, by Actor)
	// WatchRequest returns a viewer of what becomes of a request. The caller stops it. Errors: ErrNoRequest, *TooManyViewers.
	WatchRequest(ctx context.Context, id string, by Actor) (RequestViewer, error)
	// EraseRequest ends the link. The runs that were made stay with their makers. Errors: ErrNoRequest, ErrNoToken, ErrNotYours.
	EraseRequest(ctx context.Context, id string, by Actor) error
	// Help starts the run that was asked for. Whoever has the link may. Errors: those of Runs.Start, ErrNoRequest, ErrRequestSpent.
	Help(ctx context.Context, id string, by Actor, in HelpInput) (Started, error)
	// Wish asks whoever made a run for the request to repeat it, on his page: for where only he has the secrets.
	// Errors: ErrNoRequest, ErrNotFound, ErrNoToken, ErrNotYours.
	Wish(ctx context.Context, id string, by Actor, wish Wish) error
}

// RequestViewer reads what becomes of a request. It is for one goroutine.
type RequestViewer interface {
	// Next returns the request at once, and then whenever it has changed. Errors: ErrNoRequest, where it is gone.
	Next(ctx context.Context) (Request, error)
	// Stop ends the viewer; it may be called more than once.
	Stop()
}

// RequestFields are what can be asked for, in the order of the form. Asked for the address, the other one may change it.
var RequestFields = []string{"target.url", "target.client_id", "target.username", "target.password", "target.tls.ca_pem", "target.tls.cert_pem",
	"target.tls.key_pem", "target.ws.headers", "target.topics.publish", "target.topics.subscribe"}

// Bounds of a request.
const (
	MaxRequestNote = 2000 // characters
	MaxRequestFrom = 100
	// UsualRequest is for how long a link works where nothing else was chosen, and LongestRequest for how long it can.
	UsualRequest   = 7 * 24 * time.Hour
	LongestRequest = 90 * 24 * time.Hour
)

// RequestInput is the body of POST /api/v1/requests.
type RequestInput struct {
	Target diag.TargetInput `json:"target"` // what is known; secrets in it are not kept
	Plan   diag.PlanInput   `json:"plan"`
	Ask    []string         `json:"ask"`  // of RequestFields
	Note   string           `json:"note"` // to who runs it
	From   string           `json:"from"` // who asks, as he calls himself; where people sign in, it is who is signed in
	// KeepDays is for how long the link works; nil: UsualRequest.
	KeepDays *int   `json:"keep_days,omitempty"`
	Lang     string `json:"lang"`
}

// Asked is a request that was kept.
type Asked struct {
	ID        string
	ExpiresAt time.Time
	// HelperToken is by what a program is known as the helper. It is given out once, here; only its hash is kept.
	HelperToken string
}

// Request is a request as its reader sees it.
type Request struct {
	ID                   string
	CreatedAt, ExpiresAt time.Time
	OpenedAt             time.Time // when somebody else than the helper opened it last; zero: nobody has
	From                 string    // who asks; empty: he did not say
	Known                bool      // From was signed in: nobody typed it
	Note                 string
	Ask                  []string
	Target               diag.TargetInput // without secrets
	Plan                 diag.PlanInput
	Lang                 string
	Helper               bool // the reader made it
	// Runs that were made for it, the newest first: all for the helper, for others their own.
	Runs []RequestRun
	Wish *Wish // nil: none
}

// RequestRun is a run that was made for a request.
type RequestRun struct {
	ID         string
	State      diag.State
	Verdict    diag.Overall // empty: not yet
	RootCause  diag.Code    // empty: none
	CreatedAt  time.Time
	FinishedAt time.Time // zero: not yet
}

// Wish is what a helper wants to be repeated.
type Wish struct {
	Run  string       `json:"run"`
	Only diag.ProbeID `json:"only,omitempty"` // this check and what it needs; empty: all of it
}

// HelpInput is what somebody adds to a request to run it.
type HelpInput struct {
	// Target holds what was asked for; anything else in it is an error of that field.
	Target diag.TargetInput
	Hide   []diag.Hide // from the helper, and everybody else with the link
	// MayRepeat lets the helper run it again with the secrets that are held for a while, which he never sees.
	MayRepeat bool
	Lang      string
}

// Errors of requests.
var (
	// ErrNoRequest: there is no such request, or no longer.
	ErrNoRequest = errors.New("no such request")
	// ErrRequestSpent: as many runs were made for it as may be.
	ErrRequestSpent = errors.New("request has as many runs as it may")
)
