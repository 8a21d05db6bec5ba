package probe

import "mqttdoctor/diag"

var mqttProbes = []diag.Probe{}
