package diag

import (
	"strconv"
	"time"
)

func init() {
	register(func() *MQTTConnect { return &MQTTConnect{} })
	register(func() *MQTTPing { return &MQTTPing{} })
	register(func() *Attempt { return &Attempt{} })
}

// MQTTConnect is one CONNECT and what came of it.
type MQTTConnect struct {
	Purpose   Purpose `json:"purpose"`
	Address   string  `json:"address"`
	Transport Scheme  `json:"transport"`
	Version   Version `json:"version"`
	// What was sent, without secrets.
	ClientID    string `json:"client_id"`     // as sent; a temporary one begins with "mqttdoctor-"
	OwnClientID bool   `json:"own_client_id"` // the user's own
	Credentials bool   `json:"credentials"`   // user name or password sent
	// CredentialsWithheld tells that the user gave some and they were not sent, because this connection is less
	// trustworthy than what was asked for: no TLS where TLS was asked, or a certificate that is not trusted.
	CredentialsWithheld bool `json:"credentials_withheld,omitempty"`
	KeepAliveS          int  `json:"keepalive_s"`
	CleanStart          bool `json:"clean_start"`
	ConnectBytes        int  `json:"connect_bytes,omitempty"`

	// Outcome: ok (CONNACK accepts), refused (CONNACK with a code, or DISCONNECT in MQTT 5 before it), silent, closed,
	// reset, other_protocol, malformed.
	Outcome        Outcome       `json:"outcome"`
	Code           int           `json:"code"`                    // return or reason code of the CONNACK; -1: none came
	Reason         string        `json:"reason,omitempty"`        // its name in the specification
	ReasonString   string        `json:"reason_string,omitempty"` // the broker's own words (MQTT 5.0 3.2.2.3.9)
	SessionPresent bool          `json:"session_present,omitempty"`
	Connack        []byte        `json:"connack,omitempty"` // raw
	Took           time.Duration `json:"took"`              // CONNECT sent to answer
	First          []byte        `json:"first,omitempty"`   // first bytes that came, at most 512, where they were no CONNACK
	Speaks         string        `json:"speaks,omitempty"`  // recognised protocol of First
	Banner         string        `json:"banner,omitempty"`
	Error          string        `json:"error,omitempty"`
	Alert          *TLSAlert     `json:"alert,omitempty"`         // TLS alert in place of the answer
	WSText         bool          `json:"ws_text,omitempty"`       // the answer came in a WebSocket text frame
	WSCloseCode    int           `json:"ws_close_code,omitempty"` // WebSocket close code, where one came
	WSFrame        []byte        `json:"ws_frame,omitempty"`      // how the first WebSocket frame began, where it breaks RFC 6455 5.2
	// Earlier are the CONNECTs in newer versions that were tried before this one, where the version was left open.
	Earlier       []*MQTTConnect `json:"earlier,omitempty"`
	WSCloseReason string         `json:"ws_close_reason,omitempty"`
	// TCP is what the system knew of the connection when waiting for an answer ended; nil where one came, or where it does not tell.
	TCP *TCPInfoFact `json:"tcp,omitempty"`

	Props *ConnackProps `json:"props,omitempty"` // MQTT 5 alone
}

// ConnackProps are the properties of a CONNACK (MQTT 5.0 3.2.2.3); nil pointers mean absent, which has a default there.
type ConnackProps struct {
	SessionExpiryS       *uint32           `json:"session_expiry_s,omitempty"`
	ReceiveMaximum       *uint16           `json:"receive_maximum,omitempty"`
	MaximumQoS           *byte             `json:"maximum_qos,omitempty"`
	RetainAvailable      *bool             `json:"retain_available,omitempty"`
	MaximumPacketBytes   *uint32           `json:"maximum_packet_bytes,omitempty"`
	AssignedClientID     string            `json:"assigned_client_id,omitempty"`
	TopicAliasMaximum    *uint16           `json:"topic_alias_maximum,omitempty"`
	WildcardAvailable    *bool             `json:"wildcard_available,omitempty"`
	SubIDAvailable       *bool             `json:"subscription_id_available,omitempty"`
	SharedAvailable      *bool             `json:"shared_available,omitempty"`
	ServerKeepAliveS     *uint16           `json:"server_keepalive_s,omitempty"`
	ResponseInformation  string            `json:"response_information,omitempty"`
	ServerReference      string            `json:"server_reference,omitempty"`
	AuthenticationMethod string            `json:"authentication_method,omitempty"`
	UserProperties       map[string]string `json:"user_properties,omitempty"`
}

// Kind names the type in stored runs.
func (*MQTTConnect) Kind() string { return "mqtt.connect" }

// Accepted tells whether the CONNACK accepted the connection.
func (c *MQTTConnect) Accepted() bool { return c.Outcome == OutcomeOK }

// OldForm tells whether the CONNECT was one of MQTT 5 and the answer accepts in the form of MQTT 3.1.1, without properties: so
// answer servers that do not look at the version. It is no acceptance: what they speak from here on is not MQTT 5.
func (c *MQTTConnect) OldForm() bool {
	return c.Version == Version5 && c.Outcome == OutcomeMalformed && len(c.First) >= 4 && c.First[0] == 0x20 && c.First[1] == 2 &&
		c.First[2] <= 1 && c.First[3] == 0
}

// Answered tells whether a CONNACK came, accepting or not, in a form of whichever version.
func (c *MQTTConnect) Answered() bool { return c.Code >= 0 || c.OldForm() }

