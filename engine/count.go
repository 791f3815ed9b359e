package engine

import (
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/ingest"
)

// counter counts the scored rows of one worker's batches. It reuses its scratch and allocates nothing per row.
type counter struct {
	bundle        *Bundle
	columns       columnCounter
	rows          []Cohort // one cohort per row
	losses        []float64
	byProbability topCounter
	byLoss        topCounter
}

func newCounter(b *Bundle, m ingest.Mapping) counter {
	return counter{bundle: b, columns: newColumnCounter(b, m)}
}

// count fills an empty tally with the rows of a batch, all of which are scored.
func (c *counter) count(t *Tally, batch *ingest.Batch, probabilities []float32, bands []int16) {
	t.Scored = int64(len(probabilities))
	c.fillRows(t, batch.Record, probabilities)
	for i := range c.rows {
		row := &c.rows[i]
		t.Variance += float64(row.Expected * (1 - row.Expected)) // converted: processors must not fuse product and sum
		t.Bands[bands[i]].add(*row)
		t.Scores[min(max(int(row.Expected*histogramBins), 0), histogramBins-1)].add(*row)
	}
	if t.Value != nil {
		for i := range c.rows {
			t.Losses[lossBin(c.losses[i])].add(c.rows[i])
		}
	}
	for i := range t.Segments {
		t.Segments[i].count(batch.Record, c.rows)
	}
	c.columns.count(t.Columns, batch)
	c.rank(t, batch.Record)
}

// fillRows makes one cohort per row. A row without a value has no loss: its entry in c.losses is NaN.
func (c *counter) fillRows(t *Tally, rec arrow.Record, probabilities []float32) {
	c.rows = grow(c.rows, len(probabilities))
	for i, p := range probabilities {
		c.rows[i] = Cohort{Count: 1, Expected: float64(p)}
	}
	c.losses = c.losses[:0]
	if t.Value == nil {
		return
	}
	c.losses = grow(c.losses, len(probabilities))
	values := rec.Column(firstSchemaColumn + c.bundle.valueColumn).(*array.Float64)
	t.Value.Missing = int64(values.NullN())
	for i, value := range values.Float64Values() {
		row := &c.rows[i]
		c.losses[i] = float64(row.Expected * value)
		if !math.IsNaN(value) {
			row.Value, row.Loss = value, c.losses[i]
		}
	}
}

// rank fills the top lists.
func (c *counter) rank(t *Tally, rec arrow.Record) {
	c.byProbability.reset()
	for i := range c.rows {
		c.byProbability.offer(i, c.rows[i].Expected)
	}
	c.byLoss.reset()
	for i, loss := range c.losses {
		c.byLoss.offer(i, loss)
	}
	t.Top.ByProbability = c.appendTop(t.Top.ByProbability, rec, &c.byProbability)
	t.Top.ByLoss = c.appendTop(t.Top.ByLoss, rec, &c.byLoss)
}

func (c *counter) appendTop(dst []TopRow, rec arrow.Record, top *topCounter) []TopRow {
	numbers := rec.Column(0).(*array.Int64).Int64Values()
	for _, i := range top.rows[:top.n] {
		row := TopRow{Row: numbers[i], Probability: float32(c.rows[i].Expected)}
		if at := c.bundle.idColumn; at >= 0 {
			if ids := rec.Column(firstSchemaColumn + at).(*array.String); !ids.IsNull(i) {
				row.ID = string(append([]byte(nil), ids.Value(i)...)) // the batch's memory is reused
			}
		}
		if len(c.losses) > 0 && !math.IsNaN(c.losses[i]) {
			value, loss := c.rows[i].Value, c.losses[i]
			row.Value, row.Loss = &value, &loss
		}
		dst = append(dst, row)
	}
	return dst
}
