package diag

import (
	"strconv"
	"time"
)

func init() {
	register(func() *WSUpgrade { return &WSUpgrade{} })
}

// WSUpgrade is one WebSocket opening handshake (RFC 6455 4).
type WSUpgrade struct {
	Purpose     Purpose  `json:"purpose"`
	Address     string   `json:"address"`
	TLS         bool     `json:"tls"`
	Path        string   `json:"path"`
	Origin      string   `json:"origin,omitempty"`
	Offered     []string `json:"offered,omitempty"` // subprotocols
	UpgradeSent bool     `json:"upgrade_sent"`      // false for a plain GET made to compare

	// Outcome: ok (101 with a right Sec-WebSocket-Accept), refused (another status), silent, closed, reset,
	// other_protocol (no HTTP), malformed (101 against RFC 6455).
	Outcome     Outcome `json:"outcome"`
	Status      int     `json:"status,omitempty"` // 0: no HTTP answer
	StatusText  string  `json:"status_text,omitempty"`
	Subprotocol string  `json:"subprotocol,omitempty"` // chosen; empty: none
	Server      string  `json:"server,omitempty"`
	Via         string  `json:"via,omitempty"`
	Location    string  `json:"location,omitempty"`
	Date        string  `json:"date,omitempty"` // HTTP Date: another clock
	WWWAuth     string  `json:"www_authenticate,omitempty"`
	UpgradeHdr  string  `json:"upgrade,omitempty"`     // Upgrade header of the answer
	WSVersion   string  `json:"ws_version,omitempty"`  // Sec-WebSocket-Version of the answer: a WebSocket server's own
	RetryAfter  string  `json:"retry_after,omitempty"` // seconds or a date (RFC 9110 10.2.3)
	// ForwardProxy tells an answer that a proxy for browsers gives to requests that are meant for a web server.
	ForwardProxy bool          `json:"forward_proxy,omitempty"`
	ProxySigns   []string      `json:"proxy_signs,omitempty"` // names of headers that a proxy or CDN added
	BodyStart    string        `json:"body_start,omitempty"`  // printable start of the body, at most 200 bytes
	BodyType     string        `json:"body_type,omitempty"`
	Took         time.Duration `json:"took"`
	First        []byte        `json:"first,omitempty"`
	Speaks       string        `json:"speaks,omitempty"`
	Error        string        `json:"error,omitempty"`
}

// Kind names the type in stored runs.
func (*WSUpgrade) Kind() string { return "ws.upgrade" }

// HTTP tells whether an HTTP answer came at all.
func (w *WSUpgrade) HTTP() bool { return w.Status != 0 }

// Facts lists what was seen.
func (w *WSUpgrade) Facts() []Evidence {
	f := facts{}
	f.add(EvAddress, w.Address)
	f.add(EvWSPath, w.Path)
	f.add(EvWSOrigin, w.Origin)
	f.list(EvWSOffered, w.Offered)
	f.add(EvOutcome, string(w.Outcome))
	if w.Status != 0 {
		f.add(EvHTTPStatus, strconv.Itoa(w.Status)+" "+w.StatusText)
	}
	f.add(EvWSSubprotocol, w.Subprotocol)
	f.add(EvHTTPServer, w.Server)
	f.add(EvHTTPVia, w.Via)
	f.add(EvHTTPLocation, w.Location)
	f.add(EvHTTPAuth, w.WWWAuth)
	f.add(EvHTTPRetry, w.RetryAfter)
	f.add(EvHTTPDate, w.Date)
	f.list(EvHTTPProxy, w.ProxySigns)
	f.add(EvHTTPBody, w.BodyStart)
	f.add(EvSpeaks, w.Speaks)
	if w.Status == 0 {
		f.bytes(EvFirstBytes, w.First)
	}
	f.ms(EvDuration, w.Took)
	f.add(EvError, w.Error)
	return f.items
}
