package probe

import (
	"context"
	"slices"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/patience"
)

// mqttVersions connects in the versions that the asked CONNECT does not use, side by side with it: what a broker offers,
// and the control where the asked version fails. In a quick run it is the control alone.
var mqttVersions = diag.Probe{
	ID: checkVersions, Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Ready: func(v *diag.View) diag.Decision {
		if !v.Options.Depth.Covers(diag.DepthStandard) && !slices.Contains(connectSymptoms, v.Options.Symptom) {
			if refusedForVersion(v) {
				return diag.Run() // the fallback to an older version waits for what is heard here
			}
			return overdue(v, []diag.Layer{diag.LayerMQTT}, unexplained, true)
		}
		// Beside the asked upgrade, which brokers may take their time for: the control would come late behind it.
		if len(openedAddresses(v, beforeUpgrade(v.Target))) > 0 {
			return diag.Run()
		}
		if at := brokenAt(v); at != "" {
			return diag.Skip(diag.N("skip.layer_failed", "check", string(checkOf(at))))
		}
		return diag.Wait()
	},
	Subjects: func(v *diag.View) []diag.Subject {
		var out []diag.Subject
		for _, version := range diag.Versions {
			if version != askedRoute(v.Target, "").MQTT.Version {
				out = append(out, diag.Subject{Name: "MQTT " + string(version), Value: version})
			}
		}
		return out
	},
	Moot:   otherTransportKnown,
	Budget: 3 * 6 * time.Second, // TCP, TLS or WebSocket, and CONNECT, each of the usual time-out
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		version, _ := s.Value.(diag.Version)
		address := openedAddresses(env.View, beforeUpgrade(env.Target))[0]
		return variant(ctx, env, askedRoute(env.Target, address).with(diag.PurposeVersion, s.Name, func(r *route) {
			// One name, as clients offer it: mosquitto 2.1 ends an upgrade that offers a list, and ejabberd echoes it whole.
			r.MQTT.Version, r.WS.Subprotocols = version, subprotocolsFor(version)
			r.Yield = true
		}))
	},
}

// connectSymptoms are those where the CONNECT is in question from the start.
var connectSymptoms = []diag.Symptom{diag.SymptomCannotConnect, diag.SymptomRefused, diag.SymptomTimeout, diag.SymptomAuth}

// refusedForVersion tells whether the asked CONNECT, its version left open, got a refusal that another version may be spared.
func refusedForVersion(v *diag.View) bool {
	return v.Target.Protocol == diag.VersionAuto && !connected(v) &&
		slices.ContainsFunc(askedConnects(v), func(o *diag.MQTTConnect) bool { return o.Outcome == diag.OutcomeRefused && worthOlder(o) })
}

// unexplained tells whether the answer to the asked CONNECT leaves open that another version would get a better one.
func unexplained(v *diag.View) bool {
	return !slices.ContainsFunc(askedConnects(v), func(o *diag.MQTTConnect) bool { return o.Alert != nil || o.Code > 1 && o.Code < 0x80 })
}

// yield waits until the asked CONNECT has had its answer: on a broker with one place left a variation would take it. It does
// not wait longer than a healthy upgrade and CONNECT take.
func yield(ctx context.Context, env *diag.Env, r route) {
	waiting, cancel := patience.WithTimeout(ctx, 2*roundTrip(env.View, r.Address)+hedgeSlack)
	defer cancel()
	for {
		if _, there := env.Stash.Borrow(stashAnswered); there {
			return
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-waiting.Done():
			return
		}
	}
}

// variant walks a variation to its CONNACK, leaves in order, and tells what came of it.
func variant(ctx context.Context, env *diag.Env, r route) diag.Result {
	a, l := walk(ctx, env, r, upToMQTT)
	if l != nil && l.Session != nil {
		leave, cancel := patience.WithTimeout(context.WithoutCancel(ctx), 500*time.Millisecond)
		_ = l.Session.Disconnect(leave)
		cancel()
	}
	_ = l.Close()
	return attemptResult(a)
}

