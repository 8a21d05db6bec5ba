package archive

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"mqttdoctor/diag"
)

// Share is what the link of a run shows to those who only have it, how long, and how often it did.
type Share struct {
	Hide      []diag.Hide
	ExpiresAt time.Time
	// PreviewHost tells that what messengers show of the link may name the host, unless it is hidden.
	PreviewHost bool
	Views       int       // how often others than the owner opened it
	ViewedAt    time.Time // when last; zero: never
}

// Shares is the part of a store that keeps what links show.
type Shares interface {
	// Share returns how a run is shared. ErrNotFound: there is none, or it has expired.
	Share(ctx context.Context, id string) (Share, error)
	// SetShare keeps what a link and its preview show, and when it ends; of the share nothing else is read. Its viewers are woken.
	SetShare(ctx context.Context, id string, s Share) error
	// Viewed counts a look.
	Viewed(ctx context.Context, id string) error
}

// Share implements [Store].
func (s *SQL) Share(ctx context.Context, id string) (Share, error) {
	var share Share
	var hide string
	var expires, viewed, preview int64
	err := s.row(ctx, s.read, `SELECT hide, expires_at, preview_host, views, viewed_at FROM runs WHERE id = ? AND expires_at > ?`, id, s.now().UnixMilli()).
		Scan(&hide, &expires, &preview, &share.Views, &viewed)
	if errors.Is(err, sql.ErrNoRows) {
		return Share{}, ErrNotFound
	}
	share.Hide, share.ExpiresAt, share.PreviewHost = hidesOf(hide), time.UnixMilli(expires), preview == 1
	if viewed > 0 {
		share.ViewedAt = time.UnixMilli(viewed)
	}
	return share, err
}

// SetShare implements [Store].
func (s *SQL) SetShare(ctx context.Context, id string, share Share) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, `UPDATE runs SET hide = ?, expires_at = ?, preview_host = ? WHERE id = ? AND expires_at > ?`, hideText(share.Hide),
			share.ExpiresAt.UnixMilli(), number(share.PreviewHost), id, s.now().UnixMilli())
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotFound
		}
		return s.engine.signal(ctx, tx, Key(id))
	})
}

// Viewed implements [Store].
func (s *SQL) Viewed(ctx context.Context, id string) error {
	_, err := s.exec(ctx, s.write, `UPDATE runs SET views = views + 1, viewed_at = ? WHERE id = ?`, s.now().UnixMilli(), id)
	return err
}

func hideText(hides []diag.Hide) string {
	names := make([]string, len(hides))
	for i, h := range hides {
		names[i] = string(h)
	}
	return strings.Join(names, ",")
}

// hidesOf reads what hideText wrote. Of a later version's kinds nothing is known: then all is hidden.
func hidesOf(text string) []diag.Hide {
	if text == "" {
		return nil
	}
	hides, ok := diag.ParseHides(strings.Split(text, ","))
	if !ok {
		return diag.Hides
	}
	return hides
}
