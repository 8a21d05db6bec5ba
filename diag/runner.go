package diag

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"runtime/debug"
	"slices"
	"time"

	"mqttdoctor/diag/patience"
)

// Reasons for which a run's context may be canceled, given as its cause.
var (
	ErrCanceled    = errors.New("canceled by a user")
	ErrInterrupted = errors.New("interrupted by the end of the server")
)

// stopGrace is how long running probes may take to return once their context has ended. They close their connections
// then, so it is generous; a probe that needs longer has a defect, and the run does not wait for it.
const stopGrace = 3 * time.Second

// Runner walks plans. It holds no state of a run and is safe to share.
type Runner struct {
	Rules []Rule
	Log   *slog.Logger // nil: none
}

// Run walks the plan to its end: checks start as soon as what they need has ended, side by side; what can no longer tell
// anything is skipped with its reason. Events are emitted in order, from one goroutine; emit must not block. The report
// has its id, creation and expiry set by the caller in header; the rest is filled in. Every goroutine of the run has ended
// when Run returns, except a probe that ignores its context for more than three seconds, which is logged.
func (r *Runner) Run(ctx context.Context, plan Plan, env Env, header Report, emit func(Event)) Report {
	w := newWalk(r, plan, env, header, emit)
	return w.run(ctx)
}

type checkState struct {
	probe   Probe
	began   time.Time
	left    int // steps still running
	started bool
	ended   bool
	handled map[string]bool // of a following check: ids of the predecessor's steps that were answered
	moot    bool
	cancels []context.CancelFunc // of its steps
}

type message struct {
	check    int
	step     Step
	progress bool
	done     int
	total    int
	unit     string
}

type walk struct {
	r      *Runner
	plan   Plan
	env    Env
	report Report
	emit   func(Event)
	seq    int
	states []*checkState
	steps  []Step
	inbox  chan message
	quit   chan struct{} // closed at the end, so that a late probe never blocks on inbox
	open   map[string]Step
	said   map[Code]Finding
	echoes Echoes
}

func newWalk(r *Runner, plan Plan, env Env, header Report, emit func(Event)) *walk {
	w := &walk{r: r, plan: plan, env: env, report: header, emit: emit,
		inbox: make(chan message, 64), quit: make(chan struct{}), open: map[string]Step{}, said: map[Code]Finding{}, echoes: NewEchoes(plan.Target)}
	for _, p := range plan.Checks {
		w.states = append(w.states, &checkState{probe: p})
	}
	if w.env.Now == nil {
		w.env.Now = time.Now
	}
	if w.env.Stash == nil {
		w.env.Stash = NewStash()
	}
	if w.env.Conns == nil {
		w.env.Conns = &Counter{}
	}
	if w.env.Repeats == nil {
		w.env.Repeats = &Repeats{}
	}
	if w.env.Allowed == nil {
		w.env.Allowed = func(string) error { return nil }
	}
	if w.env.DialResolver == nil {
		w.env.DialResolver = w.env.Dial
	}
	w.env.Dial, w.env.DialResolver = w.counted(w.env.Dial), w.counted(w.env.DialResolver)
	w.env.Target, w.env.Options = plan.Target, plan.Options
	w.report.Schema = Schema
	w.report.Target, w.report.Plan = plan.Target.Public(), plan.Options
	w.report.TimeoutS, w.report.WatchS = plan.Options.Timeout.Seconds(), int(plan.Options.Watch/time.Second)
	w.report.Checks = plan.IDs()
	return w
}

// counted counts what is dialled: the report says how many connections a run made.
func (w *walk) counted(dial DialFunc) DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		w.env.Conns.Add()
		return dial(ctx, network, address)
	}
}

func (w *walk) run(ctx context.Context) Report {
	defer w.env.Stash.Close()
	defer close(w.quit)
	ctx, cancel := patience.WithTimeout(ctx, w.plan.Deadline())
	defer cancel()
	begun := w.env.Now()
	w.report.State = StateRunning
	started := w.report
	w.send(Event{Type: EventRunStarted, Report: &started})

	for {
		next := w.schedule(ctx)
		if w.running() == 0 && next.IsZero() {
			w.skipRest(N("skip.nothing_left"))
			break
		}
		if !w.await(ctx, next) {
			w.wind(ctx)
			break
		}
	}

	c := Conclude(w.view(true), w.r.Rules)
	c.fill(&w.report)
	w.report.Steps = w.steps
	w.report.Connections = w.env.Conns.Value()
	w.report.Sent = sentMessages(w.steps)
	w.report.FinishedAt = w.env.Now()
	w.report.Duration = w.report.FinishedAt.Sub(begun)
	w.report.State = StateFinished
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, ErrInterrupted):
		w.report.State = StateInterrupted
	case errors.Is(cause, ErrCanceled) || errors.Is(cause, context.Canceled):
		w.report.State = StateCanceled
	}
	late := errors.Is(cause, context.DeadlineExceeded) && w.report.Verdict == OverallHealthy
	if late || w.report.State != StateFinished && w.report.Verdict != OverallBroken {
		// What was not looked at cannot be called healthy.
		w.report.Verdict = OverallInconclusive
	}
	w.tell(c, true)
	final := w.report
	w.send(Event{Type: EventRunFinished, Report: &final})
	return w.report
}

