package archive

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func attached(marker string) []byte {
	return []byte(`{"packets":[{"type":"PUBLISH","note":{"args":{"topic":"` + marker + `\u0000"}}}]}`)
}

func TestTraceIsKeptWithItsRun(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		ctx := t.Context()
		create(t, s, "r", *now)
		before, err := s.Bytes(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Attached(ctx, "r"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if err := s.Detach(ctx, "r"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if err := s.Attach(ctx, "other", attached("x")); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		for _, topic := range []string{"first", "second"} {
			want := attached(topic)
			if err := s.Attach(ctx, "r", want); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Attached(ctx, "r"); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, not %s, %v", got, want, err)
			}
		}
		if with, err := s.Bytes(ctx); err != nil || with < before+50 || with > before+1000 {
			t.Errorf("%d bytes, %d without, %v", with, before, err)
		}
		if err := s.Detach(ctx, "r"); err != nil {
			t.Error(err)
		}
		if after, err := s.Bytes(ctx); err != nil || after != before {
			t.Errorf("%d bytes, %d before, %v", after, before, err)
		}
		if _, err := s.Attached(ctx, "r"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}

		if err := errors.Join(s.Attach(ctx, "r", attached("x")), s.Erase(ctx, "r")); err != nil {
			t.Error(err)
		}
		if _, err := s.Attached(ctx, "r"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}

		create(t, s, "expiring", *now)
		if err := s.Attach(ctx, "expiring", attached("x")); err != nil {
			t.Error(err)
		}
		*now = now.Add(2 * time.Hour)
		if _, err := s.Attached(ctx, "expiring"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if err := s.Attach(ctx, "expiring", attached("x")); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestTwoWhoAttachWaitForEachOther(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		create(t, s, "r", *now)
		before, _ := s.Bytes(t.Context())
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if err := s.Attach(t.Context(), "r", attached("same")); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if err := s.Detach(t.Context(), "r"); err != nil {
			t.Error(err)
		}
		if after, err := s.Bytes(t.Context()); err != nil || after != before {
			t.Errorf("%d bytes, %d before, %v", after, before, err)
		}
	})
}

// TestDetachedTraceIsGoneFromTheFiles looks into SQLite's files for what was attached, replaced and removed.
func TestDetachedTraceIsGoneFromTheFiles(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenSQLite(t.Context(), filepath.Join(dir, "reports.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Now()
	create(t, s, "r", now)
	for _, marker := range []string{strings.Repeat("REPLACED", 2000), "REMOVED-trace"} {
		if err := s.Attach(t.Context(), "r", attached(marker)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Contains(files(t, dir), []byte("REMOVED-trace")) {
		t.Fatal("the test looks at the wrong place")
	}
	if err := s.Detach(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	for _, marker := range []string{"REPLACED", "REMOVED-trace"} {
		if bytes.Contains(files(t, dir), []byte(marker)) {
			t.Errorf("the files hold %s", marker)
		}
	}
}

func TestRunsOfABrowser(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		for id, cookie := range map[string]string{"a": "one", "b": "two", "c": ""} {
			if err := s.Create(t.Context(), header(id, *now), Owner{TokenHash: []byte("t"), CookieHash: []byte(cookie)}, Room{}); err != nil {
				t.Fatal(err)
			}
		}
		lines, err := s.Runs(t.Context(), RunFilter{Maker: []byte("two"), Limit: 5})
		if err != nil || len(lines) != 1 || lines[0].ID != "b" {
			t.Errorf("%+v, %v", lines, err)
		}
	})
}
