package probe_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets more tests wait side by side than there are processors: they spend their time awaiting peers that are silent
// on purpose.
func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		_ = flag.Set("test.parallel", "24")
	}
	os.Exit(m.Run())
}
