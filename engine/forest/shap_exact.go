package forest

// ExactExplainer computes contributions (exact path-dependent TreeSHAP) in float64, leaf by leaf, straight from the
// forest. It is slow and plain: the judge of [Explainer]. It is immutable and may be shared.
type ExactExplainer struct {
	f    *Forest
	bias []float64 // per class
}

// NewExactExplainer returns the reference explainer of a validated forest. Forests without covers, or with linear leaves
// of several features, are refused with an [Error] of [KindNoCover].
func NewExactExplainer(f *Forest) (*ExactExplainer, error) {
	if err := checkExplainable(f); err != nil {
		return nil, err
	}
	return &ExactExplainer{f: f, bias: expectedRaw(f)}, nil
}

// Contributions writes, for each row and class, one contribution per feature and then the bias (the expected raw score,
// base margin included) into dst[:rows.Len*Classes*(len(Features)+1)]. They add up to the row's raw score; like it,
// those of a random forest are divided by the iterations.
func (e *ExactExplainer) Contributions(dst []float64, rows Rows) {
	width := len(e.f.Features) + 1
	stride := e.f.Classes * width
	dst = dst[:rows.Len*stride]
	clear(dst)
	s := newExactScratch(len(e.f.Features))
	s.paths = newTreePaths(len(e.f.Features))
	for i := range e.f.Trees {
		t := &e.f.Trees[i]
		s.paths.collect(t)
		for row := range rows.Len {
			e.f.gather(s.row, rows, row)
			s.addTree(dst[row*stride+t.Class*width:][:width], t)
		}
	}
	scale := averageScale(e.f)
	for at := 0; at < len(dst); at += width {
		for i := range width - 1 {
			dst[at+i] *= scale
		}
		dst[at+width-1] = e.bias[at/width%e.f.Classes]
	}
}

// exactScratch is what one call of Contributions works with.
type exactScratch struct {
	paths *treePaths
	rules map[int]quadrature
	row   []float64
	left  []bool // per node of the tree at hand: does the row go left?

	followed []float64 // per term: 1 if the row satisfies it, else 0
	before   []float64 // products of the terms in front of each term
	sums     []float64
	linear   []pathTerm // of the linear leaf at hand
}

func newExactScratch(features int) exactScratch {
	return exactScratch{rules: map[int]quadrature{}, row: make([]float64, features)}
}

func (s *exactScratch) addTree(dst []float64, t *Tree) {
	s.walk(t)
	for i := range s.paths.leaves {
		leaf := &s.paths.leaves[i]
		s.addLeaf(dst, s.paths.terms[leaf.first:leaf.end], t.Leaves[leaf.leaf].Value)
	}
	if t.Linear != nil {
		s.addLinear(dst, t, 1)
	}
}

// walk notes on which side of every node the row goes on.
func (s *exactScratch) walk(t *Tree) {
	s.left = s.left[:0]
	for i := range t.Nodes {
		n := &t.Nodes[i]
		s.left = append(s.left, n.goesLeft(s.row[n.Feature], t.Sets))
	}
}

// addLeaf adds one leaf's contributions. With z the term's share and o 1 where the row satisfies it, feature i gets
//
//	value * (o_i - z_i) * integral over t from 0 to 1 of the product over j != i of (z_j*(1-t) + o_j*t)
//
// which is the Shapley value of the game "value, times o for known features, times z for unknown ones": the integral of
// t^k*(1-t)^(d-1-k) is the Shapley weight of a set of size k. The product has degree d-1, so ceil(d/2) points of
// Gauss-Legendre quadrature are exact. Its factors are not negative: nothing cancels.
func (s *exactScratch) addLeaf(dst []float64, terms []pathTerm, value float64) {
	d := len(terms)
	if d == 0 {
		return
	}
	s.grow(d)
	for j := range terms {
		s.followed[j] = s.satisfied(&terms[j])
	}
	rule := s.rule((d + 1) / 2)
	clear(s.sums)
	for k, t := range rule.points {
		s.before[0] = 1
		for j := range d {
			s.before[j+1] = s.before[j] * (float64(terms[j].share*(1-t)) + float64(s.followed[j]*t))
		}
		after := rule.weights[k]
		for j := d - 1; j >= 0; j-- {
			s.sums[j] += float64(s.before[j] * after)
			after *= float64(terms[j].share*(1-t)) + float64(s.followed[j]*t)
		}
	}
	for j := range terms {
		dst[terms[j].feature] += float64(value * (s.followed[j] - terms[j].share) * s.sums[j])
	}
}

func (s *exactScratch) grow(d int) {
	if cap(s.sums) < d {
		s.followed, s.before, s.sums = make([]float64, d), make([]float64, d+1), make([]float64, d)
	}
	s.followed, s.before, s.sums = s.followed[:d], s.before[:d+1], s.sums[:d]
}

func (s *exactScratch) satisfied(term *pathTerm) float64 {
	for _, test := range s.paths.tests[term.first:term.end] {
		if s.left[test.node] != test.left {
			return 0
		}
	}
	return 1
}

func (s *exactScratch) rule(points int) quadrature {
	r, ok := s.rules[points]
	if !ok {
		r = newQuadrature(points)
		s.rules[points] = r
	}
	return r
}

// expectedRaw is the raw score of a row of which nothing is known, per class: the base margin and every leaf weighted
// with the share of training rows that the path's ratios give it.
func expectedRaw(f *Forest) []float64 {
	bias := make([]float64, f.Classes)
	paths := newTreePaths(len(f.Features))
	for i := range f.Trees {
		t := &f.Trees[i]
		paths.collect(t)
		for _, leaf := range paths.leaves {
			bias[t.Class] += float64(t.Leaves[leaf.leaf].Value * leaf.share)
		}
	}
	scale := averageScale(f)
	for i := range bias {
		bias[i] = f.Base[i] + float64(bias[i]*scale)
	}
	return bias
}

// averageScale is what sums over trees are multiplied with: 1, or one over the iterations of a random forest.
func averageScale(f *Forest) float64 {
	if f.Average && f.Iterations > 0 {
		return 1 / float64(f.Iterations)
	}
	return 1
}
