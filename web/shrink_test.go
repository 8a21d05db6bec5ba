package web

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/guard"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

func TestTheOldestReportsMakeRoom(t *testing.T) {
	t.Parallel()
	store, err := archive.OpenSQLite(t.Context(), t.TempDir()+"/a.db")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const bound = 8000
	m := NewRuns(RunsConfig{Engine: testEngine(guard.Laptop, passing("dns.test")), Store: store, MaxRuns: 4, MaxPerClient: 4,
		Retention: time.Hour, MaxBytes: bound})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.keepSmall(ctx)
	}()
	defer func() { cancel(); <-done }()

	var ids []string
	for range 8 {
		st, err := m.Start(t.Context(), handlers.Actor{Addr: netip.MustParseAddr("192.0.2.1")},
			diag.RunInput{Target: diag.TargetInput{URL: "mqtt://broker.test"}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, st.ID)
		await(t, "the run has ended", func() bool {
			r, err := m.Get(t.Context(), st.ID, handlers.Actor{})
			return err == nil && r.State == diag.StateFinished
		})
	}
	await(t, "the oldest is gone", func() bool {
		_, err := m.Get(t.Context(), ids[0], handlers.Actor{})
		return errors.Is(err, handlers.ErrNotFound)
	})
	await(t, "all are within the bound", func() bool {
		bytes, err := store.Bytes(t.Context())
		return err == nil && bytes <= bound
	})
	if _, err := m.Get(t.Context(), ids[len(ids)-1], handlers.Actor{}); err != nil {
		t.Errorf("the newest: %v", err)
	}
	await(t, "it is counted", func() bool { return sample(t, m.meter, "mqttdoctor_reports_erased_total", "why", erasedBySize) > 0 })
	if err := m.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