// asRefused is the variation's starting point: the route and version in which the asked CONNECT failed.
func asRefused(env *diag.Env) (route, bool) {
	seen := askedConnects(env.View)
	if len(seen) == 0 {
		return route{}, false
	}
	o := seen[len(seen)-1]
	r := askedRoute(env.Target, o.Address)
	r.MQTT.Version, r.WS.Subprotocols = o.Version, subprotocolsFor(o.Version)
	return r, true
}

// afterRefusal decides for a check that varies a failed CONNECT.
func afterRefusal(wanted func(diag.Target, *diag.MQTTConnect) bool) func(*diag.View) diag.Decision {
	return func(v *diag.View) diag.Decision {
		seen := askedConnects(v)
		switch {
		case connected(v):
			return diag.Skip(diag.N("skip.connected"))
		case !decidedMQTT(v):
			return diag.Wait()
		case len(seen) > 0 && wanted(v.Target, seen[len(seen)-1]):
			return diag.Run()
		}
		return diag.Skip(diag.N("skip.not_the_question"))
	}
}

// declinedOrEnded tells a CONNECT that was answered with a refusal, or with the end of the connection.
func declinedOrEnded(o *diag.MQTTConnect) bool {
	return o.Code > 0 || endedMute(o)
}

// mqttWithoutCredentials repeats a refused CONNECT without user name and password.
var mqttWithoutCredentials = diag.Probe{
	ID: "mqtt.without_credentials", Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Needs:   []diag.ProbeID{checkMQTT},
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.Credentials() },
	Ready: afterRefusal(func(_ diag.Target, o *diag.MQTTConnect) bool {
		return declinedOrEnded(o) && o.Credentials
	}),
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		r, ok := asRefused(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_connection"))
		}
		return variant(ctx, env, r.with(diag.PurposeNoCredentials, "", func(r *route) { r.MQTT.Credentials = false }))
	},
}

// mqttOtherClientID repeats a refused CONNECT with a temporary client id in place of the user's, and where the broker did
// not like a temporary one, with a short plain one.
var mqttOtherClientID = diag.Probe{
	ID: "mqtt.other_client_id", Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkMQTT},
	Ready: afterRefusal(func(_ diag.Target, o *diag.MQTTConnect) bool {
		return declinedOrEnded(o) && (o.OwnClientID || o.Code == 2 || o.Code == 0x85)
	}),
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		r, ok := asRefused(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_connection"))
		}
		own := r.MQTT.OwnClientID
		return variant(ctx, env, r.with(diag.PurposeOtherClientID, "", func(r *route) {
			if !own {
				r.MQTT.ClientID = plainClientID()
			}
		}))
	},
}

// unusualKeepAliveS is more than clients ask for of themselves: a refusal of whatever code may be for it.
const unusualKeepAliveS = 120

// smallKeepAliveS is a keep alive that no broker known to us minds.
const smallKeepAliveS = 30

// mqttKeepAlive repeats a refused CONNECT with a small keep alive and, as the control, with the asked one, both under
// temporary client ids: some brokers answer a keep alive above their limit with "identifier rejected".
var mqttKeepAlive = diag.Probe{
	ID: "mqtt.keepalive", Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkMQTT},
	Applies: func(t diag.Target, _ diag.PlanOptions) bool {
		return t.KeepAlive == 0 || t.KeepAlive > smallKeepAliveS*time.Second
	},
	Ready: afterRefusal(func(t diag.Target, o *diag.MQTTConnect) bool {
		unusual := t.KeepAlive == 0 || t.KeepAlive > unusualKeepAliveS*time.Second
		return idOrNoReason(o) || endedMute(o) || unusual && o.Code > 0
	}),
	Subjects: func(v *diag.View) []diag.Subject {
		return []diag.Subject{{Name: "30 s", Value: smallKeepAliveS}, {Name: v.Target.KeepAlive.String(), Value: int(v.Target.KeepAlive.Seconds())}}
	},
	Budget: 3 * 3 * 6 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		r, ok := asRefused(env)
		seconds, isInt := s.Value.(int)
		if !ok || !isInt {
			return diag.Skipped(diag.N("skip.no_connection"))
		}
		r = r.with(diag.PurposeKeepAlive, s.Name, func(r *route) { r.MQTT.KeepAliveS = seconds })
		// Where some of the nodes behind an address fail, a difference between two connections is chance: it has to last. What
		// speaks against it is returned, and more tries come of what speaks for it alone.
		again, hoped := 2, true
		if seconds == int(env.Target.KeepAlive.Seconds()) {
			again, hoped = 1, false
		}
		result := variant(ctx, env, r)
		for range again {
			if a, ok := result.Observation.(*diag.Attempt); !ok || a.Accepted() != hoped || ctx.Err() != nil {
				break
			}
			result = variant(ctx, env, r)
		}
		return result
	},
}

