package diag

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const canary = "canary-7f3a"

func TestSecretLeaksThroughNothing(t *testing.T) {
	in := TargetInput{URL: "h", Password: NewSecret(canary), TLS: TLSInput{KeyPEM: NewSecret(canary)},
		WS: WSInput{Headers: map[string]Secret{"Cookie": NewSecret(canary)}}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb, in)
		fmt.Fprintf(&out, verb, in.Password)
		fmt.Fprintf(&out, verb, &in.Password)
	}
	for _, v := range []any{in, in.Password, Report{Target: in}} {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(data)
	}
	_ = xml.NewEncoder(&out).Encode(in.Password)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "in", in, "secret", in.Password)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "in", in, "secret", in.Password)
	if strings.Contains(out.String(), canary) || strings.Contains(out.String(), fmt.Sprintf("%x", canary)) {
		t.Fatal(out.String())
	}
}

func TestStoredSecretTellsOnlyWhetherItWasGiven(t *testing.T) {
	data, err := json.Marshal(TargetInput{Password: NewSecret(canary)})
	if err != nil || !strings.Contains(string(data), `"password":true`) {
		t.Fatal(string(data), err)
	}
	var back TargetInput
	if err := json.Unmarshal(data, &back); err != nil || back.Password.Reveal() != "" {
		t.Fatal(back, err)
	}
}
