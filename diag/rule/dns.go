package rule

import "mqttdoctor/diag"

var dnsRules = []diag.Rule{}
