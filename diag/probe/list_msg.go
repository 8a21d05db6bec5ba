package probe

import "mqttdoctor/diag"

var msgProbes = []diag.Probe{msgFilter, msgSubscribe, msgAlone, msgRoundTrip, msgRoundTrip2, msgPublish, msgPublishLower, msgRecount,
	msgPair, msgQoSGrid, msgBurst, msgBurstAgain, msgBurstSteps, msgBurstPaced, msgBurstQoS1, msgBurstWide,
	msgSize, msgRetained, msgRetainedOwn, msgFilters, mqttCapabilities, msgAccess,
}
