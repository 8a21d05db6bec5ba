package probe

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
)

// sysTopic is a topic below $SYS that tells of the broker's health. What brokers tell there of their clients (names, addresses)
// is neither subscribed to nor kept.
type sysTopic struct {
	Filter  string // + stands for the node
	Figure  diag.FigureName
	Special sysSpecial
	Product string // whose alone the topic is
}

// sysSpecial is what a topic tells that is no figure.
type sysSpecial int

const (
	sysFigure sysSpecial = iota
	sysVersion
	sysUptime
	sysUptimeMS
	sysAlarm
	sysAlarmOver
)

// The names of products as in fixes.
const (
	productMosquitto = "mosquitto"
	productEMQX      = "emqx"
	productHiveMQ    = "hivemq"
	productVerneMQ   = "vernemq"
	productNanoMQ    = "nanomq"
	productMochi     = "mochi"
)

// sysTopics are data. Sources: mosquitto(8), "Broker status", and $SYS of mosquitto 1.x; the common list at
// https://github.com/mqtt/mqtt.org/wiki/SYS-Topics, which HiveMQ's extension follows;
// https://docs.emqx.com/en/emqx/latest/observability/mqtt-system-topics.html (4 joins the parts of a figure's name by dots, 5 by
// slashes); https://docs.vernemq.com/monitoring/systree, whose topics are the names of metrics with / for _; mochi-mqtt's
// system.Info. NanoMQ tells there of clients alone.
var sysTopics = []sysTopic{
	{Filter: "$SYS/broker/version", Special: sysVersion},
	{Filter: "$SYS/broker/uptime", Special: sysUptime},
	{Filter: "$SYS/broker/clients/connected", Figure: diag.FigureConnected},
	{Filter: "$SYS/broker/clients/maximum", Figure: diag.FigureConnectedMost},
	{Filter: "$SYS/broker/clients/total", Figure: diag.FigureSessions},
	{Filter: "$SYS/broker/subscriptions/count", Figure: diag.FigureSubscriptions},
	{Filter: "$SYS/broker/subscriptions", Figure: diag.FigureSubscriptions},
	{Filter: "$SYS/broker/retained messages/count", Figure: diag.FigureRetained},
	{Filter: "$SYS/broker/messages/retained/count", Figure: diag.FigureRetained},
	{Filter: "$SYS/broker/retained", Figure: diag.FigureRetained},
	{Filter: "$SYS/broker/store/messages/count", Figure: diag.FigureStored},
	{Filter: "$SYS/broker/publish/messages/dropped", Figure: diag.FigureDropped},
	{Filter: "$SYS/broker/messages/publish/dropped", Figure: diag.FigureDropped},
	{Filter: "$SYS/broker/messages/dropped", Figure: diag.FigureDropped},
	{Filter: "$SYS/broker/heap/current", Figure: diag.FigureMemory},
	{Filter: "$SYS/broker/heap/current size", Figure: diag.FigureMemory},
	{Filter: "$SYS/broker/system/memory", Figure: diag.FigureMemory, Product: productMochi},

	{Filter: "$SYS/brokers/+/version", Special: sysVersion, Product: productEMQX},
	{Filter: "$SYS/brokers/+/sysdescr", Product: productEMQX},
	{Filter: "$SYS/brokers/+/uptime", Special: sysUptimeMS, Product: productEMQX},
	{Filter: "$SYS/brokers/+/stats/connections/count", Figure: diag.FigureConnected, Product: productEMQX},
	{Filter: "$SYS/brokers/+/stats/connections.count", Figure: diag.FigureConnected, Product: productEMQX},
	{Filter: "$SYS/brokers/+/stats/connections/max", Figure: diag.FigureConnectedMost, Product: productEMQX},
	{Filter: "$SYS/brokers/+/stats/connections.max", Figure: diag.FigureConnectedMost, Product: productEMQX},
	{Filter: "$SYS/brokers/+/stats/subscriptions/count", Figure: diag.FigureSubscriptions, Product: productEMQX},
	{Filter: "$SYS/brokers/+/stats/retained/count", Figure: diag.FigureRetained, Product: productEMQX},
	// Not messages/dropped, which counts those that nobody subscribes to.
	{Filter: "$SYS/brokers/+/metrics/delivery/dropped/queue_full", Figure: diag.FigureDropped, Product: productEMQX},
	{Filter: "$SYS/brokers/+/alarms/activate", Special: sysAlarm, Product: productEMQX},
	{Filter: "$SYS/brokers/+/alarms/deactivate", Special: sysAlarmOver, Product: productEMQX},
	{Filter: "$SYS/brokers/connected", Product: productNanoMQ}, // that somebody has connected, such as ourselves

	{Filter: "$SYS/+/queue/message/drop", Figure: diag.FigureDropped, Product: productVerneMQ},
	{Filter: "$SYS/+/system/utilization", Figure: diag.FigureUtilization, Product: productVerneMQ},
	{Filter: "$SYS/+/system/wallclock", Special: sysUptimeMS, Product: productVerneMQ},
	{Filter: "$SYS/+/router/subscriptions", Figure: diag.FigureSubscriptions, Product: productVerneMQ},
	{Filter: "$SYS/+/queue/processes", Figure: diag.FigureSessions, Product: productVerneMQ},
	{Filter: "$SYS/+/vm/memory/total", Figure: diag.FigureMemory, Product: productVerneMQ},
	{Filter: "$SYS/+/retain/messages", Figure: diag.FigureRetained, Product: productVerneMQ},
}

