package cli

import (
	"fmt"

	"github.com/retainwise/millrace/engine"
)

// labelledRowsMax bounds the memory of --label: 32 bytes a row. Of a longer file the first rows are compared.
const labelledRowsMax = 2_000_000

// outcomes collects the probabilities and outcomes of a file with a label column. A nil outcomes does nothing.
type outcomes struct {
	bands    []string
	observed []engine.Observed
}

// newOutcomes returns nil if label is empty.
func newOutcomes(b *engine.Bundle, label string) *outcomes {
	if label == "" {
		return nil
	}
	o := new(outcomes)
	for _, band := range b.Bands() {
		o.bands = append(o.bands, band.Name)
	}
	return o
}

func (o *outcomes) add(sample []byte) {
	if o != nil {
		o.observed = engine.AppendObserved(o.observed, sample, labelledRowsMax)
	}
}

// report compares predictions and outcomes; nil without labelled rows.
func (o *outcomes) report() *engine.OutcomeReport {
	if o == nil || len(o.observed) == 0 {
		return nil
	}
	r := engine.NewOutcomeReport(o.observed, o.bands)
	return &r
}

// outcomeTables returns how well the predictions were: AUC, lift by decile and calibration. They name no customer.
func outcomeTables(r *engine.OutcomeReport) string {
	if r == nil {
		return ""
	}
	auc := "not defined: all left, or none"
	if r.AUC != nil {
		auc = fmt.Sprintf("%.4f", *r.AUC)
	}
	text := fmt.Sprintf("\nCompared with the outcomes of %s rows; %s left (%s)\n", count(r.Customers), count(r.Churned),
		percent(r.ActualRate))
	text += fmt.Sprintf("  AUC %s, Brier score %.4f, mean probability %s\n", auc, r.Brier, percent(r.MeanProbability))
	lift := table{{"decile by probability", "rows", "left", "rate", "predicted", "lift"}}
	for _, d := range r.Deciles {
		lift.add(fmt.Sprint(d.Decile), count(d.Customers), count(d.Churned), percent(d.ActualRate), percent(d.MeanProbability),
			fmt.Sprintf("%.2f", d.Lift))
	}
	calibration := table{{"probability", "rows", "left", "rate", "predicted"}}
	for _, c := range r.Calibration {
		calibration.add(fmt.Sprintf("%.1f to %.1f", c.From, c.To), count(c.Customers), count(c.Churned), percent(c.ActualRate),
			percent(c.MeanProbability))
	}
	return text + section("Lift", lift) + section("Calibration", calibration)
}
