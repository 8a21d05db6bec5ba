package probe_test

import (
	"hash/fnv"
	"os"
	"strconv"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/rule"
)

// ordersVar is the environment variable that tells in how many orders each run is replayed: without it some in the long mode, and
// none else, for the processor's time that they take.
const ordersVar = "MQTTDOCTOR_ORDERS"

// inOtherOrders replays what a run has recorded in other orders, and fails the test where a finding does not stay.
func inOtherOrders(t testing.TB, plan diag.Plan, report diag.Report) {
	t.Helper()
	test, ok := t.(*testing.T)
	if !ok {
		return
	}
	n := 0
	if long() {
		n = 8
	}
	if orders, err := strconv.Atoi(os.Getenv(ordersVar)); err == nil {
		n = orders
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(t.Name()))
	diagtest.ReplayOrders(test, plan, report, rule.All, uint64(h.Sum32()), n)
}
