package engine

import "slices"

// topMax is the length of the top lists.
const topMax = 20

// TopTally lists the rows with the largest figures in descending order; equal figures are in input order.
type TopTally struct {
	ByProbability []TopRow `json:"by_probability"`
	ByLoss        []TopRow `json:"by_loss,omitempty"` // rows with a value; nil if the bundle has no value column
}

// TopRow is a row in a top list. Value and Loss are nil if the row has no value, Explanation is empty if it was not
// explained.
type TopRow struct {
	Row         int64    `json:"row"`
	ID          string   `json:"id,omitempty"`
	Probability float32  `json:"probability"`
	Value       *float64 `json:"value,omitempty"`
	Loss        *float64 `json:"expected_loss,omitempty"` // probability times value
	Explanation string   `json:"explanation,omitempty"`
}

// add merges the rows of o, which come later in the input.
func (t *TopTally) add(o *TopTally) {
	t.ByProbability = mergeTop(t.ByProbability, o.ByProbability,
		func(r TopRow) float64 { return float64(r.Probability) })
	t.ByLoss = mergeTop(t.ByLoss, o.ByLoss, func(r TopRow) float64 { return *r.Loss })
}

func mergeTop(list, later []TopRow, figure func(TopRow) float64) []TopRow {
	for _, row := range later {
		at := len(list)
		for at > 0 && figure(list[at-1]) < figure(row) {
			at--
		}
		if at == topMax {
			break // the following rows are no larger
		}
		if len(list) == topMax {
			list = list[:topMax-1]
		}
		list = slices.Insert(list, at, row)
	}
	return list
}

// topCounter finds the rows of a batch with the largest figures. Rows are offered in input order.
type topCounter struct {
	n       int
	rows    [topMax]int
	figures [topMax]float64 // descending
}

func (t *topCounter) reset() { t.n = 0 }

// offer inserts a row unless topMax others are at least as large. NaN is ignored.
func (t *topCounter) offer(row int, figure float64) {
	if t.n == topMax && !(figure > t.figures[topMax-1]) || figure != figure {
		return
	}
	at := t.n
	for at > 0 && t.figures[at-1] < figure {
		at--
	}
	t.n = min(t.n+1, topMax)
	copy(t.rows[at+1:t.n], t.rows[at:])
	copy(t.figures[at+1:t.n], t.figures[at:])
	t.rows[at], t.figures[at] = row, figure
}
