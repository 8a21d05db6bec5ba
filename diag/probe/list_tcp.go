package probe

import "mqttdoctor/diag"

var tcpProbes = []diag.Probe{netTrace, netEcho, netMTU, tcpConnect, tcpPorts, tcpAbsurdPort, tcpProxyHeader}
