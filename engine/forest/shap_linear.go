package forest

// A linear leaf of one feature adds its value to a row of which the feature is missing, and so it does, in the game whose
// Shapley values are the contributions, as long as the feature is not known. When it is, the leaf adds what its model says
// beyond that. Where the leaf's value is its model at the feature's mean, the feature's contribution is
// coefficient*(x - mean), as it is for a linear model.
//
// With several features the mean of each would have to be known, and no file has it.

// linearFault says why the contributions of a tree with linear leaves are not defined; empty if they are.
func linearFault(t *Tree) string {
	for i := range t.Linear {
		switch n := len(t.Linear[i].Features); {
		case n > 1:
			return "scores of linear leaves of several features cannot be explained: the file has no means"
		case n == 0 && t.Linear[i].Const != t.Leaves[i].Value:
			return "a linear leaf without features has two values"
		}
	}
	return ""
}

// beyond is what a leaf's linear model says of a row, less the leaf's value.
func (t *Tree) beyond(leaf int32, row []float64) float64 {
	if len(t.Linear[leaf].Features) == 0 {
		return 0
	}
	return t.value(leaf, row) - t.Leaves[leaf].Value
}

// addLinear adds, times scale, what the linear models of a tree contribute beyond the values of their leaves, after walk.
func (s *exactScratch) addLinear(dst []float64, t *Tree, scale float64) {
	for i := range s.paths.leaves {
		leaf := &s.paths.leaves[i]
		if value := t.beyond(leaf.leaf, s.row); value != 0 {
			terms := s.withFeature(s.paths.terms[leaf.first:leaf.end], t.Linear[leaf.leaf].Features[0])
			s.addLeaf(dst, terms, float64(value*scale))
		}
	}
}

// withFeature returns the terms of a path on which nothing is left of a leaf unless the feature is known.
func (s *exactScratch) withFeature(terms []pathTerm, feature int32) []pathTerm {
	s.linear = append(s.linear[:0], terms...)
	for i := range s.linear {
		if s.linear[i].feature == feature {
			s.linear[i].share = 0
			return s.linear
		}
	}
	s.linear = append(s.linear, pathTerm{feature: feature})
	return s.linear
}

// linearParts is what an [Explainer] keeps of a forest's linear leaves. Their values are explained like any other's, by
// the tables; what their models say beyond is added row by row, in float64.
type linearParts struct {
	trees    []linearTree // in summation order; nil if no leaf is linear
	features []int32      // that the trees read, ascending
}

type linearTree struct {
	*Tree
	paths treePaths // of the leaves that read a feature
}

func newLinearParts(f *Forest) linearParts {
	var parts linearParts
	reads := make([]bool, len(f.Features))
	paths := newTreePaths(len(f.Features))
	for i := range f.Trees {
		t := &f.Trees[i]
		if t.Linear == nil {
			continue
		}
		paths.collect(t)
		parts.trees = append(parts.trees, linearTree{t, paths.linear(t)})
		t.reads(reads)
	}
	for feature, read := range reads {
		if read {
			parts.features = append(parts.features, int32(feature))
		}
	}
	return parts
}

// linear returns a copy of the paths of the leaves that read a feature.
func (p *treePaths) linear(t *Tree) treePaths {
	var kept treePaths
	for _, leaf := range p.leaves {
		if len(t.Linear[leaf.leaf].Features) == 0 {
			continue
		}
		first := int32(len(kept.terms))
		for _, term := range p.terms[leaf.first:leaf.end] {
			at := int32(len(kept.tests))
			kept.tests = append(kept.tests, p.tests[term.first:term.end]...)
			term.first, term.end = at, int32(len(kept.tests))
			kept.terms = append(kept.terms, term)
		}
		leaf.first, leaf.end = first, int32(len(kept.terms))
		kept.leaves = append(kept.leaves, leaf)
	}
	return kept
}

// addLinear adds the contributions of linear models to those of the rows.
func (c *Contributor) addLinear(dst []float64, rows Rows) {
	parts, s := &c.e.linear, &c.exact
	if parts.trees == nil {
		return
	}
	stride := c.e.stride()
	for row := range rows.Len {
		for _, feature := range parts.features {
			s.row[feature] = rows.Columns[feature].At(row)
		}
		for i := range parts.trees {
			t := &parts.trees[i]
			s.paths = &t.paths
			s.walk(t.Tree)
			s.addLinear(dst[row*stride+t.Class*c.e.width:][:c.e.width], t.Tree, c.e.scale)
		}
	}
}
