package probe_test

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// named gives a peer a host name by a hosts file.
func named(t *testing.T, name string, s scenario) scenario {
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte("127.0.0.1 "+name+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	resolver := diagtest.DNSServer(t, diagtest.DNSRecords(map[string][]string{name: {"127.0.0.1"}}))
	s.env = func(e *diag.Env) { e.HostsFile, e.Resolvers = path, []string{resolver.Addr} }
	peer := s.peer
	s.peer = func(t testing.TB) string {
		u, err := url.Parse(peer(t))
		if err != nil {
			t.Fatal(err)
		}
		u.Host = name + ":" + u.Port()
		return u.String()
	}
	return s
}

func TestProviderRuleIsNamed(t *testing.T) {
	t.Parallel()
	onlyUser := scripted(diagtest.Script{OnConnect: diagtest.OnlyUser("doctor", "right")})
	closes := scripted(diagtest.Script{OnConnect: func(diagtest.Connect) diagtest.ConnectAnswer {
		return diagtest.ConnectAnswer{Action: diagtest.Close}
	}})
	emqx := func(s scenario) scenario { return named(t, "abc.emqxsl.com", s) }
	var all []scenario
	for _, version := range []string{"auto", "3.1.1", "5"} {
		all = slices.Concat(all, []scenario{
			emqx(scenario{name: "no login " + version, peer: onlyUser, in: diag.TargetInput{Protocol: version}, want: "mqtt.provider_rule", variant: "login"}),
			emqx(scenario{name: "right login " + version, peer: onlyUser, in: func() diag.TargetInput {
				in := login("doctor", "right")
				in.Protocol = version
				return in
			}()}),
			// A rule that is kept is not to blame.
			emqx(scenario{name: "wrong login " + version, peer: onlyUser, in: func() diag.TargetInput {
				in := login("doctor", "wrong")
				in.Protocol = version
				return in
			}(), want: "mqtt.bad_credentials"}),
			named(t, "hub.azure-devices.net", scenario{name: "plain " + version, peer: closes, in: diag.TargetInput{Protocol: version}, want: "mqtt.provider_rule", variant: "transport"}),
			named(t, "abc.iotcloud.tencentdevices.com", scenario{name: "port " + version, peer: onlyUser, in: diag.TargetInput{Protocol: version}, want: "mqtt.provider_rule", variant: "port"}),
		})
	}
	runScenarios(t, all)
}
