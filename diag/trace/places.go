package trace

import "mqttdoctor/diag/mqttwire"

// Places are the sections of the specifications for each rule and breach, by their keys in the catalogue: for MQTT 5.0, 3.1.1
// and 3.1, in this order; empty where a version has no such rule. Of the breaches it has only what older versions say:
// mqttwire names the sections of MQTT 5.0 one by one.
func Places() map[string][3]string {
	places := map[string][3]string{}
	add := func(key string, p place) {
		places[key] = [3]string{p.of(mqttwire.V5), p.of(mqttwire.V311), p.of(mqttwire.V31)}
	}
	for name, p := range rulePlaces {
		add("trace.warn."+string(name), p)
	}
	for breach, p := range breachPlaces {
		add("trace.breach."+string(breach), p)
	}
	return places
}
