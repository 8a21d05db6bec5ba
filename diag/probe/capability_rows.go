package probe

import (
	"strconv"

	"mqttdoctor/diag"
)

// capabilityTable puts rows together. What was announced is nil before MQTT 5.
type capabilityTable struct {
	props *diag.ConnackProps
	rows  []diag.Capability
}

// add adds a row; announced is empty where the CONNACK has nothing of it, and otherwise is then what the specification says
// holds.
func (t *capabilityTable) add(name diag.CapabilityName, announced, otherwise, measured string, note diag.CapabilityNote) {
	row := diag.Capability{Name: name, Announced: announced, Measured: measured, Note: note}
	if announced == "" && t.props != nil && otherwise != "" {
		row.Announced = otherwise
		if note == "" {
			row.Note = diag.CapNoteDefault
		}
	}
	if t.props == nil && note == "" {
		row.Note = diag.CapNoteOlder
	}
	if measured == "" {
		row.Note = diag.CapNoteNotTried
	}
	t.rows = append(t.rows, row)
}

// addOfMQTT5 adds a row about what there is since MQTT 5 alone. announcedOnly tells that nothing could measure it.
func (t *capabilityTable) addOfMQTT5(name diag.CapabilityName, announced, otherwise, measured string, note diag.CapabilityNote, announcedOnly bool) {
	t.add(name, announced, otherwise, measured, note)
	row := &t.rows[len(t.rows)-1]
	switch {
	case t.props == nil:
		row.Note = diag.CapNoteOlder
	case announcedOnly && announced == "":
		row.Note = diag.CapNoteDefault
	case announcedOnly:
		row.Note = ""
	}
}

func numberOf[T byte | uint16 | uint32](v *T) string {
	if v == nil {
		return ""
	}
	return strconv.FormatUint(uint64(*v), 10)
}

func flagOf(v *bool) string {
	if v == nil {
		return ""
	}
	return yesNo(*v)
}

// rows is the table, from what the run has seen so far and what was tried for it.
func (c *capabilities) rows(v *diag.View) []diag.Capability {
	t := capabilityTable{props: c.like.connect.Props}
	props := diag.ConnackProps{}
	if t.props != nil {
		props = *t.props
	}
	c.messageRows(&t, props, v)
	c.filterRows(&t, props, v)
	aliases := numberOf(props.TopicAliasMaximum)
	t.addOfMQTT5(diag.CapTopicAliases, aliases, "0", c.alias, "", aliases == "" || aliases == "0")
	t.addOfMQTT5(diag.CapReceiveMaximum, numberOf(props.ReceiveMaximum), "65535", "", "", true) // it is kept to, so nothing shows a lower one
	t.addOfMQTT5(diag.CapSessionExpiry, numberOf(props.SessionExpiryS), "", c.expiry, expiryNote(c.expiry), false)
	t.add(diag.CapServerKeepAlive, numberOf(props.ServerKeepAliveS), "", effectiveKeepAlive(c.like.connect), "")
	t.add(diag.CapTopicLength, "", "", positive(c.length), atLeast(c.lengthEnded))
	t.add(diag.CapTopicLevels, "", "", positive(c.levels), atLeast(c.levelsEnded))
	t.add(diag.CapClientIDLength, "", "", positive(c.clientID), atLeast(c.clientIDRefused))
	t.add(diag.CapAssignedID, "", "", c.assigned, "")
	t.addOfMQTT5(diag.CapResponseInfo, "", "", c.responseInfo, "", false)
	return t.rows
}

