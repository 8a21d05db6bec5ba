package probe

import "mqttdoctor/diag"

var tcpProbes = []diag.Probe{netTrace, netEcho, tcpConnect, tcpPorts, tcpAbsurdPort, tcpProxyHeader}
