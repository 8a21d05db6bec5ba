package probe

import "mqttdoctor/diag"

var tcpProbes = []diag.Probe{tcpConnect}
