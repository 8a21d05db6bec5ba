package probe

import "mqttdoctor/diag"

var tcpProbes = []diag.Probe{netTrace, netEcho, netMTU, netLarge, netCaptive, netLoss, tcpConnect, tcpLate, tcpPorts, tcpAbsurdPort, tcpProxyHeader}
