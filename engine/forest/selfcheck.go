package forest

import "math"

// RawScorer is a scorer whose raw scores must equal the walker's to the last bit.
type RawScorer interface {
	Raw(dst []float64, rows Rows)
}

// SelfCheck scores ProbeRows with the walker, with leaves and with the given scorers, and returns an *Error of
// KindSelfCheck if two disagree. A model that fails must not be served. l may be nil: leaves cannot hold every forest,
// and the caller says so to its user.
func SelfCheck(f *Forest, l *Leaves, scorers ...RawScorer) error {
	rows := f.ProbeRows()
	walker := NewWalker(f)
	want := make([]float64, rows.Len*f.Classes)
	walker.Raw(want, rows)
	got := make([]float64, len(want))
	for i, s := range scorers {
		s.Raw(got, rows)
		if at := differs(got, want, 0); at >= 0 {
			return fault(KindSelfCheck, "scorer %d gives %v for probe row %d, the walker %v", i, got[at],
				at/f.Classes, want[at])
		}
	}
	if l == nil {
		return nil
	}
	return l.check(walker, rows, want)
}

// check compares leaf by leaf, then the sums: leaves adds XGBoost's in float64.
func (l *Leaves) check(walker *Walker, rows Rows, want []float64) error {
	f := l.forest
	if err := checkLeafIDs(f, l, walker, rows); err != nil {
		return err
	}
	got := make([]float64, len(want))
	if err := l.Raw(got, rows); err != nil {
		return fault(KindSelfCheck, "%v", err)
	}
	if at := differs(got, want, l.within); at >= 0 {
		return fault(KindSelfCheck, "leaves gives %v for probe row %d, the walker %v", got[at], at/f.Classes, want[at])
	}
	return nil
}

// leavesTolerance is how far a sum in float64 may be from one in float32, relative above 1. Every addition in float32
// may round by half a unit in the last place of the sum so far, which may be larger than the last.
func leavesTolerance(f *Forest) float64 {
	if f.Library == LightGBM {
		return 0
	}
	const measured = 4e-6
	bound, total := 0.0, 0.0
	for t := range f.Trees {
		leaf := 0.0
		for i := range f.Trees[t].Leaves {
			leaf = max(leaf, math.Abs(f.Trees[t].Leaves[i].Value))
		}
		total += leaf
		bound += float64(total * 0x1p-24)
	}
	for _, b := range f.Base {
		bound += float64(math.Abs(b) * 0x1p-24 * float64(len(f.Trees)+1))
	}
	return max(measured, bound)
}

func checkLeafIDs(f *Forest, l *Leaves, walker *Walker, rows Rows) error {
	trees := len(f.Trees)
	const block = 16 // rows at a time: the ids of a large forest are many
	got, want := make([]int32, block*trees), make([]int32, block*trees)
	for start := 0; start < rows.Len; start += block {
		part := rows.slice(start, min(start+block, rows.Len))
		if err := l.LeafIDs(got, part); err != nil {
			return fault(KindSelfCheck, "%v", err)
		}
		walker.LeafIDs(want, part)
		for i := range want[:part.Len*trees] {
			if got[i] != want[i] {
				return inTree(fault(KindSelfCheck, "leaves reaches leaf %d with probe row %d, the walker leaf %d",
					got[i], start+i/trees, want[i]), i%trees)
			}
		}
	}
	return nil
}

// slice returns the rows from start up to end of rows that hold numbers only.
func (r Rows) slice(start, end int) Rows {
	part := Rows{Len: end - start, Columns: make([]Column, len(r.Columns))}
	for i := range r.Columns {
		part.Columns[i].Numbers = r.Columns[i].Numbers[start:end]
	}
	return part
}

// differs returns the first place where got is further from want than within, relative above 1, or -1.
func differs(got, want []float64, within float64) int {
	for i, w := range want {
		switch g := got[i]; {
		case g == w || math.IsNaN(g) && math.IsNaN(w):
		case !(math.Abs(g-w) <= within*math.Max(1, math.Abs(w))):
			return i
		}
	}
	return -1
}
