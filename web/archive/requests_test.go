package archive

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

func askFor(t *testing.T, s Store, id, helper string, now time.Time) Request {
	t.Helper()
	r := Request{ID: id, CreatedAt: now, ExpiresAt: now.Add(time.Hour), HelperHash: []byte("cookie of " + helper), Data: []byte(`{"note":"CANARY-note"}`)}
	if err := s.SaveRequest(t.Context(), r, Room{}); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRequestIsKeptFromBeginToEnd(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		ctx := t.Context()
		want := askFor(t, s, "q", "ada", *now)
		got, err := s.Request(ctx, "q")
		if err != nil || string(got.Data) != string(want.Data) || string(got.HelperHash) != string(want.HelperHash) || len(got.TokenHash) != 0 ||
			!got.ExpiresAt.Equal(want.ExpiresAt) || !got.OpenedAt.IsZero() || len(got.Wish) != 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		if err := s.RequestOpened(ctx, "q"); err != nil {
			t.Fatal(err)
		}
		if err := s.Wish(ctx, "q", []byte("again")); err != nil {
			t.Fatal(err)
		}
		if got, err = s.Request(ctx, "q"); err != nil || got.OpenedAt.IsZero() || string(got.Wish) != "again" {
			t.Errorf("%+v, %v", got, err)
		}
		h := header("x", *now)
		if err := s.Create(ctx, h, Owner{TokenHash: []byte("t"), CookieHash: []byte("bob"), Request: "q", HelperHash: want.HelperHash}, Room{}); err != nil {
			t.Fatal(err)
		}
		create(t, s, "other", *now)
		if got, err = s.Request(ctx, "q"); err != nil || len(got.Wish) != 0 {
			t.Errorf("the wish is on its way, and still there: %+v, %v", got, err)
		}
		if lines, err := s.Runs(ctx, RunFilter{Request: "q", Limit: 9}); err != nil || len(lines) != 1 || lines[0].ID != "x" {
			t.Errorf("%+v, %v", lines, err)
		}
		if lines, err := s.Runs(ctx, RunFilter{Request: "q", Maker: []byte("eve"), Limit: 9}); err != nil || len(lines) != 0 {
			t.Errorf("%+v, %v", lines, err)
		}
		if run, err := s.Run(ctx, "x"); err != nil || run.Owner.Request != "q" || string(run.Owner.HelperHash) != string(want.HelperHash) {
			t.Errorf("%+v, %v", run.Owner, err)
		}
		if err := s.EraseRequest(ctx, "q"); err != nil {
			t.Fatal(err)
		}
		if run, err := s.Run(ctx, "x"); err != nil || run.Owner.Request != "" || run.Owner.HelperHash != nil {
			t.Errorf("the run of an erased request: %+v, %v", run.Owner, err)
		}
		for name, err := range map[string]error{"erased again": s.EraseRequest(ctx, "q"), "opened": s.RequestOpened(ctx, "q"), "wished": s.Wish(ctx, "q", nil)} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := s.Request(ctx, "q"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
}

// Erased means erased, in the files too.
func TestErasedRequestIsInNoFile(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenSQLite(t.Context(), filepath.Join(dir, "reports.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	askFor(t, s, "erased", "ada", time.Now())
	askFor(t, s, "expired", "ada", time.Now().Add(-2*time.Hour))
	if !bytes.Contains(files(t, dir), []byte("CANARY-note")) {
		t.Fatal("the test looks where nothing is")
	}
	if err := s.EraseRequest(t.Context(), "erased"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(files(t, dir), []byte("CANARY-note")) {
		t.Error("what was erased is in the files")
	}
}

func TestRequestsAreListedCountedAndExpire(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		ctx := t.Context()
		askFor(t, s, "a", "ada", *now)
		*now = now.Add(time.Minute)
		askFor(t, s, "b", "ada", *now)
		askFor(t, s, "c", "bob", *now)
		list, err := s.Requests(ctx, RequestFilter{Maker: []byte("cookie of ada"), Limit: 9})
		if err != nil || len(list) != 2 || list[0].ID != "b" || list[1].ID != "a" {
			t.Errorf("%+v, %v", list, err)
		}
		for name, c := range map[string]struct {
			room Room
			mine bool
		}{"mine": {Room{PerClient: 2, InAll: 9}, true}, "all": {Room{PerClient: 9, InAll: 3}, false}} {
			var full *Full
			err := s.SaveRequest(ctx, Request{ID: "d", CreatedAt: *now, ExpiresAt: now.Add(time.Hour), HelperHash: []byte("cookie of ada")}, c.room)
			if !errors.As(err, &full) || full.PerClient != c.mine {
				t.Errorf("%s: %v", name, err)
			}
		}
		// Programs have no cookie in common, and people theirs.
		for _, r := range []Request{{ID: "p", TokenHash: []byte("t1")}, {ID: "o", TokenHash: []byte("t2")}, {ID: "r", Helper: "eve", HelperHash: []byte("cookie of ada")}} {
			r.CreatedAt, r.ExpiresAt = *now, now.Add(time.Hour)
			if err := s.SaveRequest(ctx, r, Room{PerClient: 1}); err != nil {
				t.Errorf("%s: %v", r.ID, err)
			}
		}
		if list, err := s.Requests(ctx, RequestFilter{Helper: "eve", Limit: 9}); err != nil || len(list) != 1 || list[0].ID != "r" {
			t.Errorf("%+v, %v", list, err)
		}
		*now = now.Add(59*time.Minute + time.Second) // the end of the first
		if _, err := s.Request(ctx, "a"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
		if err := s.Create(ctx, header("x", *now), Owner{TokenHash: []byte("t"), Request: "a", HelperHash: []byte("h")}, Room{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Expire(ctx); err != nil {
			t.Fatal(err)
		}
		if run, err := s.Run(ctx, "x"); err != nil || run.Owner.Request != "" {
			t.Errorf("%+v, %v", run.Owner, err)
		}
		if _, err := s.Request(ctx, "b"); err != nil {
			t.Error(err)
		}
	})
}

// A run that is begun for a request while that is erased is its maker's alone.
func TestRunBegunForAnErasedRequest(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		ctx := t.Context()
		askFor(t, s, "q", "ada", *now)
		if err := s.EraseRequest(ctx, "q"); err != nil {
			t.Fatal(err)
		}
		if err := s.Create(ctx, header("x", *now), Owner{TokenHash: []byte("t"), Request: "q", HelperHash: []byte("ada")}, Room{}); err != nil {
			t.Fatal(err)
		}
		if run, err := s.Run(ctx, "x"); err != nil || run.Owner.Request != "" || run.Owner.HelperHash != nil {
			t.Errorf("%+v, %v", run.Owner, err)
		}
	})
}
