package health

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/retainwise/millrace/engine"
)

// Words for a population stability index: calm below 0.1, watch up to 0.25, changed above.
const (
	calm    = "calm"
	watch   = "watch"
	changed = "changed"
)

// severity orders the words.
var severity = []string{calm, watch, changed}

func wordOf(s engine.Shift) string {
	switch s.Change {
	case "large":
		return changed
	case "moderate":
		return watch
	}
	return calm
}

// Month is what a version of a model saw in a month, and what became of its customers. A figure is nil if there are too
// few rows for it, or nothing to compare them with: Missing says which.
type Month struct {
	Month    string `json:"month,omitempty"` // "2026-03", in UTC
	Uploads  int64  `json:"uploads"`         // completed and not deleted
	Unread   int64  `json:"uploads_unread"`  // further ones, whose counts are laid out differently
	Rows     int64  `json:"rows"`
	Scored   int64  `json:"scored"`
	Rejected int64  `json:"rejected"`

	RejectedShare *float64      `json:"rejected_share"`
	UnseenShare   *float64      `json:"unseen_share"`  // largest of any column
	UnseenColumn  *string       `json:"unseen_column"` // which it is; nil if none has an unseen value
	Mean          *float64      `json:"mean_probability"`
	State         *string       `json:"state"` // worst word of the scores and columns; nil if nothing was compared
	Score         *ScoreShift   `json:"score"`
	Columns       []ColumnShift `json:"columns"`          // the worst first, at most ten
	Compared      int           `json:"columns_compared"` // with the training
	Of            int           `json:"columns_of"`       // columns that the model reads
	Outcomes      *Outcomes     `json:"outcomes"`         // nil if none is known
	Missing       []string      `json:"missing"`          // sentences: which figures there are not, and why
}

// columnsMax is the most columns that a month lists.
const columnsMax = 10

// ScoreShift is how far the probabilities are from others.
type ScoreShift struct {
	PSI     float64 `json:"psi"`
	State   string  `json:"state"`
	Against string  `json:"against"` // training, or the month that is compared with for want of it
}

// ColumnShift is how far a column is from the training.
type ColumnShift struct {
	Column       string  `json:"column"`
	PSI          float64 `json:"psi"`
	State        string  `json:"state"`
	Importance   float64 `json:"importance"`         // share of the total gain of the model's splits
	Rows         int64   `json:"rows"`               // of files that have the column
	AbsentShare  float64 `json:"absent_share"`       // of the scored rows, whose files do not have it
	MissingShare float64 `json:"missing_share"`      // of Rows
	UnseenShare  float64 `json:"unseen_share"`       // of Rows: a category that training did not have
	OutsideShare float64 `json:"out_of_range_share"` // of Rows: a number outside the training range
}

// baseline is what scores are compared with.
type baseline struct {
	shares []float64
	name   string
}

// newMonth derives the figures of counts; first is compared with if the profile has no scores of the training.
func newMonth(p *Profile, numbers []int64, first baseline) Month {
	m := Month{
		Uploads: numbers[atUploads], Rows: numbers[atRows], Scored: numbers[atScored], Rejected: numbers[atRejected],
		RejectedShare: share(numbers[atRejected], numbers[atRows], RowsMin),
		Columns:       []ColumnShift{}, Missing: []string{}, Of: len(p.Columns),
	}
	if m.Scored >= RowsMin {
		mean := float64(numbers[atExpected]) / expectedUnit / float64(m.Scored)
		m.Mean = &mean
	} else {
		m.lacks("mean_probability, unseen_share: of %d scored rows, %d are needed", m.Scored, RowsMin)
	}
	m.compareScores(p, numbers, first)
	m.compareColumns(p, numbers)
	return m
}

func (m *Month) lacks(format string, args ...any) {
	m.Missing = append(m.Missing, fmt.Sprintf(format, args...))
}

// is notes a word: the worst is the month's.
func (m *Month) is(word string) string {
	if m.State == nil || slices.Index(severity, word) > slices.Index(severity, *m.State) {
		m.State = &word
	}
	return word
}

func (m *Month) compareScores(p *Profile, numbers []int64, first baseline) {
	against := first
	if p.Scores != nil {
		against = baseline{p.Scores, "training"}
	}
	switch {
	case m.Scored < engine.DriftRowsMin:
		m.lacks("score, columns: of %d scored rows, %d are needed", m.Scored, engine.DriftRowsMin)
	case against.shares == nil:
		m.lacks("score: the bundle has no scores of its training, and this is the first month with enough rows")
	default:
		s := engine.NewShift(p.scores(numbers), against.shares)
		m.Score = &ScoreShift{s.PSI, m.is(wordOf(s)), against.name}
	}
}

func (m *Month) compareColumns(p *Profile, numbers []int64) {
	without := 0
	p.each(numbers, func(c *Column, of, bins []int64) {
		m.noteUnseen(c, of)
		switch {
		case c.Shares == nil:
			without++
		case of[atPresent] < engine.DriftRowsMin:
			if m.Scored >= engine.DriftRowsMin {
				m.lacks("columns: %s: in the files of %d of %d scored rows, %d are needed",
					c.Name, of[atPresent], m.Scored, engine.DriftRowsMin)
			}
		default:
			s := engine.NewShift(bins, c.Shares)
			m.Compared++
			rows := float64(of[atPresent])
			m.Columns = append(m.Columns, ColumnShift{
				Column: c.Name, PSI: s.PSI, State: m.is(wordOf(s)), Importance: c.Importance, Rows: of[atPresent],
				AbsentShare: 1 - rows/float64(m.Scored), MissingShare: float64(of[atMissing]) / rows,
				UnseenShare: float64(of[atUnseen]) / rows, OutsideShare: float64(of[atOutside]) / rows,
			})
		}
	})
	if without > 0 {
		m.lacks("columns: %d of %d have no training shares in the bundle", without, len(p.Columns))
	}
	slices.SortStableFunc(m.Columns, func(a, b ColumnShift) int { return cmp.Compare(b.PSI, a.PSI) })
	m.Columns = m.Columns[:min(len(m.Columns), columnsMax)]
}

// noteUnseen keeps the largest share of unseen values.
func (m *Month) noteUnseen(c *Column, of []int64) {
	if m.Scored < RowsMin {
		return
	}
	if m.UnseenShare == nil {
		m.UnseenShare = new(float64)
	}
	if s := share(of[atUnseen], of[atPresent], RowsMin); s != nil && *s > *m.UnseenShare {
		m.UnseenShare, m.UnseenColumn = s, &c.Name
	}
}

// setOutcomes adds the sums of outcomes; nil sums are being made anew.
func (m *Month) setOutcomes(sum []int64) {
	if sum == nil {
		m.Outcomes = &Outcomes{BeingMade: true}
		m.lacks("outcomes: being made anew, as a prediction was deleted")
		return
	}
	o := newOutcomes(sum)
	o.Share = share(o.Customers, m.Scored, 1)
	m.Outcomes = &o
	switch {
	case o.Customers < OutcomesMin:
		m.lacks("outcomes: of %d customers, %d are needed", o.Customers, OutcomesMin)
	case o.AUC == nil:
		m.lacks("auc, lift_of_top_tenth: %d customers left and %d stayed, %d of each are needed",
			o.Left, o.Customers-o.Left, EachMin)
	}
	if o.Late > 0 {
		m.lacks("outcomes: %d of %d customers were scored after the day of their outcome", o.Late, o.Late+o.Customers)
	}
}
