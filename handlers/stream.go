package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// The stream's policy. All of it is here, for the API's stream and the pages' alike.
const (
	// streamWriteTime: a peer that takes nothing for this long is gone, or as good as.
	streamWriteTime = 10 * time.Second
	// streamPing keeps proxies, which cut idle connections after 30 to 60 s, from taking a long step for a dead peer.
	streamPing = 20 * time.Second
	// streamReadLimit: a viewer has nothing to say.
	streamReadLimit = 1 << 10
)

// handleStream sends a run's events in the language asked for, from ?after= on, and closes with 1000 after run.finished.
func (h *Handlers) handleStream(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	report, err := h.Runs.Get(r.Context(), id, h.actor(r))
	if err != nil {
		return err
	}
	lang := h.apiLang(r, report.Lang)
	return h.stream(w, r, id, func(e diag.Event) ([]byte, error) { return json.Marshal(catalogue.RenderEvent(e, report.Target, lang)) })
}

// stream attaches a websocket to a run: one text message for each event, made by render (nil: leave the event out).
// Errors come before the upgrade, so that they are ordinary answers.
func (h *Handlers) stream(w http.ResponseWriter, r *http.Request, id string, render func(diag.Event) ([]byte, error)) error {
	after, err := afterParam(r)
	if err != nil {
		return err
	}
	if !h.sameOrigin(r) {
		return ErrCrossOrigin
	}
	viewer, err := h.Runs.Watch(r.Context(), id, h.actor(r), after)
	if err != nil {
		return err
	}
	defer viewer.Stop()
	if !isUpgrade(r) {
		return upgradeRequired(w)
	}
	h.attach(w, r, func(ctx context.Context, conn *websocket.Conn) (websocket.StatusCode, string) {
		return h.feed(ctx, conn, viewer, render)
	})
	return nil
}

// attach makes a websocket of a request that was judged, and feeds it.
func (h *Handlers) attach(w http.ResponseWriter, r *http.Request, feed func(context.Context, *websocket.Conn) (websocket.StatusCode, string)) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // sameOrigin has judged, with the public address in mind
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(streamReadLimit)
	// The request's context says nothing of a hijacked connection. This one ends with the peer, and with the server.
	ctx, done := attend(h.Context, conn)
	if status, reason := feed(ctx, conn); status != 0 {
		_ = conn.Close(status, reason)
	}
	_ = conn.CloseNow()
	<-done
}

// errTalks: a viewer sent data. Cancelling is a POST.
var errTalks = errors.New("unexpected data")

// attend reads what a viewer may send, which is pings and the end, until the connection is closed; done is closed then.
// The context ends with it. (Conn.CloseRead does the same, but waits 15 s for itself where data comes.)
func attend(parent context.Context, conn *websocket.Conn) (ctx context.Context, done <-chan struct{}) {
	ctx, cancel := context.WithCancelCause(parent)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _, err := conn.Reader(ctx)
		if err == nil {
			err = errTalks
		}
		cancel(err)
	}()
	return ctx, ended
}

// feed writes events until the run is over or the peer is gone, and returns with what to close; 0: the peer is gone.
func (h *Handlers) feed(ctx context.Context, conn *websocket.Conn, viewer Viewer, render func(diag.Event) ([]byte, error)) (websocket.StatusCode, string) {
	for {
		events, err := nextWithPing(ctx, conn, viewer.Next)
		switch {
		case errors.Is(err, io.EOF):
			return websocket.StatusNormalClosure, "run finished"
		case errors.Is(err, ErrSlow):
			return websocket.StatusTryAgainLater, "too slow: come back with ?after="
		case errors.Is(err, ErrNotFound):
			return websocket.StatusGoingAway, "run deleted"
		case err != nil || ctx.Err() != nil:
			return h.endOfFeed(ctx, "stream failed", err)
		}
		for _, e := range events {
			data, err := render(e)
			if err != nil {
				h.Log.Error("event not rendered", "type", e.Type, "err", err)
				return websocket.StatusInternalError, ""
			}
			if data == nil {
				continue
			}
			if err := write(ctx, conn, data); err != nil { // too slow, or gone
				return 0, ""
			}
		}
	}
}

// endOfFeed tells with what to close a stream that cannot go on, whatever it is of; 0: the peer is gone. What is nobody's doing
// is logged with the given words.
func (h *Handlers) endOfFeed(ctx context.Context, words string, err error) (websocket.StatusCode, string) {
	switch {
	case errors.Is(err, ErrStopping):
		return websocket.StatusGoingAway, "server is stopping"
	case errors.Is(context.Cause(ctx), errTalks):
		return websocket.StatusPolicyViolation, "this stream takes no messages"
	case ctx.Err() != nil, errors.Is(err, errGone):
		return 0, ""
	}
	h.Log.Error(words, "err", err)
	return websocket.StatusInternalError, ""
}

// write sends one text. A write that is canceled breaks the connection, and the peer would not learn why it ends.
func write(ctx context.Context, conn *websocket.Conn, data []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), streamWriteTime)
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, data)
}

// errGone: a viewer does not answer.
var errGone = errors.New("no pong")

// nextWithPing waits for what next waits for, and pings while there is nothing.
func nextWithPing[T any](ctx context.Context, conn *websocket.Conn, next func(context.Context) (T, error)) (T, error) {
	for {
		waitCtx, cancel := context.WithTimeout(ctx, streamPing)
		news, err := next(waitCtx)
		quiet := err != nil && waitCtx.Err() != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded)
		cancel()
		if !quiet {
			return news, err
		}
		pingCtx, cancel := context.WithTimeout(ctx, streamWriteTime)
		err = conn.Ping(pingCtx)
		cancel()
		if err != nil {
			return news, errGone
		}
	}
}

// streamRequest attaches a websocket to a request: one text message, made by render, for each change (nil: leave it out).
func (h *Handlers) streamRequest(w http.ResponseWriter, r *http.Request, render func(Request) ([]byte, error)) error {
	id, err := requestID(r)
	if err != nil {
		return err
	}
	if !h.sameOrigin(r) {
		return ErrCrossOrigin
	}
	viewer, err := h.Requests.WatchRequest(r.Context(), id, h.actor(r))
	if err != nil {
		return err
	}
	defer viewer.Stop()
	if !isUpgrade(r) {
		return upgradeRequired(w)
	}
	h.attach(w, r, func(ctx context.Context, conn *websocket.Conn) (websocket.StatusCode, string) {
		for {
			q, err := nextWithPing(ctx, conn, viewer.Next)
			switch {
			case errors.Is(err, ErrNoRequest):
				return requestIsOver()
			case err != nil || ctx.Err() != nil:
				return h.endOfFeed(ctx, "stream of a request failed", err)
			}
			data, err := render(q)
			if err != nil {
				h.Log.Error("request not rendered", "err", err)
				return websocket.StatusInternalError, ""
			}
			if data != nil && write(ctx, conn, data) != nil {
				return 0, ""
			}
		}
	})
	return nil
}

// requestIsOver is how a stream of a request ends that was deleted, or whose time is over.
func requestIsOver() (websocket.StatusCode, string) {
	return websocket.StatusNormalClosure, "request is over"
}

// sameOrigin tells whether a websocket is asked for by a page of ours, or by a program, which sends no Origin. Browsers
// let any page open a websocket anywhere and send cookies along; the Origin header alone tells (RFC 6455 10.2).
func (h *Handlers) sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return false
	}
	if equalHost(u.Host, r.Host) {
		return true
	}
	return h.PublicURL != nil && u.Scheme == h.PublicURL.Scheme && equalHost(u.Host, h.PublicURL.Host)
}
