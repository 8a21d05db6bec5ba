package demo

// Scenario is one thing to try on the demo broker: how to fill in the form, and what the diagnosis will be.
type Scenario struct {
	// ID is stable: pages, texts of the catalogue and tests refer to it.
	ID string
	// Scheme is what the user enters, Port the key of the listener in [Info.Ports], Path the WebSocket path.
	Scheme, Port, Path string
	// Username and Password are what the user enters; empty: nothing.
	Username, Password string
	// Publish and Subscribe are the topics that the user enters; empty: nothing.
	Publish   string
	Subscribe []string
	// GiveCA tells to enter the demo's CA.
	GiveCA bool
	// Cause is the code of the root cause to expect; empty: the verdict is healthy.
	Cause string
}

// URL is the broker address that the user enters.
func (s Scenario) URL(info Info) string { return info.URL(s.Scheme, s.Port, s.Path) }

// Scenarios are what the home page offers, in this order.
var Scenarios = []Scenario{
	{ID: "healthy", Scheme: "mqtt", Port: PortMQTT},
	{ID: "healthy-tls", Scheme: "mqtts", Port: PortMQTTS, GiveCA: true},
	{ID: "healthy-ws", Scheme: "ws", Port: PortWS, Path: "/mqtt"},
	{ID: "expired-certificate", Scheme: "mqtts", Port: PortExpired, GiveCA: true, Cause: "tls.cert_expired"},
	{ID: "wrong-password", Scheme: "mqtt", Port: PortPassword, Username: Username, Password: "not-the-password",
		Cause: "mqtt.bad_credentials"},
	{ID: "tls-on-plain-port", Scheme: "mqtts", Port: PortMQTT, GiveCA: true, Cause: "tls.plaintext_peer"},
	{ID: "plain-on-tls-port", Scheme: "mqtt", Port: PortMQTTS, Cause: "tls.required"},
	{ID: "silent-drop", Scheme: "mqtt", Port: PortDroppingACL, Publish: BlockedPrefix + "lamp",
		Subscribe: []string{BlockedPrefix + "#"}, Cause: "msg.publish_dropped"},
}

// ScenarioByID finds a scenario.
func ScenarioByID(id string) (Scenario, bool) {
	for _, s := range Scenarios {
		if s.ID == id {
			return s, true
		}
	}
	return Scenario{}, false
}
