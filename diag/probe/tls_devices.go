package probe

import (
	"context"
	"crypto/tls"
	"slices"
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
)

// device is what one usual client offers in its ClientHello, and what it asks of a certificate. It is data; source says
// where it is from.
type device struct {
	name     string
	versions []uint16 // that it goes on with, newest first
	suites   []uint16
	groups   []uint16
	sigs     []uint16
	noSNI    bool     // sends no server name unless told to
	minRSA   int      // bits; 0: any
	lacks    []string // roots of public authorities that its store came without
	source   string
}

// Lists that several devices share.
var (
	onlyTLS10 = []uint16{tls.VersionTLS10}
	upToTLS12 = []uint16{tls.VersionTLS12, tls.VersionTLS11, tls.VersionTLS10}
	onlyTLS12 = []uint16{tls.VersionTLS12}
	tls12And3 = []uint16{tls.VersionTLS13, tls.VersionTLS12}

	tls13Suites  = []uint16{0x1301, 0x1302, 0x1303}
	openssl3List = []uint16{0x1302, 0x1303, 0x1301, 0xc02c, 0xc030, 0x009f, 0xcca9, 0xcca8, 0xccaa, 0xc02b, 0xc02f, 0x009e, 0xc024,
		0xc028, 0x006b, 0xc023, 0xc027, 0x0067, 0xc00a, 0xc014, 0x0039, 0xc009, 0xc013, 0x0033, 0x009d, 0x009c, 0x003d, 0x003c, 0x0035, 0x002f}
	androidList = []uint16{0xc02b, 0xc02c, 0xcca9, 0xc02f, 0xc030, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035}
	modemList   = []uint16{0x0035, 0x002f, 0x003d, 0x003c, 0xc013, 0xc014, 0xc027, 0xc028, 0xc02f, 0xc030}

	sha2Sigs  = []uint16{0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601}
	olderSigs = []uint16{0x0601, 0x0603, 0x0501, 0x0503, 0x0401, 0x0403, 0x0301, 0x0303, 0x0201, 0x0203}

	nistGroups   = []uint16{groupP256, groupP384, groupP521}
	modernGroups = []uint16{groupX25519, groupP256, groupP384}

	letsEncryptRoots = []string{"ISRG Root X1", "ISRG Root X2", "ISRG Root YE", "ISRG Root YR", "Root YE", "Root YR"}
)

