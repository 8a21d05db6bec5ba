package probe

import (
	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
)

// wireVersion is the protocol level of a version.
func wireVersion(v diag.Version) mqttwire.Version {
	switch v {
	case diag.Version31:
		return mqttwire.V31
	case diag.Version5:
		return mqttwire.V5
	}
	return mqttwire.V311
}

// outcomeOfFailure translates how an exchange on the wire failed.
func outcomeOfFailure(kind mqttwire.FailureKind) diag.Outcome {
	switch kind {
	case mqttwire.FailRefused, mqttwire.FailLimit: // with FailLimit the CONNACK has said no before we could ask
		return diag.OutcomeRefused
	case mqttwire.FailNoAnswer:
		return diag.OutcomeSilent
	case mqttwire.FailReset:
		return diag.OutcomeReset
	case mqttwire.FailNotMQTT:
		return diag.OutcomeOther
	case mqttwire.FailMalformed, mqttwire.FailTooLarge:
		return diag.OutcomeMalformed
	case mqttwire.FailCanceled:
		return diag.OutcomeCanceled
	case mqttwire.FailLocal, mqttwire.FailInvalid:
		return diag.OutcomeLocal
	}
	return diag.OutcomeClosed
}

func connackProps(c *mqttwire.Connack) *diag.ConnackProps {
	if c.Version != mqttwire.V5 || c.Legacy {
		return nil
	}
	p := &diag.ConnackProps{
		SessionExpiryS: c.SessionExpiry, ReceiveMaximum: c.ReceiveMaximum, MaximumQoS: c.MaximumQoS,
		RetainAvailable: c.RetainAvailable, MaximumPacketBytes: c.MaximumPacketBytes,
		AssignedClientID: printable(c.AssignedClientID, 200), TopicAliasMaximum: c.TopicAliasMaximum,
		WildcardAvailable: c.WildcardAvailable, SubIDAvailable: c.SubscriptionIDAvailable,
		SharedAvailable: c.SharedAvailable, ServerKeepAliveS: c.ServerKeepAlive,
		ResponseInformation: printable(c.ResponseInformation, 200), ServerReference: printable(c.ServerReference, 300),
		AuthenticationMethod: printable(c.AuthenticationMethod, 100),
	}
	for i, u := range c.UserProperties {
		if i == 32 {
			break
		}
		if p.UserProperties == nil {
			p.UserProperties = map[string]string{}
		}
		p.UserProperties[printable(u.Key, 100)] = printable(u.Value, 200)
	}
	return p
}
