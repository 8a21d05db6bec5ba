package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/relay"
	"mqttdoctor/diag/trace"
)

// traceFile is the body of trace.json. The console's id is not in it: who has it can connect to the target.
type traceFile struct {
	Schema     string           `json:"schema"`
	Version    string           `json:"version"`
	ExportedAt time.Time        `json:"exported_at"`
	Target     diag.TargetInput `json:"target"`
	Lost       uint64           `json:"lost"`
	Packets    []trace.Frame    `json:"packets"`
}

// traceWriter puts packets into a language. ?payloads=0 leaves payloads out.
func traceWriter(r *http.Request, lang catalogue.Lang) trace.Writer {
	return trace.Writer{Say: func(n diag.Note) string { return catalogue.Text(n, lang) }, Payloads: r.URL.Query().Get("payloads") != "0"}
}

// handleTrace sends the packets of a console as they pass, from ?after= on.
func (h *Handlers) handleTrace(w http.ResponseWriter, r *http.Request) error {
	after, err := afterParam(r)
	if err != nil {
		return err
	}
	if !h.sameOrigin(r) {
		return ErrCrossOrigin
	}
	var viewer *trace.Viewer
	id, err := consoleID(r)
	if err == nil {
		var stop func()
		if viewer, stop, err = h.Consoles.Trace(id, uint64(after)); err == nil {
			defer stop()
		}
	}
	gone := errors.Is(err, ErrNoConsole)
	if err != nil && (!gone || !isUpgrade(r)) {
		return err
	}
	if !isUpgrade(r) {
		return upgradeRequired(w)
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // sameOrigin above has judged, with the public address in mind
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return nil //nolint:nilerr // Accept has answered
	}
	if gone { // as on the relay: a browser learns nothing from a refused upgrade
		_ = conn.Close(relay.StatusEnded, "no such console")
		return nil
	}
	conn.SetReadLimit(streamReadLimit)
	ctx, done := attend(h.Context, conn)
	if status, reason := h.feedTrace(ctx, conn, viewer, traceWriter(r, h.apiLang(r, ""))); status != 0 {
		_ = conn.Close(status, reason)
	}
	_ = conn.CloseNow()
	<-done
	return nil
}

// feedTrace writes packets until the console ends or the peer is gone, and returns with what to close; 0: the peer is gone.
func (h *Handlers) feedTrace(ctx context.Context, conn *websocket.Conn, viewer *trace.Viewer, w trace.Writer) (websocket.StatusCode, string) {
	for {
		batch, err := nextWithPing(ctx, conn, viewer.Next)
		switch {
		case errors.Is(err, io.EOF):
			return relay.StatusEnded, "console ended"
		case errors.Is(context.Cause(ctx), errTalks):
			return websocket.StatusPolicyViolation, "this stream takes no messages"
		case err != nil:
			return 0, ""
		}
		frames := make([]trace.Frame, 0, len(batch.Packets)+1)
		if batch.Lost > 0 {
			frames = append(frames, w.Lost(batch, time.Now()))
		}
		for _, p := range batch.Packets {
			frames = append(frames, w.Frame(p))
		}
		for _, f := range frames {
			data, err := json.Marshal(f)
			if err != nil {
				h.Log.Error("packet not rendered", "type", f.Type, "err", err)
				return websocket.StatusInternalError, ""
			}
			writeCtx, cancel := context.WithTimeout(ctx, streamWriteTime)
			err = conn.Write(writeCtx, websocket.MessageText, data)
			cancel()
			if err != nil { // too slow, or gone
				return 0, ""
			}
		}
	}
}

// handleTraceJSON is the trace as a file to keep.
func (h *Handlers) handleTraceJSON(w http.ResponseWriter, r *http.Request) error {
	kept, err := h.keptTrace(r)
	if err != nil {
		return err
	}
	all := kept.Recorder.All()
	writer := traceWriter(r, h.apiLang(r, ""))
	file := traceFile{Schema: trace.Schema, Version: h.Version, ExportedAt: time.Now().UTC(), Target: kept.Target, Lost: all.Lost,
		Packets: make([]trace.Frame, 0, len(all.Packets))}
	for _, p := range all.Packets {
		file.Packets = append(file.Packets, writer.Frame(p))
	}
	w.Header().Set("Content-Disposition", `attachment; filename="mqttdoctor-trace.json"`)
	writeJSON(w, http.StatusOK, file)
	return nil
}

// handleTraceCapture is the trace as a file that Wireshark reads.
func (h *Handlers) handleTraceCapture(w http.ResponseWriter, r *http.Request) error {
	kept, err := h.keptTrace(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-pcapng")
	w.Header().Set("Content-Disposition", `attachment; filename="mqttdoctor-trace.pcapng"`)
	_ = kept.Recorder.WritePCAPNG(w, "mqttdoctor "+h.Version) // the client has gone
	return nil
}

func (h *Handlers) keptTrace(r *http.Request) (KeptTrace, error) {
	id, err := consoleID(r)
	if err != nil {
		return KeptTrace{}, err
	}
	return h.Consoles.Kept(id)
}
