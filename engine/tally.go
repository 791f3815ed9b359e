package engine

import (
	"time"

	"github.com/retainwise/millrace/ingest"
)

// HistogramBins is the number of equal bins of the probability histogram.
const HistogramBins = 20

// Tally is what one pass counts: every row is scored or rejected. Tallies of parts are added in part order, so that
// float sums do not depend on workers or restarts.
type Tally struct {
	Rows      int64         `json:"rows"`
	Scored    int64         `json:"scored"`
	Rejected  int64         `json:"rejected"`
	Rejects   []ReasonCount `json:"rejects,omitempty"`  // by code and column
	Warnings  []ReasonCount `json:"warnings,omitempty"` // by code and column
	Bands     []BandTally   `json:"bands"`
	Histogram []int64       `json:"histogram"` // HistogramBins equal bins of the probability
	Expected  float64       `json:"expected_churners"`
	Variance  float64       `json:"expected_variance"` // sum of p(1-p): assumes that customers leave independently
}

// ReasonCount counts rows with one reason in one column.
type ReasonCount struct {
	Code   string `json:"code"` // as published: "ERR-1602"
	Column string `json:"column,omitempty"`
	Count  int64  `json:"count"`
}

// BandTally counts the rows of one risk band.
type BandTally struct {
	Name     string  `json:"name"`
	Count    int64   `json:"count"`
	Expected float64 `json:"expected_churners"`
}

// BusyTimes says how long a core worked on a chunk, stage by stage.
type BusyTimes struct {
	Parse, Score, Explain, Encode time.Duration
}

func (b *Bundle) newTally() Tally {
	t := Tally{Bands: make([]BandTally, len(b.bands)), Histogram: make([]int64, HistogramBins)}
	for i, band := range b.bands {
		t.Bands[i].Name = band.Name
	}
	return t
}

// reset empties t and keeps its memory.
func (t *Tally) reset() {
	for i := range t.Bands {
		t.Bands[i].Count, t.Bands[i].Expected = 0, 0
	}
	clear(t.Histogram)
	*t = Tally{Bands: t.Bands, Histogram: t.Histogram, Rejects: t.Rejects[:0], Warnings: t.Warnings[:0]}
}

// Add adds o, which must be of the same model.
func (t *Tally) Add(o *Tally) {
	t.Rows += o.Rows
	t.Scored += o.Scored
	t.Rejected += o.Rejected
	t.Expected += o.Expected
	t.Variance += o.Variance
	for i, band := range o.Bands {
		t.Bands[i].Count += band.Count
		t.Bands[i].Expected += band.Expected
	}
	for i, n := range o.Histogram {
		t.Histogram[i] += n
	}
	for _, r := range o.Rejects {
		t.Rejects = countReason(t.Rejects, r)
	}
	for _, w := range o.Warnings {
		t.Warnings = countReason(t.Warnings, w)
	}
}

// score counts one scored row.
func (t *Tally) score(probability float32, band int) {
	p := float64(probability)
	t.Scored++
	t.Expected += p
	t.Variance += p * (1 - p)
	t.Bands[band].Count++
	t.Bands[band].Expected += p
	t.Histogram[min(max(int(p*HistogramBins), 0), HistogramBins-1)]++
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
