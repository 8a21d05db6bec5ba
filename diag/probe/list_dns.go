package probe

import "mqttdoctor/diag"

var dnsProbes = []diag.Probe{dnsResolve, dnsNear, dnsCompare}
