package archive

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"mqttdoctor/diag"
)

// Create implements [Store].
func (s *SQL) Create(ctx context.Context, header diag.Report, owner Owner, room Room) error {
	data, err := json.Marshal(header)
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if err := s.engine.takeTurn(ctx, tx); err != nil {
			return err
		}
		if err := s.live(ctx, tx); err != nil { // else it could look like a dead process's
			return err
		}
		if err := s.count(ctx, tx, room, `SELECT count(*), COALESCE(sum(CASE WHEN r.client = ? THEN 1 ELSE 0 END), 0) FROM runs r
			JOIN processes p ON p.id = r.process_id WHERE r.state = 'running' AND p.seen_at > `+s.sinceLease()); err != nil {
			return err
		}
		_, err = s.exec(ctx, tx, `INSERT INTO runs (id, state, created_at, expires_at, token_hash, owner_hash, report, process_id, client, person,
			person_name, target, bytes, hide, helper_hash, request, imported) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, header.ID,
			string(header.State), header.CreatedAt.UnixMilli(), header.ExpiresAt.UnixMilli(), owner.TokenHash, nullable(owner.CookieHash),
			string(data), s.process, room.Client, owner.Person, owner.Name, header.Target.URL, len(data), hideText(owner.hides()),
			nullable(owner.HelperHash), owner.Request, number(!header.ImportedAt.IsZero()))
		if err != nil || owner.Request == "" {
			return err
		}
		return s.begunFor(ctx, tx, header.ID, owner.Request)
	})
}

// count compares what a query, of which the client is the first argument, counts in all and for the client with the room there is.
func (s *SQL) count(ctx context.Context, tx *sql.Tx, room Room, query string, args ...any) error {
	var all, client int
	if err := s.row(ctx, tx, query, append([]any{room.Client}, args...)...).Scan(&all, &client); err != nil {
		return err
	}
	switch {
	case room.PerClient > 0 && client >= room.PerClient:
		return &Full{PerClient: true}
	case room.InAll > 0 && all >= room.InAll:
		return &Full{}
	}
	return nil
}

// number is a truth as it is kept.
func number(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func nullable(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// Append implements [Store].
func (s *SQL) Append(ctx context.Context, id string, events []diag.Event) error {
	if len(events) == 0 {
		return nil
	}
	return s.inTx(ctx, func(tx *sql.Tx) error {
		// Numbers go on from the last one, and an ended run stays as it is: a late writer must not change what was shown.
		n, err := s.exec(ctx, tx, `UPDATE runs SET last_seq = ? WHERE id = ? AND last_seq = ? AND state = ?`,
			events[len(events)-1].Seq, id, events[0].Seq-1, string(diag.StateRunning))
		if err != nil {
			return err
		}
		if n == 0 {
			return s.whyNotAppended(ctx, tx, id, events[0].Seq)
		}
		bytes := 0
		for _, e := range events {
			n, err := s.insertEvent(ctx, tx, id, e)
			if err != nil {
				return err
			}
			bytes += n
		}
		var request string
		if err := s.row(ctx, tx, `UPDATE runs SET bytes = bytes + ? WHERE id = ? RETURNING request`, bytes, id).Scan(&request); err != nil {
			return err
		}
		if request != "" && events[len(events)-1].Type == diag.EventRunFinished {
			return s.engine.signal(ctx, tx, Key(id), Key(request))
		}
		return s.engine.signal(ctx, tx, Key(id))
	})
}

func (s *SQL) whyNotAppended(ctx context.Context, tx *sql.Tx, id string, seq int) error {
	var state string
	var last int
	err := s.row(ctx, tx, `SELECT state, last_seq FROM runs WHERE id = ?`, id).Scan(&state, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	if state != string(diag.StateRunning) {
		return fmt.Errorf("%w: event %d comes after it", ErrEnded, seq)
	}
	return fmt.Errorf("%w: %d does not follow %d", ErrOutOfTurn, seq, last)
}

// insertEvent returns how many bytes were added.
func (s *SQL) insertEvent(ctx context.Context, tx *sql.Tx, id string, e diag.Event) (int, error) {
	report := 0
	if e.Type == diag.EventRunFinished && e.Report != nil {
		var err error
		if report, err = s.finish(ctx, tx, *e.Report); err != nil {
			return 0, err
		}
		e.Report = nil
	}
	data, err := json.Marshal(e)
	if err != nil {
		return 0, err
	}
	_, err = s.exec(ctx, tx, `INSERT INTO events (run_id, seq, data) VALUES (?, ?, ?)`, id, e.Seq, string(data))
	return report + len(data), err
}

// finish keeps the report in place of the header, and returns its length.
func (s *SQL) finish(ctx context.Context, tx *sql.Tx, r diag.Report) (int, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	var cause diag.Code
	if r.RootCause != nil {
		cause = r.RootCause.Code
	}
	took, _ := r.ConnectTime()
	_, err = s.exec(ctx, tx, `UPDATE runs SET state = ?, verdict = ?, root_cause = ?, finished_at = ?, report = ?, connect_us = ?, client = '',
		wanted = '' WHERE id = ?`,
		string(r.State), string(r.Verdict), string(cause), r.FinishedAt.UnixMilli(), string(data), took.Microseconds(), r.ID)
	return len(data), err // the header, a fraction of it, is still counted
}

// Run implements [Store].
func (s *SQL) Run(ctx context.Context, id string) (Run, error) {
	var run Run
	var data string
	var held sql.NullInt64
	var expires int64
	var hide string
	var preview int64
	err := s.row(ctx, s.read, `SELECT r.expires_at, r.hide, r.preview_host, r.report, r.token_hash, r.owner_hash, r.person, r.person_name, r.helper_hash, r.request,
		r.last_seq, r.process_id, (SELECT r.held_until FROM processes p
		WHERE p.id = r.process_id AND p.seen_at > `+s.sinceLease()+`) FROM runs r WHERE r.id = ? AND r.expires_at > ?`,
		id, s.now().UnixMilli()).Scan(&expires, &hide, &preview, &data, &run.Owner.TokenHash, &run.Owner.CookieHash, &run.Owner.Person, &run.Owner.Name,
		&run.Owner.HelperHash, &run.Owner.Request, &run.LastSeq, &run.Process, &held)
	if errors.Is(err, sql.ErrNoRows) {
		return Run{}, ErrNotFound
	}
	if err != nil {
		return Run{}, err
	}
	if held.Int64 > s.now().UnixMilli() {
		run.HeldUntil = time.UnixMilli(held.Int64)
	}
	err = json.Unmarshal([]byte(data), &run.Report)
	run.Report.ExpiresAt = time.UnixMilli(expires) // its owner may have changed it since
	run.Hide, run.PreviewHost = hidesOf(hide), preview == 1
	return run, err
}

// Hold implements [Store].
func (s *SQL) Hold(ctx context.Context, id string, until time.Time) error {
	_, err := s.exec(ctx, s.write, `UPDATE runs SET held_until = ? WHERE id = ?`, until.UnixMilli(), id)
	return err
}

// Events implements [Store].
func (s *SQL) Events(ctx context.Context, id string, after, limit int) ([]diag.Event, error) {
	var events []diag.Event
	ended := false
	err := s.rows(ctx, s.read, func(rows *sql.Rows) error {
		var data sql.RawBytes
		if err := rows.Scan(&data); err != nil {
			return err
		}
		var e diag.Event
		if err := json.Unmarshal(data, &e); err != nil {
			return err
		}
		ended = ended || e.Type == diag.EventRunFinished
		events = append(events, e)
		return nil
	}, `SELECT e.data FROM events e JOIN runs r ON r.id = e.run_id
		WHERE e.run_id = ? AND e.seq > ? AND r.expires_at > ? ORDER BY e.seq LIMIT ?`, id, after, s.now().UnixMilli(), limit)
	if err != nil || !ended {
		return events, err
	}
	run, err := s.Run(ctx, id)
	if errors.Is(err, ErrNotFound) { // erased since: so are its events
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	events[len(events)-1].Report = &run.Report
	return events, nil
}

// Erase implements [Store].
func (s *SQL) Erase(ctx context.Context, id string) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		var process, request string
		err := s.row(ctx, tx, `DELETE FROM runs WHERE id = ? RETURNING process_id, request`, id).Scan(&process, &request)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		keys := []string{Key(id), Key(process)} // its viewers, and who carries it
		if request != "" {
			keys = append(keys, Key(request)) // who asked for it
		}
		return s.engine.signal(ctx, tx, keys...)
	})
	if err != nil {
		return err
	}
	return s.scrub(ctx)
}

// likely is a pattern of LIKE for texts that hold another one, in lower case.
func likely(text string) string {
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(strings.ToLower(text)) + "%"
}

// Bytes implements [Store].
func (s *SQL) Bytes(ctx context.Context) (int64, error) {
	return s.bytes(ctx, s.read)
}

func (s *SQL) bytes(ctx context.Context, on querier) (n int64, err error) {
	err = s.row(ctx, on, `SELECT COALESCE(sum(bytes), 0) FROM runs`).Scan(&n)
	return n, err
}

// Shrink implements [Store].
func (s *SQL) Shrink(ctx context.Context, limit int64) (int, error) {
	have, err := s.Bytes(ctx)
	if err != nil || have <= limit {
		return 0, err
	}
	n := 0
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		if err := s.engine.takeTurn(ctx, tx); err != nil {
			return err
		}
		// Again: while this process waited for its turn, another one has made room.
		if have, err = s.bytes(ctx, tx); err != nil || have <= limit {
			return err
		}
		n, err = s.shrinkBy(ctx, tx, have-limit)
		return err
	})
	if err != nil || n == 0 {
		return 0, err
	}
	return n, s.scrub(ctx)
}

// shrinkBy erases the oldest runs that have ended, as many as make up for what is too much.
func (s *SQL) shrinkBy(ctx context.Context, tx *sql.Tx, excess int64) (int, error) {
	return s.exec(ctx, tx, `DELETE FROM runs WHERE id IN (SELECT id FROM (SELECT id,
		sum(bytes) OVER (ORDER BY created_at, id) - bytes AS older FROM runs WHERE state <> ?) listed WHERE older < ?)`,
		string(diag.StateRunning), excess)
}

// Expire implements [Store].
func (s *SQL) Expire(ctx context.Context) (int, error) {
	if _, err := s.exec(ctx, s.write, `DELETE FROM sessions WHERE expires_at <= ?`, s.now().UnixMilli()); err != nil {
		return 0, err
	}
	// A run that is under way is left alone: its keeper still writes.
	requests, err := s.expireRequests(ctx)
	if err != nil {
		return 0, err
	}
	n, err := s.exec(ctx, s.write, `DELETE FROM runs WHERE expires_at <= ? AND state <> ?`, s.now().UnixMilli(), string(diag.StateRunning))
	if err != nil || (n+requests == 0 && !s.unscrubbed.Load()) {
		return 0, err
	}
	return n, s.scrub(ctx)
}
