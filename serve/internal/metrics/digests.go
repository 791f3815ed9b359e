package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/retainwise/millrace/store/objects"
)

type digestMetrics struct {
	unrecorded *prometheus.CounterVec
	mismatched *prometheus.CounterVec
	damaged    *prometheus.CounterVec
}

// Kinds of objects that are compared with their digests when they are read, as labels.
const (
	ReadUpload   = "upload"
	ReadPart     = "part" // what parts leave for the last step
	ReadResult   = "result"
	ReadRejects  = "rejects"
	ReadSnapshot = "snapshot"
)

func (m *Metrics) makeDigests() {
	m.unrecorded = m.counters("reads_without_digest_total",
		"Reads of objects whose digest was not recorded, as by older versions: nothing was compared.", "kind")
	m.mismatched = m.counters("digest_mismatches_total",
		"Blocks of stored bytes that differed from their digest, also if they were right when they were read again.", "kind")
	m.damaged = m.counters("damaged_reads_total",
		"Reads that ended because stored bytes differed from their digest whenever they were read.", "kind")
	for _, kind := range []string{ReadUpload, ReadPart, ReadResult, ReadRejects, ReadSnapshot} {
		m.unrecorded.WithLabelValues(kind)
		m.mismatched.WithLabelValues(kind)
		m.damaged.WithLabelValues(kind)
	}
}

// Reading returns what objects.Source.Observe calls while an object of a kind is read.
func (m *Metrics) Reading(kind string) func(objects.Finding) {
	counts := map[objects.Finding]*prometheus.CounterVec{
		objects.Unrecorded: m.unrecorded, objects.Mismatched: m.mismatched, objects.Damaged: m.damaged,
	}
	return func(f objects.Finding) { counts[f].WithLabelValues(kind).Inc() }
}
