package catalogue

import "testing"

func TestEmbeddedDataLoads(t *testing.T) {
	if _, err := Load(data); err != nil {
		t.Fatal(err)
	}
}
