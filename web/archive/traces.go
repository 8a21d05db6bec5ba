package archive

import (
	"context"
	"database/sql"
	"errors"
)

// Traces keeps what people attach to reports: one trace for each run, erased with it.
type Traces interface {
	// Attach keeps a trace, as text, with a run, in place of one that is there. ErrNotFound: there is no such run.
	Attach(ctx context.Context, id string, data []byte) error
	// Attached returns the trace of a run. ErrNotFound: it has none, or there is no such run.
	Attached(ctx context.Context, id string) ([]byte, error)
	// Detach removes the trace of a run, from the files too. ErrNotFound: there was none.
	Detach(ctx context.Context, id string) error
}

// Attach implements [Traces].
func (s *SQL) Attach(ctx context.Context, id string, data []byte) error {
	replaced := 0
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		// First, so that two who attach wait for each other.
		n, err := s.exec(ctx, tx, `UPDATE runs SET bytes = bytes + ? WHERE id = ? AND expires_at > ?`, len(data), id, s.now().UnixMilli())
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotFound
		}
		if replaced, err = s.detach(ctx, tx, id); err != nil {
			return err
		}
		_, err = s.exec(ctx, tx, `INSERT INTO traces (run_id, attached_at, data) VALUES (?, ?, ?)`, id, s.now().UnixMilli(), string(data))
		return err
	})
	if err != nil || replaced == 0 {
		return err
	}
	return s.scrub(ctx)
}

// detach returns how many traces it removed: none or one.
func (s *SQL) detach(ctx context.Context, tx *sql.Tx, id string) (int, error) {
	var data string
	err := s.row(ctx, tx, `DELETE FROM traces WHERE run_id = ? RETURNING data`, id).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	_, err = s.exec(ctx, tx, `UPDATE runs SET bytes = bytes - ? WHERE id = ?`, len(data), id)
	return 1, err
}

// Attached implements [Traces].
func (s *SQL) Attached(ctx context.Context, id string) ([]byte, error) {
	var data []byte
	err := s.row(ctx, s.read, `SELECT t.data FROM traces t JOIN runs r ON r.id = t.run_id WHERE t.run_id = ? AND r.expires_at > ?`, id,
		s.now().UnixMilli()).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	return data, err
}

// Detach implements [Traces].
func (s *SQL) Detach(ctx context.Context, id string) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		n, err := s.detach(ctx, tx, id)
		if err == nil && n == 0 {
			return ErrNotFound
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.scrub(ctx)
}
