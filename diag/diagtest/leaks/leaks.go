// Package leaks fails the tests of a package that leave goroutines behind.
package leaks

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is far more than a goroutine that is about to end takes for it: goleak itself gives it half a second, which is little on a
// busy machine.
const patience = time.Minute

// Main runs the tests and ends the process: with 1 also where goroutines are left that do not end.
func Main(m *testing.M) { os.Exit(Check(m.Run())) }

// Check turns the exit code 0 of tests into 1 where they have left goroutines behind that do not end, and says which.
func Check(code int) int {
	if code != 0 {
		return code
	}
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if err = goleak.Find(); err == nil {
			return 0
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}
