package serve

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Results of an attempt at a part.
const (
	AttemptCommitted = "committed"
	AttemptReleased  = "released" // given back unfinished, at shutdown
	AttemptPostponed = "postponed"
	AttemptFailed    = "failed"
	AttemptLost      = "lost"
)

// ChunkDone counts a chunk: the time a core spent on it by stage, and its rows.
func (m *Metrics) ChunkDone(parse, score, explain, encode time.Duration, scored, rejected int64) {
	m.chunkSeconds.Observe((parse + score + explain + encode).Seconds())
	m.StageBusy("parse", parse)
	m.StageBusy("score", score)
	m.StageBusy("explain", explain)
	m.StageBusy("encode", encode)
	m.rows.WithLabelValues("score", "scored").Add(float64(scored))
	m.rows.WithLabelValues("score", "rejected").Add(float64(rejected))
}

// StageBusy adds the time that one core worked in a stage: parse, score, explain, encode, copy or object.
func (m *Metrics) StageBusy(stage string, d time.Duration) {
	m.stageBusy.WithLabelValues(stage).Add(d.Seconds())
	m.stageSuccess.WithLabelValues(stage).SetToCurrentTime()
}

// Rejected counts rejected rows of one reason; code is ERR-1601 and so on.
func (m *Metrics) Rejected(code string, rows int64) {
	m.rejects.WithLabelValues(code).Add(float64(rows))
}

// PartDone counts an attempt at a part. Rows count as committed with AttemptCommitted only.
func (m *Metrics) PartDone(result string, took time.Duration, rows int64) {
	m.parts.WithLabelValues(result).Inc()
	switch result {
	case AttemptCommitted:
		m.partSeconds.Observe(took.Seconds())
		m.rows.WithLabelValues("commit", "committed").Add(float64(rows))
	case AttemptLost:
		m.leasesLost.Inc()
	}
}

// AccountingMismatch counts a prediction whose rows do not add up.
func (m *Metrics) AccountingMismatch() { m.mismatches.Inc() }

// Workers sets how many workers may claim parts.
func (m *Metrics) Workers(n int) { m.workers.Set(float64(n)) }

// WorkerBusy notes that a worker took a part in hand; the result notes that it put it down.
func (m *Metrics) WorkerBusy() func() {
	m.workersBusy.Inc()
	return m.workersBusy.Dec
}

// PredictionDone counts a finished prediction: its size, how it ended, and its times since it was accepted.
func (m *Metrics) PredictionDone(rows int64, result string, queued, total time.Duration) {
	m.predictionSeconds.WithLabelValues(sizeClass(rows), result).Observe(total.Seconds())
	m.queueWait.Observe(queued.Seconds())
}

// sizeClass bounds the label of sizes; the first two are those that have a promised freshness.
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

// Queue sets the gauges of the queue.
func (m *Metrics) Queue(queued, running, dead int64, oldest time.Duration) {
	m.predictions.WithLabelValues("queued").Set(float64(queued))
	m.predictions.WithLabelValues("running").Set(float64(running))
	m.deadLetters.Set(float64(dead))
	m.oldestQueued.Set(oldest.Seconds())
}

// ModelLoaded notes a model in use and the time that loading it took.
func (m *Metrics) ModelLoaded(name, version, sha256 string, took time.Duration) {
	m.modelInfo.DeletePartialMatch(prometheus.Labels{"name": name})
	m.modelInfo.WithLabelValues(name, version, sha256).Set(1)
	m.modelLoad.WithLabelValues(name).Set(took.Seconds())
}

// bodyRead counts bytes of request bodies.
func (m *Metrics) bodyRead(n int64) { m.bodyBytes.Add(float64(n)) }

// refused counts an error answer.
func (m *Metrics) refused(code Code) {
	m.errorCodes.WithLabelValues(code.String()).Inc()
	if code == CodeSigningKeysMissing {
		m.keysFailed.Inc()
	}
}
