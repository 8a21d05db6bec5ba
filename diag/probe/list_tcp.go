package probe

import "mqttdoctor/diag"

var tcpProbes = []diag.Probe{netTrace, netEcho, netMTU, netLarge, netCaptive, netLoss, tcpConnect, tcpPorts, tcpAbsurdPort, tcpProxyHeader}
