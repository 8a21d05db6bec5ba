package trace

import (
	"testing"

	"mqttdoctor/diag/diagtest/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }
