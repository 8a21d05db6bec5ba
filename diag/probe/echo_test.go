package probe_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// TestPeersThatEchoTellNoSecret: what a peer sends back of a CONNECT or of a request is in no event and no report, as text, as
// hexadecimal or as base64.
func TestPeersThatEchoTellNoSecret(t *testing.T) {
	t.Parallel()
	const password, header = "Canary-Pass-1", "Canary-Header-2"
	for name, handle := range map[string]diagtest.Handler{
		"echo": func(conn net.Conn) { io.Copy(conn, conn) },
		"text": func(conn net.Conn) {
			first := make([]byte, 4<<10)
			n, _ := conn.Read(first)
			fmt.Fprintf(conn, "ERROR unknown command: %s", first[:n])
		},
		"web server": func(conn net.Conn) {
			first := make([]byte, 4<<10)
			n, _ := conn.Read(first)
			fmt.Fprintf(conn, "HTTP/1.1 403 not %s\r\nServer: %s\r\nLocation: /%s\r\nContent-Length: %d\r\n\r\n%s", header, header, header, n, first[:n])
		},
		"reason": func(conn net.Conn) {
			conn.Read(make([]byte, 4<<10))
			reason := "the password " + password + " is not known"
			conn.Write(append([]byte{0x20, byte(len(reason) + 6), 0, 0x86, byte(len(reason) + 3), 0x1f, 0, byte(len(reason))}, reason...))
		},
	} {
		for _, scheme := range []string{"mqtt", "ws"} {
			t.Run(name+"/"+scheme, func(t *testing.T) {
				t.Parallel()
				var heard strings.Builder
				in := diag.TargetInput{URL: diagtest.Peer(t, handle).URL(scheme), Username: "meter", Password: diag.NewSecret(password),
					WS: diag.WSInput{Headers: map[string]diag.Secret{"X-Token": diag.NewSecret(header)}}}
				e := json.NewEncoder(&heard)
				report := diagnoseHearing(t, in, diag.PlanInput{}, nil, func(event diag.Event) {
					if err := e.Encode(event); err != nil {
						t.Error(err)
					}
				})
				if report.Verdict == diag.OverallHealthy {
					t.Error("an echo is no broker")
				}
				all := heard.String()
				for _, secret := range []string{password, header} {
					code := hex.EncodeToString([]byte(secret))
					var spaced strings.Builder
					for i := 0; i < len(code); i += 2 {
						spaced.WriteString(code[i:i+2] + " ")
					}
					forms := []string{secret, code, strings.TrimSpace(spaced.String())}
					for lead := range 3 { // base64 in each of its phases, without the ends that neighbours share
						raw := base64.StdEncoding.EncodeToString(append(make([]byte, lead), secret...))
						forms = append(forms, raw[4:len(raw)-4])
					}
					for _, form := range forms {
						if i := strings.Index(all, form); i >= 0 {
							t.Errorf("%q is told: …%s", form, all[max(0, i-200):i+len(form)])
						}
					}
				}
			})
		}
	}
}
