package probe_test

import (
	"net/http"
	"testing"

	"mqttdoctor/diag/diagtest"
)

// portal answers every host and port with the same handler, as a network does that wants a login first: all of them, or only
// where the web is.
func portal(url string, webAlone bool, handler http.HandlerFunc) func(testing.TB, *diagtest.Path) farSide {
	return func(t testing.TB, p *diagtest.Path) farSide {
		p.Left.Run(t, "ip", "route", "add", "default", "via", p.Right.IPv4)
		onFarSide(t, p, func() { diagtest.HTTPPeer(t, handler, diagtest.At("0.0.0.0:5000")) })
		redirect := []string{"-t", "nat", "-A", "PREROUTING", "-p", "tcp"}
		if webAlone {
			redirect = append(redirect, "--dport", "80")
			p.Right.Run(t, "iptables", "-A", "INPUT", "-p", "tcp", "!", "--dport", "5000", "-j", "DROP")
			p.Right.Run(t, "ip", "route", "add", "default", "dev", "path0")
			p.Right.Run(t, "iptables", "-A", "FORWARD", "-j", "DROP")
			p.Right.Run(t, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
		}
		p.Right.Run(t, "iptables", append(redirect, "-j", "REDIRECT", "--to-ports", "5000")...)
		return farSide{url: url}
	}
}

func TestCaptivePortalScenarios(t *testing.T) {
	t.Parallel()
	login := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://login.hotel.example/?to="+r.Host, http.StatusFound)
	}
	page := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html><title>Welcome to our hotel</title>"))
	}
	required := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNetworkAuthenticationRequired) }
	const broker = "198.51.100.7"
	admitted := func(t testing.TB, p *diagtest.Path) farSide {
		p.Right.Run(t, "ip", "address", "add", broker+"/32", "dev", "lo")
		p.Right.Run(t, "iptables", "-t", "nat", "-A", "PREROUTING", "-d", broker, "-j", "ACCEPT")
		onFarSide(t, p, func() { diagtest.ScriptedBroker(t, diagtest.Script{}, diagtest.At(broker+":1883")) })
		return portal("mqtt://"+broker, false, login)(t, p)
	}
	runPathScenarios(t, []pathScenario{
		{scenario{name: "a login page for everything", want: "net.captive_portal", check: arg("location", "login.hotel.example")}, portal("mqtt://"+broker, false, login)},
		{scenario{name: "a login page for everything but the broker"}, admitted},
		{scenario{name: "a login page for the web alone", want: "net.captive_portal"}, portal("mqtt://"+broker, true, login)},
		{scenario{name: "a page of its own for everything", want: "net.captive_portal"}, portal("mqtt://"+broker, false, page)},
		{scenario{name: "authentication required", want: "net.captive_portal"}, portal("mqtts://"+broker, false, required)},
		{scenario{name: "login page with TLS", want: "net.captive_portal"}, portal("mqtts://"+broker, false, login)},
		{scenario{name: "login page with WebSocket", want: "net.captive_portal"}, portal("ws://"+broker+":8083/mqtt", false, login)},
		{scenario{name: "login page with secure WebSocket", want: "net.captive_portal"}, portal("wss://"+broker+":8084/mqtt", false, login)},
		{scenario{name: "a web server that sends elsewhere", want: "mqtt.not_mqtt", variant: "*"}, func(t testing.TB, p *diagtest.Path) farSide {
			onFarSide(t, p, func() { diagtest.HTTPPeer(t, http.HandlerFunc(login), diagtest.At("0.0.0.0:1883")) })
			return farSide{url: "mqtt://" + p.Right.IPv4}
		}},
	})
}
