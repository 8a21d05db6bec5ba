package archive

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
)

// keep keeps a run that has ended.
func keep(t *testing.T, s Store, h diag.Report, o Owner, end func(*diag.Report)) {
	t.Helper()
	if err := s.Create(t.Context(), h, o, Room{}); err != nil {
		t.Fatal(err)
	}
	e := finished(1, h, h.CreatedAt.Add(time.Second))
	e.Report.Verdict = diag.OverallHealthy
	if end != nil {
		end(e.Report)
	}
	if err := s.Append(t.Context(), h.ID, []diag.Event{e}); err != nil {
		t.Fatal(err)
	}
}

func idsOf(lines []RunLine) string {
	var ids []string
	for _, l := range lines {
		ids = append(ids, l.ID)
	}
	return strings.Join(ids, " ")
}

// The history of a target is that of one address to the letter and of one owner, and says what its chart needs.
func TestRunsOfOneTarget(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		ada, browser, other := Owner{TokenHash: []byte("t"), Person: "ada", CookieHash: []byte("c")},
			Owner{TokenHash: []byte("t"), CookieHash: []byte("c")}, Owner{TokenHash: []byte("t"), CookieHash: []byte("d")}
		long := "ws://broker.test:80/" + strings.Repeat("é", 400)
		add := func(id, address string, o Owner, end func(*diag.Report)) {
			h := header(id, *now)
			h.Target.URL = address
			if strings.HasPrefix(id, "file") {
				h.ImportedAt = *now
			}
			keep(t, s, h, o, end)
			*now = now.Add(time.Second)
		}
		const address = "mqtts://broker.test:8883"
		add("a1", address, ada, func(r *diag.Report) {
			r.Steps = []diag.Step{{ID: "m", Check: "mqtt.connect", Status: diag.StatusPassed, Duration: 30 * time.Millisecond,
				Observation: &diag.MQTTConnect{Outcome: diag.OutcomeOK}}}
		})
		add("b1", address, browser, nil)
		add("b2", address+"0", browser, nil)
		add("o1", address, other, nil)
		add("b3", address, browser, func(r *diag.Report) { r.Verdict = diag.OverallBroken })
		add("b4", address, browser, func(r *diag.Report) { r.State = diag.StateCanceled })
		add("file", address, browser, nil)
		add("l1", long, browser, nil)
		add("l2", long+"/x", browser, nil)

		c := []byte("c")
		for _, f := range []struct {
			RunFilter
			want string
		}{
			{RunFilter{Maker: c, Address: address}, "file b4 b3 b1"},
			{RunFilter{Maker: c, Address: address, Local: true}, "b3 b1"},
			{RunFilter{Maker: c, Address: address, Verdict: diag.OverallBroken}, "b3"},
			{RunFilter{Maker: c, Address: long}, "l1"},
			{RunFilter{Maker: []byte("d"), Address: address}, "o1"},
			{RunFilter{Person: "ada", Address: address}, "a1"},
			{RunFilter{Person: "bob", Address: address}, ""},
			{RunFilter{Maker: c, Target: "BROKER.test:8883"}, "file b4 b3 b2 b1"},
			{RunFilter{Address: address}, "file b4 b3 o1 b1 a1"},
		} {
			f.Limit = 20
			lines, err := s.Runs(t.Context(), f.RunFilter)
			if err != nil || idsOf(lines) != f.want {
				t.Errorf("%+v: %s, %v", f.RunFilter, idsOf(lines), err)
			}
			for _, l := range lines {
				if l.Imported != (l.ID == "file") || (l.Connect == 30*time.Millisecond) != (l.ID == "a1") {
					t.Errorf("%+v", l)
				}
			}
		}
		if err := s.Erase(t.Context(), "b3"); err != nil {
			t.Fatal(err)
		}
		if lines, err := s.Runs(t.Context(), RunFilter{Maker: c, Address: address, Local: true, Limit: 9}); err != nil || idsOf(lines) != "b1" {
			t.Errorf("after an erasure %s, %v", idsOf(lines), err)
		}
		*now = now.Add(time.Hour)
		if lines, err := s.Runs(t.Context(), RunFilter{Maker: c, Limit: 9}); err != nil || len(lines) != 0 {
			t.Errorf("after their end %s, %v", idsOf(lines), err)
		}
	})
}

// Whoever turns the pages sees each run once, also those of one millisecond.
func TestPagesOfRuns(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		var want []string
		for i := range 7 {
			if i%3 == 0 {
				*now = now.Add(time.Millisecond)
			}
			want = append(want, fmt.Sprint("r", i))
			keep(t, s, header(want[i], *now), owner, nil)
		}
		var got []string
		f := RunFilter{Maker: owner.CookieHash, Limit: 2}
		for {
			lines, err := s.Runs(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			if len(lines) == 0 {
				break
			}
			for _, l := range lines {
				got = append(got, l.ID)
			}
			last := lines[len(lines)-1]
			f.Before = Cursor{last.CreatedAt, last.ID}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%v", got)
		}
	})
}

// No database reads all runs of an owner, or all of everybody, for the history of one target.
func TestHistoryIsIndexed(t *testing.T) {
	onAll(t, func(t *testing.T, store Store, _ *time.Time) {
		s := store.(*SQL)
		explain := "EXPLAIN QUERY PLAN "
		if _, ok := s.engine.(sqliteEngine); !ok {
			explain = "EXPLAIN "
		}
		for index, f := range map[string]RunFilter{"runs_owner_target": {Maker: []byte("c"), Address: "mqtt://a:1883"},
			"runs_person_target": {Person: "ada", Address: "mqtt://a:1883", Local: true}} {
			tx, err := s.write.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if explain == "EXPLAIN " { // a table without rows is read whole
				if _, err := tx.ExecContext(t.Context(), `SET LOCAL enable_seqscan = off`); err != nil {
					t.Fatal(err)
				}
			}
			where, args := f.where()
			var plan strings.Builder
			rows, err := tx.QueryContext(t.Context(), s.engine.bind(explain+selectRuns+where+` ORDER BY created_at DESC, id LIMIT 9`), append([]any{int64(0)}, args...)...)
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				var a, b, c, text any
				into := []any{&text}
				if columns, _ := rows.Columns(); len(columns) == 4 {
					into = []any{&a, &b, &c, &text}
				}
				if err := rows.Scan(into...); err != nil {
					t.Fatal(err)
				}
				fmt.Fprintln(&plan, text)
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			rows.Close()
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(plan.String(), index) {
				t.Errorf("%s is not used:\n%s", index, plan.String())
			}
		}
	})
}
