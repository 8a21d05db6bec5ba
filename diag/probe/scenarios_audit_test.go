package probe_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/rule"
)

// writtenScenario is a scenario or tlsCase as it stands in the tests of this directory.
type writtenScenario struct {
	in, name string      // the top-level declaration that it stands in, and what it is called there
	root     diag.Code   // the root cause that it wants; empty: it has to be silent
	beside   []diag.Code // findings that must be there as well
}

// writtenScenarios reads the tests of this directory, those for other systems too. What it finds depends on no test being run.
func writtenScenarios(t *testing.T) []writtenScenario {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests found: %v", err)
	}
	var out []writtenScenario
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			lists := codeLists(decl)
			ast.Inspect(decl, func(n ast.Node) bool {
				if lit, ok := n.(*ast.CompositeLit); ok {
					if s, ok := scenarioOf(lit, lists); ok {
						s.in = nameOf(decl)
						out = append(out, s)
					}
				}
				return true
			})
		}
	}
	return out
}

// nameOf is the name of a function or of the first variable of a declaration.
func nameOf(decl ast.Decl) string {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		return d.Name.Name
	case *ast.GenDecl:
		if v, ok := d.Specs[0].(*ast.ValueSpec); ok {
			return v.Names[0].Name
		}
	}
	return ""
}

// scenarioOf reads a literal that is a scenario: by its type, or where that is left out by the peer that it starts.
func scenarioOf(lit *ast.CompositeLit, lists map[string][]diag.Code) (writtenScenario, bool) {
	fields := map[string]ast.Expr{}
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok {
				fields[key.Name] = kv.Value
			}
		}
	}
	typed, ok := lit.Type.(*ast.Ident)
	if ok && typed.Name != "scenario" && typed.Name != "tlsCase" || lit.Type != nil && !ok {
		return writtenScenario{}, false
	}
	if lit.Type == nil && fields["peer"] == nil && fields["broken"] == nil {
		return writtenScenario{}, false
	}
	s := writtenScenario{name: constant(fields["name"]), root: diag.Code(constant(fields["want"]) + constant(fields["root"]))}
	if fields["want"] != nil && s.root == "" || s.name == "" {
		return s, false // told only when the test runs
	}
	for _, field := range []string{"info", "also", "beside"} {
		if named, ok := fields[field].(*ast.Ident); ok {
			s.beside = append(s.beside, lists[named.Name]...)
		}
		s.beside = append(s.beside, codes(fields[field])...)
	}
	return s, true
}

// codeLists are the variables of a declaration that are set to a list of codes.
func codeLists(decl ast.Decl) map[string][]diag.Code {
	out := map[string][]diag.Code{}
	ast.Inspect(decl, func(n ast.Node) bool {
		set, ok := n.(*ast.AssignStmt)
		if !ok || len(set.Lhs) != len(set.Rhs) {
			return true
		}
		for i, left := range set.Lhs {
			if named, ok := left.(*ast.Ident); ok {
				out[named.Name] = append(out[named.Name], codes(set.Rhs[i])...)
			}
		}
		return true
	})
	return out
}

// codes are the texts of a list of literals.
func codes(e ast.Expr) []diag.Code {
	list, ok := e.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	var out []diag.Code
	for _, e := range list.Elts {
		if code := constant(e); code != "" {
			out = append(out, diag.Code(code))
		}
	}
	return out
}

// constant is the text of a string literal, of a sum the text that it begins with; otherwise it is empty.
func constant(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return text
		}
	case *ast.BinaryExpr:
		return constant(e.X)
	}
	return ""
}

// proof is a scenario that shows a cause, and its twin: the same peer without the one fault.
type proof struct{ broken, twin string }

