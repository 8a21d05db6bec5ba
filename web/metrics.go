package web

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/relay"
)

// meter counts. No label names a target, a client or a run, and each has a bounded set of values: what was pasted into a form
// or said by a broker cannot add a series.
type meter struct {
	registry *prometheus.Registry
	runs     *prometheus.CounterVec
	checks   *prometheus.CounterVec
	duration *prometheus.HistogramVec
	causes   *prometheus.CounterVec
	running  prometheus.Gauge
	viewers  prometheus.Gauge
	refused  prometheus.Counter
	unkept   prometheus.Counter
	erased   *prometheus.CounterVec
	bytes    prometheus.Gauge
	beats    *prometheus.CounterVec
	requests *prometheus.HistogramVec
	consoles prometheus.Gauge
	relayed  *prometheus.CounterVec
	asked    *prometheus.CounterVec
	relay    relay.Meter
	known    map[diag.Code]bool // what the catalogue has
}

// noCode stands for a cause that the catalogue does not have, which is a defect of its rule.
const noCode = "other"

// Why a report is erased, as mqttdoctor_reports_erased_total tells it.
const (
	erasedByOwner = "deleted"
	erasedByTime  = "expired"
	erasedBySize  = "size"
)

// What becomes of a request, as mqttdoctor_help_requests_total tells it.
const (
	askedMade   = "made"
	askedOpened = "opened"
	askedRun    = "run"
	askedErased = "erased"
)

func newMeter() *meter {
	m := &meter{
		registry: prometheus.NewRegistry(),
		known:    map[diag.Code]bool{},
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mqttdoctor_runs_total",
			Help: "Runs that have ended, by state and verdict."}, []string{"state", "verdict"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "mqttdoctor_run_duration_seconds",
			Help: "How long runs took.", Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 180, 900, 3600}}, []string{"verdict"}),
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mqttdoctor_checks_total",
			Help: "Steps of runs, by check and how they ended."}, []string{"check", "status"}),
		causes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mqttdoctor_root_causes_total",
			Help: "Root causes that were found, by code of the catalogue."}, []string{"code"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mqttdoctor_runs_running", Help: "Runs under way."}),
		viewers: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mqttdoctor_viewers", Help: "Viewers attached to streams."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "mqttdoctor_runs_refused_total",
			Help: "Runs that were refused because of a limit."}),
		unkept: prometheus.NewCounter(prometheus.CounterOpts{Name: "mqttdoctor_runs_unkept_total",
			Help: "Runs whose report the archive did not take."}),
		erased: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mqttdoctor_reports_erased_total",
			Help: "Reports that this process erased: deleted by their owners, expired, or for their size."}, []string{"why"}),
		bytes: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mqttdoctor_archive_bytes",
			Help: "How much the reports take that the database holds; all servers at one database tell the same."}),
		beats: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mqttdoctor_archive_rounds_total",
			Help: "Rounds at the archive, one every few seconds, by whether it answered."}, []string{"result"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "mqttdoctor_http_request_duration_seconds",
			Help: "How long answers took, by route; streams are left out.", Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10}},
			[]string{"method", "route", "status"}),
		consoles: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mqttdoctor_consoles", Help: "Consoles that are open."}),
		relayed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mqttdoctor_relays_total",
			Help: "Relayed connections that have ended, by who ended them and why."}, []string{"by", "why"}),
	}
	m.asked = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mqttdoctor_help_requests_total",
		Help: "Requests to somebody else to run a diagnosis: made, opened for the first time, run, erased by those who made them."}, []string{"what"})
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mqttdoctor_relays_open", Help: "Relayed connections under way."},
		func() float64 { return float64(m.relay.Open.Load()) })
	bytes := func(direction string, n *atomic.Int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "mqttdoctor_relay_bytes_total", Help: "Bytes of MQTT that were relayed: out to targets, in from them.",
			ConstLabels: prometheus.Labels{"direction": direction}}, func() float64 { return float64(n.Load()) })
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "mqttdoctor_build_info", Help: "1, with the version of the program.",
		ConstLabels: prometheus.Labels{"version": Version()}})
	build.Set(1)
	m.registry.MustRegister(build, m.runs, m.duration, m.causes, m.checks, m.running, m.viewers, m.refused, m.unkept, m.erased, m.bytes, m.beats,
		m.requests, m.consoles, m.relayed, m.asked, open, bytes("out", &m.relay.Out), bytes("in", &m.relay.In),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.begin()
	return m
}

// begin makes the series that are waited for, so that the first of a kind is an increase and not the beginning of a series.
func (m *meter) begin() {
	for _, code := range catalogue.Codes() {
		m.known[code] = true
		m.causes.WithLabelValues(string(code))
	}
	for _, verdict := range []diag.Overall{diag.OverallHealthy, diag.OverallAttention, diag.OverallBroken, diag.OverallInconclusive} {
		m.runs.WithLabelValues(string(diag.StateFinished), string(verdict))
	}
	for _, why := range []string{erasedByOwner, erasedByTime, erasedBySize} {
		m.erased.WithLabelValues(why)
	}
	for _, what := range []string{askedMade, askedOpened, askedRun, askedErased} {
		m.asked.WithLabelValues(what)
	}
	for _, ok := range []bool{true, false} {
		m.beats.WithLabelValues(result(ok))
	}
}

// result is the label of what went well or not.
func result(ok bool) string {
	if ok {
		return "ok"
	}
	return "failed"
}

func (m *meter) ended(r diag.Report, took time.Duration) {
	m.runs.WithLabelValues(string(r.State), string(r.Verdict)).Inc()
	m.duration.WithLabelValues(string(r.Verdict)).Observe(took.Seconds())
	if r.RootCause != nil {
		code := r.RootCause.Code
		if !m.known[code] {
			code = noCode
		}
		m.causes.WithLabelValues(string(code)).Inc()
	}
	for _, s := range r.Steps {
		m.checks.WithLabelValues(string(s.Check), string(s.Status)).Inc()
	}
}

func (m *meter) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}
