package health

import (
	"fmt"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/store/counts"
)

const (
	monthsMax     = 36 // of a report
	monthsDefault = 12 // if none are named
)

// SetSpan sets the time of a query from its first and last month as "2026-03". Empty means eleven months before the last,
// and the month of now.
func SetSpan(q *counts.Query, from, to string, now time.Time) error {
	last, err := parseMonth("to", to, counts.MonthOf(now))
	if err != nil {
		return err
	}
	first, err := parseMonth("from", from, last.AddDate(0, 1-monthsDefault, 0))
	if err != nil {
		return err
	}
	if first.After(last) || !first.AddDate(0, monthsMax, 0).After(last) {
		return fault.Fail(fault.CodeInvalidValue, fmt.Sprintf(
			"'from' must not be after 'to', and there must be at most %d months.", monthsMax)).
			With(fault.Details{"field": "from", "limit": monthsMax, "unit": "months"})
	}
	q.From, q.To = first, last.AddDate(0, 1, 0)
	return nil
}

func parseMonth(field, text string, otherwise time.Time) (time.Time, error) {
	if text == "" {
		return otherwise, nil
	}
	month, err := time.Parse(monthForm, text)
	if err != nil || month.Year() < 2000 {
		return time.Time{}, fault.Fail(fault.CodeInvalidValue, "'"+field+"' must be a month such as 2026-03.").
			With(fault.Details{"field": field})
	}
	return month, nil
}
