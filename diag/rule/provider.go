package rule

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mqttdoctor/diag"
)

// provider is a cloud broker whose rules its host names give away.
type provider struct {
	name   string
	host   *regexp.Regexp
	source string
	// tlsPorts and wssPorts are the ports that take MQTT over TLS and over secure WebSocket; plainPorts those without TLS.
	tlsPorts, wssPorts, plainPorts []uint16
	// alpn is needed on port 443 over TLS; empty: none.
	alpn     string
	clientID *form
	username *form
	// login tells that both a user name and a password are always needed.
	login bool
}

// form is how a field must look, and how that is written for people.
type form struct {
	re   *regexp.Regexp
	text string
}

// providers are data: each line is from the source named, which people can read.
var providers = []provider{
	{name: "AWS IoT Core", host: regexp.MustCompile(`(^|\.)iot\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$`),
		source:   "https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html",
		tlsPorts: []uint16{8883, 443}, wssPorts: []uint16{443}, alpn: "x-amzn-mqtt-ca"},
	{name: "Azure IoT Hub", host: regexp.MustCompile(`\.azure-devices\.(net|cn|us)$`),
		source:   "https://learn.microsoft.com/en-us/azure/iot/iot-mqtt-connect-to-iot-hub",
		tlsPorts: []uint16{8883}, wssPorts: []uint16{443},
		username: &form{regexp.MustCompile(`^[^/]+\.azure-devices\.(net|cn|us)/[^/]+(/[^/]+)?/(\?|.*api-version=)`),
			"{iothub}.azure-devices.net/{device_id}/?api-version=2021-04-12"}},
	{name: "Azure Event Grid", host: regexp.MustCompile(`\.ts\.eventgrid\.azure\.(net|cn|us)$`),
		source:   "https://learn.microsoft.com/en-us/azure/event-grid/mqtt-client-authentication",
		tlsPorts: []uint16{8883}, wssPorts: []uint16{443}},
	{name: "Aliyun IoT", host: regexp.MustCompile(`(\.iot-as-mqtt\.[a-z0-9-]+|\.mqtt\.iothub)\.aliyuncs\.com$`),
		source:   "https://help.aliyun.com/document_detail/73742.html",
		tlsPorts: []uint16{1883, 443, 8883}, wssPorts: []uint16{443}, plainPorts: []uint16{1883, 80},
		login: true,
		clientID: &form{regexp.MustCompile(`^[^|]+\|.*(securemode=-?\d+).*\|$`),
			"{clientId}|securemode=2,signmethod=hmacsha256,timestamp={ms}|"},
		username: &form{regexp.MustCompile(`^[^&]+&[^&]+$`), "{deviceName}&{productKey}"}},
	{name: "Tencent IoT Hub", host: regexp.MustCompile(`\.iotcloud\.tencentdevices\.com$`),
		source:   "https://cloud.tencent.com/document/product/634/32546",
		tlsPorts: []uint16{8883}, wssPorts: []uint16{443}, plainPorts: []uint16{1883, 80}, login: true,
		username: &form{regexp.MustCompile(`^[^;]+;[^;]+;[^;]+;\d+$`), "{productId}{deviceName};{sdkappid};{connid};{expiry}"}},
	{name: "Huawei Cloud IoTDA", host: regexp.MustCompile(`\.(iot-mqtts|iotda-device)\.[a-z0-9-]+\.myhuaweicloud\.com$`),
		source:   "https://support.huaweicloud.com/intl/en-us/api-iothub/iot_06_v5_3009.html",
		tlsPorts: []uint16{8883}, wssPorts: []uint16{443}, plainPorts: []uint16{1883}, login: true,
		clientID: &form{regexp.MustCompile(`^.+_\d+_[01]_\d{10}$`), "{device_id}_0_{sign_type}_{YYYYMMDDHH}"}},
	{name: "Baidu IoT Core", host: regexp.MustCompile(`\.iot\.[a-z0-9-]+\.baidubce\.com$`),
		source:   "https://cloud.baidu.com/doc/IoTCore/s/5k7o31rnm",
		tlsPorts: []uint16{1884, 8883}, wssPorts: []uint16{443, 8884}, plainPorts: []uint16{1883, 80, 8080}, login: true,
		username: &form{regexp.MustCompile(`^thingidp@[^|]+\|.+`), "thingidp@{IoTCoreId}|{DeviceKey}|{timestamp}|{algorithm}"}},
	{name: "HiveMQ Cloud", host: regexp.MustCompile(`\.hivemq\.cloud$`),
		source:   "https://docs.hivemq.com/hivemq-cloud/quick-start-guide.html",
		tlsPorts: []uint16{8883}, wssPorts: []uint16{8884}, login: true},
	{name: "EMQX Cloud", host: regexp.MustCompile(`\.(emqxsl\.(com|cn)|emqx\.cloud|emqxcloud\.(com|cn))$`),
		source:   "https://docs.emqx.com/en/cloud/latest/deployments/port_guide_serverless.html",
		tlsPorts: nil, wssPorts: nil, login: true}, // dedicated plans have ports of their own
}

