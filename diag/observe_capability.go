package diag

import "time"

func init() {
	register(func() *FilterKinds { return &FilterKinds{} })
	register(func() *Capabilities { return &Capabilities{} })
}

// Evidence of what a broker offers.
const (
	EvFilterPlus   EvidenceKey = "filters.plus"
	EvFilterHash   EvidenceKey = "filters.hash"
	EvFilterShared EvidenceKey = "filters.shared"

	EvCapability EvidenceKey = "cap.name"
	EvAnnounced  EvidenceKey = "cap.announced"
	EvMeasured   EvidenceKey = "cap.measured"
	EvCapNote    EvidenceKey = "cap.note"

	// The rows of the table as facts, which two runs can be compared by.
	EvCapMaximumQoS      EvidenceKey = "cap.maximum_qos"
	EvCapMaximumPacket   EvidenceKey = "cap.maximum_packet"
	EvCapPayload         EvidenceKey = "cap.payload"
	EvCapRetain          EvidenceKey = "cap.retain"
	EvCapRetainWildcard  EvidenceKey = "cap.retain_wildcard"
	EvCapWildcard        EvidenceKey = "cap.wildcard"
	EvCapShared          EvidenceKey = "cap.shared"
	EvCapSubscriptionIDs EvidenceKey = "cap.subscription_ids"
	EvCapTopicAliases    EvidenceKey = "cap.topic_aliases"
	EvCapReceiveMaximum  EvidenceKey = "cap.receive_maximum"
	EvCapSessionExpiry   EvidenceKey = "cap.session_expiry"
	EvCapServerKeepAlive EvidenceKey = "cap.server_keepalive"
	EvCapTopicLength     EvidenceKey = "cap.topic_length"
	EvCapTopicLevels     EvidenceKey = "cap.topic_levels"
	EvCapClientIDLength  EvidenceKey = "cap.client_id_length"
	EvCapAssignedID      EvidenceKey = "cap.assigned_id"
	EvCapResponseInfo    EvidenceKey = "cap.response_info"
)

// FilterKinds is what came of subscriptions with wildcards and of a shared one, below a topic of our own to which a plain
// subscription is granted.
type FilterKinds struct {
	Version Version    `json:"version"`
	Address string     `json:"address"`
	Plus    FilterKind `json:"plus"`
	Hash    FilterKind `json:"hash"`
	Shared  FilterKind `json:"shared"`
}

// FilterKind is a subscription of one kind.
type FilterKind struct {
	Filter    string `json:"filter"`
	Announced *bool  `json:"announced,omitempty"` // by the CONNACK; nil: absent, which means yes
	// Outcome: ok (granted), refused (SUBACK with Code, or DISCONNECT; or not sent, since Announced forbids it), silent,
	// closed, reset; empty: not tried.
	Outcome Outcome `json:"outcome,omitempty"`
	Code    int     `json:"code"` // -1: none
	Reason  string  `json:"reason,omitempty"`
	// Works tells that a message came by it; Waited how long one was awaited in vain.
	Works  bool          `json:"works"`
	Waited time.Duration `json:"waited,omitempty"`
}

// Forbidden tells that the CONNACK says that there is none.
func (k *FilterKind) Forbidden() bool { return k.Announced != nil && !*k.Announced }

// Dead tells that it was granted and brings nothing.
func (k *FilterKind) Dead() bool { return k.Outcome == OutcomeOK && !k.Works && k.Waited > 0 }

// Kind names the type in stored runs.
func (*FilterKinds) Kind() string { return "msg.filters" }

// Facts lists what was seen.
func (k *FilterKinds) Facts() []Evidence {
	f := facts{}
	for _, one := range []struct {
		key EvidenceKey
		k   FilterKind
	}{{EvFilterPlus, k.Plus}, {EvFilterHash, k.Hash}, {EvFilterShared, k.Shared}} {
		if one.k.Outcome == "" {
			continue
		}
		f.yesno(one.key, one.k.Works)
		if one.k.Code >= 0x80 {
			f.add(EvReasonCode, codeText(one.k.Code, Version5)+" "+one.k.Reason)
		}
	}
	f.bool(EvWildcardAvailable, k.Plus.Announced)
	f.bool(EvSharedAvailable, k.Shared.Announced)
	f.add(EvMQTTVersion, string(k.Version))
	return f.items
}

