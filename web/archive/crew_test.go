package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// shortLease is long enough for a busy machine to beat in, and short enough to wait for.
const shortLease = 400 * time.Millisecond

// twoProcesses opens one database twice.
func twoProcesses(t *testing.T) (a, b *SQL) {
	t.Helper()
	address := diagtest.Postgres(t).Database(t)
	a, b = openPostgres(t, address), openPostgres(t, address)
	t.Cleanup(func() { // after the test has closed what it means to
		for _, s := range []*SQL{a, b} {
			if err := s.Close(); err != nil && err.Error() != "sql: database is closed" {
				t.Log(err)
			}
		}
	})
	return a, b
}

func TestOrphansAreTheRunsOfTheDeadAlone(t *testing.T) {
	a, b := twoProcesses(t)
	ctx := t.Context()
	now := time.Now()
	create(t, a, "of a", now)
	create(t, b, "of b", now)
	if ids, err := b.Orphans(ctx); err != nil || len(ids) != 0 {
		t.Fatalf("%v, %v", ids, err)
	}
	a.lease, b.lease = shortLease, shortLease
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(shortLease / 10) { // a says nothing any more
		if _, err := b.Beat(ctx); err != nil {
			t.Fatal(err)
		}
		ids, err := b.Orphans(ctx)
		if err != nil || time.Now().After(deadline) {
			t.Fatal(ids, err)
		}
		if slices.Equal(ids, []string{"of a"}) { // with "of b" this test was held up between the two statements
			break
		}
	}
	// b ends it; a, who was only held up, can add nothing and so learns it.
	h := header("of a", now)
	if err := b.Append(ctx, "of a", []diag.Event{finished(1, h, now)}); err != nil {
		t.Fatal(err)
	}
	if err := a.Append(ctx, "of a", []diag.Event{stepEvent(1, "x")}); !errors.Is(err, ErrEnded) {
		t.Errorf("got %v", err)
	}
	if duties, err := a.Beat(ctx); err != nil || len(duties) != 0 {
		t.Errorf("%v, %v", duties, err)
	}
}

func TestAProcessThatGoesIsGoneAtOnce(t *testing.T) {
	a, b := twoProcesses(t)
	create(t, a, "x", time.Now())
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if ids, err := b.Orphans(t.Context()); err != nil || !slices.Equal(ids, []string{"x"}) {
		t.Errorf("%v, %v", ids, err)
	}
}

func TestLimitsHoldForRuns(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		ctx := t.Context()
		room := func(client string) Room { return Room{Client: client, InAll: 3, PerClient: 2} }
		add := func(id, client string) error { return s.Create(ctx, header(id, *now), owner, room(client)) }
		if err := errors.Join(add("1", "a"), add("2", "a")); err != nil {
			t.Fatal(err)
		}
		var full *Full
		if err := add("3", "a"); !errors.As(err, &full) || !full.PerClient {
			t.Errorf("got %v", err)
		}
		if err := add("4", "b"); err != nil {
			t.Fatal(err)
		}
		if err := add("5", "c"); !errors.As(err, &full) || full.PerClient {
			t.Errorf("got %v", err)
		}
		// Its end gives a run's place back, and forgets the client.
		if err := s.Append(ctx, "1", []diag.Event{finished(1, header("1", *now), *now)}); err != nil {
			t.Fatal(err)
		}
		if err := add("5", "c"); err != nil {
			t.Error(err)
		}
		var client string
		sqlStore := s.(*SQL)
		if err := sqlStore.row(ctx, sqlStore.read, `SELECT client FROM runs WHERE id = ?`, "1").Scan(&client); err != nil || client != "" {
			t.Errorf("%q, %v", client, err)
		}
	})
}

func TestLimitsHoldForPlaces(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, _ *time.Time) {
		ctx := t.Context()
		room := Room{Client: "a", InAll: 2, PerClient: 1}
		if err := s.Take(ctx, "console", "1", room); err != nil {
			t.Fatal(err)
		}
		var full *Full
		if err := s.Take(ctx, "console", "2", room); !errors.As(err, &full) || !full.PerClient {
			t.Errorf("got %v", err)
		}
		if err := s.Take(ctx, "other", "3", room); err != nil {
			t.Error(err)
		}
		if err := s.Leave(ctx, "1", "never taken"); err != nil {
			t.Error(err)
		}
		if err := s.Take(ctx, "console", "2", room); err != nil {
			t.Error(err)
		}
	})
}