// devices are usual clients of brokers. Where a stack can be configured, it is its default.
var devices = []device{
	{name: "ESP32, ESP-IDF 5 (mbedTLS 3)", versions: onlyTLS12, groups: []uint16{groupX25519, groupP256, groupP384, groupP521}, sigs: sha2Sigs,
		suites: []uint16{0xc02c, 0xc030, 0xc0ad, 0xc024, 0xc028, 0xc00a, 0xc014, 0xc02b, 0xc02f, 0xc0ac, 0xc023, 0xc027, 0xc009, 0xc013,
			0x009d, 0xc09d, 0x003d, 0x0035, 0x009c, 0xc09c, 0x003c, 0x002f},
		source: "github.com/espressif/esp-idf components/mbedtls/Kconfig, port/include/mbedtls/esp_config.h (v5)"},
	{name: "ESP8266, Arduino (BearSSL)", versions: upToTLS12, groups: append([]uint16{groupX25519}, nistGroups...), sigs: olderSigs,
		suites: []uint16{0xcca9, 0xcca8, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xc0ac, 0xc0ad, 0xc0ae, 0xc0af, 0xc023, 0xc027, 0xc024, 0xc028,
			0xc009, 0xc013, 0xc00a, 0xc014, 0x009c, 0x009d, 0xc09c, 0xc09d, 0x003c, 0x003d, 0x002f, 0x0035, 0xc008, 0xc012, 0x000a},
		source: "bearssl.org src/ssl/ssl_client_full.c; github.com/esp8266/Arduino WiFiClientSecureBearSSL.h (TLS 1.0 to 1.2 by default)"},
	{name: "SIM7600 modem", versions: upToTLS12, suites: modemList, groups: nistGroups, sigs: olderSigs, noSNI: true,
		source: "SIM7500_SIM7600 Series AT Command Manual V2.00, AT+CSSLCFG: sslversion 4 (all), enableSNI 0 by default"},
	{name: "A7670 modem", versions: upToTLS12, suites: modemList, groups: nistGroups, sigs: olderSigs, noSNI: true,
		source: "A7600 Series AT Command Manual V1.01, AT+CSSLCFG: sslversion 4 (all), enableSNI 0 by default"},
	{name: "Quectel EC2x, BG96 modem", versions: upToTLS12, groups: nistGroups, sigs: olderSigs, noSNI: true,
		suites: []uint16{0x0035, 0x002f, 0x0005, 0x0004, 0x000a, 0x003d, 0xc011, 0xc012, 0xc013, 0xc014, 0xc027, 0xc028, 0xc02f},
		source: "Quectel EC2x&EG9x&EM05 SSL AT Commands Manual V1.0, BG96 SSL AT Commands Manual V1.0: ciphersuite 0XFFFF, sslversion 4"},
	{name: "SIM800 modem", versions: onlyTLS10, suites: []uint16{0x0035, 0x002f, 0x0005, 0x0004, 0x000a}, noSNI: true,
		source: "SIM800 Series SSL Application Note: TLS 1.0"},
	{name: "Paho C with OpenSSL 1.0.2", versions: upToTLS12, groups: nistGroups, sigs: olderSigs,
		suites: []uint16{0xc030, 0xc02c, 0xc028, 0xc024, 0xc014, 0xc00a, 0x009f, 0x006b, 0x0039, 0x009d, 0x003d, 0x0035, 0xc02f, 0xc02b,
			0xc027, 0xc023, 0xc013, 0xc009, 0x009e, 0x0067, 0x0033, 0x009c, 0x003c, 0x002f, 0xc012, 0xc008, 0x0016, 0x000a},
		source: "github.com/testssl/testssl.sh etc/client-simulation.txt (OpenSSL 1.0.2e); ssllabs.com API getClients"},
	{name: "Paho C, mosquitto with OpenSSL 3.0", versions: tls12And3, suites: openssl3List, groups: usualGroups, sigs: usualSignatures, minRSA: 2048,
		source: "github.com/testssl/testssl.sh etc/client-simulation.wiresharked.txt (OpenSSL 3.0.15, Debian); openssl.org SSL_CTX_set_security_level(3): level 2 as Debian sets it"},
	{name: "Python 3.12 (paho-mqtt) with OpenSSL 3.0", versions: tls12And3, groups: usualGroups, sigs: usualSignatures, minRSA: 2048,
		suites: append(slices.Clone(tls13Suites), 0xc02c, 0xc030, 0xc02b, 0xc02f, 0xcca9, 0xcca8, 0x009f, 0x009e, 0xccaa, 0xc024, 0xc028, 0xc023, 0xc027, 0x006b, 0x0067),
		source: "docs.python.org/3/library/ssl.html create_default_context; PEP 644, bpo-43998 (TLS 1.2 and forward secrecy by default since 3.10)"},
	{name: "Node.js 20 (MQTT.js)", versions: tls12And3, groups: modernGroups, sigs: usualSignatures,
		suites: append(slices.Clone(tls13Suites), 0xc02f, 0xc02b, 0xc030, 0xc02c, 0x009e, 0xc027, 0x0067, 0xc028, 0x006b, 0xcca9, 0xcca8,
			0xc00a, 0xc014, 0xc009, 0xc013, 0x009d, 0x009c, 0x003d, 0x003c, 0x0035, 0x002f),
		source: "nodejs.org/docs/latest-v20.x/api/tls.html: default TLS cipher suite, tls.DEFAULT_MIN_VERSION"},
	{name: "Java 8 (8u161)", versions: upToTLS12, groups: nistGroups, sigs: olderSigs,
		suites: []uint16{0xc024, 0xc028, 0x003d, 0x006b, 0xc00a, 0xc014, 0x0035, 0xc005, 0xc00f, 0x0039, 0x0038, 0xc023, 0xc027, 0x003c, 0xc025,
			0xc029, 0x0067, 0xc009, 0xc013, 0x002f, 0xc004, 0xc00e, 0x0033, 0x0032, 0xc02c, 0xc02b, 0xc030, 0x009d, 0x009f, 0xc02f, 0x009c,
			0xc02d, 0xc031, 0x009e, 0xc008, 0xc012, 0x000a, 0x0016},
		source: "docs.oracle.com/javase/8/docs/technotes/guides/security/SunProviders.html; testssl.sh etc/client-simulation.txt (Java 8u161)"},
	{name: "Java 17 (HiveMQ client, Paho Java)", versions: tls12And3, groups: modernGroups, sigs: sha2Sigs,
		suites: append(slices.Clone(tls13Suites), 0xc02c, 0xc02b, 0xcca9, 0xc030, 0xcca8, 0xc02f, 0x009f, 0xccaa, 0x009e, 0xc024, 0xc028, 0xc023,
			0xc027, 0x006b, 0x0067, 0xc00a, 0xc014, 0xc009, 0xc013, 0x0039, 0x0033, 0x009d, 0x009c, 0x003d, 0x003c, 0x0035, 0x002f),
		source: "docs.oracle.com/en/java/javase/17/security/oracle-providers.html: SunJSSE default enabled cipher suites"},
	{name: ".NET 8 on Windows 10 (MQTTnet)", versions: onlyTLS12, groups: modernGroups, sigs: append(slices.Clone(sha2Sigs), 0x0201, 0x0203),
		suites: []uint16{0xc02c, 0xc02b, 0xc030, 0xc02f, 0x009f, 0x009e, 0xc024, 0xc023, 0xc028, 0xc027, 0xc00a, 0xc009, 0xc014, 0xc013,
			0x009d, 0x009c, 0x003d, 0x003c, 0x0035, 0x002f},
		source: "learn.microsoft.com/windows/win32/secauthn/tls-cipher-suites-in-windows-10-v22h2; protocols-in-tls-ssl--schannel-ssp- (no TLS 1.3 on Windows 10)"},
	{name: "Android 4.4", versions: onlyTLS10, suites: []uint16{0xc013, 0xc014, 0xc009, 0xc00a, 0x0033, 0x0039, 0x002f, 0x0035, 0x000a}, groups: nistGroups,
		lacks:  letsEncryptRoots,
		source: "developer.android.com/reference/javax/net/ssl/SSLSocket: TLS 1.1 and 1.2 enabled by default from API 20 on"},
	{name: "Android 7.0", versions: upToTLS12, suites: androidList, groups: []uint16{groupP256}, sigs: olderSigs, lacks: letsEncryptRoots,
		source: "testssl.sh etc/client-simulation.wiresharked.txt (Android 7.0: P-256 alone); letsencrypt.org/docs/certificate-compatibility (ISRG Root X1 from 7.1.1 on)"},
	{name: "Android 13", versions: tls12And3, suites: append(slices.Clone(tls13Suites), append(slices.Clone(androidList), 0xc009, 0xc00a)...),
		groups: modernGroups, sigs: sha2Sigs,
		source: "testssl.sh etc/client-simulation.wiresharked.txt (Android 13)"},
	{name: "Browsers (Chrome, Firefox, Safari of today)", versions: tls12And3, suites: append(slices.Clone(tls13Suites), 0xc02b, 0xc02f, 0xc02c,
		0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035), groups: modernGroups, sigs: sha2Sigs,
		source: "testssl.sh etc/client-simulation.wiresharked.txt; ssllabs.com API getClients"},
}

