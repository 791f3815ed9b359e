package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/retainwise/millrace/engine"
)

type pipelineMetrics struct {
	rows         *prometheus.CounterVec
	rejects      *prometheus.CounterVec
	stageBusy    *prometheus.CounterVec
	stageSuccess *prometheus.GaugeVec
	copying      prometheus.Gauge
	chunkSeconds prometheus.Histogram
	partSeconds  prometheus.Histogram
	parts        *prometheus.CounterVec
	gone         *prometheus.CounterVec
	leasesLost   prometheus.Counter
	fenced       prometheus.Counter
	mismatches   prometheus.Counter
	workersBusy  prometheus.Gauge
	workers      prometheus.Gauge
	cores        prometheus.Gauge
	heartbeat    prometheus.Gauge
}

// Stages of the pipeline as labels. Those of the engine are chunk to put; copy is the commit of a part's blocks, plan
// the pass over a file that was dropped.
const (
	StagePut  = "put"
	StageCopy = "copy"
)

var engineStages = map[engine.Stage]string{
	engine.StageChunk: "chunk", engine.StageParse: "parse", engine.StageScore: "score", engine.StageExplain: "explain",
	engine.StageEncode: "encode", engine.StagePut: StagePut,
}

func (m *Metrics) makePipeline() {
	m.rows = m.counters("stage_rows_total", "Rows by stage and outcome.", "stage", "outcome")
	m.stageBusy = m.counters("stage_busy_seconds_total",
		"Time that a stage worked. chunk and put include waiting for storage.", "stage")
	m.stageSuccess = m.gauges("stage_last_success_timestamp_seconds", "When a stage last succeeded.", "stage")
	m.makeFlow()
	m.rejects = m.counters("rejects_total", "Rejected rows by code.", "code")
	m.chunkSeconds = m.histogram("chunk_duration_seconds", "Time of a core for one chunk.")
	m.partSeconds = m.histogram("part_duration_seconds", "Time from the claim of a part to its commit.")
	m.parts = m.counters("attempts_total", "Attempts at parts by result.", "result")
	for _, result := range []string{
		AttemptCommitted, AttemptReleased, AttemptPostponed, AttemptRefused, AttemptRestarted, AttemptFailed, AttemptLost,
	} {
		m.parts.WithLabelValues(result)
	}
	m.gone = m.counters("objects_gone_total", "Objects that should be there and were not, by what they are: an upload, "+
		"what parts have left, a result.", "kind")
	for _, kind := range []string{GoneUpload, GonePart, GoneResult} {
		m.gone.WithLabelValues(kind)
	}
	m.leasesLost = m.counter("lease_lost_total", "Parts that another worker had taken over.")
	m.fenced = m.counter("epochs_fenced_total", "Writes that the database refused because their claim was void.")
	m.mismatches = m.counter("accounting_mismatch_total", "Predictions whose rows did not add up. Must stay 0.")
	m.workers = m.gauge("workers", "Workers that may claim parts.")
	m.workersBusy = m.gauge("workers_busy", "Workers that have a part in hand.")
	m.cores = m.gauge("worker_cores", "Cores that score a part.")
	m.sampledGauge("worker_cores_resting", "Cores in the middle of large files that make way for urgent work.", "", "",
		func() float64 { return float64(m.background.Load().State().Resting) })
	m.sampledGauge("urgent_work", "Small files that are received or scored while somebody waits.", "", "",
		func() float64 { return float64(m.background.Load().State().Urgent) })
	m.heartbeat = m.gauge("worker_heartbeat_timestamp_seconds", "When a worker last reached the ledger.")
}

// makeFlow makes what is sampled: where the chunks are at the moment of the scrape.
func (m *Metrics) makeFlow() {
	const (
		inFlight = "stage_in_flight"
		depth    = "stage_queue_depth"
		capacity = "stage_queue_capacity"
	)
	for stage, name := range engineStages {
		m.sampledGauge(inFlight, "Chunks, or parts in copy, that a stage works on.", "stage", name,
			func() float64 { return float64(m.flow.Depth(stage).InFlight) })
		if stage != engine.StageParse && stage != engine.StagePut {
			continue // parse to encode are one trip on one core, with one queue in front
		}
		m.sampledGauge(depth, "Chunks that wait in front of a stage.", "stage", name,
			func() float64 { return float64(m.flow.Depth(stage).Queued) })
		m.sampledGauge(capacity, "Chunks that may wait in front of a stage; 0 when nothing is scored.", "stage", name,
			func() float64 { return float64(m.flow.Depth(stage).Capacity) })
	}
	m.copying = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: inFlight, Help: "Chunks, or parts in copy, that a stage works on.",
		ConstLabels: prometheus.Labels{"stage": StageCopy},
	})
	m.registry.MustRegister(m.copying)
}

