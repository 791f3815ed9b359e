package forest

import (
	"fmt"
	"slices"
)

// How contributions are computed fast. With z_j the share of training rows that follow the path of a leaf where it
// tests feature j, the leaf's contributions depend on the row only through the set of features whose tests it passes.
//
// Up to tableTermsMax features per path the set is a number, and every feature of the leaf has a table with one
// contribution per set: a contribution is a load and an addition. Leaves below one node share tables as long as few
// tests decide between them, see [branchPlan]. Longer paths are integrated at run time, like [ExactExplainer] does it,
// in float32.
//
// Sums are float32 within a group of about groupLeaves branches and float64 over the groups, so rounding stays near
// 2^-24 of the greatest partial sum of a group. Every kernel adds the same numbers in the same order, without fused
// operations: contributions have the same bits on every machine and for any division of the rows.
const (
	tableTermsMax = 7
	// tableTermsFew is the limit instead if the tables would take more than tableBytesMax.
	tableTermsFew = 5
	tableBytesMax = 64 << 20
	// tableMin is the least number of entries of a table: a vector register.
	tableMin    = 16
	groupLeaves = 1000
	// pointsMin and pointsMax bound the quadrature points that are in work at once. More points are dealt with as if
	// they were another leaf: contributions are sums over points.
	pointsMin = 4
	pointsMax = 8
	// explainerBytesMax bounds what an explainer may take. Only forests far beyond any trained for tables need more.
	explainerBytesMax = 2<<30 - 1
)

// shapGroup is leaves whose contributions are summed in float32. They feed one class.
type shapGroup struct {
	class    int
	features []int32 // that occur, by position in binner.features
	runs     []shapRun
}

// shapRun is branches of one shape, one behind the other in every slice.
type shapRun struct {
	terms    int // features
	bits     int // of a pattern; 0: quadrature
	points   int // of the quadrature; 0: tables
	tests    int // records per branch
	branches int
	records  []shapRecord
	slots    []uint32 // per term: where the sums of its feature begin
	// values holds, for tables, [term][pattern], where a pattern has the bits of the tests that a row does not pass; for
	// quadrature, [point] start, [point] unsatisfied, then per term [point] ratio and [point] factor: see
	// [integralValues].
	values []float32
}

// shapBranch is a leaf, or the leaves below a node, on its way into a run.
type shapBranch struct {
	bits    int
	points  int
	records []shapRecord
	slots   []uint32
	values  []float32
}

// shapBuilder makes the groups of a forest.
type shapBuilder struct {
	f        *Forest
	bins     *binner
	position []int32 // feature -> position in binner.features
	maker    recordMaker
	paths    *treePaths
	rules    []quadrature // by number of points
	tables   int          // paths with up to so many terms get tables

	groups   []shapGroup
	branches []shapBranch // of the group at hand
	plans    branchPlan
	prefix   []float64
}

func newShapBuilder(f *Forest, bins *binner) *shapBuilder {
	b := &shapBuilder{f: f, bins: bins, position: make([]int32, len(f.Features)), paths: newTreePaths(len(f.Features))}
	for i := range bins.features {
		b.position[bins.features[i].feature] = int32(i)
	}
	b.maker = recordMaker{bins: bins, never: uint32(bins.columns * blockRows)}
	return b
}

// pathLengths counts the leaves by the number of features on their paths.
func (b *shapBuilder) pathLengths() []int {
	var lengths []int
	for i := range b.f.Trees {
		b.paths.collect(&b.f.Trees[i])
		for _, leaf := range b.paths.leaves {
			d := int(leaf.end - leaf.first)
			lengths = append(lengths, make([]int, max(d+1-len(lengths), 0))...)
			lengths[d]++
		}
	}
	return lengths
}

// plan decides how long a path may be to get tables, and refuses what would take too much memory.
func (b *shapBuilder) plan(lengths []int) error {
	for d := range lengths {
		b.rules = append(b.rules, newQuadrature(d/2+1))
	}
	b.tables = tableTermsMax
	if b.bytes(lengths) > tableBytesMax {
		b.tables = tableTermsFew
	}
	if n := b.bytes(lengths); n > explainerBytesMax {
		return b.f.unexplained(-1, -1, KindLimits, fmt.Sprintf(
			"explanations would take %d MiB, at most %d are allowed", n>>20, explainerBytesMax>>20))
	}
	return nil
}

// bytes is about what leaves of these path lengths take.
func (b *shapBuilder) bytes(lengths []int) int64 {
	total := int64(0)
	for d, n := range lengths {
		size := 20 * d
		if d <= b.tables {
			size += 4 * d * tableSize(d)
		} else {
			size += 4 * (2*d + 2) * ((d + 1) / 2)
		}
		total += int64(n) * int64(size)
	}
	return total
}

func tableSize(terms int) int { return max(1<<terms, tableMin) }

// build makes the groups, class by class, in the order of the trees.
func (b *shapBuilder) build() {
	for class := range b.f.Classes {
		for i := range b.f.Trees {
			t := &b.f.Trees[i]
			if t.Class != class {
				continue
			}
			b.paths.collect(t)
			for _, piece := range b.plans.cut(t, b.tables) {
				b.addPiece(t, piece)
			}
			if len(b.branches) >= groupLeaves {
				b.closeGroup(class)
			}
		}
		b.closeGroup(class)
	}
}

