package archive

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Request is what a helper asks somebody to run. Who has its id may run it.
type Request struct {
	ID                   string
	CreatedAt, ExpiresAt time.Time
	// HelperHash and TokenHash are SHA-256 of the helper's owner cookie and of a token for programs; one of them may be empty.
	HelperHash, TokenHash []byte
	// Helper is who was signed in, by what the provider knows him by; empty: nobody.
	Helper string
	// OpenedAt is when somebody else than the helper opened the link last; zero: nobody has.
	OpenedAt time.Time
	// Data is what was filled in, without any secret, in a form that this package does not read.
	Data []byte
	// Wish is what the helper wants to be repeated; empty: nothing.
	Wish []byte
}

// RequestFilter chooses requests. The zero value chooses none: Limit is needed.
type RequestFilter struct {
	Helper string // who made them; empty: everybody
	Maker  []byte // hash of the owner cookie of the browser that made them, with nobody signed in; empty: any
	Limit  int
}

// Requests is the part of a store that keeps what helpers ask others to run.
type Requests interface {
	// SaveRequest adds a request. Room is counted by helper, and in all. Errors: *Full.
	SaveRequest(ctx context.Context, r Request, room Room) error
	// Request returns one. ErrNotFound: there is none, or it has expired.
	Request(ctx context.Context, id string) (Request, error)
	// Requests lists them, the newest first.
	Requests(ctx context.Context, f RequestFilter) ([]Request, error)
	// RequestOpened notes that somebody else than the helper opened the link.
	RequestOpened(ctx context.Context, id string) error
	// Wish keeps what the helper wants to be repeated; nil: nothing any more. ErrNotFound: no such request.
	Wish(ctx context.Context, id string, wish []byte) error
	// EraseRequest removes a request; its runs stay, as those of who made them. ErrNotFound: there was none.
	EraseRequest(ctx context.Context, id string) error
}

// SaveRequest implements [Store].
func (s *SQL) SaveRequest(ctx context.Context, r Request, room Room) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if err := s.engine.takeTurn(ctx, tx); err != nil {
			return err
		}
		var all, mine int
		err := s.row(ctx, tx, `SELECT count(*), COALESCE(sum(CASE WHEN helper = ? AND (helper <> '' OR helper_hash = ?) THEN 1 ELSE 0 END), 0)
			FROM requests WHERE expires_at > ?`, r.Helper, notNull(r.HelperHash), s.now().UnixMilli()).Scan(&all, &mine)
		switch {
		case err != nil:
			return err
		case room.PerClient > 0 && mine >= room.PerClient && (r.Helper != "" || len(r.HelperHash) > 0): // programs have nothing in common
			return &Full{PerClient: true}
		case room.InAll > 0 && all >= room.InAll:
			return &Full{}
		}
		_, err = s.exec(ctx, tx, `INSERT INTO requests (id, created_at, expires_at, helper_hash, helper, data, token_hash)
			VALUES (?, ?, ?, ?, ?, ?, ?)`, r.ID, r.CreatedAt.UnixMilli(), r.ExpiresAt.UnixMilli(), notNull(r.HelperHash), r.Helper,
			string(r.Data), nullable(r.TokenHash))
		return err
	})
}

// notNull is for a column that is always there.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

const requestColumns = `SELECT id, created_at, expires_at, helper_hash, helper, data, token_hash, opened_at, wish FROM requests `

func scanRequest(scan func(...any) error) (Request, error) {
	var r Request
	var created, expires, opened int64
	err := scan(&r.ID, &created, &expires, &r.HelperHash, &r.Helper, &r.Data, &r.TokenHash, &opened, &r.Wish)
	r.CreatedAt, r.ExpiresAt = time.UnixMilli(created), time.UnixMilli(expires)
	if opened > 0 {
		r.OpenedAt = time.UnixMilli(opened)
	}
	return r, err
}

// Request implements [Store].
func (s *SQL) Request(ctx context.Context, id string) (Request, error) {
	r, err := scanRequest(s.row(ctx, s.read, requestColumns+`WHERE id = ? AND expires_at > ?`, id, s.now().UnixMilli()).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return Request{}, ErrNotFound
	}
	return r, err
}

// Requests implements [Store].
func (s *SQL) Requests(ctx context.Context, f RequestFilter) ([]Request, error) {
	query, args := requestColumns+`WHERE expires_at > ?`, []any{s.now().UnixMilli()}
	if f.Helper != "" {
		query, args = query+` AND helper = ?`, append(args, f.Helper)
	}
	if len(f.Maker) > 0 {
		query, args = query+` AND helper_hash = ? AND helper = ''`, append(args, f.Maker)
	}
	var list []Request
	err := s.rows(ctx, s.read, func(rows *sql.Rows) error {
		r, err := scanRequest(rows.Scan)
		list = append(list, r)
		return err
	}, query+` ORDER BY created_at DESC, id LIMIT ?`, append(args, f.Limit)...)
	return list, err
}

// RequestOpened implements [Store].
func (s *SQL) RequestOpened(ctx context.Context, id string) error {
	return s.changeRequest(ctx, id, `UPDATE requests SET opened_at = ? WHERE id = ? AND expires_at > ?`, s.now().UnixMilli())
}

// Wish implements [Store].
func (s *SQL) Wish(ctx context.Context, id string, wish []byte) error {
	return s.changeRequest(ctx, id, `UPDATE requests SET wish = ? WHERE id = ? AND expires_at > ?`, string(wish))
}

// changeRequest sets one value and wakes those who look at the request.
func (s *SQL) changeRequest(ctx context.Context, id, query string, value any) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, query, value, id, s.now().UnixMilli())
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotFound
		}
		return s.engine.signal(ctx, tx, Key(id))
	})
}

// EraseRequest implements [Store].
func (s *SQL) EraseRequest(ctx context.Context, id string) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, `DELETE FROM requests WHERE id = ?`, id)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotFound
		}
		if err := s.orphanRuns(ctx, tx); err != nil {
			return err
		}
		return s.engine.signal(ctx, tx, Key(id))
	})
	if err != nil {
		return err
	}
	return s.scrub(ctx)
}

// expireRequests erases the requests whose time has come and returns how many.
func (s *SQL) expireRequests(ctx context.Context) (n int, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		if n, err = s.exec(ctx, tx, `DELETE FROM requests WHERE expires_at <= ?`, s.now().UnixMilli()); err != nil || n == 0 {
			return err
		}
		return s.orphanRuns(ctx, tx)
	})
	return n, err
}

// begunFor notes that a run was begun: what the helper wished is on its way. Where the request is erased meanwhile, the run is its
// maker's alone, as those before it.
func (s *SQL) begunFor(ctx context.Context, tx *sql.Tx, run, request string) error {
	n, err := s.exec(ctx, tx, `UPDATE requests SET wish = '' WHERE id = ?`, request) // waits for who erases it
	if err == nil && n == 0 {
		_, err = s.exec(ctx, tx, `UPDATE runs SET request = '', helper_hash = NULL WHERE id = ?`, run)
	}
	if err != nil {
		return err
	}
	return s.engine.signal(ctx, tx, Key(request))
}

// orphanRuns makes runs whose request is gone those of their makers alone.
func (s *SQL) orphanRuns(ctx context.Context, tx *sql.Tx) error {
	_, err := s.exec(ctx, tx, `UPDATE runs SET request = '', helper_hash = NULL
		WHERE request <> '' AND NOT EXISTS (SELECT 1 FROM requests q WHERE q.id = runs.request)`)
	return err
}
