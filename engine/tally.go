package engine

import (
	"time"

	"github.com/retainwise/millrace/ingest"
)

// HistogramBins is the number of equal bins of the probability histogram.
const HistogramBins = 20

// Tally is what one pass counts: every row is scored or rejected. It holds counts and sums only, so that the tallies of
// parts can be added; [Tally.Summary] makes of it what a customer reads. Tallies are added in input order, chunk by
// chunk and part by part, so that float sums do not depend on workers or restarts.
type Tally struct {
	Rows     int64         `json:"rows"`
	Scored   int64         `json:"scored"`
	Rejected int64         `json:"rejected"`
	Rejects  []ReasonCount `json:"rejects,omitempty"`  // by code and column
	Warnings []ReasonCount `json:"warnings,omitempty"` // by code and column
	Bands    []BandTally   `json:"bands"`
	Scores   []Cohort      `json:"scores"`   // HistogramBins equal bins of the probability
	Variance float64       `json:"variance"` // sum of p(1-p): assumes that customers leave independently
	Columns  []ColumnTally `json:"columns"`  // one a schema column
	// TrainingScores are the shares of the training rows in the bins of Scores; nil if the bundle does not say.
	TrainingScores []float64 `json:"training_scores,omitempty"`
}

// ReasonCount counts rows with one reason in one column.
type ReasonCount struct {
	Code   string `json:"code"` // as published: "ERR-1602"
	Column string `json:"column,omitempty"`
	Count  int64  `json:"count"`
}

// Cohort is customers counted together.
type Cohort struct {
	Count    int64   `json:"n,omitempty"`
	Expected float64 `json:"p,omitempty"` // sum of the probabilities: how many are expected to leave
}

// BandTally is the customers of one risk band.
type BandTally struct {
	Name string `json:"name"`
	Cohort
}

// BusyTimes says how long a core worked on a chunk, stage by stage.
type BusyTimes struct {
	Parse, Score, Explain, Encode time.Duration
}

func (b *Bundle) newTally() Tally {
	t := Tally{
		Bands: make([]BandTally, len(b.bands)), Scores: make([]Cohort, HistogramBins),
		Columns: b.newColumnTallies(), TrainingScores: b.file.Training.ScoreShares,
	}
	for i, band := range b.bands {
		t.Bands[i].Name = band.Name
	}
	return t
}

// reset empties t and keeps its memory.
func (t *Tally) reset() {
	for i := range t.Bands {
		t.Bands[i].Cohort = Cohort{}
	}
	for i := range t.Columns {
		t.Columns[i].reset()
	}
	clear(t.Scores)
	*t = Tally{
		Rejects: t.Rejects[:0], Warnings: t.Warnings[:0], Bands: t.Bands, Scores: t.Scores, Columns: t.Columns,
		TrainingScores: t.TrainingScores,
	}
}

// Add adds o, which must be of the same model and come behind t in the input.
func (t *Tally) Add(o *Tally) {
	t.Rows += o.Rows
	t.Scored += o.Scored
	t.Rejected += o.Rejected
	t.Variance += o.Variance
	for i := range o.Bands {
		t.Bands[i].add(o.Bands[i].Cohort)
	}
	for i := range o.Scores {
		t.Scores[i].add(o.Scores[i])
	}
	for i := range o.Columns {
		t.Columns[i].add(&o.Columns[i])
	}
	for _, r := range o.Rejects {
		t.Rejects = countReason(t.Rejects, r)
	}
	for _, w := range o.Warnings {
		t.Warnings = countReason(t.Warnings, w)
	}
}

func (c *Cohort) add(o Cohort) {
	c.Count += o.Count
	c.Expected += o.Expected
}

// score counts the scored rows of a batch.
func (t *Tally) score(probabilities []float32, bands []int16) {
	t.Scored += int64(len(probabilities))
	for i, probability := range probabilities {
		p := float64(probability)
		one := Cohort{1, p}
		t.Variance += float64(p * (1 - p)) // the conversion keeps processors from fusing product and sum
		t.Bands[bands[i]].add(one)
		t.Scores[min(max(int(p*HistogramBins), 0), HistogramBins-1)].add(one)
	}
}

// account counts the refused rows and the remarks of a batch. A missing value that training knew is no remark.
func (t *Tally) account(batch *ingest.Batch, training *trainingFile) {
	t.Rejected += int64(len(batch.Rejects))
	for i := range batch.Rejects {
		r := &batch.Rejects[i]
		t.Rejects = countReason(t.Rejects, ReasonCount{r.Reason.Code(), r.Column, 1})
	}
	for _, w := range batch.Warnings {
		if w.Reason == ingest.MissingValue && training.Columns[w.Column].Missing > 0 {
			continue
		}
		t.Warnings = countReason(t.Warnings, ReasonCount{w.Reason.Code(), w.Column, w.Count})
	}
}

// repeat counts rows whose customer has been seen before in the input.
func (t *Tally) repeat(rows int64, b *Bundle) {
	if rows > 0 {
		code := ingest.DuplicateIDScored.Code()
		t.Warnings = countReason(t.Warnings, ReasonCount{code, b.file.ID, rows})
	}
}

// countReason adds c to the entry of its code and column. Lists are short: reasons times columns.
func countReason(list []ReasonCount, c ReasonCount) []ReasonCount {
	for i := range list {
		if list[i].Code == c.Code && list[i].Column == c.Column {
			list[i].Count += c.Count
			return list
		}
	}
	return append(list, c)
}