func providerOf(host string) (provider, bool) {
	i := slices.IndexFunc(providers, func(p provider) bool { return p.host.MatchString(host) })
	if i < 0 {
		return provider{}, false
	}
	return providers[i], true
}

// providerRule names the first rule of a known cloud broker that the target breaks, where the connection fails.
func providerRule(v *diag.View) diag.Verdict {
	p, known := providerOf(v.Target.Host)
	if !known {
		return diag.Open()
	}
	if accepted(v) {
		return diag.Excluded(diag.N("because.connack_accepted"))
	}
	if !v.Ended(checkTCP) {
		return diag.Open()
	}
	variant, rule, suggested := p.broken(v.Target)
	if variant == "" {
		return diag.Excluded(diag.N("because.provider_rules_kept", "provider", p.name))
	}
	f := diag.Finding{Variant: variant, Confidence: diag.Likely, Step: lastAskedStep(v),
		Args: diag.Args{"provider": p.name, "rule": rule, "suggested": suggested, "reference": p.source}}
	if c, ok := askedConnect(v); ok {
		f.Evidence = c.Step.Evidence
	}
	if variant == "port" {
		// The wrong port is why nothing answers there, or why something else does.
		f = f.Hiding("tcp.refused", "tcp.filtered", "tcp.wrong_port", "mqtt.not_mqtt")
	}
	return diag.Holds(f)
}

func (p provider) broken(t diag.Target) (variant, rule, suggested string) {
	ports := map[diag.Scheme][]uint16{diag.SchemeMQTTS: p.tlsPorts, diag.SchemeWSS: p.wssPorts, diag.SchemeMQTT: p.plainPorts}[t.Scheme]
	portsKnown := p.tlsPorts != nil
	switch {
	case portsKnown && !t.Scheme.UsesTLS() && len(p.plainPorts) == 0:
		return "transport", "mqtts:// " + joinPorts(p.tlsPorts) + ", wss:// " + joinPorts(p.wssPorts), t.URLFor(diag.SchemeMQTTS, p.tlsPorts[0], "")
	case portsKnown && len(ports) > 0 && !slices.Contains(ports, t.Port):
		return "port", joinPorts(ports), t.URLFor(t.Scheme, ports[0], t.WS.Path)
	case p.alpn != "" && t.Scheme == diag.SchemeMQTTS && t.Port == 443 && !slices.Contains(t.TLS.ALPN, p.alpn) && !slices.Contains(t.TLS.ALPN, "mqtt"):
		return "alpn", p.alpn, p.alpn
	case p.login && (t.Username == "" || !t.Password.Given()):
		return "login", "", ""
	case p.clientID != nil && !p.clientID.re.MatchString(t.ClientID):
		return "client_id", p.clientID.text, p.clientID.text
	case p.username != nil && t.Username != "" && !p.username.re.MatchString(t.Username):
		return "username", p.username.text, p.username.text
	case p.name == "AWS IoT Core" && !strings.Contains(t.Host, "-ats.iot.") && !strings.Contains(t.Host, ".ats.iot."):
		if strings.HasSuffix(t.Host, ".cn") { // the regions in China write it with a dot
			return "endpoint", "{id}.ats.iot.{region}.amazonaws.com.cn", strings.Replace(t.Host, ".iot.", ".ats.iot.", 1)
		}
		return "endpoint", "{id}-ats.iot.{region}.amazonaws.com", strings.Replace(t.Host, ".iot.", "-ats.iot.", 1)
	}
	return "", "", ""
}

func joinPorts(ports []uint16) string {
	parts := make([]string, len(ports))
	for i, p := range ports {
		parts[i] = strconv.Itoa(int(p))
	}
	return strings.Join(parts, ", ")
}

// lastAskedStep is the step of the asked path that went farthest.
func lastAskedStep(v *diag.View) string {
	for _, check := range []diag.ProbeID{checkMQTT, checkWS, checkTLS, checkTCP, checkResolve} {
		for _, s := range v.StepsOf(check) {
			if s.Observation != nil {
				return s.ID
			}
		}
	}
	return ""
}
