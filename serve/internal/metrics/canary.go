package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type canaryMetrics struct {
	canaryRuns       *prometheus.CounterVec
	canarySeconds    prometheus.Histogram
	canarySuccess    prometheus.Gauge
	canaryMismatches prometheus.Counter
	CanaryInterval   prometheus.Gauge
}

// Results of a canary, as labels.
const (
	CanaryOK       = "ok"
	CanaryMismatch = "mismatch"
	CanaryFailed   = "failed"
)

func (m *Metrics) makeCanary() {
	m.canaryRuns = m.counters("canary_runs_total", "Runs of the canary by result.", "result")
	for _, result := range []string{CanaryOK, CanaryMismatch, CanaryFailed} {
		m.canaryRuns.WithLabelValues(result)
	}
	m.canarySeconds = m.histogram("canary_duration_seconds", "Time of the canary from its upload to its checked result.")
	m.canarySuccess = m.gauge("canary_last_success_timestamp_seconds", "When the canary last gave the right bytes.")
	m.canaryMismatches = m.counter("canary_mismatch_total", "Canaries whose result was not what it must be. Must stay 0.")
	m.CanaryInterval = m.gauge("canary_interval_seconds", "Time between two canaries; 0: they are off.")
}

// CanaryDone counts a canary by its result; took is its time from upload to checked result.
func (m *Metrics) CanaryDone(result string, took time.Duration) {
	m.canaryRuns.WithLabelValues(result).Inc()
	switch result {
	case CanaryOK:
		m.canarySuccess.SetToCurrentTime()
		m.canarySeconds.Observe(took.Seconds())
	case CanaryMismatch:
		m.canaryMismatches.Inc()
	}
}
