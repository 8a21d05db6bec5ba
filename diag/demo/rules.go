package demo

import (
	"strings"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// rules are what the demo broker allows, by the listener that a client came in on.
type rules struct{ mochi.HookBase }

func (*rules) ID() string { return "mqttdoctor-demo" }

func (*rules) Provides(what byte) bool {
	return what == mochi.OnConnectAuthenticate || what == mochi.OnACLCheck || what == mochi.OnPublish || what == mochi.OnSessionEstablish
}

// OnSessionEstablish keeps the library from counting what a client may have unacknowledged: to see what comes next for one that
// may have more, it takes a read lock that it holds already, and hangs for good as soon as somebody waits to write in between
// (inflight.go of 2.7.9, NextImmediate). Clients then get messages beyond their Receive Maximum, which ours never comes near.
func (*rules) OnSessionEstablish(client *mochi.Client, _ packets.Packet) {
	client.State.Inflight.ResetSendQuota(0)
}

// OnConnectAuthenticate lets everybody in but on the listener that wants a password.
func (*rules) OnConnectAuthenticate(client *mochi.Client, packet packets.Packet) bool {
	if client.Net.Listener != PortPassword {
		return true
	}
	return string(packet.Connect.Username) == Username && string(packet.Connect.Password) == Password
}

// OnACLCheck allows every topic: the broker would tell the client about one that it refuses here.
func (*rules) OnACLCheck(*mochi.Client, string, bool) bool { return true }

// OnPublish makes messages below the blocked prefix disappear after they were acknowledged, as an access rule does
// that says nothing.
func (*rules) OnPublish(client *mochi.Client, packet packets.Packet) (packets.Packet, error) {
	if client.Net.Listener == PortDroppingACL && strings.HasPrefix(packet.TopicName, BlockedPrefix) {
		return packet, packets.CodeSuccessIgnore
	}
	return packet, nil
}
