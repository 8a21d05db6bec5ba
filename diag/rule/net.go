package rule

import "mqttdoctor/diag"

var netRules = []diag.Rule{}
