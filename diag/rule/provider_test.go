package rule

import (
	"testing"

	"mqttdoctor/diag"
)

func TestProviderRules(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, url                string
		clientID, user, password string
		alpn                     []string
		want                     string // variant; empty: no rule broken
	}{
		{"aws plain", "mqtt://abc-ats.iot.eu-west-1.amazonaws.com", "x", "", "", nil, "transport"},
		{"aws", "mqtts://abc-ats.iot.eu-west-1.amazonaws.com", "x", "", "", nil, ""},
		{"aws in china", "mqtts://abc.ats.iot.cn-north-1.amazonaws.com.cn", "x", "", "", nil, ""},
		{"aws in china, old endpoint", "mqtts://abc.iot.cn-north-1.amazonaws.com.cn", "x", "", "", nil, "endpoint"},
		{"aws on 443 without ALPN", "mqtts://abc-ats.iot.eu-west-1.amazonaws.com:443", "x", "", "", nil, "alpn"},
		{"aws on 443 with ALPN", "mqtts://abc-ats.iot.eu-west-1.amazonaws.com:443", "x", "", "", []string{"x-amzn-mqtt-ca"}, ""},
		{"aws old endpoint", "mqtts://abc.iot.eu-west-1.amazonaws.com", "x", "", "", nil, "endpoint"},
		{"azure", "mqtts://hub.azure-devices.net", "dev", "hub.azure-devices.net/dev/?api-version=2021-04-12", "p", nil, ""},
		{"azure user name", "mqtts://hub.azure-devices.net", "dev", "dev", "p", nil, "username"},
		{"azure plain", "mqtt://hub.azure-devices.net", "dev", "", "", nil, "transport"},
		{"azure port", "mqtts://hub.azure-devices.net:1883", "dev", "", "", nil, "port"},
		{"aliyun", "mqtt://a1b2.iot-as-mqtt.cn-shanghai.aliyuncs.com:1883", "dev|securemode=3,signmethod=hmacsha1|", "dev&a1b2", "p", nil, ""},
		{"aliyun client id", "mqtt://a1b2.iot-as-mqtt.cn-shanghai.aliyuncs.com:1883", "dev", "dev&a1b2", "p", nil, "client_id"},
		{"aliyun user name", "mqtt://a1b2.iot-as-mqtt.cn-shanghai.aliyuncs.com:1883", "dev|securemode=3,signmethod=hmacsha1|", "dev", "p", nil, "username"},
		{"aliyun login", "mqtt://a1b2.iot-as-mqtt.cn-shanghai.aliyuncs.com:1883", "dev|securemode=3,signmethod=hmacsha1|", "", "", nil, "login"},
		{"tencent", "mqtt://ABC.iotcloud.tencentdevices.com:1883", "ABCdev", "ABCdev;12010126;XYZ;1690000000", "p", nil, ""},
		{"tencent user name", "mqtt://abc.iotcloud.tencentdevices.com:1883", "ABCdev", "dev", "p", nil, "username"},
		{"huawei client id", "mqtts://abc.iotda-device.cn-north-4.myhuaweicloud.com:8883", "dev", "dev", "p", nil, "client_id"},
		{"huawei", "mqtts://abc.iotda-device.cn-north-4.myhuaweicloud.com:8883", "dev_0_1_2026010203", "dev", "p", nil, ""},
		{"hivemq without login", "mqtts://x.s1.eu.hivemq.cloud:8883", "", "", "", nil, "login"},
		{"hivemq plain", "mqtt://x.s1.eu.hivemq.cloud:1883", "", "u", "p", nil, "transport"},
		{"hivemq port", "mqtts://x.s1.eu.hivemq.cloud:1883", "", "u", "p", nil, "port"},
		{"hivemq", "mqtts://x.s1.eu.hivemq.cloud:8883", "", "u", "p", nil, ""},
		{"emqx without login", "mqtts://x.emqxsl.com:8883", "", "", "", nil, "login"},
		{"own broker", "mqtt://broker.example", "", "", "", nil, ""},
		{"not hivemq's", "mqtt://hivemq.cloud.example", "", "", "", nil, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			in := diag.TargetInput{URL: row.url, ClientID: row.clientID, Username: row.user, TLS: diag.TLSInput{ALPN: row.alpn}}
			if row.password != "" {
				in.Password = diag.NewSecret(row.password)
			}
			target, err := diag.ParseTarget(in)
			if err != nil {
				t.Fatal(err)
			}
			refused := answered(5, withLogin)
			verdict := providerRule(diag.NewView(target, diag.PlanOptions{}, []diag.Step{seen(checkMQTT, at, refused)}))
			f, held := verdict.Concluded()
			if held != (row.want != "") || f.Variant != row.want {
				t.Errorf("variant %q (%t), want %q", f.Variant, held, row.want)
			}
			if held && (f.Args["provider"] == "" || f.Args["reference"] == "") {
				t.Errorf("args %v", f.Args)
			}
			accepted := providerRule(diag.NewView(target, diag.PlanOptions{}, []diag.Step{seen(checkMQTT, at, answered(0))}))
			if _, held := accepted.Concluded(); held {
				t.Error("a connection that works breaks no rule")
			}
		})
	}
}
