package probe

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"mqttdoctor/diag"
	"mqttdoctor/diag/patience"
)

// maxNear bounds how many near names are looked up.
const maxNear = 16

// dnsNear looks for names that a typing error could have made of the one that does not exist.
var dnsNear = diag.Probe{
	ID: "dns.near", Layer: diag.LayerDNS, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkResolve},
	Ready: func(v *diag.View) diag.Decision {
		for _, s := range diag.SeenBy[*diag.Resolution](v, checkResolve) {
			for _, a := range s.Seen.Answers {
				if a.Configured && a.RCode == "NXDOMAIN" && len(s.Seen.Addresses) == 0 {
					return diag.Run()
				}
			}
		}
		return diag.Skip(diag.N("skip.not_the_question"))
	},
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		ctx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
		defer cancel()
		server := ""
		for _, s := range diag.SeenBy[*diag.Resolution](env.View, checkResolve) {
			for _, a := range s.Seen.Answers {
				if a.Configured && a.RCode == "NXDOMAIN" && a.Resolver != "system" {
					server = a.Resolver
				}
			}
		}
		if server == "" {
			return diag.Skipped(diag.N("skip.not_the_question"))
		}
		o := &diag.NearNames{Name: env.Target.Host, Tried: nearNames(env.Target.Host)}
		found := make([]bool, len(o.Tried))
		var asking sync.WaitGroup
		for i, name := range o.Tried {
			asking.Go(func() { found[i] = len(askResolver(ctx, env.DialResolver, server, name).Addresses()) > 0 })
		}
		asking.Wait()
		for i, name := range o.Tried {
			if found[i] {
				o.Found = append(o.Found, name)
			}
		}
		args := []string{"name", o.Name, "near", strings.Join(o.Found, ", "), "count", strconv.Itoa(len(o.Tried))}
		if len(o.Found) == 0 {
			return diag.Passed(o, diag.N("step.dns.near.none", args...))
		}
		return diag.Passed(o, diag.N("step.dns.near.found", args...))
	},
}

// typos are endings that fingers make of usual ones.
var typos = map[string]string{"con": "com", "cmo": "com", "ocm": "com", "vom": "com", "comm": "com", "co": "com", "om": "com",
	"cm": "com", "nte": "net", "ent": "net", "ne": "net", "og": "org", "ogr": "org", "rog": "org", "c": "cn", "cm.cn": "com.cn", "oi": "io"}

// nearNames lists what could have been meant, the likeliest first: a mistyped ending, a label too few or too many, two
// letters in the wrong order, one doubled or missing.
func nearNames(name string) []string {
	labels := strings.Split(name, ".")
	var out []string
	add := func(labels []string) {
		near := strings.Join(labels, ".")
		if near != name && strings.Contains(near, ".") && !slices.Contains(out, near) && !slices.Contains(labels, "") && len(out) < maxNear {
			out = append(out, near)
		}
	}
	with := func(i int, label string) []string { c := slices.Clone(labels); c[i] = label; return c }
	last := len(labels) - 1
	if right, ok := typos[labels[last]]; ok {
		add(with(last, right))
	}
	if len(labels) > 2 {
		add(labels[1:])
	}
	for _, prefix := range []string{"mqtt", "broker"} {
		if labels[0] != prefix {
			add(append([]string{prefix}, labels...))
		}
	}
	for i := range labels[:last] { // letters: the owner's own name is where people slip
		label := labels[i]
		if len(label) < 3 {
			continue
		}
		for j := 0; j+1 < len(label); j++ {
			if label[j] == label[j+1] {
				add(with(i, label[:j]+label[j+1:]))
			} else {
				add(with(i, label[:j]+string(label[j+1])+string(label[j])+label[j+2:]))
			}
		}
	}
	return out
}