// messageRows are about what may be published.
func (c *capabilities) messageRows(t *capabilityTable, props diag.ConnackProps, v *diag.View) {
	highest, tried := byte(0), false
	for _, s := range diag.Seen[*diag.Delivery](v) {
		if d := s.Seen; d.Scratch && d.Published == diag.OutcomeOK && d.Delivered {
			highest, tried = max(highest, min(d.QoS, d.DeliveredQoS)), true
		}
	}
	qos, note := "", diag.CapabilityNote("")
	if tried {
		qos = strconv.Itoa(int(highest))
		if t.props != nil && highest < maximumQoS(c.like.connect) {
			note = diag.CapNoteLess
		}
	}
	t.add(diag.CapMaximumQoS, numberOf(props.MaximumQoS), "2", qos, note)

	payload, note := "", diag.CapabilityNote("")
	for _, s := range diag.SeenBy[*diag.SizeSearch](v, checkSize) {
		if s.Seen.LargestBytes == 0 {
			continue
		}
		payload = strconv.Itoa(s.Seen.LargestBytes)
		switch {
		case !s.Seen.Limited() && (s.Seen.AnnouncedBytes == 0 || s.Seen.LargestBytes < diag.PayloadRoom(int64(s.Seen.AnnouncedBytes), s.Seen.Version, s.Seen.Topic, s.Seen.QoS)):
			note = diag.CapNoteAtLeast
		case s.Seen.Limited() && s.Seen.AnnouncedBytes > 0:
			note = diag.CapNoteLess
		}
	}
	t.addOfMQTT5(diag.CapMaximumPacket, numberOf(props.MaximumPacketBytes), "", "", "", true)
	t.add(diag.CapPayload, "", "", payload, note)

	retain, wildcard := "", ""
	for _, s := range diag.SeenBy[*diag.RetainedCheck](v, checkRetained) {
		switch r := s.Seen; {
		case r.Exact.Came:
			retain = yesNo(true)
			if r.Plus.Granted >= 0 && r.Hash.Granted >= 0 {
				wildcard = yesNo(r.Plus.Came && r.Hash.Came)
			}
		case r.Set == diag.OutcomeRefused, r.Set.Ended(), r.Exact.Withheld():
			retain = yesNo(false)
		}
	}
	t.add(diag.CapRetain, flagOf(props.RetainAvailable), "yes", retain, lessThanYes(props.RetainAvailable, t.props != nil, retain))
	t.add(diag.CapRetainWildcard, "", "", wildcard, "")
}

// filterRows are about what may be subscribed to.
func (c *capabilities) filterRows(t *capabilityTable, props diag.ConnackProps, v *diag.View) {
	wildcard, shared := "", ""
	for _, s := range diag.SeenBy[*diag.FilterKinds](v, checkFilterKinds) {
		if s.Seen.Plus.Outcome != "" && s.Seen.Hash.Outcome != "" {
			wildcard = yesNo(s.Seen.Plus.Works && s.Seen.Hash.Works)
		}
		if s.Seen.Shared.Outcome != "" {
			shared = yesNo(s.Seen.Shared.Works)
		}
	}
	t.add(diag.CapWildcard, flagOf(props.WildcardAvailable), "yes", wildcard, lessThanYes(props.WildcardAvailable, t.props != nil, wildcard))
	t.add(diag.CapShared, flagOf(props.SharedAvailable), "yes", shared, lessThanYes(props.SharedAvailable, t.props != nil, shared))
	t.addOfMQTT5(diag.CapSubscriptionIDs, flagOf(props.SubIDAvailable), "yes", c.subscriptionID, lessThanYes(props.SubIDAvailable, t.props != nil, c.subscriptionID), false)
}

// lessThanYes notes what was announced, if only by saying nothing, and does not work.
func lessThanYes(announced *bool, mqtt5 bool, measured string) diag.CapabilityNote {
	if mqtt5 && (announced == nil || *announced) && measured == yesNo(false) {
		return diag.CapNoteLess
	}
	return ""
}

func atLeast(ended bool) diag.CapabilityNote {
	if !ended {
		return diag.CapNoteAtLeast
	}
	return ""
}

func positive(n int) string {
	if n <= 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// expiryNote: a server that grants all that was asked for may grant more.
func expiryNote(granted string) diag.CapabilityNote {
	if granted == strconv.FormatUint(uint64(askedExpiry.Seconds()), 10) {
		return diag.CapNoteAtLeast
	}
	return ""
}

// effectiveKeepAlive is what holds for the asked connection, in seconds (MQTT 5.0 3.2.2.3.14).
func effectiveKeepAlive(o *diag.MQTTConnect) string {
	if o.Props != nil && o.Props.ServerKeepAliveS != nil {
		return numberOf(o.Props.ServerKeepAliveS)
	}
	return strconv.Itoa(o.KeepAliveS)
}
