package probe

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/patience"
)

// dnsResolve finds the addresses to dial, as a client on this machine would: a literal as it is, the hosts file, then the
// system's resolvers in their order. Where they give nothing, the further resolvers of the plan are asked, so that the rest
// can still be looked at.
var dnsResolve = diag.Probe{
	ID: checkResolve, Layer: diag.LayerDNS, Depth: diag.DepthQuick,
	Run: runResolve,
}

func runResolve(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
	name := env.Target.Host
	o := &diag.Resolution{Name: name, Outcome: diag.OutcomeOK}
	if addr, ok := env.Target.Literal(); ok {
		o.Literal, o.Addresses, o.Source = true, []string{addr.String()}, "literal"
		return diag.Passed(o, diag.N("step.dns.resolve.literal", "address", addr.String()))
	}
	begun := time.Now()
	o.HostsAddresses = hostsLookup(hostsPath(env), name)
	if len(o.HostsAddresses) == 0 && (name == "localhost" || strings.HasSuffix(name, ".localhost")) { // RFC 6761 6.3
		o.HostsAddresses = []string{"127.0.0.1", "::1"}
	}
	if len(o.HostsAddresses) > 0 {
		o.Source = "hosts"
		setAddresses(o, o.HostsAddresses)
	} else {
		lookUp(ctx, env, o)
	}
	o.Took = time.Since(begun)
	args := []string{"name", name, "addresses", strings.Join(o.Addresses, ", "), "duration", diag.FormatMS(o.Took) + " ms"}
	if len(o.Addresses) > 0 {
		switch o.Source {
		case "hosts":
			return diag.Passed(o, diag.N("step.dns.resolve.hosts", args...))
		case "dns":
			if by := o.Answers[len(o.Answers)-1].Name; by != name {
				return diag.Passed(o, diag.N("step.dns.resolve.searched", append(args, "found", by)...))
			}
		case "further":
			return diag.Warned(o, diag.N("step.dns.resolve.further", append(args, "resolver", o.Through)...))
		}
		return diag.Passed(o, diag.N("step.dns.resolve.ok", args...))
	}
	rcode, outcome := "", diag.OutcomeSilent
	for _, a := range o.Answers {
		if a.RCode != "" {
			rcode, outcome = a.RCode, a.Outcome
		}
	}
	o.Outcome = outcome
	failure := &diag.Failure{Op: "dns.resolve", Code: strings.ToLower(rcode)}
	switch {
	case rcode == "":
		failure.Code = "timeout"
		return diag.Failed(o, diag.N("step.dns.resolve.silent", args...), failure)
	case rcode == "NOERROR":
		failure.Code = "no_address"
		return diag.Failed(o, diag.N("step.dns.resolve.no_address", args...), failure)
	}
	return diag.Failed(o, diag.N("step.dns.resolve.rcode", append(args, "rcode", rcode)...), failure)
}

// lookUp asks the resolvers. One that is silent is not waited for longer than a share of the time before the next is asked
// too; a name that does not exist, or has no address, is an answer.
func lookUp(ctx context.Context, env *diag.Env, o *diag.Resolution) {
	system, left := readSystemDNS(env), env.Options.Timeout
	if len(system.servers) == 0 {
		bounded, cancel := patience.WithTimeout(ctx, left)
		lookUpBySystem(bounded, o)
		cancel()
	}
	if strings.HasSuffix(o.Name, ".local") && len(o.Addresses) == 0 {
		if a := askMDNS(ctx, env, o.Name); a != nil {
			o.Answers = append(o.Answers, a)
			if len(a.Addresses()) > 0 {
				o.Source = "mdns"
				setAddresses(o, a.Addresses())
				return
			}
		}
	}
	for _, name := range system.names(o.Name) {
		if name != o.Name {
			o.Searched = append(o.Searched, name)
		}
		left = ask(ctx, env.DialResolver, system.servers, name, true, "dns", o, left)
		if len(o.Addresses) > 0 {
			return
		}
		if !answered(o) {
			break // who is silent about one name is so about the next
		}
	}
	if len(o.Addresses) == 0 && len(env.Options.Resolvers) > 0 {
		ask(ctx, env.Dial, env.Options.Resolvers, o.Name, false, "further", o, env.Options.Timeout/2)
	}
}

