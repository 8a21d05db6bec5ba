package web

import (
	"context"

	"mqttdoctor/diag"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

// owns tells whether the actor made the run: by the delete token, or by the browser's cookie.
func owns(by handlers.Actor, o archive.Owner) bool {
	return matches(by.Token, o.TokenHash) || matches(by.Owner, o.CookieHash)
}

// mustOwn lets only the maker through.
func mustOwn(by handlers.Actor, o archive.Owner) error {
	switch {
	case owns(by, o):
		return nil
	case by.Token == "" && by.Owner == "":
		return handlers.ErrNoToken
	}
	return handlers.ErrNotYours
}

// mayAct is for what harms little: to cancel a run, and to repeat it with the secrets still held. A run that a browser made
// is its browser's and the delete token's. One that a program made has no browser, and its link, which only its maker has
// until it is passed on, is enough. A token that came and is wrong never does.
func mayAct(by handlers.Actor, o archive.Owner) error {
	if by.Token == "" && len(o.CookieHash) == 0 {
		return nil
	}
	return mustOwn(by, o)
}

// Rights implements [handlers.Runs].
func (m *Runs) Rights(ctx context.Context, id string, by handlers.Actor) (handlers.Rights, error) {
	found, err := m.lookUp(ctx, id)
	if err != nil {
		return handlers.Rights{}, err
	}
	mine := owns(by, found.owner)
	acts := mayAct(by, found.owner) == nil
	rights := handlers.Rights{Owner: mine, Delete: mine, Cancel: acts && found.report.State == diag.StateRunning}
	if !found.held || !acts { // else the process that holds them is asked
		_, rights.Missing = m.inputOf(found.report, acts, diag.TargetInput{})
	}
	rights.Rerun = len(rights.Missing) == 0
	return rights, nil
}