// longConnectBytes is what a CONNECT with ordinary names and a password stays below; tokens and certificates in passwords
// do not.
const longConnectBytes = 200

// mqttShortConnect repeats a failed long CONNECT as short as can be: a proper answer to that one means that the size was
// the matter.
var mqttShortConnect = diag.Probe{
	ID: "mqtt.short_connect", Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkMQTT},
	Ready: afterRefusal(maybeTooLong),
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		r, ok := asRefused(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_connection"))
		}
		return variant(ctx, env, r.with(diag.PurposeShortConnect, "", func(r *route) {
			r.MQTT.Credentials, r.MQTT.Will = false, nil
		}))
	},
}

// mqttLongConnect is the control beside it: as long as the asked CONNECT, with a will in place of what made that one long. A
// proper answer means that not the size was the matter but what was in there, a token that has expired for one.
var mqttLongConnect = diag.Probe{
	ID: "mqtt.long_connect", Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkMQTT},
	Ready: afterRefusal(maybeTooLong),
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		r, ok := asRefused(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_connection"))
		}
		seen := askedConnects(env.View)
		topic := "mqttdoctor/" + env.RunID + "/size"
		// What a CONNECT with a temporary client id and this will has beside the payload; a few bytes more or less do not matter.
		payload := seen[len(seen)-1].ConnectBytes - len(topic) - 50
		return variant(ctx, env, r.with(diag.PurposeLongConnect, "", func(r *route) {
			// It goes out to nobody: a connection that is accepted is left with DISCONNECT.
			r.MQTT.Credentials, r.MQTT.Will = false, &mqttwire.Will{Topic: topic, Payload: make([]byte, max(payload, 0))}
		}))
	},
}

// maybeTooLong tells whether the length of a failed CONNECT may be what is wrong with it.
func maybeTooLong(_ diag.Target, o *diag.MQTTConnect) bool {
	return o.ConnectBytes > longConnectBytes && o.Alert == nil && len(o.First) == 0 &&
		(o.Code < 0 || slices.Contains([]int{0x80, 0x81, 0x82, 0x83, 0x95, 0x97}, o.Code))
}

// mqttAddresses connects at each further address of the name: one of several may be no broker, or another one.
var mqttAddresses = diag.Probe{
	ID: "mqtt.addresses", Layer: diag.LayerMQTT, Depth: diag.DepthStandard,
	Follows: []diag.ProbeID{checkWS, checkTLS, checkTCP},
	Each: func(v *diag.View, before diag.Step) diag.Decision {
		switch opened := openedAddresses(v, before.Check); {
		case !slices.Contains(opened, before.Subject):
			return notReached(before)
		case opened[0] == before.Subject:
			return diag.Skip(diag.N("skip.asked_there"))
		}
		return diag.Run()
	},
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		return variant(ctx, env, askedRoute(env.Target, s.Name).with(diag.PurposeOtherAddress, s.Name, func(r *route) {
			if env.Target.Protocol == diag.VersionAuto {
				r.MQTT.Version = diag.Version311
			}
		}))
	},
}
