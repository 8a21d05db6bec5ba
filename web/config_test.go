package web

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag/guard"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestFlagsWinOverTheEnvironment(t *testing.T) {
	c, err := ParseConfig([]string{"--max-runs", "5", "--public-url=https://mqtt.example.com/"}, env("MQTTDOCTOR_MAX_RUNS", "7",
		"MQTTDOCTOR_MAX_RUNS_PER_CLIENT", "3", "MQTTDOCTOR_RETENTION", "7d", "MQTTDOCTOR_ALLOW_CIDR", "10.0.0.0/8, 192.0.2.1",
		"MQTTDOCTOR_TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8", "MQTTDOCTOR_OPEN", "false", "MQTTDOCTOR_LOG_LEVEL", "debug"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if c.MaxRuns != 5 || c.MaxPerClient != 3 || c.Retention != 7*24*time.Hour || c.Open || c.PublicURL.String() != "https://mqtt.example.com" ||
		len(c.TrustedProxies) != 2 || c.LogLevel.String() != "DEBUG" {
		t.Errorf("%+v", c)
	}
	p, err := c.TargetPolicy()
	if err != nil || p.Name != guard.Laptop || len(p.Allow) != 2 || p.Allow[1] != netip.MustParsePrefix("192.0.2.1/32") {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestPolicyFollowsWhoCanReachTheServer(t *testing.T) {
	for listen, want := range map[string]string{"127.0.0.1:0": guard.Laptop, "[::1]:80": guard.Laptop, "localhost:8080": guard.Laptop,
		":8080": guard.Public, "0.0.0.0:8080": guard.Public, "192.0.2.1:80": guard.Public, "example.com:80": guard.Public} {
		c := DefaultConfig()
		c.Listen = listen
		if p, err := c.TargetPolicy(); err != nil || p.Name != want {
			t.Errorf("%s: %s, %v; want %s", listen, p.Name, err, want)
		}
		c.Policy = guard.Intranet
		if p, _ := c.TargetPolicy(); p.Name != guard.Intranet {
			t.Errorf("%s: the given policy was not taken", listen)
		}
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	for _, c := range []struct {
		args []string
		env  func(string) string
		want string
	}{
		{[]string{"--listen", "8080"}, env(), "--listen"},
		{[]string{"--policy", "none"}, env(), "policy"},
		{[]string{"--allow-cidr", "10.0.0.0/99"}, env(), "--allow-cidr"},
		{[]string{"--max-runs", "0"}, env(), "--max-runs"},
		{[]string{"--retention", "1s"}, env(), "--retention"},
		{[]string{"--retention", "3.5d"}, env(), "retention"},
		{[]string{"--public-url", "mqtt.example.com"}, env(), "public-url"},
		{[]string{"--public-url", "https://u:p@mqtt.example.com"}, env(), "public-url"},
		{[]string{"--trusted-proxies", "proxy"}, env(), "trusted-proxies"},
		{[]string{"--database-url", "mysql://doctor@db/name"}, env(), "--database-url"},
		{[]string{"--max-database", "1MB"}, env(), "--max-database"},
		{[]string{"--max-database", "-5GB"}, env(), "max-database"},
		{[]string{"--max-database", "much"}, env(), "max-database"},
		{[]string{"--drain", "1h"}, env(), "--drain"},
		{[]string{"--metrics-token", "short"}, env(), "--metrics-token"},
		{nil, env("MQTTDOCTOR_DATABASE_URL", "db.example.com"), "--database-url"},
		{[]string{"--log-format", "xml"}, env(), "log-format"},
		{[]string{"extra"}, env(), "extra"},
		{[]string{"--nonsense"}, env(), "nonsense"},
		{nil, env("MQTTDOCTOR_MAX_RUNS", "many"), "MQTTDOCTOR_MAX_RUNS"},
		{nil, env("MQTTDOCTOR_POLICY", "none"), "MQTTDOCTOR_POLICY"},
	} {
		if _, err := ParseConfig(c.args, c.env, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %s", c.args, err, c.want)
		}
	}
}

func TestNoMessageHoldsTheDatabasePassword(t *testing.T) {
	var out bytes.Buffer
	c, err := ParseConfig([]string{"--database-url", "postgres://doctor:CANARY@db:port/name"}, env(), &out)
	if err == nil || strings.Contains(fmt.Sprint(err, c, fmt.Sprintf("%+v %#v", c, c)), "CANARY") {
		t.Errorf("%v", err)
	}
	_, err = ParseConfig([]string{"--database-url=postgres://doctor:CANARY@db/name", "--help"}, env(), &out)
	if !errors.Is(err, flag.ErrHelp) || strings.Contains(out.String(), "CANARY") {
		t.Errorf("%v, %s", err, out.String())
	}
}

func TestHelpListsEveryFlagWithItsVariable(t *testing.T) {
	var out bytes.Buffer
	if _, err := ParseConfig([]string{"--help"}, env(), &out); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, want := range []string{"--listen", "MQTTDOCTOR_LISTEN", "127.0.0.1:8080", "--policy", "MQTTDOCTOR_POLICY", "--allow-cidr",
		"--deny-cidr", "--open", "--public-url", "--trusted-proxies", "--max-runs-per-client", "MQTTDOCTOR_MAX_RUNS_PER_CLIENT",
		"--retention", "30d", "--log-format", "--log-level", "--data", "MQTTDOCTOR_DATA", "--database-url"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("help lacks %s", want)
		}
	}
}
