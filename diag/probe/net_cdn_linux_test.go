package probe_test

import (
	"net/http"
	"testing"

	"mqttdoctor/diag/diagtest"
)

// atCDN gives the far side an address out of Cloudflare's ranges.
const atCDN = "104.16.0.5"

// cdnSide is a far side with a web server of a CDN on port 80, and whatever else is started there; other ports are dropped.
func cdnSide(url string, server string, more func(testing.TB)) func(testing.TB, *diagtest.Path) farSide {
	return func(t testing.TB, p *diagtest.Path) farSide {
		p.Left.Run(t, "ip", "route", "add", atCDN+"/32", "via", p.Right.IPv4)
		p.Right.Run(t, "ip", "addr", "add", atCDN+"/32", "dev", "lo")
		onFarSide(t, p, func() {
			diagtest.HTTPPeer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Server", server)
				w.WriteHeader(http.StatusForbidden)
			}), diagtest.At("0.0.0.0:80"))
			if more != nil {
				more(t)
			}
		})
		p.Right.Run(t, "iptables", "-A", "INPUT", "-p", "tcp", "-m", "multiport", "!", "--dports", "80,443,8080", "-j", "DROP")
		return farSide{url: url}
	}
}

func TestCDNScenarios(t *testing.T) {
	t.Parallel()
	runPathScenarios(t, []pathScenario{
		{scenario{name: "the name leads to a CDN", want: "net.cdn_in_front", check: arg("provider", "Cloudflare")}, cdnSide("mqtt://"+atCDN, "cloudflare", nil)},
		{scenario{name: "a CDN with TLS", want: "net.cdn_in_front"}, cdnSide("mqtts://"+atCDN, "cloudflare", nil)},
		{scenario{name: "a CDN that names itself", want: "net.cdn_in_front", check: arg("provider", "Akamai")}, cdnSide("mqtt://10.99.0.2", "AkamaiGHost", nil)},
		{scenario{name: "a web server that is no CDN", want: "tcp.filtered", variant: "port_alone"}, cdnSide("mqtt://10.99.0.2", "nginx", nil)},
		{scenario{name: "WebSocket through the CDN", want: "net.cdn_in_front", variant: "websocket", suggest: `{"url":"ws://HOST:8080/mqtt"}`},
			cdnSide("mqtt://"+atCDN, "cloudflare", func(t testing.TB) {
				diagtest.ScriptedBroker(t, diagtest.Script{WS: &diagtest.WSScript{}}, diagtest.At("0.0.0.0:8080"))
			})},
		{scenario{name: "a broker at the address of a CDN"}, func(t testing.TB, p *diagtest.Path) farSide {
			side := cdnSide("mqtt://"+atCDN+":8080", "cloudflare", nil)(t, p)
			onFarSide(t, p, func() { diagtest.ScriptedBroker(t, diagtest.Script{}, diagtest.At("0.0.0.0:8080")) })
			return side
		}},
	})
}
