package handlers

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"

	"mqttdoctor/diag"
)

// maxMyRequests is how many of his requests a helper gets listed.
const maxMyRequests = 50

// askedAnswer is the body of 201.
type askedAnswer struct {
	ID          string    `json:"id"`
	URL         string    `json:"url"` // to give away
	StreamURL   string    `json:"stream_url"`
	HelperToken string    `json:"helper_token"`
	ExpiresAt   time.Time `json:"expires_at"`
}

// requestAnswer is a request as its reader sees it.
type requestAnswer struct {
	ID        string           `json:"id"`
	URL       string           `json:"url"`
	CreatedAt time.Time        `json:"created_at"`
	ExpiresAt time.Time        `json:"expires_at"`
	OpenedAt  *time.Time       `json:"opened_at"` // null: by nobody
	From      string           `json:"from"`
	Known     bool             `json:"from_signed_in"`
	Note      string           `json:"note"`
	Ask       []string         `json:"ask"`
	Target    diag.TargetInput `json:"target"`
	Plan      diag.PlanInput   `json:"plan"`
	Lang      string           `json:"lang"`
	Helper    bool             `json:"helper"`
	Runs      []requestRun     `json:"runs"`
	Wish      *Wish            `json:"wish"` // null: none
}

type requestRun struct {
	ID         string       `json:"id"`
	URL        string       `json:"url"`
	State      diag.State   `json:"state"`
	Verdict    diag.Overall `json:"verdict"`
	RootCause  diag.Code    `json:"root_cause"`
	CreatedAt  time.Time    `json:"created_at"`
	FinishedAt *time.Time   `json:"finished_at"`
}

// helpBody is the body of POST runs: what was asked for, and what the helper may see and do.
type helpBody struct {
	Target struct {
		URL      string      `json:"url"`
		ClientID string      `json:"client_id"`
		Username string      `json:"username"`
		Password diag.Secret `json:"password"`
		TLS      struct {
			CAPEM   string      `json:"ca_pem"`
			CertPEM string      `json:"cert_pem"`
			KeyPEM  diag.Secret `json:"key_pem"`
		} `json:"tls"`
		WS struct {
			Headers map[string]diag.Secret `json:"headers"`
		} `json:"ws"`
		Topics struct {
			Publish   string   `json:"publish"`
			Subscribe []string `json:"subscribe"`
		} `json:"topics"`
	} `json:"target"`
	Hide      *[]string `json:"hide"` // left out: user name and payloads
	MayRepeat bool      `json:"may_repeat"`
	Lang      string    `json:"lang"`
}

func (b helpBody) target() diag.TargetInput {
	t := b.Target
	return diag.TargetInput{URL: t.URL, ClientID: t.ClientID, Username: t.Username, Password: t.Password,
		TLS: diag.TLSInput{CAPEM: t.TLS.CAPEM, CertPEM: t.TLS.CertPEM, KeyPEM: t.TLS.KeyPEM}, WS: diag.WSInput{Headers: t.WS.Headers},
		Topics: diag.TopicsInput{Publish: t.Topics.Publish, Subscribe: t.Topics.Subscribe}}
}

// requestID takes the id from the path; one that cannot be an id is not found without asking anyone.
func requestID(r *http.Request) (string, error) {
	id := chi.URLParam(r, "id")
	if !idPattern.MatchString(id) {
		return "", ErrNoRequest
	}
	return id, nil
}

func (h *Handlers) handleAsk(w http.ResponseWriter, r *http.Request) error {
	var in RequestInput
	if err := readJSON(w, r, &in, false); err != nil {
		return err
	}
	lang, err := h.inputLang(r, in.Lang)
	if err != nil {
		return err
	}
	in.Lang = lang
	asked, err := h.Requests.Ask(r.Context(), h.owningActor(w, r), in)
	if err != nil {
		return err
	}
	page := h.absolute(r, "/requests/"+asked.ID)
	w.Header().Set("Location", page)
	writeJSON(w, http.StatusCreated, askedAnswer{ID: asked.ID, URL: page, StreamURL: h.absoluteWS(r, apiPrefix+"/requests/"+asked.ID+"/stream"),
		HelperToken: asked.HelperToken, ExpiresAt: asked.ExpiresAt})
	return nil
}