// sentMessages lists the test messages that went to the user's own topics.
func sentMessages(steps []Step) []SentMessage {
	var out []SentMessage
	for _, s := range steps {
		switch o := s.Observation.(type) {
		case *Delivery:
			if !o.Scratch {
				out = append(out, SentMessage{Topic: o.Topic, QoS: o.QoS, Bytes: o.Bytes})
			}
		case *ClientPair:
			if !o.Scratch && o.LoneCount > 0 {
				out = append(out, SentMessage{Topic: o.Topic, QoS: o.QoS, Bytes: o.LoneBytes, Count: o.LoneCount})
			}
		case *Recount:
			if !o.Scratch && o.SentAgain > 0 && len(o.Messages) > 0 {
				out = append(out, SentMessage{Topic: o.Topic, QoS: o.Messages[0].QoS, Bytes: o.Bytes, Count: o.SentAgain})
			}
		case *BurstRun:
			if !o.Scratch && o.Sent > 0 {
				out = append(out, SentMessage{Topic: o.Topic, QoS: o.QoS, Bytes: o.PayloadBytes, Count: o.Sent + o.SentBefore})
			}
		}
	}
	return out
}

func (w *walk) send(e Event) {
	w.seq++
	e.Seq, e.At = w.seq, w.env.Now()
	w.emit(e)
}

// schedule starts and skips what can be decided now, until nothing changes, and returns the earliest time at which a
// waiting check wants to be asked again.
func (w *walk) schedule(ctx context.Context) (next time.Time) {
	for changed := true; changed; {
		changed, next = false, time.Time{}
		for i, s := range w.states {
			if s.ended || !w.needsEnded(s.probe) {
				continue
			}
			if len(s.probe.Follows) > 0 {
				changed = w.follow(ctx, i) || changed
				continue
			}
			if s.started {
				continue
			}
			view := w.view(false)
			d := Run()
			if s.probe.Ready != nil {
				d = s.probe.Ready(view)
			}
			switch d.kind {
			case decideRun:
				w.start(ctx, i, view)
				changed = true
			case decideSkip:
				w.skip(s, d.because)
				changed = true
			case decideWait:
				if !d.until.IsZero() && (next.IsZero() || d.until.Before(next)) {
					next = d.until
				}
			}
		}
	}
	return next
}

func (w *walk) needsEnded(p Probe) bool {
	for _, s := range w.states {
		if !s.ended && slices.Contains(p.Needs, s.probe.ID) {
			return false
		}
	}
	return true
}

// follow gives each ended step of the predecessor its successor, without waiting for the predecessor's other steps.
func (w *walk) follow(ctx context.Context, i int) (changed bool) {
	s := w.states[i]
	j := -1
	for _, id := range s.probe.Follows {
		if j < 0 {
			j = slices.IndexFunc(w.states, func(other *checkState) bool { return other.probe.ID == id })
		}
	}
	if j < 0 {
		w.skip(s, N("skip.not_in_plan", "check", string(s.probe.Follows[0])))
		return true
	}
	for _, before := range slices.Clone(w.steps) {
		if before.Check != w.states[j].probe.ID || s.handled[before.ID] {
			continue
		}
		if s.handled == nil {
			s.handled = map[string]bool{}
		}
		s.handled[before.ID] = true
		changed = true
		view := w.view(false)
		d := s.probe.Each(view, before)
		if d.kind != decideRun {
			w.finish(Step{ID: stepID(s.probe.ID, Subject{Name: before.Subject}), Check: s.probe.ID, Layer: s.probe.Layer,
				Subject: before.Subject, Status: StatusSkipped, StartedAt: w.env.Now(), SkippedBecause: &d.because})
			continue
		}
		if !s.started {
			s.started, s.began = true, w.env.Now()
		}
		s.left++
		w.startStep(ctx, i, Subject{Name: before.Subject, Value: before}, view)
	}
	if w.states[j].ended && s.left == 0 {
		s.started, s.ended, changed = true, true, true
	}
	return changed
}

