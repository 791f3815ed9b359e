package engine

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// recordPair is the records of a customer before and after.
type recordPair struct{ before, after snapshotRecord }

// probabilityDistance returns the absolute change of the probability.
func probabilityDistance(before, after *snapshotRecord) float64 {
	return math.Abs(float64(after.probability) - float64(before.probability))
}

// insertLargest inserts a customer into the sorted list of the topMax largest changes. Of equal changes the earlier row
// comes first.
func insertLargest(list []recordPair, before, after *snapshotRecord) []recordPair {
	change, at := probabilityDistance(before, after), len(list)
	for at > 0 {
		m := &list[at-1]
		if d := probabilityDistance(&m.before, &m.after); d > change || d == change && m.after.row < after.row {
			break
		}
		at--
	}
	if at == topMax {
		return list
	}
	if len(list) == topMax {
		list = list[:topMax-1]
	}
	return slices.Insert(list, at, recordPair{before.clone(), after.clone()})
}

// riskChange returns a customer's change with its factors and a sentence.
func (b *Bundle) riskChange(m *recordPair) RiskChange {
	move := RiskChange{
		Row: int64(m.after.row), Before: m.before.probability, After: m.after.probability,
		BandBefore: b.bandName(m.before.band), BandAfter: b.bandName(m.after.band),
	}
	explained := bothExplained(&m.before, &m.after)
	if explained {
		move.Factors = b.changedFactors(m)
	}
	move.Explanation = riskChangeSentence(&move, explained)
	return move
}

// bothExplained reports whether the contributions are known before and after.
func bothExplained(before, after *snapshotRecord) bool {
	return before.explained && after.explained && len(before.factors) == len(after.factors)
}

func (b *Bundle) bandName(band uint8) string {
	return b.bands[min(int(band), len(b.bands)-1)].Name
}

// changedFactors returns the changes of contribution that are neither sensitive nor noise, the largest first.
func (b *Bundle) changedFactors(m *recordPair) []FactorChange {
	total := 0.0
	changes := make([]float64, len(m.after.factors))
	for i := range changes {
		// A change within the error of the stored contributions may be none.
		if change := m.after.factors[i] - m.before.factors[i]; math.Abs(change) > m.before.errorMax+m.after.errorMax {
			changes[i] = change
			total += math.Abs(change)
		}
	}
	var list []FactorChange
	book := b.explainer.book
	for i, d := range book.newDriverTallies() {
		if share := math.Abs(changes[i]) / total; !d.Sensitive && share >= factorShareMin {
			list = append(list, FactorChange{d.Label, d.Columns, math.Round(changes[i]*1000) / 1000, book.spoken(i)})
		}
	}
	return strongestFirst(list)
}

func strongestFirst(list []FactorChange) []FactorChange {
	slices.SortStableFunc(list, func(a, b FactorChange) int {
		return cmp.Compare(math.Abs(b.Change), math.Abs(a.Change))
	})
	return list
}

// riskChangeSentence puts a change into words:
//
//	Risk up from 34 % (medium) to 71 % (high), raised by contract and tenure, lowered by monthly charges.
func riskChangeSentence(m *RiskChange, explained bool) string {
	var b strings.Builder
	direction := "up"
	first, second := "raised", "lowered"
	if m.After < m.Before {
		direction, first, second = "down", second, first
	}
	fmt.Fprintf(&b, "Risk %s from %s (%s) to %s (%s)", direction,
		percentText(m.Before), m.BandBefore, percentText(m.After), m.BandAfter)
	var with, against []string
	for _, f := range m.Factors {
		label := f.spoken
		switch {
		case (f.Change > 0) == (m.After > m.Before) && len(with) < factorsMax:
			with = append(with, label)
		case (f.Change > 0) != (m.After > m.Before) && len(against) < opposingMax:
			against = append(against, label)
		}
	}
	if len(with) > 0 {
		b.WriteString(", " + first + " by " + joinWords(with))
	}
	if len(against) > 0 {
		b.WriteString(", " + second + " by " + joinWords(against))
	}
	if explained && len(m.Factors) == 0 {
		b.WriteString(". No single strong driver")
	}
	return b.String() + "."
}

// joinWords joins words as an English list: "a, b and c".
func joinWords(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// percentText formats a probability as explanations do.
func percentText(p float32) string {
	switch percent := 100 * float64(p); {
	case percent < 1:
		return "under 1 %"
	case percent > 99:
		return "over 99 %"
	default:
		return fmt.Sprintf("%.0f %%", percent)
	}
}
