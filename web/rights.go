package web

import (
	"context"

	"mqttdoctor/diag"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

// owns tells whether the actor made the run: by the delete token, or as the person who was signed in, else by the browser's
// cookie. A browser that several people sign in with makes none of them the owner of what another one did.
func owns(by handlers.Actor, o archive.Owner) bool {
	if matches(by.Token, o.TokenHash) {
		return true
	}
	if o.Person != "" {
		return by.Person.ID == o.Person
	}
	return matches(by.Owner, o.CookieHash)
}

// mustOwn lets only the maker through.
func mustOwn(by handlers.Actor, o archive.Owner) error {
	switch {
	case owns(by, o):
		return nil
	case by.Token == "" && by.Owner == "" && !by.Person.SignedIn():
		return handlers.ErrNoToken
	}
	return handlers.ErrNotYours
}

// mayAct is for what harms little: to cancel a run, and to repeat it with the secrets still held. A run that a browser made
// is its browser's and the delete token's. One that a program made has no browser, and its link, which only its maker has
// until it is passed on, is enough. A token that came and is wrong never does.
func mayAct(by handlers.Actor, o archive.Owner) error {
	if by.Token == "" && len(o.CookieHash) == 0 && o.Person == "" {
		return nil
	}
	return mustOwn(by, o)
}

// mayErase and mayCancel are what administrators may too. To repeat a run with the secrets of its maker is not.
func mayErase(by handlers.Actor, o archive.Owner) error {
	if by.Person.Admin {
		return nil
	}
	return mustOwn(by, o)
}

func mayCancel(by handlers.Actor, o archive.Owner) error {
	if by.Person.Admin {
		return nil
	}
	return mayAct(by, o)
}

// sees tells whether nothing is hidden from the actor: administrators see all.
func sees(by handlers.Actor, o archive.Owner) bool { return by.Person.Admin || owns(by, o) }

// Rights implements [handlers.Runs].
func (m *Runs) Rights(ctx context.Context, id string, by handlers.Actor) (handlers.Rights, error) {
	found, err := m.lookUp(ctx, id)
	if err != nil {
		return handlers.Rights{}, err
	}
	mine := owns(by, found.owner)
	acts := mayAct(by, found.owner) == nil
	rights := handlers.Rights{Owner: mine, Delete: mayErase(by, found.owner) == nil,
		Cancel: mayCancel(by, found.owner) == nil && found.report.State == diag.StateRunning}
	if found.owner.Request != "" {
		if kept, err := m.store.Request(ctx, found.owner.Request); err == nil { // else it is over, and the run its maker's alone
			rights.Helper = !mine && helps(by, kept)
			if mine || rights.Helper {
				rights.Request = kept.ID
			}
		}
	}
	if rights.Helper {
		_, missing := m.inputOf(found.report, true, diag.TargetInput{})
		rights.Rerun = len(found.owner.HelperHash) > 0 && (len(missing) == 0 || found.held)
		return rights, nil
	}
	if !mayRepeat(by, found) {
		return rights, nil
	}
	if !found.held || !acts { // else the process that holds them is asked
		_, rights.Missing = m.inputOf(found.report, acts, diag.TargetInput{})
	}
	public := found.report.Target
	rights.Missing = append(rights.Missing, hiddenFields(by, found, &public, diag.TargetInput{})...)
	rights.Rerun = len(rights.Missing) == 0
	return rights, nil
}
