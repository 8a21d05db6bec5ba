package rule

import "mqttdoctor/diag"

var tlsRules = []diag.Rule{}
