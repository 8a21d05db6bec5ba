package rule

import (
	"slices"

	"mqttdoctor/diag"
)

// recordedTables are the tables of recorded runs whose root cause the tests of this package expect.
func recordedTables() [][]recorded {
	return [][]recorded{nameLookAlikes(), connectionLookAlikes(), closedLookAlikes(), lossLookAlikes(), frontLookAlikes(), addressLookAlikes(), upgradeLookAlikes(),
		loginLookAlikes(), connectLookAlikes(), sessionLookAlikes(), watchLookAlikes(), messageLookAlikes(), accessLookAlikes(), sizeLookAlikes(),
		retainedLookAlikes(), trafficLookAlikes(), recountLookAlikes(), awayLookAlikes(), brokerStatusLookAlikes()}
}

// RecordedRuns are the observations of all of them, for the audit in package rule_test, which has tables of its own.
func RecordedRuns() []*diag.View {
	var views []*diag.View
	for _, row := range slices.Concat(recordedTables()...) {
		views = append(views, row.view())
	}
	for _, row := range filterKindLookAlikes() {
		views = append(views, recorded{target: broker(diag.SchemeMQTT), steps: row.steps}.view())
	}
	return views
}
