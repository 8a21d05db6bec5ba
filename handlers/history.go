package handlers

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

const (
	// maxMine is how many of his runs somebody is told at once, where he does not say, and mostMine where he does.
	maxMine  = 20
	mostMine = 100
)

// mineLine is a run in the list of somebody's own.
type mineLine struct {
	ID        string       `json:"id"`
	URL       string       `json:"url"`
	Target    string       `json:"target"`
	State     diag.State   `json:"state"`
	Verdict   diag.Overall `json:"verdict,omitempty"`
	RootCause diag.Code    `json:"root_cause,omitempty"`
	// Words are the verdict, or that it is under way, in the reader's language.
	Words     string    `json:"words"`
	CreatedAt time.Time `json:"created_at"`
	// Of a run that has ended. ConnectMS is from dialling until the broker accepted; null: not measured.
	DurationMS *float64 `json:"duration_ms"`
	ConnectMS  *float64 `json:"connect_ms"`
	Imported   bool     `json:"imported"`
}

func (h *Handlers) mineLine(r *http.Request, l RunLine, lang catalogue.Lang) mineLine {
	return mineLine{ID: l.ID, URL: h.absolute(r, "/runs/"+l.ID), Target: l.Target, State: l.State, Verdict: l.Verdict, RootCause: l.RootCause,
		Words: lineWords(l, lang), CreatedAt: l.CreatedAt, DurationMS: measuredMS(l.Duration), ConnectMS: measuredMS(l.Connect), Imported: l.Imported}
}

// lineWords are the verdict of a run, or why it has none.
func lineWords(l RunLine, lang catalogue.Lang) string {
	key := "verdict." + string(l.Verdict)
	if l.Verdict == "" {
		key = "state." + string(l.State)
	}
	words, _ := catalogue.Label(key, lang)
	return words
}

func measuredMS(d time.Duration) *float64 {
	if d <= 0 {
		return nil
	}
	ms := float64(d.Microseconds()) / 1000
	return &ms
}

// mineQuery reads what is asked for of one's own runs; what makes no sense there is left out.
func mineQuery(r *http.Request) MineQuery {
	q := r.URL.Query()
	out := MineQuery{Address: clipTo(q.Get("address"), 4<<10), Target: clipTo(q.Get("target"), maxSearch), Before: cursorOf(q.Get("before"))}
	if v := diag.Overall(q.Get("verdict")); slices.Contains(diag.Overalls, v) {
		out.Verdict = v
	}
	return out
}

// cursorOf reads what cursorText wrote; zero: it did not.
func cursorOf(s string) Cursor {
	at, id, _ := strings.Cut(s, "-")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil || ms <= 0 || !idPattern.MatchString(id) {
		return Cursor{}
	}
	return Cursor{At: time.UnixMilli(ms), ID: id}
}

// cursorText is the place after a run, for an address.
func cursorText(l RunLine) string { return strconv.FormatInt(l.CreatedAt.UnixMilli(), 10) + "-" + l.ID }

// mine lists one page of somebody's runs, and the place where the next one begins; empty: that was all.
func (h *Handlers) mine(r *http.Request, q MineQuery, lines int) (list []RunLine, next string, err error) {
	q.Limit = lines + 1
	list, err = h.Runs.Mine(r.Context(), h.actor(r), q)
	if len(list) > lines {
		list = list[:lines]
		next = cursorText(list[lines-1])
	}
	return list, next, err
}

// handleMine lists the runs of who is signed in, else of this browser. A program has none: it keeps the ids that it is given.
func (h *Handlers) handleMine(w http.ResponseWriter, r *http.Request) error {
	lines := maxMine
	if n, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && n > 0 {
		lines = min(n, mostMine)
	}
	list, next, err := h.mine(r, mineQuery(r), lines)
	if err != nil {
		return err
	}
	lang := h.apiLang(r, "")
	mine := make([]mineLine, 0, len(list))
	for _, l := range list {
		mine = append(mine, h.mineLine(r, l, lang))
	}
	answer := map[string]any{"runs": mine, "next": nil, "lang": lang}
	if next != "" {
		answer["next"] = next
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// historyAnswer is what became of a target from run to run.
type historyAnswer struct {
	Target   string                    `json:"target"`
	Runs     []mineLine                `json:"runs"`
	Previous *string                   `json:"previous"` // id of the run that Changes is against; null: there is none
	Changes  *catalogue.ComparisonView `json:"changes"`
	Lang     catalogue.Lang            `json:"lang"`
}

func (h *Handlers) handleHistory(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	history, err := h.Runs.History(r.Context(), id, h.actor(r), mostMine)
	if err != nil {
		return err
	}
	lang := h.apiLang(r, history.Of.Lang)
	a := historyAnswer{Target: history.Of.Target.URL, Runs: make([]mineLine, 0, len(history.Runs)), Lang: lang}
	for _, l := range history.Runs {
		a.Runs = append(a.Runs, h.mineLine(r, l, lang))
	}
	if p := history.Previous; p != nil {
		changes := catalogue.RenderComparison(*p, history.Of, lang)
		a.Previous, a.Changes = &p.ID, &changes
	}
	writeJSON(w, http.StatusOK, a)
	return nil
}

// comparisonAnswer is two runs, the earlier first, and what differs.
type comparisonAnswer struct {
	Before  string                   `json:"before"`
	After   string                   `json:"after"`
	Changes catalogue.ComparisonView `json:"changes"`
	Lang    catalogue.Lang           `json:"lang"`
}

// handleCompareAPI compares two reports of which the ids are known.
func (h *Handlers) handleCompareAPI(w http.ResponseWriter, r *http.Request) error {
	var reports [2]diag.Report
	for i, name := range []string{"a", "b"} {
		id := r.URL.Query().Get(name)
		if !idPattern.MatchString(id) {
			return ErrNotFound
		}
		var err error
		if reports[i], err = h.Runs.Get(r.Context(), id, h.actor(r)); err != nil {
			return err
		}
	}
	before, after := inOrder(reports[0], reports[1])
	lang := h.apiLang(r, after.Lang)
	writeJSON(w, http.StatusOK, comparisonAnswer{before.ID, after.ID, catalogue.RenderComparison(before, after, lang), lang})
	return nil
}

// inOrder puts the earlier report first.
func inOrder(a, b diag.Report) (before, after diag.Report) {
	if b.CreatedAt.Before(a.CreatedAt) {
		return b, a
	}
	return a, b
}