// WatchBackground says whose state the scrapes show.
func (m *Metrics) WatchBackground(b *engine.Background) { m.background.Store(b) }

// Flow is what scorings are given so that their chunks show in the metrics.
func (m *Metrics) Flow() *engine.Flow { return &m.flow }

// Results of an attempt at a part.
const (
	AttemptCommitted = "committed"
	AttemptReleased  = "released"  // given back unfinished, at shutdown
	AttemptPostponed = "postponed" // what it needs is unavailable
	AttemptRefused   = "refused"   // the object store refuses its objects alone; it waits as well
	AttemptRestarted = "restarted" // objects of parts are gone: the prediction is scored from scratch
	AttemptFailed    = "failed"
	AttemptLost      = "lost"
)

const (
	rowsDone     = "done"
	rowsRejected = "rejected"
)

// ChunkDone counts a chunk of a model: the time that it took by stage, its rows, and those that leaves scored too.
func (m *Metrics) ChunkDone(model string, c *engine.ScoredChunk) {
	b, t := c.Busy, c.Tally
	m.leavesChecked.WithLabelValues(model).Add(float64(c.Checked))
	m.chunkSeconds.Observe((b.Parse + b.Score + b.Explain + b.Encode).Seconds())
	m.StageDone("chunk", b.Chunk, t.Rows)
	m.StageDone("parse", b.Parse, t.Scored)
	m.rows.WithLabelValues("parse", rowsRejected).Add(float64(t.Rejected))
	m.StageDone("score", b.Score, t.Scored)
	m.StageDone("explain", b.Explain, t.Explained)
	m.StageDone("encode", b.Encode, t.Scored)
}

// StageDone adds the time that a stage worked and the rows that it got done.
func (m *Metrics) StageDone(stage string, d time.Duration, rows int64) {
	m.stageBusy.WithLabelValues(stage).Add(d.Seconds())
	m.stageSuccess.WithLabelValues(stage).SetToCurrentTime()
	m.rows.WithLabelValues(stage, rowsDone).Add(float64(rows))
}

// Rejected counts rejected rows of one reason; code is ERR-1601 and so on.
func (m *Metrics) Rejected(code string, rows int64) {
	m.rejects.WithLabelValues(code).Add(float64(rows))
}

// PartDone counts an attempt at a part; took is of those that were committed.
func (m *Metrics) PartDone(result string, took time.Duration) {
	m.parts.WithLabelValues(result).Inc()
	switch result {
	case AttemptCommitted:
		m.partSeconds.Observe(took.Seconds())
	case AttemptLost:
		m.leasesLost.Inc()
	}
}

// Kinds of objects that should be there.
const (
	GoneUpload = "upload"
	GonePart   = "part"
	GoneResult = "result"
)

// ObjectGone counts an object that should be there and was not.
func (m *Metrics) ObjectGone(kind string) { m.gone.WithLabelValues(kind).Inc() }

// Fenced counts a write of a void claim that was refused.
func (m *Metrics) Fenced() { m.fenced.Inc() }

// Copying notes that a part is being committed; the result notes that it is over.
func (m *Metrics) Copying() func() {
	m.copying.Inc()
	return m.copying.Dec
}

// AccountingMismatch counts a prediction whose rows do not add up.
func (m *Metrics) AccountingMismatch() { m.mismatches.Inc() }

// SetWorkers sets how many workers may claim parts, and how many cores each uses.
func (m *Metrics) SetWorkers(n, cores int) {
	m.workers.Set(float64(n))
	m.cores.Set(float64(cores))
}

// WorkerBusy notes that a worker took a part in hand; the result notes that it put it down.
func (m *Metrics) WorkerBusy() func() {
	m.workersBusy.Inc()
	return m.workersBusy.Dec
}

// Heartbeat notes that a worker has reached the ledger.
func (m *Metrics) Heartbeat() { m.heartbeat.SetToCurrentTime() }