// CapabilityName is a row of the table of what a broker offers.
type CapabilityName string

// The rows, in their order.
const (
	CapMaximumQoS      CapabilityName = "maximum_qos"
	CapMaximumPacket   CapabilityName = "maximum_packet"
	CapPayload         CapabilityName = "payload"
	CapRetain          CapabilityName = "retain"
	CapRetainWildcard  CapabilityName = "retain_wildcard"
	CapWildcard        CapabilityName = "wildcard"
	CapShared          CapabilityName = "shared"
	CapSubscriptionIDs CapabilityName = "subscription_ids"
	CapTopicAliases    CapabilityName = "topic_aliases"
	CapReceiveMaximum  CapabilityName = "receive_maximum"
	CapSessionExpiry   CapabilityName = "session_expiry"
	CapServerKeepAlive CapabilityName = "server_keepalive"
	CapTopicLength     CapabilityName = "topic_length"
	CapTopicLevels     CapabilityName = "topic_levels"
	CapClientIDLength  CapabilityName = "client_id_length"
	CapAssignedID      CapabilityName = "assigned_id"
	CapResponseInfo    CapabilityName = "response_info"
)

// CapabilityNote says how a row is to be read.
type CapabilityNote string

// The notes.
const (
	CapNoteDefault  CapabilityNote = "default"   // nothing was announced, so the default of the specification holds
	CapNoteOlder    CapabilityNote = "older"     // before MQTT 5 nothing can be announced
	CapNoteAtLeast  CapabilityNote = "at_least"  // nothing larger was tried
	CapNoteLess     CapabilityNote = "less"      // less than was announced
	CapNoteNotTried CapabilityNote = "not_tried" // not measured in this run
)

// Capabilities is a table of what the broker says of itself, and what was measured.
type Capabilities struct {
	Version Version      `json:"version"`
	Address string       `json:"address"`
	Rows    []Capability `json:"rows"`
}

// Capability is one row. Values are numbers or yes and no; empty: not announced, not measured.
type Capability struct {
	Name      CapabilityName `json:"name"`
	Announced string         `json:"announced,omitempty"`
	Measured  string         `json:"measured,omitempty"`
	Note      CapabilityNote `json:"note,omitempty"`
}

// Kind names the type in stored runs.
func (*Capabilities) Kind() string { return "mqtt.capabilities" }

// Row is that of a name; nil: there is none.
func (c *Capabilities) Row(name CapabilityName) *Capability {
	for i := range c.Rows {
		if c.Rows[i].Name == name {
			return &c.Rows[i]
		}
	}
	return nil
}

// Facts lists what was measured, so that runs can be compared; where nothing was, what was announced.
func (c *Capabilities) Facts() []Evidence {
	f := facts{}
	f.add(EvMQTTVersion, string(c.Version))
	for _, row := range c.Rows {
		value := row.Measured
		if value == "" {
			value = row.Announced
		}
		f.add(EvidenceKey("cap."+string(row.Name)), value)
	}
	return f.items
}

// Tables has all rows.
func (c *Capabilities) Tables() []Table {
	name, announced, measured, note := Column{Key: EvCapability}, Column{Key: EvAnnounced}, Column{Key: EvMeasured}, Column{Key: EvCapNote}
	for _, row := range c.Rows {
		name.Words = append(name.Words, string(row.Name))
		announced.Words = append(announced.Words, row.Announced)
		measured.Words = append(measured.Words, row.Measured)
		note.Words = append(note.Words, string(row.Note))
	}
	return []Table{{Name: "mqtt.capabilities", Plot: PlotGrid, Columns: []Column{name, announced, measured, note}}}
}
