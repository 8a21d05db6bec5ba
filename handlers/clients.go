package handlers

import (
	"net/http"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

type clientCodeBody struct {
	Target diag.TargetInput `json:"target"`
	Lang   string           `json:"lang"`
}

type clientCodeAnswer struct {
	Clients []catalogue.ClientView `json:"clients"`
}

// handleClientCode writes a target as code for client libraries. Nothing is dialled, and secrets only need to be there: the
// code names them.
func (h *Handlers) handleClientCode(w http.ResponseWriter, r *http.Request) error {
	var in clientCodeBody
	if err := readJSON(w, r, &in, false); err != nil {
		return err
	}
	lang, err := h.inputLang(r, in.Lang)
	if err != nil {
		return err
	}
	code, err := ClientCode(in.Target, catalogue.Lang(lang))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, clientCodeAnswer{Clients: code})
	return nil
}

// ClientCode checks a target and writes it as code. Of certificates and keys it only matters whether there are any: they stand in
// files beside the code. The error is diag.FieldErrors where the target is none.
func ClientCode(in diag.TargetInput, lang catalogue.Lang) ([]catalogue.ClientView, error) {
	files := in.TLS
	in.TLS.CAPEM, in.TLS.CertPEM, in.TLS.KeyPEM = "", "", diag.Secret{}
	target, err := diag.ParseTarget(in)
	if err != nil {
		return nil, err
	}
	public := target.Public()
	public.TLS.CAPEM, public.TLS.CertPEM = files.CAPEM, files.CertPEM
	return catalogue.ClientCode(diag.Usual(public), public, lang), nil
}
