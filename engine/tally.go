package engine

import (
	"time"

	"github.com/retainwise/millrace/ingest"
)

// histogramBins is the number of equal bins of the probability histogram.
const histogramBins = 20

// Tally counts the rows of one pass; each is scored or rejected. It holds counts and sums only, so tallies of chunks
// and parts can be added. They must be added in input order, so that floating-point sums do not depend on workers or
// restarts. [Tally.Summary] derives what the customer reads.
type Tally struct {
	Rows     int64          `json:"rows"`
	Scored   int64          `json:"scored"`
	Rejected int64          `json:"rejected"`
	Skipped  int64          `json:"skipped,omitempty"`  // lines of nothing but delimiters: no rows
	Rejects  []ReasonCount  `json:"rejects,omitempty"`  // by code and column
	Warnings []ReasonCount  `json:"warnings,omitempty"` // by code and column
	Bands    []BandTally    `json:"bands"`
	Scores   []Cohort       `json:"scores"`           // 20 equal bins of the probability
	Variance float64        `json:"variance"`         // sum of p(1-p): assumes that customers leave independently
	Columns  []ColumnTally  `json:"columns"`          // one per schema column
	Value    *ValueTally    `json:"value,omitempty"`  // nil if the bundle has no value column
	Losses   []Cohort       `json:"losses,omitempty"` // by expected loss, see lossBin; nil if Value is nil
	Segments []SegmentTally `json:"segments,omitempty"`
	Top      TopTally       `json:"top"`
	// NotUsed lists the columns of the file that the model does not read; only the tally of the first part has them.
	NotUsed []string `json:"not_used,omitempty"`
	// Renamed are the customer's columns that have other names in the result, "name as new name"; likewise.
	Renamed []string `json:"renamed,omitempty"`
	// Numbers is how the file writes numbers; the tally of a file's beginning has it.
	Numbers ingest.NumberStyle `json:"numbers,omitzero"`
	// ColumnCheck says whether useless columns are remarked upon; empty is yes.
	ColumnCheck ColumnCheck   `json:"-"`
	Drivers     []DriverTally `json:"drivers,omitempty"` // nil without explanations
	// Explained is the number of rows in the sums of Drivers.
	Explained int64 `json:"explained,omitempty"`
	// TrainingScores are the shares of the training rows in the bins of Scores; nil if the bundle has none.
	TrainingScores []float64 `json:"training_scores,omitempty"`
}

// ReasonCount counts rows with the same reason in the same column.
type ReasonCount struct {
	Code   string `json:"code"` // as published: "ERR-1602"
	Column string `json:"column,omitempty"`
	Count  int64  `json:"count"`
}

// Cohort counts some of the customers.
type Cohort struct {
	Count    int64   `json:"n,omitempty"`
	Expected float64 `json:"p,omitempty"` // sum of the probabilities: the expected number of churners
	Value    float64 `json:"v,omitempty"` // sum of the value column
	Loss     float64 `json:"l,omitempty"` // sum of probability times value
}

// BandTally counts the customers of one risk band.
type BandTally struct {
	Name string `json:"name"`
	Cohort
}

// BusyTimes is the time that a core spent on a chunk by stage, without pauses of low-priority work. Chunk is the
// reader's time and includes waiting for input.
type BusyTimes struct {
	Chunk, Parse, Score, Explain, Encode time.Duration
}

func (b *Bundle) newTally(m ingest.Mapping) Tally {
	t := Tally{
		Segments: b.newSegmentTallies(m),
		Bands:    make([]BandTally, len(b.bands)), Scores: make([]Cohort, histogramBins),
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

// reset sets all counts to 0 and keeps the memory.
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

// Add adds the counts of o, which must be of the same model and follow t in the input.
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

// countReasons counts the rejected rows and warnings of a batch. Missing values are not a warning in a column that had
// some in training.
func (t *Tally) countReasons(batch *ingest.Batch, training *trainingFile) {
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

// addDuplicateIDs adds a warning for rows of a customer who has an earlier row.
func (t *Tally) addDuplicateIDs(rows int64, b *Bundle) {
	if rows > 0 {
		code := ingest.DuplicateIDScored.Code()
		t.Warnings = countReason(t.Warnings, ReasonCount{code, b.file.ID, rows})
	}
}

// countReason adds c to the entry with its code and column. The search is linear: lists are as long as reasons times
// columns.
func countReason(list []ReasonCount, c ReasonCount) []ReasonCount {
	for i := range list {
		if list[i].Code == c.Code && list[i].Column == c.Column {
			list[i].Count += c.Count
			return list
		}
	}
	return append(list, c)
}
