package diagtest

import (
	"maps"
	"slices"
	"time"

	v5 "github.com/eclipse/paho.golang/packets"
)

// KeptScript says what a scripted broker does with sessions that are to outlast their connection. The zero value keeps them,
// with all messages of QoS 1 and 2.
type KeptScript struct {
	// Forget, where given, tells whether a session ends with its connection all the same; cut: without a DISCONNECT.
	Forget func(client Connect, cut bool) bool
	// Limit is how many messages are kept for an absent client, 0: no limit, -1: none. Newest keeps the last ones, else the first.
	Limit  int
	Newest bool
	// Unflagged leaves Session Present out of CONNACK. Bare keeps sessions without their subscriptions.
	Unflagged, Bare bool
	// Expiry, where given, is announced in MQTT 5 instead of what was asked for (MQTT 5.0 3.2.2.3.2).
	Expiry *uint32
}

// keptSession is the session of an absent client.
type keptSession struct {
	subscriptions map[string]v5.SubOptions
	queue         []*v5.Publish
	until         time.Time // zero: it does not expire
}

func (k *keptSession) expired() bool { return !k.until.IsZero() && time.Now().After(k.until) }

// Kept lists the client ids whose sessions the broker holds for absent clients: what a probe has left behind.
func (b *ScriptedPeer) Kept() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.kept, func(_ string, k *keptSession) bool { return k.expired() })
	return slices.Sorted(maps.Keys(b.kept))
}

// resume gives a client its session back, or discards that; it returns the messages that waited.
func (b *ScriptedPeer) resume(s *session, connack *v5.Connack) []*v5.Publish {
	script := b.script.Kept
	if script == nil {
		return nil
	}
	if s.client.Level >= 5 && script.Expiry != nil && s.expiry > 0 {
		connack.Properties.SessionExpiryInterval = script.Expiry
		s.expiry = *script.Expiry
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	kept := b.kept[s.client.ClientID]
	delete(b.kept, s.client.ClientID)
	if kept == nil || s.client.Clean || kept.expired() {
		return nil
	}
	connack.SessionPresent = !script.Unflagged
	if script.Bare {
		return nil
	}
	maps.Copy(s.subscriptions, kept.subscriptions)
	return kept.queue
}

// keep stores the session of a client that has left.
func (b *ScriptedPeer) keep(s *session) {
	script := b.script.Kept
	lasting := s.client.Level < 5 && !s.client.Clean || s.client.Level >= 5 && s.expiry > 0
	if script == nil || !lasting || script.Forget != nil && script.Forget(s.client, !s.left) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for other := range b.sessions {
		if other.client.ClientID == s.client.ClientID {
			return // it is back already
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	kept := &keptSession{subscriptions: maps.Clone(s.subscriptions)}
	if s.client.Level >= 5 && s.expiry < 0xFFFFFFFF {
		kept.until = time.Now().Add(time.Duration(s.expiry) * time.Second)
	}
	b.kept[s.client.ClientID] = kept
}

// queue keeps a message for the absent clients that subscribe to its topic. The lock is held.
func (b *ScriptedPeer) queueLocked(p *v5.Publish, payload []byte) {
	for _, kept := range b.kept {
		qos := -1
		for filter, options := range kept.subscriptions {
			if topicMatches(filter, p.Topic) {
				qos = max(qos, int(min(options.QoS, p.QoS)))
			}
		}
		if limit := b.script.Kept.Limit; qos > 0 && limit >= 0 {
			kept.queue = append(kept.queue, &v5.Publish{Topic: p.Topic, Payload: payload, QoS: byte(qos)})
			if over := len(kept.queue) - limit; limit > 0 && over > 0 && b.script.Kept.Newest {
				kept.queue = kept.queue[over:]
			} else if limit > 0 && over > 0 {
				kept.queue = kept.queue[:limit]
			}
		}
	}
}
