package handlers

import (
	"net/http"

	"mqttdoctor/diag"
)

// demoTarget is a target of the demo broker as a body of POST /runs takes it, password included: it protects nothing.
type demoTarget struct {
	URL      string     `json:"url"`
	Username string     `json:"username,omitempty"`
	Password string     `json:"password,omitempty"`
	TLS      demoTLS    `json:"tls"`
	Topics   demoTopics `json:"topics"`
}

type demoTLS struct {
	CAPEM string `json:"ca_pem,omitempty"`
}

type demoTopics struct {
	Publish   string   `json:"publish,omitempty"`
	Subscribe []string `json:"subscribe,omitempty"`
}

type demoScenario struct {
	ID          string      `json:"id"`
	Title       string      `json:"title"`
	Explanation string      `json:"explanation"`
	Target      demoTarget  `json:"target"`
	Expect      []diag.Code `json:"expect"`
}

// handleDemo starts the demo broker where it does not run and lists what can be tried on it.
func (h *Handlers) handleDemo(w http.ResponseWriter, r *http.Request) error {
	if h.Demo == nil {
		return ErrNoDemo
	}
	scenarios, err := h.Demo.Scenarios(r.Context())
	if err != nil {
		return err
	}
	lang := h.lang(r, "")
	out := make([]demoScenario, 0, len(scenarios))
	for _, s := range scenarios {
		out = append(out, demoScenario{ID: s.ID,
			Title:       say(diag.N("api.demo."+s.ID+".title"), lang),
			Explanation: say(diag.N("api.demo."+s.ID+".text"), lang),
			Target: demoTarget{URL: s.Target.URL, Username: s.Target.Username, Password: s.Target.Password.Reveal(),
				TLS:    demoTLS{CAPEM: s.Target.TLS.CAPEM},
				Topics: demoTopics{Publish: s.Target.Topics.Publish, Subscribe: s.Target.Topics.Subscribe}},
			Expect: append([]diag.Code{}, s.Expect...)})
	}
	writeJSON(w, http.StatusOK, map[string]any{"scenarios": out})
	return nil
}
