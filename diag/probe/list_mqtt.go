package probe

import "mqttdoctor/diag"

var mqttProbes = []diag.Probe{mqttConnect, mqttVersions, mqttAddresses, mqttWithoutCredentials, mqttOtherClientID, mqttKeepAlive,
	mqttShortConnect, mqttPing}
