package archive

import (
	"encoding/json"
	"testing"
	"time"

	"mqttdoctor/diag"
)

// What was kept under the schema before this one is kept after the upgrade, and listed and counted like what comes later.
func TestUpgradeFromThePreviousSchema(t *testing.T) {
	onAll(t, func(t *testing.T, store Store, now *time.Time) {
		s, ctx := store.(*SQL), t.Context()
		p, err := s.migrations()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.DownTo(ctx, 2); err != nil {
			t.Fatal(err)
		}

		h := header("old", *now)
		h.ImportedAt = *now
		e := finished(2, h, *now)
		report, err := json.Marshal(e.Report)
		if err != nil {
			t.Fatal(err)
		}
		event, err := json.Marshal(stepEvent(1, "a"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.exec(ctx, s.write, `INSERT INTO runs (id, state, verdict, root_cause, created_at, finished_at, expires_at, token_hash,
			owner_hash, last_seq, report) VALUES ('old', 'finished', 'broken', 'tcp.refused', ?, ?, ?, ?, ?, 1, ?)`, now.UnixMilli(), now.UnixMilli(),
			now.Add(time.Hour).UnixMilli(), owner.TokenHash, owner.CookieHash, string(report)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.exec(ctx, s.write, `INSERT INTO events (run_id, seq, data) VALUES ('old', 1, ?)`, string(event)); err != nil {
			t.Fatal(err)
		}

		if err := s.migrate(ctx); err != nil {
			t.Fatal(err)
		}
		got, err := s.Run(ctx, "old")
		if err != nil || got.Report.RootCause.Code != "tcp.refused" || string(got.Owner.TokenHash) != string(owner.TokenHash) || got.Owner.Person != "" {
			t.Errorf("%+v, %v", got, err)
		}
		if events, err := s.Events(ctx, "old", 0, 9); err != nil || len(events) != 1 {
			t.Errorf("%v, %v", events, err)
		}
		lines, err := s.Runs(ctx, RunFilter{Limit: 9, Target: "broker.test"})
		if err != nil || len(lines) != 1 {
			t.Fatalf("%v, %v", lines, err)
		}
		if l := lines[0]; l.Target != h.Target.URL || l.Bytes != int64(len(report)+len(event)) || l.Verdict != diag.OverallBroken || !l.Imported {
			t.Errorf("%+v", l)
		}
		create(t, s, "new", *now)
	})
}
