package serve

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// objectives are the edges of every latency histogram: one stands exactly at each promised latency, so that the share
// of requests within a promise is counted and not interpolated.
var objectives = []float64{0.005, 0.01, 0.025, 0.05, 0.06, 0.1, 2, 10}

// Metrics is everything that the service exports, and the only place with metric names. No label tells a user, a
// prediction or a text of a customer's. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	requests        *prometheus.CounterVec
	requestSeconds  *prometheus.HistogramVec
	requestsRunning prometheus.Gauge
	bodyBytes       prometheus.Counter
	errorCodes      *prometheus.CounterVec

	rows         *prometheus.CounterVec
	rejects      *prometheus.CounterVec
	stageBusy    *prometheus.CounterVec
	stageSuccess *prometheus.GaugeVec
	chunkSeconds prometheus.Histogram
	partSeconds  prometheus.Histogram
	parts        *prometheus.CounterVec
	leasesLost   prometheus.Counter
	mismatches   prometheus.Counter
	workersBusy  prometheus.Gauge
	workers      prometheus.Gauge

	predictionSeconds *prometheus.HistogramVec
	queueWait         prometheus.Histogram
	predictions       *prometheus.GaugeVec
	oldestQueued      prometheus.Gauge
	deadLetters       prometheus.Gauge

	modelInfo   *prometheus.GaugeVec
	modelLoad   *prometheus.GaugeVec
	keysFailed  prometheus.Counter
	dependences *prometheus.GaugeVec
}

// NewMetrics makes the metrics in a registry of their own, with those of the Go runtime and the process.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.makeHTTP()
	m.makePipeline()
	m.makePredictions()
	return m
}

func (m *Metrics) makeHTTP() {
	m.requests = m.counters("http_requests_total", "Requests answered.", "route", "method", "status")
	m.requestSeconds = m.histograms("http_request_duration_seconds",
		"Time from the header's arrival to the answer's readiness.", "route", "method")
	m.requestsRunning = m.gauge("http_requests_in_flight", "Requests being answered.")
	m.bodyBytes = m.counter("http_body_bytes_total", "Bytes of request bodies read.")
	m.errorCodes = m.counters("http_errors_total", "Error answers by published code.", "code")
	m.keysFailed = m.counter("signing_keys_unavailable_total", "Tokens that could not be checked.")
	m.dependences = m.gauges("dependency_up", "1 if the dependency answered the last readiness check.", "dependency")
}

func (m *Metrics) makePipeline() {
	m.rows = m.counters("stage_rows_total", "Rows by stage and outcome.", "stage", "outcome")
	m.rejects = m.counters("rejects_total", "Rejected rows by code.", "code")
	m.stageBusy = m.counters("stage_busy_seconds_total", "Time that cores worked in a stage.", "stage")
	m.stageSuccess = m.gauges("stage_last_success_timestamp_seconds", "When a stage last succeeded.", "stage")
	m.chunkSeconds = m.histogram("chunk_duration_seconds", "Time of a core for one chunk.")
	m.partSeconds = m.histogram("part_duration_seconds", "Time from the claim of a part to its commit.")
	m.parts = m.counters("attempts_total", "Attempts at parts by result.", "result")
	m.leasesLost = m.counter("lease_lost_total", "Parts that another worker had taken over.")
	m.mismatches = m.counter("accounting_mismatch_total", "Predictions whose rows did not add up. Must stay 0.")
	m.workers = m.gauge("workers", "Workers that may claim parts.")
	m.workersBusy = m.gauge("workers_busy", "Workers that have a part in hand.")
}

func (m *Metrics) makePredictions() {
	m.predictionSeconds = m.histograms("prediction_duration_seconds",
		"Time from the upload's acceptance to the end of its prediction.", "size_class", "result")
	m.queueWait = m.histogram("prediction_queue_wait_seconds", "Time from acceptance to the first claim.")
	m.predictions = m.gauges("predictions", "Predictions by unfinished status.", "status")
	m.oldestQueued = m.gauge("oldest_queued_seconds", "Age of the oldest queued prediction.")
	m.deadLetters = m.gauge("dead_letters", "Predictions that were given up.")
	m.modelInfo = m.gauges("model_info", "1 for each model in use.", "name", "version", "sha256")
	m.modelLoad = m.gauges("model_load_seconds", "Time that loading and checking a model took.", "name")
}

const namespace = "millrace"

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	return m.counters(name, help).WithLabelValues()
}

func (m *Metrics) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) gauge(name, help string) prometheus.Gauge {
	return m.gauges(name, help).WithLabelValues()
}

func (m *Metrics) histograms(name, help string, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: objectives,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
		NativeHistogramMinResetDuration: time.Hour,
	}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) histogram(name, help string) prometheus.Histogram {
	return m.histograms(name, help).WithLabelValues().(prometheus.Histogram)
}

// Handler answers scrapes: text, OpenMetrics, or protobuf with native histograms.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true, Registry: m.registry})
}

// methodLabel bounds the label of methods, which clients choose.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions, http.MethodPut, http.MethodDelete,
		http.MethodPatch:
		return method
	}
	return "other"
}

func (m *Metrics) answered(route, method string, status int, took time.Duration) {
	method = methodLabel(method)
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.requestSeconds.WithLabelValues(route, method).Observe(took.Seconds())
}