// Facts lists what was seen.
func (c *MQTTConnect) Facts() []Evidence {
	f := facts{}
	f.add(EvAddress, c.Address)
	f.add(EvTransport, string(c.Transport))
	f.add(EvMQTTVersion, string(c.Version))
	f.add(EvClientID, c.ClientID)
	f.add(EvOutcome, string(c.Outcome))
	if c.Code >= 0 {
		f.add(EvReasonCode, codeText(c.Code, c.Version)+" "+c.Reason)
	}
	f.add(EvReasonString, c.ReasonString)
	if p := c.Props; p != nil {
		f.uint(EvReceiveMaximum, p.ReceiveMaximum)
		f.uint8(EvMaximumQoS, p.MaximumQoS)
		if p.MaximumPacketBytes != nil {
			f.unit(EvMaximumPacket, strconv.FormatUint(uint64(*p.MaximumPacketBytes), 10), "bytes")
		}
		if p.ServerKeepAliveS != nil {
			f.unit(EvServerKeepAlive, strconv.Itoa(int(*p.ServerKeepAliveS)), "s")
		}
		f.bool(EvRetainAvailable, p.RetainAvailable)
		f.bool(EvWildcardAvailable, p.WildcardAvailable)
		f.bool(EvSharedAvailable, p.SharedAvailable)
		f.uint(EvTopicAliasMaximum, p.TopicAliasMaximum)
		f.add(EvAssignedClientID, p.AssignedClientID)
		f.add(EvServerReference, p.ServerReference)
		f.add(EvAuthMethod, p.AuthenticationMethod)
	}
	f.bytes(EvConnack, c.Connack)
	if c.Alert != nil {
		f.add(EvTLSAlert, c.Alert.String())
	}
	f.add(EvSpeaks, c.Speaks)
	f.add(EvBanner, c.Banner)
	f.bytes(EvFirstBytes, c.First)
	if c.WSCloseCode != 0 {
		f.add(EvWSClose, strconv.Itoa(c.WSCloseCode)+" "+c.WSCloseReason)
	}
	f.bytes(EvWSFrame, c.WSFrame)
	f.ms(EvDuration, c.Took)
	if c.TCP != nil && c.TCP.Unacked > 0 {
		f.add(EvTCPUnacked, strconv.Itoa(c.TCP.Unacked))
		f.add(EvTCPRepeated, strconv.Itoa(c.TCP.Retransmits))
	}
	f.add(EvError, c.Error)
	return f.items
}

// Swallowed tells that the CONNECT itself was lost on the way, and each of its repeats: the system at the other end acknowledges
// what arrives, also where the program hangs. Large packets may be lost for their size, which is another matter.
func (c *MQTTConnect) Swallowed() bool {
	const repeats, onePacket = 2, 500
	return c.Outcome == OutcomeSilent && c.ConnectBytes <= onePacket && c.TCP != nil && c.TCP.Unacked > 0 && c.TCP.Retransmits >= repeats
}

// MQTTPing is a PINGREQ on an open connection.
type MQTTPing struct {
	Version Version       `json:"version"`
	Outcome Outcome       `json:"outcome"`
	RTT     time.Duration `json:"rtt"`
	// Ends is how many sessions, quiet before, ended at their PINGREQ in place of an answer; 0: the asked one stayed.
	Ends  int    `json:"ends,omitempty"`
	Error string `json:"error,omitempty"`
}

// Kind names the type in stored runs.
func (*MQTTPing) Kind() string { return "mqtt.ping" }

// Facts lists what was seen.
func (p *MQTTPing) Facts() []Evidence {
	f := facts{}
	f.add(EvOutcome, string(p.Outcome))
	f.ms(EvRTT, p.RTT)
	f.add(EvError, p.Error)
	return f.items
}

// Attempt is a whole connection made beside the asked one, to tell look-alikes apart: each layer as far as it went; nil
// where it was not reached.
type Attempt struct {
	Purpose   Purpose       `json:"purpose"`
	Label     string        `json:"label,omitempty"` // what was varied: a port, path, version, name
	Address   string        `json:"address"`
	Transport Scheme        `json:"transport"`
	TCP       *TCPConnect   `json:"tcp,omitempty"`
	TLS       *TLSHandshake `json:"tls,omitempty"`
	WS        *WSUpgrade    `json:"ws,omitempty"`
	MQTT      *MQTTConnect  `json:"mqtt,omitempty"`
}

// Kind names the type in stored runs.
func (*Attempt) Kind() string { return "attempt" }

// SpeaksMQTT tells whether a CONNACK came, accepting or not: an MQTT broker is there.
func (a *Attempt) SpeaksMQTT() bool { return a.MQTT != nil && a.MQTT.Answered() }

// Accepted tells whether the whole way works.
func (a *Attempt) Accepted() bool { return a.MQTT != nil && a.MQTT.Accepted() }

// Facts lists what was seen, the farthest layer first.
func (a *Attempt) Facts() []Evidence {
	f := facts{}
	f.add(EvTransport, string(a.Transport))
	f.add(EvVaried, a.Label)
	switch {
	case a.MQTT != nil:
		return append(f.items, a.MQTT.Facts()...)
	case a.WS != nil:
		return append(f.items, a.WS.Facts()...)
	case a.TLS != nil:
		return append(f.items, a.TLS.Facts()...)
	case a.TCP != nil:
		return append(f.items, a.TCP.Facts()...)
	}
	return f.items
}

// codeText writes a code as its specification does: MQTT 5 reason codes in hexadecimal, older return codes in decimal.
func codeText(code int, v Version) string {
	if v == Version5 {
		return "0x" + strconv.FormatInt(int64(code)+0x100, 16)[1:]
	}
	return strconv.Itoa(code)
}

// CodeText writes a return or reason code as the version's specification does.
func CodeText(code int, v Version) string { return codeText(code, v) }
