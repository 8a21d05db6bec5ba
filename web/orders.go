package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

// rerunOrder asks the process that holds a run's secrets to run it again, under an id and for an owner that the asker chose:
// so no token and no secret goes through the database.
type rerunOrder struct {
	Run   string        `json:"run"`
	NewID string        `json:"new_id"`
	Owner archive.Owner `json:"owner"`
	By    starter       `json:"by"`
	Apply diag.Code     `json:"apply,omitempty"`
	Only  diag.ProbeID  `json:"only,omitempty"`
	Lang  string        `json:"lang,omitempty"`
}

// orderAnswer says what became of it. At most one field is set; none: it was done.
type orderAnswer struct {
	Busy         *handlers.Busy        `json:"busy,omitempty"`
	Gone         *handlers.SecretsGone `json:"gone,omitempty"`
	Forbidden    *forbiddenAnswer      `json:"forbidden,omitempty"`
	Stopping     bool                  `json:"stopping,omitempty"`
	NotFound     bool                  `json:"not_found,omitempty"`
	NoSuggestion bool                  `json:"no_suggestion,omitempty"`
	Internal     bool                  `json:"internal,omitempty"`
}

type forbiddenAnswer struct {
	Field   string `json:"field"`
	Address string `json:"address"`
	Policy  string `json:"policy"`
}

// orderWait is how long another process has: it begins when it is woken, or with its next beat.
const orderWait = 2*archive.BeatEvery + time.Second

// errOrder: another process could not do what it was asked; its log says why.
var errOrder = errors.New("another process failed at an order")

// askRerun lets the process that holds the secrets of a run repeat it.
func (m *Runs) askRerun(ctx context.Context, process string, o rerunOrder, token string, missing []string) (handlers.Started, error) {
	data, err := json.Marshal(o)
	if err != nil {
		return handlers.Started{}, err
	}
	id := newID()
	woken, stop := m.wakes.on(archive.Key(id))
	defer stop()
	if err := m.store.Ask(ctx, archive.Order{ID: id, Process: process, Data: data}); err != nil {
		return handlers.Started{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*orderWait) // however the other one dies
	defer cancel()
	deadline := time.NewTimer(orderWait)
	defer deadline.Stop()
	poll := time.NewTicker(followPoll)
	defer poll.Stop()
	for waited := false; ; {
		answer, err := m.store.Answered(ctx, id)
		if err != nil {
			return handlers.Started{}, err
		}
		if answer != nil {
			var a orderAnswer
			if err := json.Unmarshal(answer, &a); err != nil {
				return handlers.Started{}, err
			}
			return handlers.Started{ID: o.NewID, DeleteToken: token}, a.err()
		}
		if waited {
			if mine, err := m.store.Withdraw(ctx, id); err != nil || mine {
				return handlers.Started{}, errors.Join(err, &handlers.SecretsGone{Fields: missing})
			}
			waited = false // somebody has just begun with it
		}
		select {
		case <-woken:
		case <-poll.C:
		case <-deadline.C:
			waited = true
		case <-ctx.Done():
			return handlers.Started{}, fmt.Errorf("another process does not answer: %w", ctx.Err())
		}
	}
}

func (a orderAnswer) err() error {
	switch {
	case a.Busy != nil:
		return a.Busy
	case a.Gone != nil:
		return a.Gone
	case a.Forbidden != nil:
		return &handlers.ForbiddenTarget{Field: a.Forbidden.Field, Address: a.Forbidden.Address, Policy: a.Forbidden.Policy}
	case a.Stopping:
		return handlers.ErrStopping
	case a.NotFound:
		return handlers.ErrNotFound
	case a.NoSuggestion:
		return handlers.ErrNoSuggestion
	case a.Internal:
		return errOrder
	}
	return nil
}

func answerOf(err error) orderAnswer {
	var a orderAnswer
	var forbidden *handlers.ForbiddenTarget
	switch {
	case err == nil, errors.As(err, &a.Busy), errors.As(err, &a.Gone):
	case errors.As(err, &forbidden):
		a.Forbidden = &forbiddenAnswer{Field: forbidden.Field, Address: forbidden.Address, Policy: forbidden.Policy}
	case errors.Is(err, handlers.ErrStopping):
		a.Stopping = true
	case errors.Is(err, handlers.ErrNotFound):
		a.NotFound = true
	case errors.Is(err, handlers.ErrNoSuggestion):
		a.NoSuggestion = true
	default:
		a.Internal = true
	}
	return a
}

// takeOrders does what other processes ask.
func (m *Runs) takeOrders(ctx context.Context) error {
	orders, err := m.store.Orders(ctx)
	if err != nil {
		return err
	}
	for _, o := range orders {
		mine, err := m.store.Claim(ctx, o.ID)
		if err != nil {
			return err
		}
		if !mine { // withdrawn
			continue
		}
		err = m.rerunOrdered(ctx, o.Data)
		a := answerOf(err)
		if a.Internal {
			m.log.Error("order failed", "err", err)
		}
		answer, err := json.Marshal(a)
		if err != nil {
			return err
		}
		if err := m.store.Answer(ctx, o.ID, answer); err != nil {
			return err
		}
	}
	return nil
}

func (m *Runs) rerunOrdered(ctx context.Context, data []byte) error {
	var o rerunOrder
	if err := json.Unmarshal(data, &o); err != nil {
		return err
	}
	found, err := m.lookUp(ctx, o.Run)
	if err != nil {
		return err
	}
	in, missing := m.inputOf(found.report, true, diag.TargetInput{}) // the asker has judged who may
	in, err = again(in, missing, found.report, handlers.RerunOptions{Apply: o.Apply, Only: o.Only, Lang: o.Lang})
	if err != nil {
		return err
	}
	return m.start(ctx, o.NewID, o.Owner, o.By, in)
}
