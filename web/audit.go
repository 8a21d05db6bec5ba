package web

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
	"mqttdoctor/web/signin"
)

// Acts of the audit log, beside those of package signin.
const (
	actRun      = "run"
	actImport   = "import"
	actCancel   = "cancel"
	actErase    = "erase"
	actConsole  = "console"
	actAsk      = "ask"
	actAskErase = "ask_erase"
	actLimits   = "limits"
)

// audit notes who did what, where people sign in: a log without persons would keep addresses of people for nobody. A nil
// audit notes nothing.
type audit struct {
	people archive.People
	life   time.Duration
	log    *slog.Logger
}

// auditTime bounds the writing of a line.
const auditTime = 3 * time.Second

// note adds a line. What it is about has happened: a request that ends does not take the line with it, and where the archive
// does not take it, the log of the server gets it.
func (a *audit) note(ctx context.Context, l archive.AuditLine) {
	if a == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTime)
	defer cancel()
	if err := a.people.Note(ctx, l); err != nil {
		a.log.ErrorContext(ctx, "audit log could not be written", "act", l.Act, "person", l.Person, "client", l.Client, "run", l.Run, "err", err)
	}
}

// by notes what somebody did with a run.
func (a *audit) by(ctx context.Context, by handlers.Actor, act string, r diag.Report) {
	where := ""
	if t, err := diag.ParseTarget(diag.TargetInput{URL: r.Target.URL}); err == nil {
		where = place(t)
	}
	a.note(ctx, archive.AuditLine{Act: act, Person: by.Person.ID, Name: by.Person.Name, Client: by.Addr.String(), Run: tagOf(r.ID), Target: where})
}

// signed notes who came and went.
func (a *audit) signed(ctx context.Context, act signin.Act) {
	a.note(ctx, archive.AuditLine{Act: act.Kind, Person: act.Person.ID, Name: act.Person.Name, Client: act.Client.String()})
}

// forget erases lines whose time is over.
func (a *audit) forget(ctx context.Context) {
	if a == nil {
		return
	}
	n, err := a.people.ForgetAudit(ctx, time.Now().Add(-a.life))
	if err != nil && ctx.Err() == nil {
		a.log.Error("old lines of the audit log could not be erased", "err", err)
	}
	if n > 0 {
		a.log.Info("old lines of the audit log erased", "count", n)
	}
}

// place is where a target is: scheme, host and port. Paths may hold keys.
func place(t diag.Target) string {
	return string(t.Scheme) + "://" + net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))
}
