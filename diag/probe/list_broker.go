package probe

import "mqttdoctor/diag"

// brokerProbes read what the broker tells of itself.
var brokerProbes = []diag.Probe{brokerSys, brokerSysLater}
