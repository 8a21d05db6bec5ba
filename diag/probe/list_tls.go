package probe

import "mqttdoctor/diag"

var tlsProbes = []diag.Probe{tlsHandshake}
