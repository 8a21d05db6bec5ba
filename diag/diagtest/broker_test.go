package diagtest

import (
	"slices"
	"strings"
	"testing"
)

func TestBrokersAnswerOnEveryTransport(t *testing.T) {
	for _, make := range AllBrokers {
		t.Run(make.Name, func(t *testing.T) {
			b := make.Start(t)
			if b.Name != make.Name {
				t.Errorf("the name is %q", b.Name)
			}
			if got := len(b.URLs()); got != 4 {
				t.Errorf("%d listeners, want 4", got)
			}
			for _, u := range b.URLs() {
				if err := askMQTT(b.CA, u); err != nil {
					t.Errorf("%s: %v", u, err)
				}
			}
			if err := askMQTT(NewCA(t, b.CA.Cert.Subject.CommonName), b.MQTTS); err == nil ||
				!strings.Contains(err.Error(), "certificate") {
				t.Errorf("TLS against a false CA of the same name: %v", err)
			}
			if !slices.Contains(b.Versions, "3.1.1") {
				t.Errorf("versions: %v", b.Versions)
			}
		})
	}
}
