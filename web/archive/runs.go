package archive

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"mqttdoctor/diag"
)

// Create implements [Store].
func (s *SQL) Create(ctx context.Context, header diag.Report, owner Owner) error {
	data, err := json.Marshal(header)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, s.write, `INSERT INTO runs (id, state, created_at, expires_at, token_hash, owner_hash, report)
		VALUES (?, ?, ?, ?, ?, ?, ?)`, header.ID, string(header.State), header.CreatedAt.UnixMilli(), header.ExpiresAt.UnixMilli(),
		owner.TokenHash, nullable(owner.CookieHash), string(data))
	return err
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
		for _, e := range events {
			if err := s.insertEvent(ctx, tx, id, e); err != nil {
				return err
			}
		}
		return nil
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
	return fmt.Errorf("archive: event %d does not follow event %d", seq, last)
}

func (s *SQL) insertEvent(ctx context.Context, tx *sql.Tx, id string, e diag.Event) error {
	if e.Type == diag.EventRunFinished && e.Report != nil {
		if err := s.finish(ctx, tx, *e.Report); err != nil {
			return err
		}
		e.Report = nil
	}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, tx, `INSERT INTO events (run_id, seq, data) VALUES (?, ?, ?)`, id, e.Seq, string(data))
	return err
}

func (s *SQL) finish(ctx context.Context, tx *sql.Tx, r diag.Report) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var cause diag.Code
	if r.RootCause != nil {
		cause = r.RootCause.Code
	}
	_, err = s.exec(ctx, tx, `UPDATE runs SET state = ?, verdict = ?, root_cause = ?, finished_at = ?, report = ? WHERE id = ?`,
		string(r.State), string(r.Verdict), string(cause), r.FinishedAt.UnixMilli(), string(data), r.ID)
	return err
}

// Run implements [Store].
func (s *SQL) Run(ctx context.Context, id string) (Run, error) {
	var run Run
	var data string
	err := s.row(ctx, s.read, `SELECT report, token_hash, owner_hash, last_seq FROM runs WHERE id = ? AND expires_at > ?`,
		id, s.now().UnixMilli()).Scan(&data, &run.Owner.TokenHash, &run.Owner.CookieHash, &run.LastSeq)
	if errors.Is(err, sql.ErrNoRows) {
		return Run{}, ErrNotFound
	}
	if err != nil {
		return Run{}, err
	}
	return run, json.Unmarshal([]byte(data), &run.Report)
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
	n, err := s.exec(ctx, s.write, `DELETE FROM runs WHERE id = ?`, id)
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrNotFound
	}
	return s.scrub(ctx)
}

// Expire implements [Store].
func (s *SQL) Expire(ctx context.Context) (int, error) {
	// A run that is under way is left alone: its keeper still writes.
	n, err := s.exec(ctx, s.write, `DELETE FROM runs WHERE expires_at <= ? AND state <> ?`, s.now().UnixMilli(), string(diag.StateRunning))
	if err != nil || (n == 0 && !s.unscrubbed.Load()) {
		return 0, err
	}
	return n, s.scrub(ctx)
}

// Unfinished implements [Store].
func (s *SQL) Unfinished(ctx context.Context) ([]string, error) {
	var ids []string
	err := s.rows(ctx, s.read, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, `SELECT id FROM runs WHERE state = ? ORDER BY created_at`, string(diag.StateRunning))
	return ids, err
}
