package probe_test

import (
	"fmt"
	"net/url"
	"os"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

func TestMatrix(t *testing.T) {
	if os.Getenv("SMOKE") == "" {
		t.Skip()
	}
	for _, b := range diagtest.AllBrokers {
		t.Run(b.Name, func(t *testing.T) {
			br := b.Start(t)
			for _, asked := range []string{"mqtt", "mqtts", "ws", "wss"} {
				for _, u := range br.URLs() {
					p, _ := url.Parse(u)
					if p.Scheme == asked {
						continue
					}
					real := p.Scheme
					p.Scheme = asked
					p.Path = ""
					if asked[0] == 'w' {
						p.Path = "/mqtt"
					}
					fmt.Println("== asked", asked, "is", real, b.Name, p)
					show(t, diag.TargetInput{URL: p.String(), Username: br.Username, Password: diag.NewSecret(br.Password), TLS: diag.TLSInput{CAPEM: br.CAPEM}}, diag.PlanInput{})
				}
			}
		})
	}
}
