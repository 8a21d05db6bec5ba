package probe

import "mqttdoctor/diag"

var msgProbes = []diag.Probe{}
