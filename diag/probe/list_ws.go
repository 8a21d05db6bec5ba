package probe

import "mqttdoctor/diag"

var wsProbes = []diag.Probe{wsUpgrade, wsPaths, wsOrigins, wsSubprotocols, wsRedirect, wsBehind}
