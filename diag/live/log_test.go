package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"mqttdoctor/diag"
)

func step(id string, status diag.Status) *diag.Step {
	return &diag.Step{ID: id, Check: diag.ProbeID(id), Status: status}
}

// pump publishes everything that was pushed, as the keeper of a run does.
func pump(t *testing.T, l *Log) {
	t.Helper()
	batch, err := l.Pending(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.Publish(batch)
}

// readAll reads until run.finished and checks that numbers go on from after, without gap or repeat.
func readAll(ctx context.Context, l *Log, after int) (int, error) {
	v, err := l.View(after)
	if err != nil {
		return 0, err
	}
	defer v.Stop()
	n := 0
	for {
		events, err := v.Next(ctx)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		for _, e := range events {
			n++
			if e.Seq != after+n {
				return n, fmt.Errorf("number %d after %d events from %d", e.Seq, n, after)
			}
		}
	}
}

func TestViewersSeeEveryEventOnceWhereverTheyBegin(t *testing.T) {
	l := NewLog(nil)
	l.Push(diag.Event{Type: diag.EventRunStarted, Report: &diag.Report{ID: "x"}})
	pump(t, l)
	const steps = 300
	results := make(chan error, 50)
	var ready sync.WaitGroup
	for range 25 {
		ready.Add(1)
		go func() {
			ready.Done()
			n, err := readAll(t.Context(), l, 0)
			if err == nil && n != steps+2 {
				err = fmt.Errorf("saw %d events", n)
			}
			results <- err
		}()
	}
	ready.Wait()
	go func() {
		for i := range steps {
			l.Push(diag.Event{Type: diag.EventStepFinished, Step: step(fmt.Sprint(i), diag.StatusPassed)})
		}
		l.Push(diag.Event{Type: diag.EventRunFinished, Report: &diag.Report{ID: "x", State: diag.StateFinished}})
	}()
	for ended := false; !ended; {
		batch, err := l.Pending(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ended = l.Publish(batch)
	}
	for range 25 { // late, and in the middle
		go func() {
			n, err := readAll(t.Context(), l, 150)
			if err == nil && n != steps+2-150 {
				err = fmt.Errorf("resumed viewer saw %d events", n)
			}
			results <- err
		}()
	}
	for range 50 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if l.Viewers() != 0 {
		t.Errorf("%d viewers are left", l.Viewers())
	}
}

func TestNothingIsSeenBeforeItIsPublished(t *testing.T) {
	l := NewLog(nil)
	l.Push(diag.Event{Type: diag.EventRunStarted, Report: &diag.Report{}})
	if l.Last() != 0 {
		t.Fatal("an event that nobody kept is visible")
	}
	pump(t, l)
	if l.Last() != 1 {
		t.Fatal("published event is missing")
	}
}

func TestSlowViewerIsSentAwayAndComesBack(t *testing.T) {
	now := time.Unix(0, 0)
	l := NewLog(func() time.Time { return now })
	for i := range 3 * batchSize {
		l.Push(diag.Event{Type: diag.EventStepFinished, Step: step(fmt.Sprint(i), diag.StatusPassed)})
	}
	pump(t, l)
	v, err := l.View(0)
	if err != nil {
		t.Fatal(err)
	}
	first, err := v.Next(t.Context())
	if err != nil || len(first) != batchSize {
		t.Fatal(len(first), err)
	}
	now = now.Add(maxBehind + time.Second)
	if _, err := v.Next(t.Context()); !errors.Is(err, ErrSlow) {
		t.Fatalf("got %v", err)
	}
	again, err := l.View(first[len(first)-1].Seq)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Stop()
	next, err := again.Next(t.Context())
	if err != nil || next[0].Seq != batchSize+1 {
		t.Fatalf("came back to %v, %v", next, err)
	}
}

func TestProgressIsThinnedWithoutGaps(t *testing.T) {
	l := NewLog(nil)
	at := time.Unix(0, 0)
	running := step("msg.loss", diag.StatusRunning)
	const reports = 200_000
	for i := range reports { // one each millisecond
		at = at.Add(time.Millisecond)
		l.Push(diag.Event{Type: diag.EventStepProgress, Step: running, At: at, Done: i + 1, Total: reports})
	}
	l.Push(diag.Event{Type: diag.EventStepFinished, Step: step("msg.loss", diag.StatusPassed)})
	pump(t, l)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.events) > 3000 || len(l.events) < 100 {
		t.Errorf("%d events are kept of %d", len(l.events), reports)
	}
	for i, e := range l.events {
		if e.Seq != i+1 {
			t.Fatalf("event %d has number %d", i, e.Seq)
		}
	}
	if done := l.events[len(l.events)-2]; done.Done != reports {
		t.Errorf("the last progress says %d", done.Done)
	}
}

func TestLogIsBounded(t *testing.T) {
	l := NewLog(nil)
	for i := range 3 * maxEvents {
		l.Push(diag.Event{Type: diag.EventFinding, Finding: &diag.Finding{Code: diag.Code(fmt.Sprint(i))}})
	}
	l.Push(diag.Event{Type: diag.EventStepFinished, Step: step("a", diag.StatusPassed)})
	l.Push(diag.Event{Type: diag.EventRunFinished, Report: &diag.Report{}})
	pump(t, l)
	if got := l.Last(); got != maxEvents+2 {
		t.Errorf("%d events", got)
	}
}

func TestAheadAndClosed(t *testing.T) {
	l := NewLog(nil)
	if _, err := l.View(1); !errors.Is(err, ErrAhead) {
		t.Errorf("got %v", err)
	}
	v, err := l.View(0)
	if err != nil {
		t.Fatal(err)
	}
	l.Close(nil)
	if _, err := v.Next(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v, err = NewLog(nil).View(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestFoldFollowsTheEvents(t *testing.T) {
	events := []diag.Event{
		{Type: diag.EventRunStarted, Report: &diag.Report{ID: "x", State: diag.StateRunning}},
		{Type: diag.EventStepStarted, Step: step("a", diag.StatusRunning)},
		{Type: diag.EventStepStarted, Step: step("b", diag.StatusRunning)},
		{Type: diag.EventStepFinished, Step: step("b", diag.StatusFailed)},
		{Type: diag.EventFinding, Finding: &diag.Finding{Code: "tcp.refused", Severity: diag.SeverityCritical}},
		{Type: diag.EventFinding, Finding: &diag.Finding{Code: "tls.required", Severity: diag.SeverityCritical}},
		{Type: diag.EventFinding, Finding: &diag.Finding{Code: "tcp.refused"}, Withdrawn: true},
		{Type: diag.EventStepFinished, Step: step("c", diag.StatusSkipped)},
	}
	r := Fold(events)
	if r.ID != "x" || len(r.Steps) != 3 || r.Steps[0].Status != diag.StatusRunning ||
		r.Steps[1].Status != diag.StatusFailed || r.Steps[2].Status != diag.StatusSkipped {
		t.Errorf("%+v", r)
	}
	if len(r.Findings) != 1 || r.Findings[0].Code != "tls.required" {
		t.Errorf("%+v", r.Findings)
	}
	r = Fold(append(events, diag.Event{Type: diag.EventRunFinished, Report: &diag.Report{ID: "x", State: diag.StateFinished}}))
	if r.State != diag.StateFinished {
		t.Error(r.State)
	}
}
