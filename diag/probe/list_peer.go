package probe

import "mqttdoctor/diag"

var peerProbes = []diag.Probe{peerTransports, peerMQTT, peerPaths, peerListen, peerListenOn, peerQuestions}