func (d device) hello(serverName string) hello {
	h := hello{suites: append(slices.Clone(d.suites), 0x00ff), groups: d.groups, serverName: serverName}
	newest := d.versions[0]
	h.version = min(newest, tls.VersionTLS12)
	if newest == tls.VersionTLS13 {
		h.versions = d.versions
	}
	if newest >= tls.VersionTLS12 {
		h.signatures = d.sigs
	}
	if d.noSNI {
		h.serverName = ""
	}
	return h
}

// tlsDevices says the hellos of usual clients, one after the other, and tells which of them would get no further.
var tlsDevices = diag.Probe{
	ID: "tls.devices", Layer: diag.LayerTLS, Depth: diag.DepthDeep,
	Applies: ifTLS,
	Ready: func(v *diag.View) diag.Decision {
		return afterHandshake(v, func() diag.Decision {
			if _, ok := shookHands(v); !ok {
				return notReachedBy(v, checkTLS)
			}
			return diag.Run()
		})
	},
	Budget: 90 * time.Second, // so many connections in a row, each of a few round trips
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		asked, ok := shookHands(env.View)
		if !ok {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		o := &diag.DeviceSimulation{Address: asked.Address}
		r := askedRoute(env.Target, asked.Address).with(diag.PurposeDevice, "", nil)
		for i, d := range devices {
			if ctx.Err() != nil {
				break
			}
			o.Results = append(o.Results, simulate(ctx, env, r, d, asked))
			env.Progress(i+1, len(devices), "devices")
		}
		bad := 0
		for _, result := range o.Results {
			if !result.OK {
				bad++
			}
		}
		return diag.Passed(o, diag.N("step.tls.devices.done", "count", strconv.Itoa(len(o.Results)-bad), "total", strconv.Itoa(len(o.Results))))
	},
}

