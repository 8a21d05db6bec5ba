package probe

import "mqttdoctor/diag"

var peerProbes = []diag.Probe{peerTransports, peerPaths, peerListen, peerListenOn}
