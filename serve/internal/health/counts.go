package health

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/store/counts"
)

// Profile lays out the counts of a model's predictions, and has what they are compared with.
type Profile struct {
	ScoreBins int       `json:"score_bins"` // equal bins of the probability
	Scores    []float64 `json:"scores,omitempty"`
	Columns   []Column  `json:"columns"`
}

// Column is a column that the model reads.
type Column struct {
	Name       string    `json:"name"`
	Bins       int       `json:"bins,omitempty"`
	Shares     []float64 `json:"shares,omitempty"` // of the training rows by bin; nil: not known
	Importance float64   `json:"importance,omitempty"`
}

// Places of the counts that every prediction has. Behind them are the bins of the probability, and of each column the
// rows of files that have it and, of these, those with a missing, unseen or unusual value, and its bins.
const (
	atUploads = iota
	atRows
	atRejected
	atScored
	atExpected // sum of the probabilities in expectedUnit
	ofPrediction
)

const (
	atPresent = iota
	atMissing
	atUnseen
	atOutside
	ofColumn
)

// Count returns the counts of a prediction, to be kept when it is completed.
func Count(t *engine.Tally) (*counts.Counted, error) {
	p := Profile{ScoreBins: len(t.Scores), Columns: []Column{}}
	if len(t.TrainingScores) == p.ScoreBins {
		p.Scores = t.TrainingScores
	}
	numbers := make([]int64, ofPrediction, ofPrediction+len(t.Scores)+16*len(t.Columns))
	numbers[atUploads], numbers[atRows], numbers[atRejected], numbers[atScored] = 1, t.Rows, t.Rejected, t.Scored
	expected := 0.0
	for _, s := range t.Scores {
		numbers = append(numbers, s.Count)
		expected += s.Expected
	}
	numbers[atExpected] = int64(math.Round(expected * expectedUnit))
	for i := range t.Columns {
		c := &t.Columns[i]
		if len(c.Bins) == 0 && c.Gain == 0 {
			continue // ids and the like
		}
		column := Column{Name: c.Name, Bins: len(c.Bins), Importance: c.Gain}
		if c.Training != nil && len(c.Training.Shares) == len(c.Bins) {
			column.Shares = c.Training.Shares
		}
		p.Columns = append(p.Columns, column)
		if c.Absent {
			numbers = append(numbers, make([]int64, ofColumn+len(c.Bins))...)
			continue
		}
		numbers = append(append(numbers, t.Scored, c.Missing, c.Unseen, c.Outside), c.Bins...)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return &counts.Counted{Profile: text, Numbers: numbers}, nil
}

// size returns the length of the counts.
func (p *Profile) size() int {
	n := ofPrediction + p.ScoreBins
	for _, c := range p.Columns {
		n += ofColumn + c.Bins
	}
	return n
}

// parseProfile reads a stored profile.
func parseProfile(text json.RawMessage) (*Profile, error) {
	var p Profile
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	return &p, nil
}

// scores returns the rows by probability.
func (p *Profile) scores(numbers []int64) []int64 { return numbers[ofPrediction:][:p.ScoreBins] }

// each calls f with the counts of each column: its fixed ones and its bins.
func (p *Profile) each(numbers []int64, f func(c *Column, of, bins []int64)) {
	rest := numbers[ofPrediction+p.ScoreBins:]
	for i := range p.Columns {
		c := &p.Columns[i]
		f(c, rest[:ofColumn], rest[ofColumn:][:c.Bins])
		rest = rest[ofColumn+c.Bins:]
	}
}
