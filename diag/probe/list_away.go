package probe

import "mqttdoctor/diag"

// awayProbes look at what a broker does for clients that are gone.
var awayProbes = []diag.Probe{msgSession, msgWill}
