package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/retainwise/millrace/store"
)

type installationMetrics struct {
	ownership    *prometheus.GaugeVec
	deletions    prometheus.Gauge
	orphans      prometheus.Gauge
	sweepStopped prometheus.Gauge
}

func (m *Metrics) makeInstallation() {
	m.ownership = m.gauges("installation_state",
		"1 for what database and object store say of each other; objects are deleted in the state owned only.", "state")
	m.deletions = m.gauge("deletions_waiting", "Deletions whose files are still to be removed.")
	m.orphans = m.gauge("orphan_objects", "Objects that the last sweep found and whose id nothing in the database knows.")
	m.sweepStopped = m.gauge("sweep_stopped", "1 if the sweep found something unusual and waits for an operator.")
	m.SetInstallation(store.Unknown)
}

// SetInstallation sets the state of ownership: 1 for is, 0 for all others.
func (m *Metrics) SetInstallation(is store.Ownership) {
	for _, state := range store.Ownerships() {
		value := 0.0
		if state == is {
			value = 1
		}
		m.ownership.WithLabelValues(state.String()).Set(value)
	}
}

// SetHousekeeping sets the gauges of deletions, orphans and stopped sweeps.
func (m *Metrics) SetHousekeeping(h store.Housekeeping) {
	m.deletions.Set(float64(h.Deletions))
	m.orphans.Set(float64(h.Orphans))
	stopped := 0.0
	if h.Stopped != nil {
		stopped = 1
	}
	m.sweepStopped.Set(stopped)
}