func (w *walk) start(ctx context.Context, i int, view *View) {
	s := w.states[i]
	s.started, s.began = true, w.env.Now()
	subjects := []Subject{{}}
	if s.probe.Subjects != nil {
		subjects = s.probe.Subjects(view)
	}
	if len(subjects) == 0 {
		w.skip(s, N("skip.no_subject"))
		return
	}
	s.left = len(subjects)
	for _, subject := range subjects {
		w.startStep(ctx, i, subject, view)
	}
}

func (w *walk) startStep(ctx context.Context, i int, subject Subject, view *View) {
	p := w.states[i].probe
	step := Step{ID: stepID(p.ID, subject), Check: p.ID, Layer: p.Layer, Subject: subject.Name,
		Status: StatusRunning, StartedAt: w.env.Now()}
	w.open[step.ID] = step
	shown := step
	w.send(Event{Type: EventStepStarted, Step: &shown})
	ctx, cancel := context.WithCancel(ctx)
	w.states[i].cancels = append(w.states[i].cancels, cancel)
	go func() {
		defer cancel()
		w.runStep(ctx, i, step, subject, view)
	}()
}

// endMoot ends what runs and can no longer tell anything.
func (w *walk) endMoot() {
	for _, s := range w.states {
		if !s.started || s.ended || s.moot || s.probe.Moot == nil || !s.probe.Moot(w.view(false)) {
			continue
		}
		s.moot = true
		for _, cancel := range s.cancels {
			cancel()
		}
	}
}

func stepID(id ProbeID, subject Subject) string {
	if subject.Name == "" {
		return string(id)
	}
	return string(id) + "@" + subject.Name
}

func (w *walk) runStep(ctx context.Context, i int, step Step, subject Subject, view *View) {
	probe := w.states[i].probe
	budget := probe.Budget
	if budget == 0 {
		budget = w.plan.Options.Timeout + 500*time.Millisecond
	}
	ctx, cancel := patience.WithTimeout(ctx, budget)
	defer cancel()
	env := w.env
	env.View = view
	env.Progress = func(done, total int, unit string) {
		w.post(message{check: i, step: step, progress: true, done: done, total: total, unit: unit})
	}
	result := w.echoes.hush(w.guarded(ctx, probe, &env, subject))
	step.Duration = w.env.Now().Sub(step.StartedAt)
	step.Status, step.Summary, step.Failure = result.Status, result.Summary, result.Failure
	// A nil pointer in an interface would be asked for its facts.
	if v := reflect.ValueOf(result.Observation); result.Observation != nil && !(v.Kind() == reflect.Pointer && v.IsNil()) {
		step.Observation = result.Observation
		step.Evidence = result.Observation.Facts()
	}
	if step.Status == StatusSkipped {
		because := result.Skipped
		step.SkippedBecause = &because
	}
	if step.Status == "" {
		step.Status, step.Summary = StatusFailed, N("step.internal_error")
	}
	w.post(message{check: i, step: step})
}

// guarded turns a panic of a probe into a failed step: one defect must not take other people's runs with it.
func (w *walk) guarded(ctx context.Context, p Probe, env *Env, s Subject) (result Result) {
	defer func() {
		if problem := recover(); problem != nil {
			if w.r.Log != nil {
				w.r.Log.Error("probe panicked", "check", p.ID, "panic", fmt.Sprint(problem), "stack", string(debug.Stack()))
			}
			result = Failed(nil, N("step.internal_error"), &Failure{Op: string(p.ID), Code: "panic"})
		}
	}()
	return p.Run(ctx, env, s)
}

func (w *walk) post(m message) {
	select {
	case w.inbox <- m:
	case <-w.quit:
	}
}

// await takes the next message, or waits for the time; false: the context has ended.
func (w *walk) await(ctx context.Context, next time.Time) bool {
	var timer <-chan time.Time
	if !next.IsZero() {
		t := time.NewTimer(max(time.Millisecond, next.Sub(w.env.Now())))
		defer t.Stop()
		timer = t.C
	}
	select {
	case m := <-w.inbox:
		if ctx.Err() != nil { // which of both was heard of first is chance
			w.takeLate(m, cutOff(ctx))
			return false
		}
		w.take(m)
		return true
	case <-timer:
		return true
	case <-ctx.Done():
		return false
	}
}

