package probe

import "mqttdoctor/diag"

var mqttProbes = []diag.Probe{mqttConnect, mqttOlder, mqttVersions, mqttAddresses, mqttWithoutCredentials, mqttOtherClientID, mqttClientIDForm, mqttKeepAlive,
	mqttShortConnect, mqttLongConnect, mqttReference, mqttPing, mqttStay, mqttStayOther, mqttHoldID, mqttAgain, mqttRoom, mqttLimit, mqttWatch}