func TestLimitsHoldOverProcessesThatStartRunsTogether(t *testing.T) {
	a, b := twoProcesses(t)
	const limit = 5
	var mu sync.Mutex
	begun := 0
	var all sync.WaitGroup
	for i := range 8 * limit {
		s := []*SQL{a, b}[i%2]
		all.Go(func() {
			err := s.Create(t.Context(), header(fmt.Sprint(i), time.Now()), owner, Room{Client: "a", InAll: limit})
			var full *Full
			if err != nil && !errors.As(err, &full) {
				t.Error(err)
			}
			if err == nil {
				mu.Lock()
				begun++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if begun != limit {
		t.Errorf("%d runs at once, %d are allowed", begun, limit)
	}
}

func TestTheDeadTakeNoPlace(t *testing.T) {
	a, b := twoProcesses(t)
	create(t, a, "x", time.Now())
	if err := a.Take(t.Context(), "console", "1", Room{}); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Take(t.Context(), "console", "2", Room{InAll: 1}); err != nil {
		t.Error(err)
	}
	if err := b.Create(t.Context(), header("y", time.Now()), owner, Room{InAll: 1}); err != nil {
		t.Error(err)
	}
}

func TestWishesAndOrders(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		ctx := t.Context()
		create(t, s, "x", *now)
		if err := errors.Join(s.Want(ctx, "x"), s.Want(ctx, "none")); err != nil {
			t.Fatal(err)
		}
		if duties, err := s.Beat(ctx); err != nil || !slices.Equal(duties, []Duty{{ID: "x", Wanted: true}}) {
			t.Errorf("%v, %v", duties, err)
		}
		if err := s.Hold(ctx, "x", now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Run(ctx, "x"); err != nil || !got.HeldUntil.Equal(now.Add(time.Minute)) || got.Process != s.Process() {
			t.Errorf("%+v, %v", got, err)
		}
		for _, id := range []string{"1", "2"} {
			if err := s.Ask(ctx, Order{ID: id, Process: s.Process(), Data: []byte(`{"n":` + id + `}`)}); err != nil {
				t.Fatal(err)
			}
		}
		orders, err := s.Orders(ctx)
		if err != nil || len(orders) != 2 {
			t.Fatalf("%v, %v", orders, err)
		}
		if ok, err := s.Claim(ctx, "1"); !ok || err != nil {
			t.Error(ok, err)
		}
		if ok, err := s.Claim(ctx, "1"); ok || err != nil {
			t.Error("claimed twice", err)
		}
		if ok, err := s.Withdraw(ctx, "1"); ok || err != nil {
			t.Error("withdrawn while somebody is at it", err)
		}
		if answer, err := s.Answered(ctx, "1"); answer != nil || err != nil {
			t.Error(answer, err)
		}
		if err := s.Answer(ctx, "1", []byte("{}")); err != nil {
			t.Error(err)
		}
		if answer, err := s.Answered(ctx, "1"); string(answer) != "{}" || err != nil {
			t.Error(answer, err)
		}
		if ok, err := s.Withdraw(ctx, "2"); !ok || err != nil {
			t.Error(ok, err)
		}
		if ok, err := s.Claim(ctx, "2"); ok || err != nil {
			t.Error("claimed after it was withdrawn", err)
		}
	})
}

func TestSignalsReachOtherProcesses(t *testing.T) {
	a, b := twoProcesses(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	heard := make(chan string, 100)
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		b.Listen(ctx, func(key string) { heard <- key })
	}()
	want := func(key string) {
		t.Helper()
		for {
			select {
			case got := <-heard:
				if got == key {
					return
				}
			case <-ctx.Done():
				t.Fatal("nothing was heard")
			}
		}
	}
	want("") // it listens
	h := create(t, a, "x", time.Now())
	if err := a.Append(ctx, "x", []diag.Event{stepEvent(1, "a")}); err != nil {
		t.Fatal(err)
	}
	want(Key("x"))
	if err := b.Want(ctx, h.ID); err != nil {
		t.Fatal(err)
	}
	want(Key(a.Process()))
	// A connection that breaks is made anew, and what may have been missed is said.
	if _, err := a.exec(ctx, a.write, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE ?`, "LISTEN%"); err != nil {
		t.Fatal(err)
	}
	want("")
	if err := b.Erase(ctx, h.ID); err != nil {
		t.Fatal(err)
	}
	want(Key(a.Process()))
	cancel()
	<-listening
}
