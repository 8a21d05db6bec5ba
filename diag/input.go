package diag

import (
	"fmt"
	"sort"
	"strings"
)

// TargetInput is a target as it comes in: the JSON of the API, the form, or the command line.
type TargetInput struct {
	URL            string      `json:"url"`
	Protocol       string      `json:"protocol"`
	ClientID       string      `json:"client_id"`
	Username       string      `json:"username"`
	Password       Secret      `json:"password"`
	KeepaliveS     *int        `json:"keepalive_s,omitempty"`
	CleanStart     *bool       `json:"clean_start,omitempty"`
	SessionExpiryS int         `json:"session_expiry_s"`
	TLS            TLSInput    `json:"tls"`
	WS             WSInput     `json:"ws"`
	Topics         TopicsInput `json:"topics"`
	Nodes          []string    `json:"nodes"`
	BridgeURL      string      `json:"bridge_url"`
}

// TLSInput is the tls part of a [TargetInput].
type TLSInput struct {
	CAPEM      string   `json:"ca_pem"`
	CertPEM    string   `json:"cert_pem"`
	KeyPEM     Secret   `json:"key_pem"`
	ServerName string   `json:"server_name"`
	ALPN       []string `json:"alpn"`
	Insecure   bool     `json:"insecure"`
}

// WSInput is the ws part of a [TargetInput].
type WSInput struct {
	Path    string            `json:"path"`
	Query   Secret            `json:"query"` // what follows "?", also in Path and in the URL: often a token or a signature
	Origin  string            `json:"origin"`
	Headers map[string]Secret `json:"headers"`
}

// TopicsInput is the topics part of a [TargetInput].
type TopicsInput struct {
	Publish   string   `json:"publish"`
	Subscribe []string `json:"subscribe"`
	QoS       *int     `json:"qos,omitempty"`
}

// PlanInput is the plan as it comes in.
type PlanInput struct {
	Symptom   string      `json:"symptom"`
	Depth     string      `json:"depth"`
	Include   []string    `json:"include"`
	Exclude   []string    `json:"exclude"`
	Only      string      `json:"only,omitempty"` // this check and what it needs; empty: all
	Intrusive bool        `json:"intrusive"`
	TimeoutS  *float64    `json:"timeout_s,omitempty"`
	WatchS    *int        `json:"watch_s,omitempty"` // nil: as long as the symptom asks for
	Resolvers []string    `json:"resolvers"`
	Burst     *BurstInput `json:"burst,omitempty"`
}

// BurstInput is the burst part of a [PlanInput].
type BurstInput struct {
	Count        *int `json:"count,omitempty"`
	QoS          *int `json:"qos,omitempty"`
	PayloadBytes *int `json:"payload_bytes,omitempty"`
}

// RunInput is the body of POST /api/v1/runs.
type RunInput struct {
	Target TargetInput `json:"target"`
	Plan   PlanInput   `json:"plan"`
	Lang   string      `json:"lang"`
}

// FieldErrors are what is wrong with an input, by field: the path of the JSON field, such as "target.url". The notes'
// texts are in the catalogue under "input.".
type FieldErrors map[string]Note

// Error lists the fields and keys, sorted; people read the catalogue's texts instead.
func (e FieldErrors) Error() string {
	parts := make([]string, 0, len(e))
	for field, note := range e {
		parts = append(parts, fmt.Sprintf("%s: %s", field, note.Key))
	}
	sort.Strings(parts)
	return strings.Join(parts, "; ")
}

// set keeps the first complaint about a field: later ones mostly follow from it.
func (e FieldErrors) set(field string, note Note) {
	if _, taken := e[field]; !taken {
		e[field] = note
	}
}

// orNil returns nil where nothing is wrong, so that it can be returned as an error.
func (e FieldErrors) orNil() error {
	if len(e) == 0 {
		return nil
	}
	return e
}
