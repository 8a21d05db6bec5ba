package rule

import "mqttdoctor/diag"

var wsRules = []diag.Rule{}
