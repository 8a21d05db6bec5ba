package rule

import "mqttdoctor/diag"

var tcpRules = []diag.Rule{}
