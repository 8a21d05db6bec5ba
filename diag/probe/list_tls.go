package probe

import "mqttdoctor/diag"

var tlsProbes = []diag.Probe{tlsClientCert, tlsHandshake, tlsAgain, tlsAIA, tlsClock, tlsNames, tlsWithoutSNI, tlsVersions, tlsCiphers,
	tlsALPN, tlsNoClientCert, tlsRevocation, tlsInterception, tlsDevices}
