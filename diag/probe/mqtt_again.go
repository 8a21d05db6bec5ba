package probe

import (
	"context"
	"slices"
	"strconv"
	"time"

	"mqttdoctor/diag"
)

const (
	// againTries is how often the connection that worked is made anew: of three machines behind one address, one of which does
	// not work, that one is met twice or more nineteen times in twenty.
	againTries = 12
	// againEnough is the count of failures after which no more is to be learnt.
	againEnough = 3
	// againPause keeps the tries apart: a limit on the rate of connecting must not be met.
	againPause = 150 * time.Millisecond
)

// againSymptoms are the complaints that a connection which works does not always.
var againSymptoms = []diag.Symptom{diag.SymptomCannotConnect, diag.SymptomTimeout, diag.SymptomRefused, diag.SymptomDrops}

// mqttAgain makes the asked connection again and again, where it worked and the complaint is that it does not, with temporary
// client ids, each closed before the next: what fails now and then mostly works when one looks. Without such a complaint it looks
// where one of our own connections was turned away that is not turned away always.
var mqttAgain = diag.Probe{
	ID: "mqtt.again", Layer: diag.LayerMQTT, Depth: diag.DepthStandard,
	Symptoms: againSymptoms,
	Needs:    []diag.ProbeID{checkMQTT, checkOlder, checkVersions, checkStay, checkStayOther},
	Ready: func(v *diag.View) diag.Decision {
		if d := needSession(v); !d.Runs() {
			return d
		}
		if !againAnyway(v.Options) && len(turnedAwayVersions(v, false)) == 0 {
			return diag.Skip(diag.N("skip.not_the_question"))
		}
		return diag.Run()
	},
	Budget: againEnough*12*time.Second + againTries*time.Second, // the failing ones take the usual time-out, the others a few round trips
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		main, ok := borrowMain(env)
		if !ok || main.ended() {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		if !againAnyway(env.Options) && !nowAccepted(ctx, env, main.address) {
			return diag.Skipped(diag.N("skip.not_the_question"))
		}
		o := &diag.SessionSeries{Address: main.address, Version: main.version}
		for o.Tries < againTries && o.Failed() < againEnough {
			if o.Tries > 0 && !pauseFor(ctx, againPause) {
				break
			}
			a, x := another(ctx, env, main, diag.PurposeRetry, "again")
			if ctx.Err() != nil {
				if x != nil {
					leave(ctx, x)
				}
				break
			}
			o.Tries++
			switch {
			case x != nil:
				o.Accepted++
				leave(ctx, x)
			case a.MQTT == nil:
				o.Before++
			case a.MQTT.Outcome == diag.OutcomeSilent:
				o.Silent++
			case a.MQTT.Outcome.Ended():
				o.Ended++
			default:
				o.Other++
				if a.MQTT.Outcome == diag.OutcomeRefused && a.MQTT.Code > 0 {
					o.Refusals = append(o.Refusals, diag.ConnectRefusal{Code: a.MQTT.Code, Reason: a.MQTT.Reason})
				}
			}
			env.Progress(o.Tries, againTries, "connections")
		}
		args := []string{"address", o.Address, "count", strconv.Itoa(o.Failed()), "total", strconv.Itoa(o.Tries)}
		if o.Failed() > 0 {
			return diag.Warned(o, diag.N("step.mqtt.again.failed", args...))
		}
		return diag.Passed(o, diag.N("step.mqtt.again.ok", args...))
	},
}

// againAnyway tells whether the plan asks for the series, whatever was seen.
func againAnyway(o diag.PlanOptions) bool {
	return slices.Contains(againSymptoms, o.Symptom) || o.Depth.Covers(diag.DepthDeep)
}

// nowAccepted tells whether a version in which one of our connections was turned away is accepted when it is tried again: a broker
// that does not know it would turn it away always. Each is tried twice, since what takes turns may have it refused once more.
func nowAccepted(ctx context.Context, env *diag.Env, address string) bool {
	for _, version := range turnedAwayVersions(env.View, false) {
		for range 2 {
			if !pauseFor(ctx, againPause) {
				return false
			}
			a, l := walk(ctx, env, askedRoute(env.Target, address).with(diag.PurposeRetry, "MQTT "+string(version), func(r *route) {
				r.MQTT.Version, r.WS.Subprotocols = version, subprotocolsFor(version)
			}), upToMQTT)
			if l != nil && l.Session != nil {
				leave(ctx, newExchange(l.Session, a.MQTT))
				return true
			}
		}
	}
	return false
}
