package rule

import (
	"slices"
)

// All lists every rule in causal order: the layers' order, and inside a layer the cause that explains another first.
var All = slices.Concat(dnsRules, netRules, tcpRules, tlsRules, wsRules, mqttRules, msgRules, limitRules, trafficRules, awayRules, brokerRules)
