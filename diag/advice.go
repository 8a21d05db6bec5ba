package diag

import (
	"math"
	"slices"
	"strconv"
)

// Advice are settings for the user's client, from what the run measured. It is made whenever a report is rendered.
type Advice struct {
	Version        Version // that the broker accepted
	KeepAliveS     int
	ConnectTimeout int // s, until the CONNACK
	ReconnectMin   int // s, before the first new try
	ReconnectMax   int // s, after many of them, each twice as long as the one before
	QoS            byte
	CleanStart     bool
	SessionExpiryS int // 0: the session ends with the connection, or with MQTT 3 the broker decides
	MaxInflight    int // messages of QoS 1 and 2 that are on their way at once

	Settings []AdvisedSetting // the same one by one, with the reasons
}

// AdvisedSetting is one setting, and why it is so.
type AdvisedSetting struct {
	Name     SettingName
	Value    string
	Unit     string // as in [Evidence]
	Because  Note
	Measured bool // the run saw what speaks for it; otherwise it is as asked for, or usual
}

// SettingName names a setting of clients.
type SettingName string

// The settings that are advised.
const (
	SettingVersion        SettingName = "version"
	SettingKeepAlive      SettingName = "keepalive"
	SettingConnectTimeout SettingName = "connect_timeout"
	SettingReconnect      SettingName = "reconnect"
	SettingQoS            SettingName = "qos"
	SettingCleanStart     SettingName = "clean_start"
	SettingSessionExpiry  SettingName = "session_expiry"
	SettingMaxInflight    SettingName = "max_inflight"
)

// KeepAliveSearch is an observation that looked for the longest keep alive that keeps an idle connection.
type KeepAliveSearch interface {
	// SafeKeepAlive is a keep alive in seconds that was seen to hold, and after how many seconds without one the connection
	// ended; ok is false where none ended.
	SafeKeepAlive() (seconds, ended int, ok bool)
}

// What is usual where nothing was measured.
const (
	usualKeepAliveS   = 60 // under the usual 100 s to 350 s after which balancers and NAT forget a flow
	leastTimeoutS     = 5  // a lost SYN and a lost hello each cost one to three seconds
	mostTimeoutS      = 60
	usualTimeoutS     = 10
	usualReconnectMin = 1
	usualReconnectMax = 60
	busyReconnectMin  = 10 // where the broker counts connections or messages
	busyReconnectMax  = 300
	usualInflight     = 20 // what most clients and brokers take without being asked
)

// Advise computes settings from a run in which the broker accepted what was asked for; nil: it did not, and other things come
// first.
func Advise(r Report) *Advice {
	connect := acceptedConnect(r.Steps)
	if connect == nil || r.State == StateRunning || r.Verdict == OverallBroken && r.RootCause != nil && before(r.RootCause.Layer, LayerMQTT) {
		return nil
	}
	props := connect.Props
	if props == nil {
		props = &ConnackProps{}
	}
	a := &Advice{Version: connect.Version}
	a.add(SettingVersion, string(connect.Version), "", N("advice.version.accepted", "version", string(connect.Version)), true)
	a.keepAlive(r, connect, props)
	a.connectTimeout(r.Steps, connect)
	a.reconnect(r.Findings)
	a.qos(r, props)
	a.session(r, connect, props)
	a.inflight(props)
	return a
}

// Usual are settings for a target that nothing was measured of: what is asked for, and what is usual. They come without reasons.
func Usual(in TargetInput) Advice {
	a := Advice{Version: Version(in.Protocol), KeepAliveS: usualKeepAliveS, ConnectTimeout: usualTimeoutS, ReconnectMin: usualReconnectMin,
		ReconnectMax: usualReconnectMax, QoS: 1, CleanStart: in.CleanStart == nil || *in.CleanStart, MaxInflight: usualInflight}
	if !slices.Contains(Versions, a.Version) {
		a.Version = Version5
	}
	if in.KeepaliveS != nil {
		a.KeepAliveS = *in.KeepaliveS
	}
	if !a.CleanStart && a.Version == Version5 {
		a.SessionExpiryS = in.SessionExpiryS
	}
	return a
}

func (a *Advice) add(name SettingName, value, unit string, because Note, measured bool) {
	a.Settings = append(a.Settings, AdvisedSetting{name, value, unit, because, measured})
}

func (a *Advice) number(name SettingName, value int, unit string, because Note, measured bool) int {
	a.add(name, strconv.Itoa(value), unit, because, measured)
	return value
}

func (a *Advice) keepAlive(r Report, connect *MQTTConnect, props *ConnackProps) {
	asked := connect.KeepAliveS
	if safe, ended, ok := searchedKeepAlive(r.Steps); ok && (asked == 0 || safe < asked) {
		a.KeepAliveS = a.number(SettingKeepAlive, safe, "s", N("advice.keepalive.searched", "limit", strconv.Itoa(ended)), true)
		return
	}
	switch {
	case props.ServerKeepAliveS != nil && *props.ServerKeepAliveS > 0:
		a.KeepAliveS = a.number(SettingKeepAlive, int(*props.ServerKeepAliveS), "s", N("advice.keepalive.server"), true)
	case asked == 0:
		a.KeepAliveS = a.number(SettingKeepAlive, usualKeepAliveS, "s", N("advice.keepalive.none"), false)
	default:
		a.KeepAliveS = a.number(SettingKeepAlive, asked, "s", N("advice.keepalive.asked"), false)
	}
}

