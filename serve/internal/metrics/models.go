package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/retainwise/millrace/engine"
)

type modelMetrics struct {
	modelInfo    *prometheus.GaugeVec
	modelLoad    *prometheus.GaugeVec
	RefusedTotal prometheus.Counter
	modelLeaves  *prometheus.GaugeVec
	ModelFetches *prometheus.CounterVec // by result

	leavesChecked, leavesDiffering, walkerScored *prometheus.CounterVec

	RefusedNow   prometheus.Gauge
	banded       *prometheus.CounterVec
	meanScore    *prometheus.GaugeVec
	scoreDrift   *prometheus.GaugeVec
	featureDrift *prometheus.GaugeVec
}

// driftFeaturesMax bounds the features of a model with a drift metric: the most important ones.
const driftFeaturesMax = 20

func (m *Metrics) makeModels() {
	m.modelInfo = m.gauges("model_info", "1 for each model in use.", "model", "version", "sha256")
	m.modelLoad = m.gauges("model_load_seconds", "Time that loading and checking a model took.", "model")
	m.RefusedTotal = m.counter("model_refused_total",
		"Bundles, new or changed, that failed a check; what was in use stayed.")
	m.ModelFetches = m.counters("model_fetches_total", "Models of earlier predictions that were not in use and had to be "+
		"read from the object store, by result.", "result")
	for _, result := range []string{ModelFetched, ModelMissing, ModelDamaged, ModelRejected} {
		m.ModelFetches.WithLabelValues(result)
	}
	m.RefusedNow = m.gauge("bundles_refused", "Bundles that are refused at present because they failed a check.")
	m.modelLeaves = m.gauges("model_leaves", "1 if leaves holds the model and checks what is scored, else 0.", "model")
	m.leavesChecked = m.counters("leaves_checked_rows_total", "Rows that leaves scored too.", "model")
	m.leavesDiffering = m.counters("leaves_differing_rows_total",
		"Rows that leaves scored differently than the compiled engine. Must stay 0.", "model")
	m.walkerScored = m.counters("walker_scored_total",
		"Parts and requests that the walker scored again because leaves disagreed. Must stay 0.", "model")
	m.banded = m.counters("scored_rows_total", "Rows of finished predictions by model and risk band.", "model", "band")
	m.meanScore = m.gauges("latest_mean_probability", "Mean probability of the latest prediction.", "model")
	m.scoreDrift = m.gauges("latest_score_psi",
		"Distance of the latest prediction's scores from training (population stability index).", "model")
	m.featureDrift = m.gauges("latest_feature_psi",
		"Distance of the latest prediction's columns from training; the 20 that matter most.", "model", "feature")
}

// ModelLoaded sets the metrics of a model in use; took is the time of loading it.
func (m *Metrics) ModelLoaded(name, version, sha256 string, took time.Duration) {
	m.modelInfo.DeletePartialMatch(prometheus.Labels{"model": name})
	m.modelInfo.WithLabelValues(name, version, sha256).Set(1)
	m.modelLoad.WithLabelValues(name).Set(took.Seconds())
}

// ModelLeaves sets whether leaves supports a model in use and checks its scores.
func (m *Metrics) ModelLeaves(name string, holds bool) {
	value := 0.0
	if holds {
		value = 1
	}
	m.modelLeaves.WithLabelValues(name).Set(value)
	for _, c := range []*prometheus.CounterVec{m.leavesChecked, m.leavesDiffering, m.walkerScored} {
		c.WithLabelValues(name) // there from the start, so that the first increase shows
	}
}

// ScorersDiffer counts rows that leaves scored differently, and the fallback to the walker.
func (m *Metrics) ScorersDiffer(model string, e *engine.DifferenceError) {
	m.leavesChecked.WithLabelValues(model).Add(float64(e.Checked))
	m.leavesDiffering.WithLabelValues(model).Add(float64(e.Differing))
	m.walkerScored.WithLabelValues(model).Inc()
}

// Results of reading a model from the object store, as labels.
const (
	ModelFetched  = "fetched"
	ModelMissing  = "missing"  // it is not kept, or its archive is gone
	ModelDamaged  = "damaged"  // the archive has other bytes or holds another model
	ModelRejected = "rejected" // the right bytes, which fail a check in this process
)

// ModelFetch counts a model that was not in use, by the result of reading it.
func (m *Metrics) ModelFetch(result string) { m.ModelFetches.WithLabelValues(result).Inc() }

// ModelRefused counts a bundle that failed a check.
func (m *Metrics) ModelRefused() { m.RefusedTotal.Inc() }

// SetBundlesRefused sets the number of bundles that are refused at present.
func (m *Metrics) SetBundlesRefused(n int) { m.RefusedNow.Set(float64(n)) }

// Scored sets the metrics of a model's latest prediction. Labels come from the bundle, never from a customer's file.
func (m *Metrics) Scored(model string, s *engine.Summary) {
	for _, b := range s.Bands {
		m.banded.WithLabelValues(model, b.Name).Add(float64(b.Count))
	}
	if s.Scored > 0 {
		m.meanScore.WithLabelValues(model).Set(s.Expected / float64(s.Scored))
	}
	if s.Drift == nil {
		return
	}
	if s.Drift.Score != nil {
		m.scoreDrift.WithLabelValues(model).Set(s.Drift.Score.PSI)
	}
	m.featureDrift.DeletePartialMatch(prometheus.Labels{"model": model})
	for _, f := range s.Drift.Features[:min(len(s.Drift.Features), driftFeaturesMax)] {
		m.featureDrift.WithLabelValues(model, f.Column).Set(f.PSI)
	}
}
