package rule

import "mqttdoctor/diag"

var msgRules = []diag.Rule{}