// proofs names for each cause of the catalogue what shows it, by the declaration and the name that the scenario has there. Where
// several do, it is the one with a real program, or the one whose twin differs least.
var proofs = map[diag.Code]proof{
	"dns.nxdomain":          {"TestDNSScenarios: no such name", "TestDNSScenarios: a name that resolves"},
	"dns.no_address":        {"TestDNSScenarios: no address", "TestDNSScenarios: a name that resolves"},
	"dns.server_failure":    {"TestDNSScenarios: resolver fails", "TestDNSScenarios: a name that resolves"},
	"dns.timeout":           {"TestDNSScenarios: resolver silent", "TestDNSScenarios: a name that resolves"},
	"dns.resolver_mismatch": {"TestDNSScenarios: resolvers disagree", "TestDNSScenarios: resolvers agree in part"},
	"dns.loopback_address":  {"TestDNSScenarios: name of this machine", "TestDNSScenarios: a name that resolves"},
	"dns.private_address":   {"TestPrivateAddressScenario: private address that works", "TestPrivateAddressScenario: public address"},
	"dns.hosts_override":    {"TestDNSScenarios: hosts file disagrees", "TestDNSScenarios: hosts file agrees with DNS"},
	"dns.local_name":        {"TestDNSScenarios: mDNS name", "TestDNSScenarios: local name that resolves"},
	"dns.ipv6_broken":       {"TestDNSScenarios: IPv6 dead", "TestDNSScenarios: IPv6 alive"},

	"net.unreachable":       {"TestFarScenarios: unreachable", "TestFarScenarios: healthy behind a router"},
	"net.firewall_rejected": {"TestFarScenarios: rejected by the host", "TestFarScenarios: healthy"},
	"net.packet_loss":       {"TestPacketLossScenarios: one in six lost", "TestPacketLossScenarios: none lost"},
	"net.high_latency":      {"TestFarScenarios: long way", "TestFarScenarios: healthy"},
	"net.mtu_blackhole":     {"TestBlackHoles: large packets vanish towards us", "TestBlackHoles: a path in order with TLS"},
	"net.cdn_in_front":      {"TestCDNScenarios: the name leads to a CDN", "TestCDNScenarios: a broker at the address of a CDN"},
	"net.captive_portal":    {"TestCaptivePortalScenarios: a login page for everything", "TestCaptivePortalScenarios: a login page for everything but the broker"},

	"tcp.refused":                 {"TestFarScenarios: reset by a firewall", "TestFarScenarios: healthy"},
	"tcp.filtered":                {"TestFarScenarios: one port filtered", "TestFarScenarios: healthy"},
	"tcp.wrong_port":              {"TestFarScenarios: other port", "TestFarScenarios: healthy"},
	"tcp.partial_addresses":       {"TestDNSScenarios: one IPv4 address dead", "TestOneOfTwoAddresses: both in order"},
	"tcp.closed_on_accept":        {"TestBehindHaproxy: dead backend", "TestBehindHaproxy: raw"},
	"tcp.proxy_protocol_expected": {"TestBehindHaproxy: PROXY header wanted", "TestBehindHaproxy: raw"},
	"tcp.accepts_everything":      {"TestFarScenarios: accepts everything", "TestFarScenarios: broker behind what accepts everything"},

	"tls.plaintext_peer":          {"tlsScenarios: TLS to a plain mosquitto", "tlsScenarios: mosquitto, healthy"},
	"tls.required":                {"tlsScenarios: plain to a TLS port", "tlsScenarios: healthy"},
	"tls.cert_expired":            {"tlsScenarios: expired", "tlsScenarios: healthy"},
	"tls.intermediate_expired":    {"furtherTLSScenarios: intermediate expired", "tlsScenarios: healthy with an intermediate"},
	"tls.cert_not_yet_valid":      {"tlsScenarios: not yet valid", "tlsScenarios: healthy"},
	"tls.clock_skew":              {"furtherTLSScenarios: our clock runs ahead", "furtherTLSScenarios: our clock is right"},
	"tls.hostname_mismatch":       {"tlsScenarios: wrong name", "tlsScenarios: healthy"},
	"tls.cn_only":                 {"furtherTLSScenarios: name only in the common name", "furtherTLSScenarios: name among those of the certificate"},
	"tls.self_signed":             {"tlsScenarios: self-signed", "tlsScenarios: healthy, the self-signed certificate itself given as CA"},
	"tls.unknown_ca":              {"tlsScenarios: unknown CA", "tlsScenarios: healthy"},
	"tls.wrong_ca":                {"furtherTLSScenarios: wrong CA file", "tlsScenarios: healthy"},
	"tls.incomplete_chain":        {"furtherTLSScenarios: intermediate left out, found by its URL", "tlsScenarios: healthy with an intermediate"},
	"tls.client_cert_required":    {"tlsScenarios: client certificate required, TLS 1.3", "tlsScenarios: client certificate required and given"},
	"tls.client_cert_rejected":    {"furtherTLSScenarios: client certificate of another CA, TLS 1.3", "tlsScenarios: client certificate required and given"},
	"tls.version_unsupported":     {"furtherTLSScenarios: TLS 1.1 at most", "furtherTLSScenarios: TLS 1.2 at most"},
	"tls.no_shared_cipher":        {"furtherTLSScenarios: 3DES alone", "furtherTLSScenarios: RSA of 2048 bits"},
	"tls.sni_required":            {"furtherTLSScenarios: a wrong server name was set", "furtherTLSScenarios: name among those of the certificate"},
	"tls.alpn_required":           {"TestBehindHaproxy: ALPN name wanted", "TestBehindHaproxy: ALPN name given"},
	"tls.key_usage":               {"TestTLSChains: an authority for client certificates issued it", "TestTLSChains: an authority for servers and clients issued it"},
	"tls.revoked":                 {"furtherTLSScenarios: stapled revocation", "furtherTLSScenarios: stapled good"},
	"tls.handshake_timeout":       {"furtherTLSScenarios: hangs once", "furtherTLSScenarios: hangs never"},
	"tls.handshake_closed":        {"furtherTLSScenarios: internal error on every hello", "tlsScenarios: healthy"},
	"tls.cert_expiring":           {"furtherTLSScenarios: ten days left", "tlsScenarios: healthy"},
	"tls.weak_key":                {"furtherTLSScenarios: weak key", "furtherTLSScenarios: RSA of 2048 bits"},
	"tls.weak_signature":          {"furtherTLSScenarios: SHA-1", "tlsScenarios: healthy"},
	"tls.legacy_versions_enabled": {"furtherTLSScenarios: old versions beside new ones", "furtherTLSScenarios: healthy, deep"},
	"tls.intercepted":             {"furtherTLSScenarios: an inspecting firewall that the client trusts", "tlsScenarios: healthy"},
	// Devices that have TLS 1.0 alone get through where that is enabled, which is a fault of its own.
	"tls.device_incompatible": {"furtherTLSScenarios: healthy, deep", "furtherTLSScenarios: versions and suites for every device"},

	"ws.wrong_path":           {"TestProxies: nginx at another path", "TestProxies: nginx with the upgrade headers"},
	"ws.not_websocket":        {"TestProxies: nginx returns a page", "TestProxies: nginx with the upgrade headers"},
	"ws.upgrade_stripped":     {"TestBehindHaproxy: upgrade taken out", "TestBehindHaproxy: upgrade passed"},
	"ws.bad_gateway":          {"TestProxies: nginx with nothing behind", "TestProxies: nginx with the upgrade headers"},
	"ws.origin_rejected":      {"TestUpgradeDeclined: origin refused", "TestUpgradeDeclined: allowed origin"},
	"ws.auth_required":        {"TestBehindHaproxy: login wanted", "TestBehindHaproxy: login given"},
	"ws.redirect":             {"TestProxies: nginx redirects", "TestProxies: nginx with the upgrade headers"},
	"ws.subprotocol_rejected": {"TestProxies: nginx without the subprotocol before mosquitto", "TestProxies: nginx with the upgrade headers"},
	"ws.expected":             {"TestWebSocketExpected: mqtt to a ws listener", "TestSubprotocol: chosen"},
	"ws.raw_mqtt_peer":        {"TestWebSocketExpected: ws asked of a raw broker", "TestWebSocketExpected: raw asked of a raw broker"},
	"ws.text_frames":          {"TestUpgradeDeclined: text frames", "TestSubprotocol: chosen"},
	"ws.mixed_content":        {"TestMixedContent: secure page, ws", "TestMixedContent: secure page, wss"},

	"mqtt.not_mqtt":               {"TestNotMQTT: noise", "TestNotMQTT: a broker where a database was expected"},
	"mqtt.no_connack":             {"TestRealBrokersThatMind: hangs", "TestRealBrokersThatMind: hangs not"},
	"mqtt.closed_without_connack": {"TestClosedWithoutConnack: own id closed", "TestClosedWithoutConnack: temporary ids closed, own works"},
	"mqtt.connect_too_large":      {"TestRealBrokersThatMind: CONNECT over its limit", "TestRealBrokersThatMind: CONNECT under its limit"},
	"mqtt.version_unsupported":    {"TestVersionRefused: 5 by code", "TestVersionRefused: asked 3.1.1"},
	"mqtt.client_id_rejected":     {"TestClientIDRefused: temporary", "TestClientIDRefused: only the own id is taken"},
	"mqtt.keepalive_rejected":     {"TestKeepAliveRefused: by code", "TestKeepAliveRefused: usual"},
	"mqtt.server_unavailable":     {"TestRefusedByCode: unavailable", "TestRefusedByCode: not refused"},
	"mqtt.server_busy":            {"TestRefusedByCode: busy", "TestRefusedByCode: not refused"},
	"mqtt.banned":                 {"TestRefusedByCode: banned", "TestRefusedByCode: not refused"},
	"mqtt.auth_method":            {"TestRefusedByCode: method", "TestRefusedByCode: not refused"},
	"mqtt.use_another_server":     {"TestRefusedByCode: elsewhere", "TestRefusedByCode: not refused"},
	"mqtt.bad_credentials":        {"TestRealBrokers: mosquitto wrong password over ", "TestRealBrokers: mosquitto right password over "},
	"mqtt.auth_required":          {"TestRealBrokers: mosquitto no password over ", "TestRealBrokers: mosquitto right password over "},
	"mqtt.not_authorized":         {"TestClientIDRefused: id not authorized", "TestClientIDRefused: only the own id is authorized"},
	"mqtt.connection_limit":       {"TestConnectionLimit: mosquitto", "TestConnectionLimit: none"},
	"mqtt.client_id_conflict":     {"TestRealBrokersThatMind: somebody else has the id", "TestRealBrokersThatMind: somebody else has another id"},
	"mqtt.kicked_after_connect":   {"TestSessionsThatEnd: kicked late", "TestSessionsThatEnd: lasts"},
	"mqtt.keepalive_overridden":   {"TestRealBrokersThatMind: keep alive over its limit", "TestRealBrokersThatMind: keep alive under its limit"},
	"mqtt.ping_unanswered":        {"TestSessionsThatEnd: no PINGRESP", "TestSessionsThatEnd: lasts"},
	"mqtt.idle_disconnect":        {"TestWatch: idle, closed", "TestWatch: idle above the keep alive"},
	"mqtt.unstable":               {"TestWatch: all at once", "TestWatch: lasts"},
	"mqtt.lifetime_limit":         {"TestWatch: age", "TestWatch: lasts"},
	"mqtt.session_not_kept":       {"TestKeptSessions: forgets", "TestKeptSessions: kept"},
	"mqtt.provider_rule":          {"TestProviderRuleIsNamed: no login ", "TestProviderRuleIsNamed: right login "},

	"msg.filter_mismatch":      {"TestFilterMismatch: none of two matches", "TestFilterMismatch: one of two matches"},
	"msg.subscribe_denied":     {"TestSubscribeDenied: by code", "TestSubscribeDenied: granted"},
	"msg.publish_denied":       {"TestRealBrokers: mosquitto other topics", "TestRealBrokers: mosquitto own topics only"},
	"msg.publish_dropped":      {"TestAccessOnMosquitto: may only read", "TestAccessOnMosquitto: may only read, and does"},
	"msg.not_routed":           {"TestPublishDropped: all dropped at QoS ", "TestPublishDenied: granted at QoS "},
	"msg.qos_downgraded":       {"TestQoSDowngraded: granted 0 of 1", "TestQoSDowngraded: granted 1 of 1"},
	"msg.lost":                 {"TestLosses: every third", "TestLosses: nothing"},
	"msg.duplicated":           {"TestDoublesAndOrder: doubled", "TestDoublesAndOrder: once each"},
	"msg.out_of_order":         {"TestDoublesAndOrder: some overtaken", "TestDoublesAndOrder: once each"},
	"msg.slow":                 {"TestSlowDelivery: queued", "TestSlowDelivery: a little queue"},
	"msg.too_large":            {"TestTooLargeOnMosquitto: message_size_limit", "TestTooLargeOnMosquitto: default of version 2.1"},
	"msg.inflight_limited":     {"TestMosquittoLimits: one in flight in 3.1.1", "TestMosquittoLimits: defaults over 100 ms in 3.1.1"},
	"msg.rate_limited":         {"TestRateLimits: dropped over 20 per second", "TestRateLimits: under the limit"},
	"msg.retain_unavailable":   {"TestRetained: refused", "TestRetained: kept"},
	"msg.retained_wildcard":    {"TestRetained: exact only", "TestRetained: kept"},
	"msg.stale_retained":       {"TestStaleRetained: by name", "TestStaleRetained: none"},
	"msg.will_not_delivered":   {"TestWills: swallowed ", "TestWills: delivered "},
	"msg.offline_lost":         {"TestKeptSessions: keeps no messages", "TestKeptSessions: kept"},
	"msg.wildcard_unavailable": {"TestFilterKinds: wildcards refused", "TestFilterKinds: all work"},
	"msg.shared_unavailable":   {"TestFilterKinds: shared refused", "TestFilterKinds: all work"},

	"broker.overloaded": {"TestBrokerStatus: alarm", "TestBrokerStatus: alarm over"},
	"broker.dropping":   {"TestMosquittoThatDrops: dropping", "TestMosquittoThatDrops: twin"},
	"broker.restarted":  {"TestBrokerStatus: restarted", "TestBrokerStatus: mosquitto"},
}

