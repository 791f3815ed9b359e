package cli

import (
	"fmt"

	"github.com/retainwise/millrace/engine"
)

// changeTables returns tables of the changes since the previous upload; empty if there was none or they were not compared.
func changeTables(c *engine.Changes) string {
	if c == nil || c.Previous == nil {
		return ""
	}
	title := "Changes since " + shortened(printable(c.Previous.Filename), columnNameMax)
	if reason := whyNoChanges(c.Status); c.Customers == nil {
		return "\n" + title + ": " + reason + "\n"
	}
	return section(title, changeTable(c)) +
		moveLines("Whose risk rose most", c.Risen) +
		moveLines("Whose risk fell most", c.Fallen) +
		section("What moved them", factorTable(c.Factors))
}

// whyNoChanges returns the reason why there is no table.
func whyNoChanges(s engine.ChangeStatus) string {
	switch s {
	case engine.ChangesTooLarge:
		return "too many rows to compare."
	case engine.ChangesNoIDs:
		return "no customer ids to compare by."
	}
	return "no longer known."
}

// changeTable returns a table with a row for each group of customers.
func changeTable(c *engine.Changes) table {
	t := table{{"", "customers", "expected to leave", "expected loss"}}
	line := func(name string, n int64, churners, loss func(*engine.SumChange) float64) {
		cells := []string{name, count(n), "", ""}
		for i, sum := range []*engine.SumChange{c.Expected, c.Loss} {
			if of := []func(*engine.SumChange) float64{churners, loss}[i]; sum != nil && of != nil {
				cells[2+i] = fmt.Sprintf("%s%s", plus(of(sum)), grouped(of(sum)))
			}
		}
		t.add(cells...)
	}
	added := func(s *engine.SumChange) float64 { return s.New }
	gone := func(s *engine.SumChange) float64 { return s.Gone }
	stayed := func(s *engine.SumChange) float64 { return s.Stayed }
	line("new", c.Customers.New, added, added)
	line("gone", c.Customers.Gone, gone, gone)
	line("stayed", c.Customers.Stayed, stayed, stayed)
	if c.Status == engine.ChangesModelChanged {
		t.add("the model changed: scores cannot be compared")
		return t
	}
	line("  in a higher risk band", *c.Customers.MovedUp, nil, nil)
	line("  in a lower risk band", *c.Customers.MovedDown, nil, nil)
	line("  in the same band", *c.Customers.Unchanged, nil, nil)
	return t
}

// plus returns the sign of a positive number, which formatting omits.
func plus(x float64) string {
	if x > 0 {
		return "+"
	}
	return ""
}

// moveLines lists the largest moves; empty if there are none.
func moveLines(title string, moves []engine.RiskChange) string {
	if len(moves) == 0 {
		return ""
	}
	text := "\n" + title + "\n"
	for _, m := range moves[:min(len(moves), tableTop)] {
		text += wrapped("  ", fmt.Sprintf("%s (row %d): %s", shortened(printable(m.ID), columnNameMax), m.Row, printable(m.Explanation)))
	}
	return text
}

func factorTable(factors []engine.FactorChange) table {
	t := table{{"factor", "mean change"}}
	for _, f := range factors[:min(len(factors), tableDrivers)] {
		t.add(f.Label, fmt.Sprintf("%+.3f", f.Change))
	}
	return t
}
