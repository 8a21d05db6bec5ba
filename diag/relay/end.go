package relay

import (
	"fmt"
)

// Side says who ended a connection.
type Side string

// The sides.
const (
	ByClient Side = "client" // the MQTT client, on our WebSocket
	ByBroker Side = "broker" // the target
	ByRelay  Side = "relay"  // this server
)

// Why is a closed list of the ways in which a relayed connection ends.
type Why string

// The ways. Those before WhyClosed mean that the target was never reached.
const (
	WhyDNS       Why = "dns"       // the name has no address
	WhyRefused   Why = "refused"   // nobody listens there
	WhyTimeout   Why = "timeout"   // no answer in time
	WhyNetwork   Why = "network"   // no route, or another trouble below TCP
	WhyTLS       Why = "tls"       // the handshake failed, or the certificate is not to be trusted
	WhyUpgrade   Why = "upgrade"   // the target's web server did not open a WebSocket
	WhyForbidden Why = "forbidden" // the policy of this server
	WhyClosed    Why = "closed"    // in order: FIN, or a WebSocket close
	WhyReset     Why = "reset"     // RST
	WhyGone      Why = "gone"      // the client's connection broke without a close frame
	WhyIdle      Why = "idle"      // nothing was said for too long
	WhyStalled   Why = "stalled"   // one side takes nothing any more
	WhyText      Why = "text"      // the client sent a text message
	WhyFrames    Why = "frames"    // a side broke the rules of WebSocket
	WhyEnded     Why = "ended"     // the console was ended, or its time was over
	WhyStopping  Why = "stopping"  // this server stops
	WhyCrowded   Why = "crowded"   // as many connections as may be
)

// Status codes with which the client's WebSocket is closed. Those from 4000 on are ours (RFC 6455 7.4.2); a browser hands them
// to the page, which is more than a failed upgrade would tell it.
const (
	StatusGoingAway   = 1001 // this server stops
	StatusProtocol    = 1002
	StatusUnsupported = 1003 // a text message
	StatusTryLater    = 1013 // as many connections as may be

	StatusDNS           = 4001
	StatusRefused       = 4002
	StatusTimeout       = 4003
	StatusTLS           = 4004
	StatusUpgrade       = 4005
	StatusForbidden     = 4006
	StatusBrokerClosed  = 4007
	StatusIdle          = 4008
	StatusBrokerReset   = 4009
	StatusClientStalled = 4010
	StatusBrokerStalled = 4011
	StatusEnded         = 4012
	StatusNetwork       = 4013
)

// End says how a connection ended. It is an error for those who dial.
type End struct {
	By  Side
	Why Why
	// Text is the original, in English: the operating system's words, a TLS alert, the peer's close reason. Never a secret.
	Text string
	// PeerStatus is the code of the WebSocket close frame that the side sent; 0: none came.
	PeerStatus int
}

func (e *End) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("%s: %s", e.By, e.Why)
	}
	return fmt.Sprintf("%s: %s: %s", e.By, e.Why, e.Text)
}

// reasons are the short words of a close frame, before what the original error says.
var reasons = map[Why]string{
	WhyDNS: "the name has no address", WhyRefused: "the target refused the connection", WhyTimeout: "the target did not answer in time",
	WhyNetwork: "the target is not reachable", WhyTLS: "TLS with the target failed", WhyUpgrade: "the target opened no WebSocket",
	WhyForbidden: "the policy of this server forbids the address", WhyClosed: "the broker closed the connection",
	WhyReset: "the broker reset the connection", WhyIdle: "nothing was said for too long", WhyText: "MQTT needs binary messages",
	WhyEnded: "the console was ended", WhyStopping: "the server is stopping", WhyCrowded: "too many connections",
}

// Status is the code for the client's close frame; 0: the client has ended, and needs none.
func (e *End) Status() int {
	switch e.Why {
	case WhyDNS:
		return StatusDNS
	case WhyRefused:
		return StatusRefused
	case WhyTimeout:
		return StatusTimeout
	case WhyNetwork:
		return StatusNetwork
	case WhyTLS:
		return StatusTLS
	case WhyUpgrade:
		return StatusUpgrade
	case WhyForbidden:
		return StatusForbidden
	case WhyIdle:
		return StatusIdle
	case WhyText:
		return StatusUnsupported
	case WhyEnded:
		return StatusEnded
	case WhyStopping:
		return StatusGoingAway
	case WhyCrowded:
		return StatusTryLater
	case WhyStalled:
		if e.By == ByClient {
			return StatusClientStalled
		}
		return StatusBrokerStalled
	case WhyReset:
		if e.By == ByBroker {
			return StatusBrokerReset
		}
	case WhyFrames:
		if e.By == ByClient {
			return StatusProtocol
		}
		return StatusUpgrade
	case WhyClosed:
		if e.By == ByBroker {
			return StatusBrokerClosed
		}
	}
	return 0
}

// Reason is the text for the close frame.
func (e *End) Reason() string {
	reason := reasons[e.Why]
	switch {
	case e.Why == WhyStalled && e.By == ByClient:
		reason = "the client takes nothing any more"
	case e.Why == WhyStalled:
		reason = "the broker takes nothing any more"
	case e.Why == WhyFrames:
		reason = "WebSocket rules were broken"
	}
	switch {
	case e.Text == "":
		return reason
	case reason == "":
		return e.Text
	}
	return reason + ": " + e.Text
}
