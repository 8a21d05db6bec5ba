package probe

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
)

// mqttClientIDForm repeats a CONNECT whose client id was refused with temporary ids that share one thing each with the user's:
// its unusual characters, its length, the session that is to be kept for it. Which of them is refused too tells what the broker
// minds. Where a temporary id of the usual form was refused as well, one of letters and digits alone is tried.
var mqttClientIDForm = diag.Probe{
	ID: "mqtt.client_id_form", Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Needs:   []diag.ProbeID{checkMQTT, "mqtt.other_client_id"},
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.ClientID != "" },
	Ready: func(v *diag.View) diag.Decision {
		return afterRefusal(func(_ diag.Target, o *diag.MQTTConnect) bool { return o.OwnClientID && len(clientIDForms(v)) > 0 })(v)
	},
	Subjects: clientIDForms,
	Moot:     otherTransportKnown,
	Budget:   2 * 3 * 6 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		r, ok := asRefused(env)
		form, isForm := s.Value.(idForm)
		if !ok || !isForm {
			return diag.Skipped(diag.N("skip.no_connection"))
		}
		kept := form.shares == diag.FormKept
		r = r.with(diag.PurposeClientIDForm, form.shares, func(r *route) {
			r.MQTT.ClientID = form.id
			if kept {
				r.MQTT.Kept, r.MQTT.SessionExpiryS = !env.Target.CleanStart, uint32(env.Target.SessionExpiry.Seconds())
			}
		})
		result := variant(ctx, env, r)
		result.Summary.Args["value"] = s.Name
		if a, ok := result.Observation.(*diag.Attempt); ok && kept && a.Accepted() {
			// No session of ours stays behind: who comes back with clean start ends it.
			r.MQTT.Kept, r.MQTT.SessionExpiryS = false, 0
			variant(ctx, env, r)
		}
		return result
	},
}

// idForm is a temporary client id, and what it shares with the user's.
type idForm struct{ shares, id string }

// clientIDForms are the ids worth trying, named for what each has of the user's; none where the answer was not about the id.
func clientIDForms(v *diag.View) []diag.Subject {
	t := v.Target
	seen := askedConnects(v)
	if len(seen) == 0 {
		return nil
	}
	if last := seen[len(seen)-1]; !idOrNoReason(last) && !endedMute(last) {
		return nil
	}
	var out []diag.Subject
	short := plainClientID()
	try := func(name, shares, id string) {
		out = append(out, diag.Subject{Name: name, Value: idForm{shares, id}})
	}
	for _, s := range diag.SeenBy[*diag.Attempt](v, "mqtt.other_client_id") {
		switch other := s.Seen; {
		case other.Accepted():
			if odd := unusualIn(t.ClientID); odd != "" {
				try(odd, diag.FormCharacters, short[:8]+odd+short[8:])
			}
			if n := len(t.ClientID) - len(other.MQTT.ClientID); n > 0 {
				try(strconv.Itoa(len(t.ClientID)), diag.FormLength, other.MQTT.ClientID+strings.Repeat("x", n))
			}
			if !t.CleanStart || other.MQTT.Version == diag.Version5 && t.SessionExpiry > 0 {
				try("clean start 0", diag.FormKept, temporaryClientID())
			}
		case other.MQTT != nil && idOrNoReason(other.MQTT):
			try("a-z 0-9", diag.FormPlain, short)
		}
	}
	return out
}

// idOrNoReason tells a refusal of the client id, or one with a code that leaves the reason open.
func idOrNoReason(o *diag.MQTTConnect) bool {
	return slices.Contains([]int{2, 0x80, 0x82, 0x83, 0x85}, o.Code)
}

// unusualIn are the characters of an id that a temporary one has not: neither letters, digits nor hyphens. Each is named once.
func unusualIn(id string) string {
	var odd []rune
	for _, r := range id {
		usual := r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-'
		if !usual && !slices.Contains(odd, r) {
			odd = append(odd, r)
		}
	}
	return string(odd)
}

// plainClientID is a temporary client id of 14 letters and digits.
func plainClientID() string { return "md" + temporaryClientID()[len("mqttdoctor-"):] }
