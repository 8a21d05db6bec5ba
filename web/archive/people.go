package archive

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// People is what is kept of those who use a server where people sign in.
type People interface {
	// SaveSession keeps who is signed in, under the hash of the cookie.
	SaveSession(ctx context.Context, hash []byte, s Session) error
	// Session returns who is signed in. ErrNotFound: nobody, or no longer.
	Session(ctx context.Context, hash []byte) (Session, error)
	// EndSession forgets it.
	EndSession(ctx context.Context, hash []byte) error

	// Note adds a line to the audit log.
	Note(ctx context.Context, l AuditLine) error
	// Audit lists lines of the audit log, the newest first.
	Audit(ctx context.Context, f AuditFilter) ([]AuditLine, error)
	// ForgetAudit erases the lines before a time, and returns how many.
	ForgetAudit(ctx context.Context, before time.Time) (int, error)

	// Settings are what administrators have set, by name.
	Settings(ctx context.Context) (map[string]string, error)
	// Set sets them; an empty value goes back to what the configuration says.
	Set(ctx context.Context, settings map[string]string) error
}

// Session is somebody who is signed in.
type Session struct {
	Person    string // what the provider knows him by, for ever
	Name      string // what people know him by
	Admin     bool
	Stamp     string // what must not have changed since, such as a mark of the password's hash
	ExpiresAt time.Time
}

// AuditLine is something that somebody did.
type AuditLine struct {
	ID     int64 // given by the archive
	At     time.Time
	Person string // what the provider knows him by; empty: nobody was signed in
	Name   string // what people know him by
	Client string // address
	Act    string
	Run    string // the beginning of its id, which is no link; empty: it was about no run
	Target string // scheme, host and port
	Note   string // more about it, in no language
}

// AuditFilter chooses lines. The zero value chooses none: Limit is needed.
type AuditFilter struct {
	Person, Target string // parts of them; a person is found by both names
	Before         int64  // lines with a smaller id; 0: from the newest
	Limit          int
}

// SaveSession implements [People].
func (s *SQL) SaveSession(ctx context.Context, hash []byte, v Session) error {
	_, err := s.exec(ctx, s.write, `INSERT INTO sessions (hash, person, name, admin, stamp, expires_at) VALUES (?, ?, ?, ?, ?, ?)`,
		hash, v.Person, v.Name, number(v.Admin), v.Stamp, v.ExpiresAt.UnixMilli())
	return err
}

// Session implements [People].
func (s *SQL) Session(ctx context.Context, hash []byte) (Session, error) {
	var v Session
	var admin, expires int64
	err := s.row(ctx, s.read, `SELECT person, name, admin, stamp, expires_at FROM sessions WHERE hash = ? AND expires_at > ?`,
		hash, s.now().UnixMilli()).Scan(&v.Person, &v.Name, &admin, &v.Stamp, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return Session{}, ErrNotFound
	}
	v.Admin, v.ExpiresAt = admin == 1, time.UnixMilli(expires)
	return v, err
}

// EndSession implements [People].
func (s *SQL) EndSession(ctx context.Context, hash []byte) error {
	_, err := s.exec(ctx, s.write, `DELETE FROM sessions WHERE hash = ?`, hash)
	return err
}

// Note implements [People].
func (s *SQL) Note(ctx context.Context, l AuditLine) error {
	_, err := s.exec(ctx, s.write, `INSERT INTO audit (at, person, name, client, act, run, target, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		s.now().UnixMilli(), l.Person, l.Name, l.Client, l.Act, l.Run, l.Target, l.Note)
	return err
}

// Audit implements [People].
func (s *SQL) Audit(ctx context.Context, f AuditFilter) ([]AuditLine, error) {
	query, args := `SELECT id, at, person, name, client, act, run, target, note FROM audit WHERE 1 = 1`, []any{}
	if f.Person != "" {
		query, args = query+` AND (lower(person) LIKE ? ESCAPE '!' OR lower(name) LIKE ? ESCAPE '!')`, append(args, likely(f.Person), likely(f.Person))
	}
	if f.Target != "" {
		query, args = query+` AND lower(target) LIKE ? ESCAPE '!'`, append(args, likely(f.Target))
	}
	if f.Before > 0 {
		query, args = query+` AND id < ?`, append(args, f.Before)
	}
	var lines []AuditLine
	err := s.rows(ctx, s.read, func(rows *sql.Rows) error {
		var l AuditLine
		var at int64
		err := rows.Scan(&l.ID, &at, &l.Person, &l.Name, &l.Client, &l.Act, &l.Run, &l.Target, &l.Note)
		l.At = time.UnixMilli(at)
		lines = append(lines, l)
		return err
	}, query+` ORDER BY id DESC LIMIT ?`, append(args, f.Limit)...)
	return lines, err
}

// ForgetAudit implements [People].
func (s *SQL) ForgetAudit(ctx context.Context, before time.Time) (int, error) {
	return s.exec(ctx, s.write, `DELETE FROM audit WHERE at < ?`, before.UnixMilli())
}

// Settings implements [People].
func (s *SQL) Settings(ctx context.Context) (map[string]string, error) {
	settings := map[string]string{}
	err := s.rows(ctx, s.read, func(rows *sql.Rows) error {
		var name, value string
		err := rows.Scan(&name, &value)
		settings[name] = value
		return err
	}, `SELECT name, value FROM settings`)
	return settings, err
}

// Set implements [People].
func (s *SQL) Set(ctx context.Context, settings map[string]string) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		for name, value := range settings {
			var err error
			if value == "" {
				_, err = s.exec(ctx, tx, `DELETE FROM settings WHERE name = ?`, name)
			} else {
				_, err = s.exec(ctx, tx, `INSERT INTO settings (name, value) VALUES (?, ?)
					ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