// shownBefore are causes that no run comes to, since such an input is refused: the test, by its file, that shows the refusal over
// the interface with its healthy twin.
var shownBefore = map[diag.Code][2]string{"tls.client_key_mismatch": {"../../web/key_mismatch_test.go", "TestKeyOfAnotherDevice"}}

// twinOf lists the causes whose twin a scenario is. A long round trip is not among them: a busy machine has one too.
func twinOf(t *testing.T, name string) []diag.Code {
	top, _, _ := strings.Cut(t.Name(), "/")
	name = top + ": " + name
	plain := name
	for _, version := range everyVersion {
		plain = strings.TrimSuffix(plain, " "+version)
	}
	var out []diag.Code
	for code, p := range proofs {
		begun := strings.HasSuffix(p.twin, " ") && strings.HasPrefix(name, p.twin) // its end is told only when the test runs
		if code != "net.high_latency" && (name == p.twin || plain == p.twin || begun) {
			out = append(out, code)
		}
	}
	return out
}

// TestEveryCauseIsShown keeps the promise that a code is: each that the catalogue has was shown with a really broken peer, and is
// not concluded of the same peer without the fault.
func TestEveryCauseIsShown(t *testing.T) {
	t.Parallel()
	written := writtenScenarios(t)
	find := func(code diag.Code, place string, is func(writtenScenario) bool) {
		t.Helper()
		if !slices.ContainsFunc(written, func(s writtenScenario) bool { return s.in+": "+s.name == place && is(s) }) {
			t.Errorf("%s: no scenario %q as it has to be", code, place)
		}
	}
	for _, r := range rule.All {
		if r.Code == "" || !slices.Contains(catalogue.Codes(), r.Code) {
			t.Errorf("%s is not in the catalogue", r.Code)
		}
	}
	for _, code := range catalogue.Codes() {
		if place, ok := shownBefore[code]; ok {
			if source, err := os.ReadFile(filepath.FromSlash(place[0])); err != nil || !strings.Contains(string(source), "func "+place[1]+"(") {
				t.Errorf("%s: no test %s in %s (%v)", code, place[1], place[0], err)
			}
			continue
		}
		shown, ok := proofs[code]
		if !ok {
			t.Errorf("%s: nothing shows it", code)
			continue
		}
		info := slices.ContainsFunc(rule.All, func(r diag.Rule) bool { return r.Code == code && r.Severity == diag.SeverityInfo })
		find(code, shown.broken, func(s writtenScenario) bool { return s.root == code || info && slices.Contains(s.beside, code) })
		find(code, shown.twin, func(s writtenScenario) bool {
			return (s.root == "" || info && s.root != code) && !slices.Contains(s.beside, code)
		})
	}
	for code := range proofs {
		if !slices.Contains(catalogue.Codes(), code) {
			t.Errorf("%s is shown and in no catalogue", code)
		}
	}
}
