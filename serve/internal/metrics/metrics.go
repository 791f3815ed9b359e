// Package metrics has every metric that the program exports, by name, and the methods that set them. Each file has the
// metrics of one subject. What happened is for the callers to find out; packages outside serve return counts and durations,
// which serve publishes here.
package metrics

//go:generate go run -C ../../../deploy ./generate

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/retainwise/millrace/engine"
)

// objectives are the buckets of every latency histogram: each promised latency is a boundary, so that the share of requests
// within a promise is counted and not interpolated.
var objectives = []float64{0.005, 0.01, 0.025, 0.05, 0.06, 0.1, 2, 10}

// Metrics is every metric of a process. No label contains a user, a prediction or a customer's text. It is safe for
// concurrent use. docs/metrics.md describes each metric.
type Metrics struct {
	registry     *prometheus.Registry
	descriptions []MetricDescription
	flow         engine.Flow
	background   atomic.Pointer[engine.Background] // nil without a worker
	disk         watchedDir

	httpMetrics
	pipelineMetrics
	digestMetrics
	predictionMetrics
	modelMetrics
	healthMetrics
	dependencyMetrics
	canaryMetrics
	webhookMetrics
	installationMetrics
}

// MetricDescription is the name, type, help text and labels of a metric.
type MetricDescription struct {
	Name, Type, Help string
	Labels           []string
}

// NewMetrics returns the metrics in a registry of their own, with those of the Go runtime and the process.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.makeHTTP()
	m.makePipeline()
	m.makePredictions()
	m.makeModels()
	m.makeHealth()
	m.makeDependencies()
	m.makeCanary()
	m.makeWebhooks()
	m.makeInstallation()
	m.makeProcess()
	return m
}

// Descriptions lists the program's own metrics, sorted by name.
func (m *Metrics) Descriptions() []MetricDescription {
	list := slices.Clone(m.descriptions)
	slices.SortFunc(list, func(a, b MetricDescription) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(list, func(a, b MetricDescription) bool { return a.Name == b.Name })
}

const namespace = "millrace"

// describe records the description of a metric and returns the options of its collector.
func (m *Metrics) describe(kind, name, help string, labels []string) prometheus.Opts {
	m.descriptions = append(m.descriptions, MetricDescription{namespace + "_" + name, kind, help, labels})
	return prometheus.Opts{Namespace: namespace, Name: name, Help: help}
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts(m.describe("counter", name, help, labels)), labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	return m.counters(name, help).WithLabelValues()
}

func (m *Metrics) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts(m.describe("gauge", name, help, labels)), labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) gauge(name, help string) prometheus.Gauge {
	return m.gauges(name, help).WithLabelValues()
}

// sampledGauge calls value at each scrape. label and of are the name and value of its label; an empty label means none.
func (m *Metrics) sampledGauge(name, help, label, of string, value func() float64) {
	opts := prometheus.GaugeOpts(m.describe("gauge", name, help, labelsOf(label)))
	opts.ConstLabels = constLabels(label, of)
	m.registry.MustRegister(prometheus.NewGaugeFunc(opts, value))
}

// sampledCounter is sampledGauge for a counter.
func (m *Metrics) sampledCounter(name, help, label, of string, value func() float64) {
	opts := prometheus.CounterOpts(m.describe("counter", name, help, labelsOf(label)))
	opts.ConstLabels = constLabels(label, of)
	m.registry.MustRegister(prometheus.NewCounterFunc(opts, value))
}

func labelsOf(label string) []string {
	if label == "" {
		return nil
	}
	return []string{label}
}

func constLabels(label, of string) prometheus.Labels {
	if label == "" {
		return nil
	}
	return prometheus.Labels{label: of}
}

func (m *Metrics) histograms(name, help string, labels ...string) *prometheus.HistogramVec {
	opts := m.describe("histogram", name, help, labels)
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: opts.Namespace, Name: opts.Name, Help: opts.Help, Buckets: objectives,
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
