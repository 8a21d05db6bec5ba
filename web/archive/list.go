package archive

import (
	"context"
	"database/sql"
	"time"

	"mqttdoctor/diag"
)

// RunFilter chooses runs. The zero value chooses none: Limit is needed.
type RunFilter struct {
	Person  string       // who made them; empty: everybody
	Maker   []byte       // hash of the owner cookie of the browser that made them, with nobody signed in; empty: any
	Request string       // what they were made for; empty: anything
	Address string       // the whole URL, as in reports; empty: any
	Target  string       // a part of the URL; empty: all
	Verdict diag.Overall // empty: any
	Local   bool         // made here to their end: neither imported nor broken off
	Before  Cursor       // what comes after it in the list; zero: from the newest
	Limit   int
}

// Cursor is a place in a list of runs. Without an id it is before all that began in that millisecond.
type Cursor struct {
	At time.Time
	ID string
}

// RunLine is a run in a list.
type RunLine struct {
	ID                               string
	State                            diag.State
	Verdict                          diag.Overall
	RootCause                        diag.Code
	CreatedAt, FinishedAt, ExpiresAt time.Time     // FinishedAt is zero while it is under way
	Person, Name                     string        // as in Owner
	Target                           string        // URL, without user information
	Connect                          time.Duration // as [diag.Report.ConnectTime]; 0: not measured
	Imported                         bool
	Bytes                            int64
}

// addressPart is how many characters of an address the index holds; the migration names it too.
const addressPart = `200`

// where is the condition of a filter, to follow another one.
func (f RunFilter) where() (query string, args []any) {
	add := func(condition string, values ...any) {
		query, args = query+` AND `+condition, append(args, values...)
	}
	if f.Person != "" {
		add(`person = ? AND person <> ''`, f.Person) // the second part is what the index is made for
	}
	if len(f.Maker) > 0 {
		add(`owner_hash = ? AND person = ''`, f.Maker)
	}
	if f.Request != "" {
		add(`request = ? AND request <> ''`, f.Request) // the second part is what the index is made for
	}
	if f.Address != "" {
		add(`substr(target, 1, `+addressPart+`) = substr(CAST(? AS TEXT), 1, `+addressPart+`) AND target = ?`, f.Address, f.Address)
	}
	if f.Target != "" {
		add(`lower(target) LIKE ? ESCAPE '!'`, likely(f.Target))
	}
	if f.Verdict != "" {
		add(`verdict = ?`, string(f.Verdict))
	}
	if f.Local {
		add(`state = ? AND imported = 0`, string(diag.StateFinished))
	}
	if at := f.Before.At; !at.IsZero() {
		if f.Before.ID == "" {
			add(`created_at < ?`, at.UnixMilli())
		} else {
			add(`created_at <= ? AND (created_at < ? OR id > ?)`, at.UnixMilli(), at.UnixMilli(), f.Before.ID)
		}
	}
	return query, args
}

// Runs implements [Store].
func (s *SQL) Runs(ctx context.Context, f RunFilter) ([]RunLine, error) {
	where, args := f.where()
	var lines []RunLine
	err := s.rows(ctx, s.read, func(rows *sql.Rows) error {
		var l RunLine
		var created, finished, expires, connect, imported int64
		err := rows.Scan(&l.ID, &l.State, &l.Verdict, &l.RootCause, &created, &finished, &expires, &l.Person, &l.Name, &l.Target, &connect, &imported, &l.Bytes)
		l.CreatedAt, l.ExpiresAt = time.UnixMilli(created), time.UnixMilli(expires)
		if finished > 0 {
			l.FinishedAt = time.UnixMilli(finished)
		}
		l.Connect, l.Imported = time.Duration(connect)*time.Microsecond, imported == 1
		lines = append(lines, l)
		return err
	}, selectRuns+where+` ORDER BY created_at DESC, id LIMIT ?`, append(append([]any{s.now().UnixMilli()}, args...), f.Limit)...)
	return lines, err
}

const selectRuns = `SELECT id, state, verdict, root_cause, created_at, COALESCE(finished_at, 0), expires_at, person, person_name, target,
	connect_us, imported, bytes FROM runs WHERE expires_at > ?`
