package trace

import (
	"encoding/base64"

	"mqttdoctor/diag/mqttwire"
)

// properties adds the properties that are there.
func (w Writer) properties(f *Frame, p *mqttwire.Properties) {
	if all := propertiesOf(p); len(all) > 0 {
		f.Fields["properties"] = all
	}
}

// propertiesOf lists the properties that are there, by their names in the specification, in lower case. Authentication data
// is masked.
func propertiesOf(p *mqttwire.Properties) map[string]any {
	all := map[string]any{}
	number(all, "payload_format_indicator", p.PayloadFormat)
	number(all, "message_expiry_interval_s", p.MessageExpiry)
	words(all, "content_type", p.ContentType)
	words(all, "response_topic", p.ResponseTopic)
	if p.CorrelationData != nil {
		all["correlation_data"] = base64.StdEncoding.EncodeToString(clip(p.CorrelationData))
	}
	if len(p.SubscriptionIDs) > 0 {
		all["subscription_identifiers"] = clip(p.SubscriptionIDs)
	}
	number(all, "session_expiry_interval_s", p.SessionExpiry)
	words(all, "assigned_client_identifier", p.AssignedClientID)
	number(all, "server_keep_alive_s", p.ServerKeepAlive)
	words(all, "authentication_method", p.AuthenticationMethod)
	if p.AuthenticationData != nil {
		all["authentication_data"] = Mask
	}
	number(all, "request_problem_information", p.RequestProblemInfo)
	number(all, "will_delay_interval_s", p.WillDelay)
	number(all, "request_response_information", p.RequestResponseInfo)
	words(all, "response_information", p.ResponseInformation)
	words(all, "server_reference", p.ServerReference)
	words(all, "reason_string", p.ReasonString)
	number(all, "receive_maximum", p.ReceiveMaximum)
	number(all, "topic_alias_maximum", p.TopicAliasMaximum)
	number(all, "topic_alias", p.TopicAlias)
	number(all, "maximum_qos", p.MaximumQoS)
	number(all, "retain_available", p.RetainAvailable)
	number(all, "maximum_packet_size", p.MaximumPacketBytes)
	number(all, "wildcard_subscription_available", p.WildcardAvailable)
	number(all, "subscription_identifier_available", p.SubscriptionIDAvailable)
	number(all, "shared_subscription_available", p.SharedAvailable)
	if len(p.UserProperties) > 0 {
		pairs := make([][2]string, 0, min(len(p.UserProperties), maxList))
		for _, u := range clip(p.UserProperties) {
			pairs = append(pairs, [2]string{u.Key, u.Value})
		}
		all["user_properties"] = pairs
	}
	return all
}

func number[T any](all map[string]any, name string, value *T) {
	if value != nil {
		all[name] = *value
	}
}

func words(all map[string]any, name, value string) {
	if value != "" {
		all[name] = value
	}
}