// simulate says a device's hello, and judges what it would make of the answer and of the certificate.
func simulate(ctx context.Context, env *diag.Env, r route, d device, asked *diag.TLSHandshake) diag.DeviceResult {
	out := diag.DeviceResult{Device: d.name, Source: d.source, Newest: versionName(d.versions[0])}
	o := sayHello(ctx, env, r, d.name, d.hello(r.TLS.ServerName))
	out.Version, out.Suite, out.Alert = o.Version, o.Suite, o.Alert
	switch {
	case o.NoTCP || o.Outcome == diag.OutcomeSilent || o.Outcome == diag.OutcomeCanceled:
		out.OK, out.Unknown = true, true // nothing was learnt
		return out
	case o.Outcome == diag.OutcomeOK && goesOn(d, o):
		return certificateFor(out, d, env.Target, asked)
	}
	out.Why = "suites"
	if d.noSNI && r.TLS.ServerName != "" {
		named := d
		named.noSNI = false
		if again := sayHello(ctx, env, r, d.name, named.hello(r.TLS.ServerName)); again.Outcome == diag.OutcomeOK && goesOn(d, again) {
			out.Why = "server_name"
			return out
		}
	}
	if o.Outcome == diag.OutcomeOK || o.Alert != nil && o.Alert.Number == 70 || !newEnough(d, asked) && d.versions[0] < tls.VersionTLS12 {
		out.Why = "version"
	}
	return out
}

// goesOn tells whether a device takes the version and suite that the server chose.
func goesOn(d device, o *diag.TLSHello) bool {
	return slices.ContainsFunc(d.versions, func(v uint16) bool { return versionName(v) == o.Version }) &&
		slices.ContainsFunc(d.suites, func(s uint16) bool { return suiteName(s) == o.Suite })
}

// newEnough tells whether a device speaks the version that the asked handshake came to.
func newEnough(d device, asked *diag.TLSHandshake) bool {
	return versionName(d.versions[0]) >= asked.Version
}

// certificateFor adds what the device would mind about the certificate.
func certificateFor(out diag.DeviceResult, d device, t diag.Target, asked *diag.TLSHandshake) diag.DeviceResult {
	out.OK = true
	leaf := asked.Leaf()
	if leaf == nil {
		return out
	}
	if leaf.KeyAlgorithm == "RSA" && leaf.KeyBits < d.minRSA {
		out.OK, out.Why = false, "key_size"
	}
	if t.TLS.CAPEM == "" {
		top := topOf(asked)
		if slices.ContainsFunc(d.lacks, func(root string) bool { return strings.Contains(top.Issuer, "CN="+root) }) {
			out.OK, out.Why = false, "root"
		}
	}
	return out
}
