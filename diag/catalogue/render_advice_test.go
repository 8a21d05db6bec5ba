package catalogue

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
)

func adviceReport(url string, version diag.Version) diag.Report {
	no := false
	return diag.Report{State: diag.StateFinished,
		Target: diag.TargetInput{URL: url, ClientID: `meter "17"`, Username: "o'neil\\", Password: diag.NewSecret("CANARY"), CleanStart: &no, SessionExpiryS: 600,
			TLS: diag.TLSInput{CAPEM: "x", CertPEM: "y", KeyPEM: diag.NewSecret("CANARY")}},
		Steps: []diag.Step{{ID: "mqtt.connect", Check: "mqtt.connect", Layer: diag.LayerMQTT, Status: diag.StatusPassed,
			Observation: &diag.MQTTConnect{Purpose: diag.PurposeAsked, Outcome: diag.OutcomeOK, Version: version, KeepAliveS: 60, Took: time.Second}}}}
}

// TestAdviceIsCodeThatCanBeCopied: every library's lines are complete for every transport and version, carry the settings, and
// name secrets without holding them.
func TestAdviceIsCodeThatCanBeCopied(t *testing.T) {
	for _, url := range []string{"mqtt://broker.test:1883", "mqtts://[2001:db8::1]:8883", "ws://broker.test:80/mqtt", "wss://broker.test:443/a/b?c=d"} {
		for _, version := range []diag.Version{diag.Version31, diag.Version311, diag.Version5} {
			for _, lang := range Langs {
				r := adviceReport(url, version)
				v := Render(r, lang).Advice
				if v == nil || len(v.Clients) != len(clients) || len(v.Settings) < 6 {
					t.Fatalf("%s: %+v", url, v)
				}
				for _, c := range v.Clients {
					if c.Code == "" {
						if !strings.HasPrefix(url, "ws") || c.Note == "" {
							t.Errorf("%s %s: no code for %s", url, version, c.ID)
						}
						continue
					}
					for _, bad := range []string{"CANARY", "<no value>", "\n\n\n", "{{"} {
						if strings.Contains(c.Code, bad) {
							t.Errorf("%s %s %s has %q:\n%s", url, version, c.ID, bad, c.Code)
						}
					}
					if !strings.Contains(c.Code, "60") || !strings.Contains(c.Code, `meter \"17\"`) {
						t.Errorf("%s %s %s lacks settings:\n%s", url, version, c.ID, c.Code)
					}
				}
			}
		}
	}
}

// TestAdviceIsInItsLanguage lets each language's own parser read the lines, where it is at hand.
func TestAdviceIsInItsLanguage(t *testing.T) {
	for _, url := range []string{"mqtt://broker.test:1883", "wss://broker.test:443/mqtt"} {
		for _, version := range []diag.Version{diag.Version31, diag.Version311, diag.Version5} {
			code := map[string]string{}
			for _, c := range Render(adviceReport(url, version), English).Advice.Clients {
				code[c.ID] = c.Code
			}
			if _, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc f() {\n"+code["paho-go"]+"\n}", 0); err != nil {
				t.Errorf("Go: %v\n%s", err, code["paho-go"])
			}
			check := func(name, file, program string, args ...string) {
				path, err := exec.LookPath(program)
				if err != nil {
					t.Logf("not read by its own parser, there is no %s", program)
					return
				}
				full := filepath.Join(t.TempDir(), file)
				if err := os.WriteFile(full, []byte(code[name]), 0o600); err != nil {
					t.Fatal(err)
				}
				if out, err := exec.Command(path, append(args, full)...).CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s\n%s", name, err, out, code[name])
				}
			}
			check("mqttjs", "client.mjs", "node", "--check")
			check("paho-python", "client.py", "python3", "-m", "py_compile")
		}
	}
}

// TestCodeHasAPlaceForTheQuery: an address with a token works in no client without it, and the token is in no code.
func TestCodeHasAPlaceForTheQuery(t *testing.T) {
	in := diag.TargetInput{URL: "wss://broker.test:443/p", WS: diag.WSInput{Query: diag.NewSecret("token=CANARY")}}
	for _, c := range ClientCode(diag.Advice{Version: diag.Version5}, in, English) {
		if strings.Contains(c.Code, "CANARY") || (c.ID == "mqttjs" || c.ID == "paho-python") && !strings.Contains(c.Code, "/p?YOUR_QUERY") {
			t.Errorf("%s:\n%s", c.ID, c.Code)
		}
	}
	if got := factsOf(in)["http_url"]; got != "https://broker.test:443/p?YOUR_QUERY" {
		t.Error(got)
	}
}
