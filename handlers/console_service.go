package handlers

import (
	"context"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/relay"
	"mqttdoctor/diag/trace"
)

// Consoles is what pages and API need of the console manager. A console is a target to which MQTT clients are relayed; it lives
// in memory alone. All methods are safe for concurrent use.
type Consoles interface {
	// Open checks the target and makes a console. Errors: diag.FieldErrors, *ForbiddenTarget, *Busy, ErrStopping.
	Open(ctx context.Context, by Actor, o ConsoleOptions) (OpenedConsole, error)
	// End ends a console with its connections. Errors: ErrNoConsole, ErrNoToken, ErrNotYours.
	End(ctx context.Context, id string, by Actor) error
	// Relay takes an accepted client over and returns. A console that there is not, or no longer, and one with as many
	// connections as may be, is told to the client by the close code.
	Relay(id string, client *relay.Client)
	// Trace returns a viewer of the packets with a number greater than after, past and future. The caller calls stop.
	// Errors: ErrNoConsole, ErrNoTrace, *AfterAhead, *TooManyViewers.
	Trace(id string, after uint64) (viewer *trace.Viewer, stop func(), err error)
	// Kept returns what is kept of a console's packets. Errors: ErrNoConsole, ErrNoTrace.
	Kept(id string) (KeptTrace, error)
}

// KeptTrace is what is kept of a console's packets.
type KeptTrace struct {
	Recorder *trace.Recorder
	Target   diag.TargetInput // without secrets
}

// ConsoleOptions say what a console is for.
type ConsoleOptions struct {
	Target diag.TargetInput
	Trace  bool // what passes is kept for a while and can be looked at
}

// OpenedConsole is a console that was made.
type OpenedConsole struct {
	ID string
	// DeleteToken is given out once, here; only its hash is kept.
	DeleteToken string
	ExpiresAt   time.Time     // when it ends whatever happens
	Idle        time.Duration // without a connection or viewer for that long it ends before
}
