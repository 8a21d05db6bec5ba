package archive

import (
	"errors"
	"slices"
	"testing"
	"time"

	"mqttdoctor/diag"
)

func TestShareIsKept(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		ctx := t.Context()
		h := create(t, s, "x", *now)
		got, err := s.Share(ctx, "x")
		if err != nil || !slices.Equal(got.Hide, diag.DefaultHides) || !got.ExpiresAt.Equal(h.ExpiresAt) || got.Views != 0 || !got.ViewedAt.IsZero() {
			t.Fatalf("%+v, %v", got, err)
		}
		until := now.Add(48 * time.Hour)
		if err := s.SetShare(ctx, "x", Share{Hide: diag.Hides, ExpiresAt: until, PreviewHost: true}); err != nil {
			t.Fatal(err)
		}
		if err := s.Viewed(ctx, "x"); err != nil {
			t.Fatal(err)
		}
		*now = now.Add(24 * time.Hour) // beyond the first end
		got, err = s.Share(ctx, "x")
		if err != nil || !slices.Equal(got.Hide, diag.Hides) || !got.ExpiresAt.Equal(until) || got.Views != 1 || got.ViewedAt.IsZero() || !got.PreviewHost {
			t.Errorf("%+v, %v", got, err)
		}
		run, err := s.Run(ctx, "x")
		if err != nil || !run.Report.ExpiresAt.Equal(until) || !slices.Equal(run.Hide, diag.Hides) || !run.PreviewHost {
			t.Errorf("%s %v, %v", run.Report.ExpiresAt, run.Hide, err)
		}
		if err := s.SetShare(ctx, "x", Share{ExpiresAt: *now}); err != nil { // nothing hidden, and at its end
			t.Fatal(err)
		}
		if _, err := s.Share(ctx, "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
		if err := s.SetShare(ctx, "x", Share{ExpiresAt: until}); !errors.Is(err, ErrNotFound) {
			t.Errorf("an expired run comes back: %v", err)
		}
	})
}
