package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/retainwise/millrace/store"
)

type predictionMetrics struct {
	predictionSeconds *prometheus.HistogramVec
	queueWait         prometheus.Histogram
	firstResult       prometheus.Histogram
	predictions       *prometheus.GaugeVec
	oldestQueued      prometheus.Gauge
	deadLetters       prometheus.Gauge
	suspectParts      prometheus.Gauge
	outbox            prometheus.Gauge
	queueSeen         prometheus.Gauge
}

func (m *Metrics) makePredictions() {
	m.predictionSeconds = m.histograms("prediction_duration_seconds",
		"Time from the upload's acceptance to the end of its prediction.", "size_class", "result")
	m.queueWait = m.histogram("prediction_queue_wait_seconds", "Time from acceptance to the first claim.")
	m.firstResult = m.histogram("time_to_first_result_seconds", "Time from acceptance to the first rows that can be read.")
	m.predictions = m.gauges("predictions", "Predictions by unfinished status.", "status")
	m.oldestQueued = m.gauge("oldest_queued_seconds", "Age of the oldest queued prediction.")
	m.deadLetters = m.gauge("dead_letters", "Predictions that were given up and wait for an operator.")
	m.suspectParts = m.gauge("suspects", "Parts and last steps that run alone because a worker process ended while it held them.")
	m.outbox = m.gauge("outbox_letters", "Entries of the outbox that are not sent to the queue yet.")
	m.queueSeen = m.gauge("queue_observed_timestamp_seconds", "When the gauges of the queue were last read.")
}

// PredictionDone counts a prediction that has ended, by size and status, with its times.
func (m *Metrics) PredictionDone(t store.Times) {
	m.predictionSeconds.WithLabelValues(sizeClass(t.Rows), string(t.Status)).Observe(t.InAll.Seconds())
	m.queueWait.Observe(t.Queued.Seconds())
	if t.FirstResult > 0 {
		m.firstResult.Observe(t.FirstResult.Seconds())
	}
}

// sizeClass bounds the label of sizes; the first two classes have a promised latency.
func sizeClass(rows int64) string {
	switch {
	case rows <= 10_000:
		return "10k"
	case rows <= 100_000:
		return "100k"
	case rows <= 1_000_000:
		return "1M"
	}
	return "more"
}

// SetQueue sets the gauges of queued and running predictions, dead letters, suspects and the outbox.
func (m *Metrics) SetQueue(q store.QueueState) {
	m.predictions.WithLabelValues("queued").Set(float64(q.Queued))
	m.predictions.WithLabelValues("running").Set(float64(q.Running))
	m.deadLetters.Set(float64(q.Dead))
	m.suspectParts.Set(float64(q.Suspects))
	m.oldestQueued.Set(q.Oldest.Seconds())
	m.outbox.Set(float64(q.Outbox))
	m.queueSeen.SetToCurrentTime()
}
