package metrics

import (
	"sync/atomic"
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
	suspects     *prometheus.CounterVec
	deaths       atomic.Pointer[func() int64] // nil without a store
	gone         *prometheus.CounterVec
	leasesLost   prometheus.Counter
	fenced       prometheus.Counter
	mismatches   prometheus.Counter
	workersBusy  prometheus.Gauge
	workers      prometheus.Gauge
	cores        prometheus.Gauge
	heartbeat    prometheus.Gauge
}

// Stages of the pipeline, as labels, beside those of the engine: put stores a part's objects, copy commits its blocks.
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
	m.suspects = m.counters("suspect_attempts_total", "Attempts at suspects, which ran alone, by result.", "result")
	for _, result := range []string{
		AttemptCommitted, AttemptReleased, AttemptPostponed, AttemptRefused, AttemptDamaged, AttemptNoModel, AttemptRestarted,
		AttemptFailed,
		AttemptLost,
	} {
		m.parts.WithLabelValues(result)
		m.suspects.WithLabelValues(result)
	}
	m.makeDigests()
	m.sampledCounter("claims_vanished_total",
		"Claims whose worker did not return them: it ended, was paused for longer than a lease, or was cut off.", "", "",
		func() float64 {
			if count := m.deaths.Load(); count != nil {
				return float64((*count)())
			}
			return 0
		})
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
	m.sampledGauge("worker_cores_resting", "Cores in the middle of large files that have yielded to urgent work.", "", "",
		func() float64 { return float64(m.background.Load().State().Paused) })
	m.sampledGauge("urgent_work", "Small files that are being received or scored with priority.", "", "",
		func() float64 { return float64(m.background.Load().State().Urgent) })
	m.heartbeat = m.gauge("worker_heartbeat_timestamp_seconds", "When a worker last reached the ledger.")
}

// makeFlow makes the metrics of chunks in flight and queued, which are sampled at each scrape.
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

// WatchBackground sets the background of the worker that the scrapes sample.
func (m *Metrics) WatchBackground(b *engine.Background) { m.background.Store(b) }

// Flow returns the flow that every scoring must be given, so that its chunks are in the metrics.
func (m *Metrics) Flow() *engine.Flow { return &m.flow }

// Results of an attempt at a part, as labels.
const (
	AttemptCommitted = "committed"
	AttemptReleased  = "released"  // at shutdown, unfinished
	AttemptPostponed = "postponed" // outage of the database or the object store
	AttemptRefused   = "refused"   // postponed because the object store refuses only this part's objects
	AttemptDamaged   = "damaged"   // postponed because stored bytes of this part differ from their digest
	AttemptNoModel   = "no_model"  // postponed because the model of the prediction cannot be had
	AttemptRestarted = "restarted" // part objects are missing or damaged: the prediction is scored from scratch
	AttemptFailed    = "failed"
	AttemptLost      = "lost" // lease lost: another worker has the part
)

const (
	rowsDone     = "done"
	rowsRejected = "rejected"
)

// ChunkDone counts a scored chunk: its time by stage, its rows, and the rows that leaves has checked.
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

// StageDone adds the time that a stage worked and the rows that it finished.
func (m *Metrics) StageDone(stage string, d time.Duration, rows int64) {
	m.stageBusy.WithLabelValues(stage).Add(d.Seconds())
	m.stageSuccess.WithLabelValues(stage).SetToCurrentTime()
	m.rows.WithLabelValues(stage, rowsDone).Add(float64(rows))
}

// Rejected counts rejected rows of one reason; code is ERR-1601 and so on.
func (m *Metrics) Rejected(code string, rows int64) {
	m.rejects.WithLabelValues(code).Add(float64(rows))
}

// PartDone counts an attempt at a part by its result; took is only observed for committed ones.
func (m *Metrics) PartDone(result string, took time.Duration) {
	m.parts.WithLabelValues(result).Inc()
	switch result {
	case AttemptCommitted:
		m.partSeconds.Observe(took.Seconds())
	case AttemptLost:
		m.leasesLost.Inc()
	}
}

// SuspectDone counts an attempt at a suspect, beside PartDone, by its result.
func (m *Metrics) SuspectDone(result string) { m.suspects.WithLabelValues(result).Inc() }

// WatchDeaths sets the function that scrapes call for the number of claims whose worker vanished.
func (m *Metrics) WatchDeaths(count func() int64) { m.deaths.Store(&count) }

// Kinds of missing objects, as labels.
const (
	GoneUpload = "upload"
	GonePart   = "part"
	GoneResult = "result"
)

// ObjectGone counts a recorded object that is missing.
func (m *Metrics) ObjectGone(kind string) { m.gone.WithLabelValues(kind).Inc() }

// Fenced counts a refused write of a claim whose lease was lost.
func (m *Metrics) Fenced() { m.fenced.Inc() }

// Copying counts a part that is being committed until the returned function is called.
func (m *Metrics) Copying() func() {
	m.copying.Inc()
	return m.copying.Dec
}

// AccountingMismatch counts a part or prediction whose row counts do not add up.
func (m *Metrics) AccountingMismatch() { m.mismatches.Inc() }

// SetWorkers sets how many workers may claim parts, and how many cores each uses.
func (m *Metrics) SetWorkers(n, cores int) {
	m.workers.Set(float64(n))
	m.cores.Set(float64(cores))
}

// WorkerBusy counts a busy worker until the returned function is called.
func (m *Metrics) WorkerBusy() func() {
	m.workersBusy.Inc()
	return m.workersBusy.Dec
}

// Heartbeat records that a worker has reached the database.
func (m *Metrics) Heartbeat() { m.heartbeat.SetToCurrentTime() }
