package probe_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets many more tests wait side by side than there are processors: they spend their time awaiting peers that are silent
// on purpose. Still more would take the processors from the peers that are not, and time-outs would be measured of the machine.
func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		_ = flag.Set("test.parallel", "16")
	}
	os.Exit(m.Run())
}
