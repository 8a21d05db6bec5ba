package probe

import (
	"context"
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

// mqttAgain makes the asked connection again and again, where it worked and the complaint is that it does not, with temporary
// client ids, each closed before the next: what fails now and then mostly works when one looks.
var mqttAgain = diag.Probe{
	ID: "mqtt.again", Layer: diag.LayerMQTT, Depth: diag.DepthDeep,
	Symptoms: []diag.Symptom{diag.SymptomCannotConnect, diag.SymptomTimeout, diag.SymptomRefused, diag.SymptomDrops},
	Needs:    []diag.ProbeID{checkMQTT, checkOlder, checkStay, checkStayOther},
	Ready:    needSession,
	Budget:   againEnough*12*time.Second + againTries*time.Second, // the failing ones take the usual time-out, the others a few round trips
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		main, ok := borrowMain(env)
		if !ok || main.ended() {
			return diag.Skipped(diag.N("skip.no_session"))
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
