package probe

import "mqttdoctor/diag"

var tcpProbes = []diag.Probe{netTrace, netEcho, netMTU, netCaptive, netLoss, tcpConnect, tcpPorts, tcpAbsurdPort, tcpProxyHeader}