func answered(o *diag.Resolution) bool {
	return len(o.Answers) > 0 && o.Answers[len(o.Answers)-1].RCode != ""
}

// ask goes through servers until one gives a verdict on the name. SERVFAIL and REFUSED say nothing of it. It takes no longer than
// left, and returns what remains of that.
func ask(ctx context.Context, dial diag.DialFunc, servers []string, name string, configured bool, source string, o *diag.Resolution, left time.Duration) time.Duration {
	for i, server := range servers {
		share := left / time.Duration(len(servers)-i)
		one, cancel := patience.WithTimeout(ctx, share)
		a := askResolver(one, dial, server, name)
		cancel()
		left -= min(a.Took, share)
		a.Configured = configured
		o.Answers = append(o.Answers, a)
		if addresses := a.Addresses(); len(addresses) > 0 {
			o.Source, o.Through = source, ""
			if !configured {
				o.Through = server
			}
			setAddresses(o, addresses)
			break
		}
		if a.RCode == "NXDOMAIN" || a.RCode == "NOERROR" || ctx.Err() != nil {
			break
		}
	}
	return left
}

// lookUpBySystem is for systems whose resolvers cannot be read, such as Windows: their own library is asked.
func lookUpBySystem(ctx context.Context, o *diag.Resolution) {
	begun := time.Now()
	a := &diag.DNSAnswer{Name: o.Name, Resolver: "system", Configured: true}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", o.Name)
	a.Took = time.Since(begun)
	var problem *net.DNSError
	switch {
	case err == nil:
		a.RCode, a.Outcome = "NOERROR", diag.OutcomeOK
		for _, ip := range ips {
			if ip = ip.Unmap(); ip.Is4() {
				a.A = append(a.A, ip.String())
			} else {
				a.AAAA = append(a.AAAA, ip.String())
			}
		}
	case errors.As(err, &problem) && problem.IsNotFound:
		a.RCode, a.Outcome, a.Error = "NXDOMAIN", diag.OutcomeRefused, err.Error()
	case errors.As(err, &problem) && problem.IsTimeout:
		a.Outcome, a.Error = diag.OutcomeSilent, err.Error()
	default:
		a.RCode, a.Outcome, a.Error = "SERVFAIL", diag.OutcomeRefused, err.Error()
	}
	o.Answers = append(o.Answers, a)
	o.Source = "system"
	setAddresses(o, a.Addresses())
}

func setAddresses(o *diag.Resolution, all []string) {
	o.Addresses = all[:min(len(all), maxAddresses)]
	o.Dropped = len(all) - len(o.Addresses)
}

// dnsCompare asks every resolver that was named to compare, and the system's first, each by itself.
var dnsCompare = diag.Probe{
	ID: "dns.compare", Layer: diag.LayerDNS, Depth: diag.DepthQuick,
	Applies: func(t diag.Target, o diag.PlanOptions) bool {
		_, literal := t.Literal()
		return !literal && len(o.Resolvers) > 0
	},
	Subjects: func(v *diag.View) []diag.Subject {
		var out []diag.Subject
		for _, server := range v.Options.Resolvers {
			out = append(out, diag.Subject{Name: server})
		}
		return out
	},
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		ctx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
		defer cancel()
		o := askResolver(ctx, env.Dial, s.Name, env.Target.Host)
		args := []string{"resolver", s.Name, "name", env.Target.Host, "addresses", strings.Join(o.Addresses(), ", "),
			"rcode", o.RCode, "count", strconv.Itoa(len(o.Addresses()))}
		switch {
		case o.RCode == "":
			return diag.Warned(o, diag.N("step.dns.compare.silent", args...))
		case len(o.Addresses()) == 0:
			return diag.Warned(o, diag.N("step.dns.compare.none", args...))
		}
		return diag.Passed(o, diag.N("step.dns.compare.ok", args...))
	},
}
