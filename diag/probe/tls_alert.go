package probe

import (
	"errors"
	"net"
	"reflect"
	"strconv"

	"mqttdoctor/diag"
)

// alertNames are the alert descriptions of RFC 8446 B.2 and, marked, of older versions.
var alertNames = map[uint8]string{
	0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac",
	21: "decryption_failed", // RFC 2246
	22: "record_overflow",
	30: "decompression_failure", // RFC 5246
	40: "handshake_failure",
	41: "no_certificate", // SSL 3.0, RFC 6101
	42: "bad_certificate", 43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired",
	46: "certificate_unknown", 47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error",
	51: "decrypt_error",
	60: "export_restriction", // RFC 2246
	70: "protocol_version", 71: "insufficient_security", 80: "internal_error", 86: "inappropriate_fallback",
	90:  "user_canceled",
	100: "no_renegotiation", // RFC 5246
	109: "missing_extension", 110: "unsupported_extension",
	111: "certificate_unobtainable", // RFC 6066
	112: "unrecognized_name", 113: "bad_certificate_status_response",
	114: "bad_certificate_hash_value", // RFC 6066
	115: "unknown_psk_identity", 116: "certificate_required", 120: "no_application_protocol",
	121: "ech_required", // RFC 9849
}

// alertName is the name of a TLS alert; "alert_<number>" for one that no RFC names.
func alertName(number uint8) string {
	if name, ok := alertNames[number]; ok {
		return name
	}
	return "alert_" + strconv.Itoa(int(number))
}

func alertOf(number uint8) *diag.TLSAlert {
	return &diag.TLSAlert{Number: number, Name: alertName(number)}
}

// remoteAlert finds the alert that the peer sent in an error of crypto/tls. Its type there is not exported, and
// errors.As does not match tls.AlertError outside QUIC; its kind is uint8.
func remoteAlert(err error) (*diag.TLSAlert, bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" || op.Err == nil {
		return nil, false
	}
	if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
		return alertOf(uint8(v.Uint())), true
	}
	return nil, false
}

// plainAlert reads an alert record in the clear from the first bytes that a peer sent.
func plainAlert(first []byte) (*diag.TLSAlert, bool) {
	if len(first) < 7 || first[0] != 0x15 || first[1] != 3 || first[3] != 0 || first[4] != 2 {
		return nil, false
	}
	return alertOf(first[6]), true
}