func (w *walk) take(m message) {
	if m.progress {
		step := m.step
		w.send(Event{Type: EventStepProgress, Step: &step, Done: m.done, Total: m.total, Unit: m.unit})
		return
	}
	s := w.states[m.check]
	if s.moot && m.step.Status != StatusPassed {
		because := N("skip.already_clear")
		m.step.Status, m.step.Observation, m.step.Evidence, m.step.Failure = StatusSkipped, nil, nil, nil
		m.step.Summary, m.step.SkippedBecause = Note{}, &because
	}
	w.finish(m.step)
	s.left--
	s.ended = s.left == 0 && len(s.probe.Follows) == 0 // a following check ends after its predecessor
	w.endMoot()
	w.tell(Conclude(w.view(false), w.r.Rules), false)
}

func (w *walk) finish(step Step) {
	delete(w.open, step.ID)
	w.steps = append(w.steps, step)
	w.send(Event{Type: EventStepFinished, Step: &step})
}

func (w *walk) skip(s *checkState, because Note) {
	s.started, s.ended = true, true
	w.finish(Step{ID: string(s.probe.ID), Check: s.probe.ID, Layer: s.probe.Layer, Status: StatusSkipped,
		StartedAt: w.env.Now(), SkippedBecause: &because})
}

func (w *walk) skipRest(because Note) {
	for _, s := range w.states {
		if !s.started {
			w.skip(s, because)
		}
	}
}

// wind ends a run whose context has ended: running probes get a moment to return, the rest is marked.
func (w *walk) wind(ctx context.Context) {
	because := cutOff(ctx)
	grace, stop := patience.WithTimeout(context.Background(), stopGrace)
	defer stop()
	for w.running() > 0 {
		select {
		case m := <-w.inbox:
			w.takeLate(m, because)
			continue
		case <-grace.Done():
		}
		for _, step := range w.open {
			if w.r.Log != nil {
				w.r.Log.Error("probe did not return after its context ended", "step", step.ID)
			}
			step.Status, step.SkippedBecause = StatusCanceled, &because
			step.Duration = w.env.Now().Sub(step.StartedAt)
			w.finish(step)
		}
		break
	}
	w.skipRest(because)
}

// takeLate takes a step that ended after the run's context had. If it failed, it did so because it was canceled; that says
// nothing of the target.
func (w *walk) takeLate(m message, because Note) {
	if !m.progress && m.step.Status == StatusFailed {
		m.step.Status, m.step.Observation, m.step.SkippedBecause = StatusCanceled, nil, &because
	}
	w.take(m)
}

// cutOff says why a run ended before its checks.
func cutOff(ctx context.Context) Note {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return N("skip.out_of_time")
	}
	return N("skip.canceled")
}

func (w *walk) running() int {
	n := 0
	for _, s := range w.states {
		if s.started && !s.ended {
			n++
		}
	}
	return n
}

func (w *walk) view(over bool) *View {
	v := &View{Target: w.plan.Target, Options: w.plan.Options, Now: w.env.Now(), Over: over,
		Steps: slices.Clone(w.steps), planned: w.report.Checks, ended: map[ProbeID]bool{}, started: map[ProbeID]time.Time{}}
	for _, s := range w.states {
		v.ended[s.probe.ID] = s.ended
		if s.started {
			v.started[s.probe.ID] = s.began
		}
	}
	return v
}

// tell emits findings that are new or changed, and withdraws those that later observations overturned.
func (w *walk) tell(c Conclusion, last bool) {
	now := map[Code]Finding{}
	for _, f := range c.Findings {
		now[f.Code] = f
		if old, said := w.said[f.Code]; said && !last && saysTheSame(old, f) {
			continue
		} else if said && reflect.DeepEqual(old, f) {
			continue
		}
		finding := f
		w.send(Event{Type: EventFinding, Finding: &finding})
		w.said[f.Code] = f
	}
	for code, f := range w.said {
		if _, still := now[code]; !still {
			finding := f
			w.send(Event{Type: EventFinding, Finding: &finding, Withdrawn: true})
			delete(w.said, code)
		}
	}
}

// saysTheSame tells whether a reader who was told the one would learn nothing from the other but further evidence.
func saysTheSame(a, b Finding) bool {
	return a.Severity == b.Severity && a.CausedBy == b.CausedBy && a.Variant == b.Variant && a.Confidence == b.Confidence &&
		reflect.DeepEqual(a.Suggestion, b.Suggestion)
}