func (h *Handlers) handleMyRequests(w http.ResponseWriter, r *http.Request) error {
	list, err := h.Requests.Requests(r.Context(), h.actor(r), maxMyRequests)
	if err != nil {
		return err
	}
	base, answers := h.base(r), make([]requestAnswer, 0, len(list))
	for _, q := range list {
		answers = append(answers, answerRequest(q, base))
	}
	writeJSON(w, http.StatusOK, map[string]any{"requests": answers})
	return nil
}

func answerRequest(q Request, base *url.URL) requestAnswer {
	a := requestAnswer{ID: q.ID, URL: base.JoinPath("/requests/" + q.ID).String(), CreatedAt: q.CreatedAt, ExpiresAt: q.ExpiresAt, From: q.From, Known: q.Known,
		Note: q.Note, Ask: q.Ask, Target: q.Target, Plan: q.Plan, Lang: q.Lang, Helper: q.Helper, Runs: []requestRun{}, Wish: q.Wish}
	if a.Ask == nil {
		a.Ask = []string{}
	}
	if !q.OpenedAt.IsZero() {
		a.OpenedAt = &q.OpenedAt
	}
	for _, run := range q.Runs {
		line := requestRun{ID: run.ID, URL: base.JoinPath("/runs/" + run.ID).String(), State: run.State, Verdict: run.Verdict, RootCause: run.RootCause,
			CreatedAt: run.CreatedAt}
		if !run.FinishedAt.IsZero() {
			line.FinishedAt = &run.FinishedAt
		}
		a.Runs = append(a.Runs, line)
	}
	return a
}

func (h *Handlers) handleRequest(w http.ResponseWriter, r *http.Request) error {
	id, err := requestID(r)
	if err != nil {
		return err
	}
	q, err := h.Requests.Request(r.Context(), id, h.actor(r))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, answerRequest(q, h.base(r)))
	return nil
}

func (h *Handlers) handleEraseRequest(w http.ResponseWriter, r *http.Request) error {
	id, err := requestID(r)
	if err != nil {
		return err
	}
	if err := h.Requests.EraseRequest(r.Context(), id, h.actor(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handlers) handleHelp(w http.ResponseWriter, r *http.Request) error {
	id, err := requestID(r)
	if err != nil {
		return err
	}
	var in helpBody
	if err := readJSON(w, r, &in, true); err != nil {
		return err
	}
	help := HelpInput{Target: in.target(), Hide: diag.DefaultHides, MayRepeat: in.MayRepeat}
	if help.Lang, err = h.inputLang(r, in.Lang); err != nil {
		return err
	}
	if in.Hide != nil {
		hide, ok := diag.ParseHides(*in.Hide)
		if !ok {
			return diag.FieldErrors{"hide": diag.N("api.hide")}
		}
		help.Hide = hide
	}
	started, err := h.Requests.Help(r.Context(), id, h.owningActor(w, r), help)
	if err != nil {
		return err
	}
	h.answerStarted(w, r, started)
	return nil
}

func (h *Handlers) handleWish(w http.ResponseWriter, r *http.Request) error {
	id, err := requestID(r)
	if err != nil {
		return err
	}
	var wish Wish
	if err := readJSON(w, r, &wish, false); err != nil {
		return err
	}
	if !idPattern.MatchString(wish.Run) {
		return diag.FieldErrors{"run": diag.N("api.run_not_found")}
	}
	if err := h.Requests.Wish(r.Context(), id, h.actor(r), wish); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// handleRequestStream sends the request whenever it has changed, the first time at once.
func (h *Handlers) handleRequestStream(w http.ResponseWriter, r *http.Request) error {
	base := h.base(r)
	return h.streamRequest(w, r, func(q Request) ([]byte, error) { return json.Marshal(answerRequest(q, base)) })
}
