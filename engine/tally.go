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
	Rows     int64          `json:"rows"`
	Scored   int64          `json:"scored"`
	Rejected int64          `json:"rejected"`
	Skipped  int64          `json:"skipped,omitempty"`  // lines of nothing but delimiters: no rows
	Rejects  []ReasonCount  `json:"rejects,omitempty"`  // by code and column
	Warnings []ReasonCount  `json:"warnings,omitempty"` // by code and column
	Bands    []BandTally    `json:"bands"`
	Scores   []Cohort       `json:"scores"`           // HistogramBins equal bins of the probability
	Variance float64        `json:"variance"`         // sum of p(1-p): assumes that customers leave independently
	Columns  []ColumnTally  `json:"columns"`          // one a schema column
	Value    *ValueTally    `json:"value,omitempty"`  // nil if the bundle names no value column
	Losses   []Cohort       `json:"losses,omitempty"` // by what is expected to be lost, see lossBin; nil like Value
	Segments []SegmentTally `json:"segments,omitempty"`
	Top      TopTally       `json:"top"`
	// NotUsed names the columns that the model does not read; the tally of a file's beginning has them.
	NotUsed []string `json:"not_used,omitempty"`
	// Renamed are the customer's columns that have other names in the result, "name as new name"; likewise.
	Renamed []string `json:"renamed,omitempty"`
	// Numbers is how the file writes numbers; the tally of a file's beginning has it.
	Numbers ingest.NumberStyle `json:"numbers,omitzero"`
	Drivers []DriverTally      `json:"drivers,omitempty"` // nil without explanations
	// Explained is how many rows the sums of Drivers are of.
	Explained int64 `json:"explained,omitempty"`
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
	Value    float64 `json:"v,omitempty"` // sum of the value column
	Loss     float64 `json:"l,omitempty"` // sum of probability times value
}

// BandTally is the customers of one risk band.
type BandTally struct {
	Name string `json:"name"`
	Cohort
}

// BusyTimes says how long a core worked on a chunk, stage by stage. Chunk is the reader's time and includes waiting for
// the bytes.
type BusyTimes struct {
	Chunk, Parse, Score, Explain, Encode time.Duration
}

func (b *Bundle) newTally(m ingest.Mapping) Tally {
	t := Tally{
		Segments: b.newSegmentTallies(m),
		Bands:    make([]BandTally, len(b.bands)), Scores: make([]Cohort, HistogramBins),
		Columns: b.newColumnTallies(), TrainingScores: b.file.Training.ScoreShares,
	}
	for i, band := range b.bands {
		t.Bands[i].Name = band.Name
	}
	if b.valueColumn >= 0 {
		t.Value, t.Losses = &ValueTally{Column: b.file.Value}, make([]Cohort, lossBins)
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
	for i := range t.Segments {
		clear(t.Segments[i].Cohorts)
	}
	for i := range t.Drivers {
		t.Drivers[i].Sum = 0
	}
	clear(t.Scores)
	clear(t.Losses)
	if t.Value != nil {
		t.Value.Missing = 0
	}
	*t = Tally{
		Value: t.Value, Losses: t.Losses, Segments: t.Segments, Drivers: t.Drivers,
		Top:     TopTally{t.Top.ByProbability[:0], t.Top.ByLoss[:0]},
		Rejects: t.Rejects[:0], Warnings: t.Warnings[:0], Bands: t.Bands, Scores: t.Scores, Columns: t.Columns,
		TrainingScores: t.TrainingScores,
	}
}

// Add adds o, which must be of the same model and come behind t in the input.
func (t *Tally) Add(o *Tally) {
	t.Rows += o.Rows
	t.Scored += o.Scored
	t.Rejected += o.Rejected
	t.Skipped += o.Skipped
	t.Variance += o.Variance
	for i := range o.Bands {
		t.Bands[i].add(o.Bands[i].Cohort)
	}
	addCohorts(t.Scores, o.Scores)
	if o.Value != nil {
		t.Value.Missing += o.Value.Missing
	}
	addCohorts(t.Losses, o.Losses)
	for i := range o.Segments {
		addCohorts(t.Segments[i].Cohorts, o.Segments[i].Cohorts)
	}
	t.Top.add(&o.Top)
	t.addDrivers(o)
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
	c.Value += o.Value
	c.Loss += o.Loss
}

func addCohorts(to, from []Cohort) {
	for i := range from {
		to[i].add(from[i])
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
