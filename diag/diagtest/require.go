package diagtest

import (
	"os"
	"os/exec"
	"testing"
)

// RequireAllVar is the environment variable that turns a missing program from a skip into a failure. CI sets it to 1,
// so that a forgotten install line cannot pass as green.
const RequireAllVar = "MQTTDOCTOR_REQUIRE_ALL"

// Require returns the path of the first of the given programs that is installed. Without any it skips the test, naming
// them; with [RequireAllVar] set to 1 it fails instead.
func Require(t testing.TB, programs ...string) string {
	t.Helper()
	for _, program := range programs {
		// sbin is not on every user's PATH, and it is where Debian puts brokers.
		for _, name := range []string{program, "/usr/sbin/" + program, "/sbin/" + program} {
			if path, err := exec.LookPath(name); err == nil {
				return path
			}
		}
	}
	Missing(t, "needs one of the programs %q, and none is installed", programs)
	return ""
}

// RequireRoot skips the test, or fails it as [Require] does, where it does not run as root.
func RequireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "needs root; this is uid %d", os.Geteuid())
	}
}

// Missing ends a test that lacks something of its surroundings: it skips, or fails when [RequireAllVar] is 1.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv(RequireAllVar) == "1" {
		t.Fatalf(RequireAllVar+"=1 and this test "+format, args...)
	}
	t.Skipf("SKIPPED: this test "+format, args...)
}