// addPiece adds the leaves of a piece as one branch.
func (b *shapBuilder) addPiece(t *Tree, piece branch) {
	leaf := &b.paths.leaves[piece.first] // the only one, or none is looked at alone
	terms := b.paths.terms[leaf.first:leaf.end]
	value := t.Leaves[leaf.leaf].Value
	switch d := len(terms); {
	case len(piece.nodes) > 0:
		b.branches = append(b.branches, b.merge(t, piece))
	case d == 0 || value == 0:
	case d <= b.tables:
		l := b.shape(t, terms, func(j int) uint32 { return bytesInWord << j })
		l.bits = d
		for _, v := range b.table(terms, value) {
			l.values = append(l.values, float32(v))
		}
		b.branches = append(b.branches, l)
	default:
		b.addIntegral(b.shape(t, terms, func(j int) uint32 { return uint32(j) }), terms, value)
	}
}

// shape makes what tables and quadrature have in common. The first record of each term comes before all second ones.
func (b *shapBuilder) shape(t *Tree, terms []pathTerm, target func(term int) uint32) shapBranch {
	b.maker.records, b.maker.further = b.maker.records[:0], b.maker.further[:0]
	var l shapBranch
	for j := range terms {
		b.maker.add(t, b.paths.tests[terms[j].first:terms[j].end], target(j))
		l.slots = append(l.slots, uint32(b.position[terms[j].feature])*blockRows)
	}
	l.records = slices.Concat(b.maker.records, b.maker.further)
	return l
}

// table computes the contributions of every term for every pattern, in float64. Let p be the satisfied terms and
//
//	A(p) = -value * integral over t of product over j in p of (z_j*(1-t)+t) * product over the others of z_j*(1-t) / (1-t)
//
// An unsatisfied term i gets A(p), as its -z_i completes the product; a satisfied one gets A(p without i)*(1-z_i)/-z_i,
// as its factor is 1-z_i where A has -z_i.
func (b *shapBuilder) table(terms []pathTerm, value float64) []float64 {
	d, size := len(terms), tableSize(len(terms))
	rule := b.rules[d-1]
	shared := make([]float64, 1<<d) // A
	b.prefix = slices.Grow(b.prefix[:0], 1<<d)[:1<<d]
	for k, t := range rule.points {
		b.prefix[0] = rule.weights[k] * -value / (1 - t)
		for j := range terms {
			z, half := terms[j].share, 1<<j
			for p := range half {
				b.prefix[half+p] = b.prefix[p] * (float64(z*(1-t)) + t)
				b.prefix[p] *= z * (1 - t)
			}
		}
		for p, v := range b.prefix {
			shared[p] += v
		}
	}
	values := make([]float64, d*size)
	for i := range terms {
		c := -(1 - terms[i].share) / terms[i].share
		for p := range shared {
			v := shared[p&^(1<<i)]
			if p>>i&1 != 0 {
				v *= c
			}
			values[i*size+len(shared)-1-p] = v
		}
	}
	return values
}

// addIntegral adds a leaf with a long path. Its quadrature points are dealt with in batches of equal size; a batch is
// filled up with points of weight 0.
func (b *shapBuilder) addIntegral(shape shapBranch, terms []pathTerm, value float64) {
	rule := b.rules[len(terms)-1]
	n := len(rule.points)
	batches := (n + pointsMax - 1) / pointsMax
	for batch := range batches {
		first, end := batch*n/batches, (batch+1)*n/batches
		l := shape
		l.points = max(end-first, pointsMin)
		l.values = integralValues(rule.points[first:end], rule.weights[first:end], l.points, terms, value)
		b.branches = append(b.branches, l)
	}
}

// integralValues are the numbers of a quadrature; see [shapRun].values. With a = z*(1-t)+t and b = z*(1-t), a row's
// product at a point is the start value*w*product of all a, times the ratio b/a for every unsatisfied term. A satisfied
// term takes it times (1-z)/a, an unsatisfied one times -1/(1-t).
func integralValues(points, weights []float64, size int, terms []pathTerm, value float64) []float32 {
	values := make([]float32, (2*len(terms)+2)*size)
	for k, t := range points {
		start := weights[k] * value
		for j, term := range terms {
			a := float64(term.share*(1-t)) + t
			start *= a
			values[(2*j+2)*size+k] = float32(term.share * (1 - t) / a)
			values[(2*j+3)*size+k] = float32((1 - term.share) / a)
		}
		values[k] = float32(start)
		values[size+k] = float32(-1 / (1 - t))
	}
	return values
}

// closeGroup sorts the branches at hand by shape and lays them out.
func (b *shapBuilder) closeGroup(class int) {
	if len(b.branches) == 0 {
		return
	}
	slices.SortStableFunc(b.branches, func(x, y shapBranch) int {
		return slices.Compare(x.key(), y.key())
	})
	g := shapGroup{class: class}
	used := make([]bool, len(b.bins.features))
	for i := range b.branches {
		l := &b.branches[i]
		if i == 0 || !slices.Equal(l.key(), b.branches[i-1].key()) {
			g.runs = append(g.runs, shapRun{terms: len(l.slots), bits: l.bits, points: l.points, tests: len(l.records)})
		}
		g.runs[len(g.runs)-1].append(l)
		for _, slot := range l.slots {
			used[slot/blockRows] = true
		}
	}
	for i, u := range used {
		if u {
			g.features = append(g.features, int32(i))
		}
	}
	for i := range g.runs {
		aligned := alignedSlice[float32](len(g.runs[i].values))
		copy(aligned, g.runs[i].values)
		g.runs[i].values = aligned
	}
	b.groups = append(b.groups, g)
	b.branches = b.branches[:0]
}

// key is what branches of a run have in common.
func (l *shapBranch) key() []int { return []int{l.points, l.bits, len(l.slots), len(l.records)} }

func (r *shapRun) append(l *shapBranch) {
	r.branches++
	r.records = append(r.records, l.records...)
	r.slots = append(r.slots, l.slots...)
	r.values = append(r.values, l.values...)
}
