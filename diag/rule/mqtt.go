package rule

import "mqttdoctor/diag"

var mqttRules = []diag.Rule{}