func searchedKeepAlive(steps []Step) (seconds, ended int, ok bool) {
	for _, s := range steps {
		if search, is := s.Observation.(KeepAliveSearch); is {
			if seconds, ended, ok = search.SafeKeepAlive(); ok {
				return seconds, ended, true
			}
		}
	}
	return 0, 0, false
}

// connectTimeout leaves room for ten times what connecting took: packets get lost, and brokers are busy when many come back.
func (a *Advice) connectTimeout(steps []Step, connect *MQTTConnect) {
	took := connect.Took
	for _, s := range steps {
		switch o := s.Observation.(type) {
		case *Resolution:
			if s.Check == "dns.resolve" {
				took += s.Duration
			}
		case *TCPConnect:
			if s.Check == "tcp.connect" && o.Address == connect.Address {
				took += s.Duration
			}
		case *TLSHandshake:
			if s.Check == "tls.handshake" && o.Address == connect.Address {
				took += o.Took
			}
		case *WSUpgrade:
			if s.Check == "ws.upgrade" && o.Address == connect.Address {
				took += o.Took
			}
		}
	}
	seconds := min(max(leastTimeoutS, int(math.Ceil(10*took.Seconds()))), mostTimeoutS)
	a.ConnectTimeout = a.number(SettingConnectTimeout, seconds, "s", N("advice.connect_timeout.measured", "duration", FormatMS(took)+" ms"), true)
}

// reconnect doubles from the least to the most, with jitter, so that a thousand devices do not come back at once.
func (a *Advice) reconnect(findings []Finding) {
	a.ReconnectMin, a.ReconnectMax = usualReconnectMin, usualReconnectMax
	because, measured := N("advice.reconnect.usual"), false
	if i := slices.IndexFunc(findings, func(f Finding) bool {
		return slices.Contains([]Code{"mqtt.server_busy", "mqtt.server_unavailable", "mqtt.connection_limit", "mqtt.banned", "msg.rate_limited", "broker.overloaded"}, f.Code)
	}); i >= 0 {
		a.ReconnectMin, a.ReconnectMax = busyReconnectMin, busyReconnectMax
		because, measured = N("advice.reconnect.busy"), true
	}
	a.add(SettingReconnect, strconv.Itoa(a.ReconnectMin)+"–"+strconv.Itoa(a.ReconnectMax), "s", because, measured)
}

func (a *Advice) qos(r Report, props *ConnackProps) {
	asked := byte(1)
	if r.Target.Topics.QoS != nil {
		asked = byte(*r.Target.Topics.QoS)
	}
	lost := slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Code == "msg.lost" })
	switch {
	case props.MaximumQoS != nil && *props.MaximumQoS < asked:
		a.QoS = *props.MaximumQoS
		a.number(SettingQoS, int(a.QoS), "", N("advice.qos.broker"), true)
	case lost && asked == 0:
		a.QoS = 1
		a.number(SettingQoS, 1, "", N("advice.qos.lost"), true)
	default:
		a.QoS = asked
		a.number(SettingQoS, int(asked), "", N("advice.qos.asked"), false)
	}
}

func (a *Advice) session(r Report, connect *MQTTConnect, props *ConnackProps) {
	kept := r.Target.CleanStart != nil && !*r.Target.CleanStart
	notKept := slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Code == "mqtt.session_not_kept" })
	a.CleanStart = !kept || notKept
	switch {
	case kept && notKept:
		a.add(SettingCleanStart, "yes", "", N("advice.clean_start.not_kept"), true)
	case kept:
		a.add(SettingCleanStart, "no", "", N("advice.clean_start.kept"), false)
	default:
		a.add(SettingCleanStart, "yes", "", N("advice.clean_start.clean"), false)
	}
	if a.CleanStart || connect.Version != Version5 {
		return
	}
	asked := r.Target.SessionExpiryS
	if props.SessionExpiryS != nil && int64(*props.SessionExpiryS) != int64(asked) {
		a.SessionExpiryS = a.number(SettingSessionExpiry, int(*props.SessionExpiryS), "s", N("advice.session_expiry.broker"), true)
		return
	}
	a.SessionExpiryS = a.number(SettingSessionExpiry, asked, "s", N("advice.session_expiry.asked"), false)
}

func (a *Advice) inflight(props *ConnackProps) {
	if props.ReceiveMaximum != nil && int(*props.ReceiveMaximum) < usualInflight {
		a.MaxInflight = a.number(SettingMaxInflight, int(*props.ReceiveMaximum), "", N("advice.max_inflight.broker"), true)
		return
	}
	a.MaxInflight = a.number(SettingMaxInflight, usualInflight, "", N("advice.max_inflight.usual"), false)
}

// acceptedConnect is the asked CONNECT that the broker accepted.
func acceptedConnect(steps []Step) *MQTTConnect {
	for _, s := range steps {
		if o, ok := s.Observation.(*MQTTConnect); ok && o.Purpose == PurposeAsked && o.Accepted() {
			return o
		}
	}
	return nil
}

// before tells whether a layer lies under another.
func before(a, b Layer) bool { return slices.Index(Layers, a) < slices.Index(Layers, b) }