// sysFilters is what is subscribed to: single levels, no wildcard over everything, since that would bring every client's coming
// and going.
func sysFilters() []mqttwire.Subscription {
	out := make([]mqttwire.Subscription, len(sysTopics))
	for i, t := range sysTopics {
		out[i] = mqttwire.Subscription{Filter: t.Filter}
	}
	return out
}

// sysTopicOf finds what a topic tells; the node is empty where there is none in it.
func sysTopicOf(topic string) (t sysTopic, node string, ok bool) {
	for _, t := range sysTopics {
		if matches, _ := mqttwire.Match(t.Filter, topic); !matches {
			continue
		}
		levels := strings.Split(topic, "/")
		for i, level := range strings.Split(t.Filter, "/") {
			if level == "+" {
				node = printable(levels[i], 100)
			}
		}
		return t, node, true
	}
	return sysTopic{}, "", false
}

// sysProducts recognise the product in the text of a version.
var sysProducts = []struct{ sign, product string }{
	{"mosquitto", productMosquitto}, {"hivemq", productHiveMQ}, {"vernemq", productVerneMQ}, {"nanomq", productNanoMQ}, {"emq", productEMQX},
}

func productIn(text string) string {
	for _, p := range sysProducts {
		if strings.Contains(strings.ToLower(text), p.sign) {
			return p.product
		}
	}
	return ""
}

// uptimeParts finds "1 days", "2 hours" and so on: "75 seconds" of mosquitto, "1 days, 3 hours, 5 minutes, 2 seconds" of EMQX 4.
var uptimeParts = regexp.MustCompile(`(\d+) *(day|hour|minute|second)s?`)

var uptimeUnits = map[string]time.Duration{"day": 24 * time.Hour, "hour": time.Hour, "minute": time.Minute, "second": time.Second}

// parseUptime reads an uptime; a bare number is in the given unit. 0: not understood.
func parseUptime(text string, bare time.Duration) time.Duration {
	if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil && n >= 0 && n < 1<<42 {
		return time.Duration(min(n, int64(1<<62)/int64(bare))) * bare
	}
	total := time.Duration(0)
	for _, part := range uptimeParts.FindAllStringSubmatch(text, 8) {
		n, err := strconv.ParseInt(part[1], 10, 32)
		if err != nil {
			return 0
		}
		total += time.Duration(n) * uptimeUnits[part[2]]
	}
	return total
}

// parseAlarm reads an alarm of EMQX.
func parseAlarm(payload []byte, node string) (diag.BrokerAlarm, bool) {
	var in struct {
		Name    string `json:"name"`
		Message string `json:"message"`
	}
	if json.Unmarshal(payload, &in) != nil || in.Name == "" {
		return diag.BrokerAlarm{}, false
	}
	return diag.BrokerAlarm{Name: printable(in.Name, 80), Message: printable(in.Message, 200), Node: node}, true
}
