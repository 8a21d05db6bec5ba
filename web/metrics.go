package web

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"mqttdoctor/diag"
	"mqttdoctor/diag/relay"
)

// meter counts. No label names a target, a client or a run.
type meter struct {
	registry *prometheus.Registry
	runs     *prometheus.CounterVec
	duration *prometheus.HistogramVec
	causes   *prometheus.CounterVec
	running  prometheus.Gauge
	viewers  prometheus.Gauge
	refused  prometheus.Counter
	unkept   prometheus.Counter
	requests *prometheus.HistogramVec
	consoles prometheus.Gauge
	relayed  *prometheus.CounterVec
	relay    relay.Meter
}

func newMeter() *meter {
	m := &meter{
		registry: prometheus.NewRegistry(),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mqttdoctor_runs_total",
			Help: "Runs that have ended, by state and verdict."}, []string{"state", "verdict"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "mqttdoctor_run_duration_seconds",
			Help: "How long runs took.", Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 180}}, []string{"verdict"}),
		causes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mqttdoctor_root_causes_total",
			Help: "Root causes that were found, by code of the catalogue."}, []string{"code"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mqttdoctor_runs_running", Help: "Runs under way."}),
		viewers: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mqttdoctor_viewers", Help: "Viewers attached to streams."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "mqttdoctor_runs_refused_total",
			Help: "Runs that were refused because of a limit."}),
		unkept: prometheus.NewCounter(prometheus.CounterOpts{Name: "mqttdoctor_runs_unkept_total",
			Help: "Runs whose report the archive did not take."}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "mqttdoctor_http_request_duration_seconds",
			Help: "How long answers took, by route; streams are left out.", Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10}},
			[]string{"method", "route", "status"}),
		consoles: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mqttdoctor_consoles", Help: "Consoles that are open."}),
		relayed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mqttdoctor_relays_total",
			Help: "Relayed connections that have ended, by who ended them and why."}, []string{"by", "why"}),
	}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mqttdoctor_relays_open", Help: "Relayed connections under way."},
		func() float64 { return float64(m.relay.Open.Load()) })
	bytes := func(direction string, n *atomic.Int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "mqttdoctor_relay_bytes_total", Help: "Bytes of MQTT that were relayed: out to targets, in from them.",
			ConstLabels: prometheus.Labels{"direction": direction}}, func() float64 { return float64(n.Load()) })
	}
	m.registry.MustRegister(m.runs, m.duration, m.causes, m.running, m.viewers, m.refused, m.unkept, m.requests,
		m.consoles, m.relayed, open, bytes("out", &m.relay.Out), bytes("in", &m.relay.In),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *meter) ended(r diag.Report, took time.Duration) {
	m.runs.WithLabelValues(string(r.State), string(r.Verdict)).Inc()
	m.duration.WithLabelValues(string(r.Verdict)).Observe(took.Seconds())
	if r.RootCause != nil {
		m.causes.WithLabelValues(string(r.RootCause.Code)).Inc()
	}
}

func (m *meter) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}
