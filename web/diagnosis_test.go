package web_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/probe"
	"mqttdoctor/diag/rule"
)

var updateTables = flag.Bool("update-tables", false, "write the diagnosis tables anew")

// Every rule has its words, every probe its name, and the documented tables are those of the catalogue.
func TestRulesProbesAndTextsBelongTogether(t *testing.T) {
	if err := catalogue.Check(rule.All, probe.All); err != nil {
		t.Error(err)
	}
}

func TestDiagnosisTablesAreCurrent(t *testing.T) {
	for lang, name := range map[catalogue.Lang]string{catalogue.English: "DIAGNOSIS.md", catalogue.Chinese: "DIAGNOSIS.zh.md"} {
		path := filepath.Join("..", "diag", "catalogue", name)
		want := catalogue.DiagnosisTable(lang)
		if *updateTables {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%s is not what the catalogue says; run go test ./web -run DiagnosisTables -update-tables (%v)", name, err)
		}
	}
}
