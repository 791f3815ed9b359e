package health

import (
	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/store/counts"
)

// What tests compare piece by piece.
var (
	NewOutcomes = newOutcomes
	Add         = add
)

// NewMonth is the month of one or more predictions of a model.
func NewMonth(tallies ...*engine.Tally) (Month, error) {
	s := sums{}
	var p *Profile
	var e counts.Entry
	for _, t := range tallies {
		c, err := Count(t)
		if err != nil {
			return Month{}, err
		}
		if p, err = parseProfile(c.Profile); err != nil {
			return Month{}, err
		}
		e.Numbers = c.Numbers
		s.month(&e).addCounts(c.Numbers)
	}
	m, _ := s.month(&e).month(p, baseline{})
	return m, nil
}
