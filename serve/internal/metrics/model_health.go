package metrics

import "github.com/prometheus/client_golang/prometheus"

// ModelHealth says whether a version of a model is still right, over all users. Nil figures are not known.
type ModelHealth struct {
	Model, Version string

	Columns, Scores, Rejected, Unseen, AUC, Calibration, Lift *float64
}

type healthMetrics struct {
	healthColumns, healthScores, healthRejected, healthUnseen, healthAUC, healthCalibration, healthLift *prometheus.GaugeVec

	healthShown []ModelHealth
}

func (m *Metrics) makeHealth() {
	gauge := func(name, help string) *prometheus.GaugeVec { return m.gauges(name, help, "model", "version") }
	m.healthColumns = gauge("model_column_psi",
		"Distance of the most distant column from training over the uploads of 30 days (population stability index).")
	m.healthScores = gauge("model_score_psi",
		"Distance of the scores from training over the uploads of 30 days (population stability index).")
	m.healthRejected = gauge("model_rejected_ratio", "Share of the rows rejected over the uploads of 30 days.")
	m.healthUnseen = gauge("model_unseen_ratio",
		"Share of the rows with a category that training did not have, of the column with the most, over 30 days.")
	m.healthAUC = gauge("model_auc",
		"Area under the ROC curve where outcomes are known, of customers scored in this month or the five before.")
	m.healthCalibration = gauge("model_calibration_error",
		"Mean distance of probabilities from what happened (ten bins), of the same customers.")
	m.healthLift = gauge("model_lift", "Churn rate of the top tenth divided by that of all, of the same customers.")
}

// SetModelHealth sets the gauges of all models in use. Those of others, and of figures that are not known, are removed. It
// must not run twice at the same time.
func (m *Metrics) SetModelHealth(list []ModelHealth) {
	for _, h := range m.healthShown {
		m.setHealth(ModelHealth{Model: h.Model, Version: h.Version}, list)
	}
	for _, h := range list {
		m.setHealth(h, nil)
	}
	m.healthShown = list
}

// setHealth sets or removes the gauges of a model, unless it is one of others.
func (m *Metrics) setHealth(h ModelHealth, others []ModelHealth) {
	for _, o := range others {
		if o.Model == h.Model && o.Version == h.Version {
			return
		}
	}
	for vec, figure := range map[*prometheus.GaugeVec]*float64{
		m.healthColumns: h.Columns, m.healthScores: h.Scores, m.healthRejected: h.Rejected, m.healthUnseen: h.Unseen,
		m.healthAUC: h.AUC, m.healthCalibration: h.Calibration, m.healthLift: h.Lift,
	} {
		if figure == nil {
			vec.DeleteLabelValues(h.Model, h.Version)
			continue
		}
		vec.WithLabelValues(h.Model, h.Version).Set(*figure)
	}
}
