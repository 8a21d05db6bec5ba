package netprobe

import (
	"os"
	"testing"

	"mqttdoctor/diag/diagtest/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// missing ends a test that lacks something of its surroundings: it skips, or fails where nothing may be skipped.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("MQTTDOCTOR_REQUIRE_ALL") == "1" {
		t.Fatalf("MQTTDOCTOR_REQUIRE_ALL=1 and this test "+format, args...)
	}
	t.Skipf("SKIPPED: this test "+format, args...)
}
