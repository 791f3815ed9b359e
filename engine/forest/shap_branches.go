package forest

import "slices"

// branch is a leaf, or a node with everything below it, whose contributions are looked up together. A row's pattern then
// has one bit for every feature on the path to the node, and one for every node from there on: did the row go right?
// Five tests decide between the four leaves below a node of depth 2, which alone take four tests each, and a feature is
// looked up once in place of four times.
type branch struct {
	nodes       []int32 // the node and those below it; none: a leaf
	first, leaf int     // its leaves are first to leaf-1, from left to right
}

// branchPlan cuts trees into branches. The slices are reused from tree to tree.
type branchPlan struct {
	t        *Tree
	bitsMax  int
	branches []branch
	nodes    []int32 // in the order of the visit
	path     []int32 // distinct features on the path at hand
	features []int32 // scratch
}

// branchCost is what branches take.
type branchCost struct {
	cycles  int // of a pack, about
	entries int // of tables
}

// cut gives the branches of a tree from left to right. No pattern gets more than bitsMax bits, and the tables of a branch
// are no larger than those of its leaves would be, so that [shapBuilder.bytes] remains an upper bound.
func (p *branchPlan) cut(t *Tree, bitsMax int) []branch {
	p.t, p.bitsMax = t, bitsMax
	p.nodes = slices.Grow(p.nodes[:0], len(t.Nodes)) // never moves: branches point into it
	p.branches, p.path = p.branches[:0], p.path[:0]
	root := int32(0)
	if len(t.Nodes) == 0 {
		root = ^root
	}
	p.visit(root, 0)
	return p.branches
}

// visit appends the best branches of a subtree, whose leaves begin with first. It returns the subtree in one piece, and
// what the branches cost.
func (p *branchPlan) visit(child int32, first int) (branch, branchCost) {
	if child < 0 {
		leaf := branch{nil, first, first + 1}
		p.branches = append(p.branches, leaf)
		return leaf, costOf(len(p.path), len(p.path))
	}
	n, depth := &p.t.Nodes[child], len(p.path)
	place, at := len(p.branches), len(p.nodes)
	p.nodes = append(p.nodes, child)
	p.path = appendNew(p.path, n.Feature)
	left, apart := p.visit(n.Left, first)
	right, more := p.visit(n.Right, left.leaf)
	p.path = p.path[:depth]
	apart.cycles += more.cycles
	apart.entries += more.entries

	whole := branch{p.nodes[at:len(p.nodes):len(p.nodes)], first, right.leaf}
	if depth+len(whole.nodes) > p.bitsMax {
		return whole, apart
	}
	together := costOf(depth+len(whole.nodes), p.terms(whole))
	if together.cycles > apart.cycles || together.entries > apart.entries {
		return whole, apart
	}
	p.branches = append(p.branches[:place], whole)
	return whole, together
}

// terms counts the features of a branch under the path at hand.
func (p *branchPlan) terms(b branch) int {
	p.features = append(p.features[:0], p.path...)
	for _, node := range b.nodes {
		p.features = appendNew(p.features, p.t.Nodes[node].Feature)
	}
	return len(p.features)
}

// costOf is the cost of one branch, as measured with AVX-512. What is integrated is never part of a larger branch: any
// figure will do.
func costOf(bits, terms int) branchCost {
	cycles := [tableTermsMax + 1]int{8, 8, 8, 8, 8, 10, 16, 28}[min(bits, tableTermsMax)]
	return branchCost{cycles: 12 + 3*bits + terms*cycles, entries: terms * tableSize(bits)}
}

func appendNew(features []int32, feature int32) []int32 {
	if slices.Contains(features, feature) {
		return features
	}
	return append(features, feature)
}

// merge makes one branch of several leaves. Their tables are added up in float64.
func (b *shapBuilder) merge(t *Tree, piece branch) shapBranch {
	b.maker.records, b.maker.further = b.maker.records[:0], b.maker.further[:0]
	m := merger{t: t, paths: b.paths, piece: piece}
	m.readPath()
	for bit, tests := range m.tests {
		b.maker.add(t, tests, bytesInWord<<bit)
	}
	s := shapBranch{bits: len(m.tests), records: slices.Concat(b.maker.records, b.maker.further)}
	for _, feature := range m.features {
		s.slots = append(s.slots, uint32(b.position[feature])*blockRows)
	}
	sums := make([]float64, len(m.features)*tableSize(s.bits))
	for i := piece.first; i < piece.leaf; i++ {
		leaf := &b.paths.leaves[i]
		if value := t.Leaves[leaf.leaf].Value; value != 0 {
			terms := b.paths.terms[leaf.first:leaf.end]
			m.add(sums, terms, b.table(terms, value))
		}
	}
	for _, v := range sums {
		s.values = append(s.values, float32(v))
	}
	return s
}

// merger adds up the tables of a branch's leaves.
type merger struct {
	t        *Tree
	paths    *treePaths
	piece    branch
	tests    [][]pathTest // of each bit
	above    []int32      // features on the path to the branch: those of the first bits
	features []int32      // of the branch
}

// readPath says what the bits mean. The path to the branch is part of the path to any of its leaves.
func (m *merger) readPath() {
	leaf := &m.paths.leaves[m.piece.first]
	for _, term := range m.paths.terms[leaf.first:leaf.end] {
		tests := slices.DeleteFunc(slices.Clone(m.paths.tests[term.first:term.end]), func(t pathTest) bool {
			return slices.Contains(m.piece.nodes, t.node)
		})
		if len(tests) > 0 {
			m.tests, m.above = append(m.tests, tests), append(m.above, term.feature)
		}
	}
	m.features = slices.Clone(m.above)
	for _, node := range m.piece.nodes {
		m.tests = append(m.tests, []pathTest{{node, true}})
		m.features = appendNew(m.features, m.t.Nodes[node].Feature)
	}
}

// add adds a leaf's tables, which go by the terms of its path, to those of the branch.
func (m *merger) add(sums []float64, terms []pathTerm, table []float64) {
	size, own := tableSize(len(m.tests)), tableSize(len(terms))
	for pattern := range 1 << len(m.tests) {
		unsatisfied := 0
		for j := range terms {
			if m.fails(&terms[j], pattern) {
				unsatisfied |= 1 << j
			}
		}
		for j := range terms {
			place := slices.Index(m.features, terms[j].feature)
			sums[place*size+pattern] += table[j*own+unsatisfied]
		}
	}
}

// fails says whether rows of a pattern do not satisfy a term.
func (m *merger) fails(term *pathTerm, pattern int) bool {
	if i := slices.Index(m.above, term.feature); i >= 0 && pattern>>i&1 != 0 {
		return true
	}
	for _, test := range m.paths.tests[term.first:term.end] {
		i := slices.Index(m.piece.nodes, test.node)
		if i >= 0 && (pattern>>(len(m.above)+i)&1 != 0) == test.left {
			return true
		}
	}
	return false
}
