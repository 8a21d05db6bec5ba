package probe

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"net"
	"strings"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/patience"
)

// maxPacketBytes bounds one MQTT packet from a peer. Test messages are small; a user's own retained message may be larger,
// and anything above this is not needed to tell what is wrong.
const maxPacketBytes = 1 << 20

// temporaryClientID is a recognisable client id that nobody else has: "mqttdoctor-" and 12 letters, 23 characters in all,
// which every server must accept (MQTT 3.1.1 3.1.3.1) but for the hyphen, which all known ones take.
func temporaryClientID() string {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return "mqttdoctor-" + strings.ToLower(base32.HexEncoding.EncodeToString(random[:])[:12])
}

// connectMQTT sends a CONNECT and awaits the CONNACK; the session is nil where it was not accepted (conn is closed then).
// secured is the TLS handshake that conn came from, nil without TLS: it decides whether credentials may be sent.
func connectMQTT(ctx context.Context, env *diag.Env, r route, conn net.Conn, secured *diag.TLSHandshake) (*diag.MQTTConnect, mqttwire.Session) {
	ctx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	t := env.Target
	o := &diag.MQTTConnect{Purpose: r.Purpose, Address: r.Address, Transport: r.Transport, Version: r.MQTT.Version,
		KeepAliveS: r.MQTT.KeepAliveS, CleanStart: r.MQTT.CleanStart, Code: -1, ClientID: r.MQTT.ClientID}
	if r.MQTT.OwnClientID {
		o.ClientID, o.OwnClientID = t.ClientID, true
	} else if o.ClientID == "" && !r.MQTT.EmptyClientID {
		o.ClientID = temporaryClientID()
	}
	opts := mqttwire.ConnectOptions{
		Version: wireVersion(r.MQTT.Version), ClientID: o.ClientID, KeepAlive: uint16(r.MQTT.KeepAliveS),
		CleanStart: r.MQTT.CleanStart, Will: r.MQTT.Will, MaxPacketBytes: max(maxPacketBytes, r.MQTT.LargestPacket),
		SessionExpiry: r.MQTT.SessionExpiryS, RequestResponseInfo: r.MQTT.ResponseInfo,
	}
	if r.MQTT.OwnClientID {
		// A temporary client leaves no session behind, whatever the user's keeps.
		opts.SessionExpiry = uint32(t.SessionExpiry.Seconds())
	} else {
		opts.CleanStart, o.CleanStart = !r.MQTT.Kept, !r.MQTT.Kept
	}
	if r.MQTT.Credentials && t.Credentials() {
		if mayShowCredentials(t, r, secured) {
			o.Credentials = true
			opts.Username = &t.Username
			if t.Password.Given() {
				opts.Password = []byte(t.Password.Reveal())
			}
		} else {
			o.CredentialsWithheld = true
		}
	}
	o.ConnectBytes = len(mqttwire.EncodeConnect(opts))

	session, result := mqttwire.Connect(ctx, conn, opts)
	describeConnect(o, conn, result)
	if o.Outcome == diag.OutcomeSilent {
		o.TCP = tcpInfo(conn)
	}
	if session == nil && o.Accepted() && result.Err != nil { // it came in the moment in which the wait ended: nobody has the session
		o.Code, o.Outcome, o.Reason = -1, outcomeOfFailure(result.Err.Kind), ""
	}
	if session == nil || !o.Accepted() {
		if session != nil {
			_ = session.Close()
		}
		conn.Close()
		return o, nil
	}
	return o, session
}

// mayShowCredentials tells whether user name and password may go over this connection: never where it is less trustworthy
// than what the user asked for, since whoever answers there may not be the broker. The machine's own loopback is.
func mayShowCredentials(t diag.Target, r route, secured *diag.TLSHandshake) bool {
	if host, _, err := net.SplitHostPort(r.Address); err == nil {
		if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
			return true
		}
	}
	if !t.Scheme.UsesTLS() {
		return true // they would have gone in the clear
	}
	if secured == nil {
		return false
	}
	return t.TLS.Insecure || (secured.Trust != nil && secured.Trust.Trusted() && (secured.Trust.NameOK || secured.Trust.NameInCN))
}

// describeConnect turns what the wire saw into the observation.
func describeConnect(o *diag.MQTTConnect, conn net.Conn, result mqttwire.ConnectResult) {
	o.Took = result.Duration
	o.Connack = result.RawConnack
	if ack := result.Connack; ack != nil {
		o.Code, o.Reason, o.SessionPresent = int(ack.Code), ack.Reason(), ack.SessionPresent
		o.ReasonString = printable(ack.ReasonString, 300)
		o.Outcome = diag.OutcomeOK
		if ack.Code != 0 {
			o.Outcome = diag.OutcomeRefused
		}
		o.Props = connackProps(ack)
	}
	if ws, ok := conn.(*wsConn); ok {
		o.WSText = ws.sawText()
		o.WSCloseCode, o.WSCloseReason = ws.closeCode()
		if !o.Answered() {
			o.WSFrame = ws.brokenFrame()
		}
	}
	failure := result.Err
	if failure == nil || o.Code >= 0 {
		return
	}
	o.Error = failure.Error()
	o.First = result.FirstBytes
	o.Outcome = outcomeOfFailure(failure.Kind)
	if failure.Kind == mqttwire.FailRefused { // a DISCONNECT or AUTH in place of the CONNACK (MQTT 5.0 4.13)
		o.Code, o.Reason, o.ReasonString = int(failure.Code), failure.Reason, printable(failure.ReasonString, 300)
	}
	if failure.Kind == mqttwire.FailTLSAlert {
		o.Alert = &diag.TLSAlert{Number: failure.Alert, Name: alertName(failure.Alert)}
		o.Outcome = diag.OutcomeClosed
	}
	if len(o.First) > 0 && o.Outcome != diag.OutcomeMalformed && o.Outcome != diag.OutcomeSilent {
		o.Speaks, o.Banner = speaks(o.First)
		if o.Speaks != "mqtt" {
			o.Outcome = diag.OutcomeOther
		}
	}
}
