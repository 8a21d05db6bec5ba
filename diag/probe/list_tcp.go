package probe

import "mqttdoctor/diag"

var tcpProbes = []diag.Probe{netTrace, netEcho, netMTU, netCaptive, tcpConnect, tcpPorts, tcpAbsurdPort, tcpProxyHeader}
