package forest

import (
	"fmt"
	"math"
)

// Shares that stand in for ratios of cover that have no value. A child that no training row reached gets a share too
// small to matter but not zero, because satisfied features divide by it; under a node that no row reached nothing is
// known, and both sides get half. XGBoost 3.3 and later does the same.
const (
	emptyChildShare = 1e-12
	unknownShare    = 0.5
	// maxShare allows for children whose covers were rounded: they may add up to slightly more than their parent.
	maxShare = 1.001
)

// treePaths lists the leaves of one tree with everything that decides whether a row reaches them. The slices are
// reused from tree to tree.
type treePaths struct {
	leaves []pathLeaf
	terms  []pathTerm
	tests  []pathTest

	edges []pathEdge
	slots []int32 // feature -> its term in the leaf at hand, from the leaf's first term; -1 elsewhere
}

// pathLeaf is a leaf and its terms, one per distinct feature on its path.
type pathLeaf struct {
	leaf       int32
	first, end int32 // terms
	share      float64
}

// pathTerm is one feature of a path: the share of training rows that follow the path where it tests this feature, and
// those tests.
type pathTerm struct {
	feature    int32
	first, end int32 // tests
	share      float64
}

// pathTest is a node of a path and the side on which the path goes on.
type pathTest struct {
	node int32
	left bool
}

type pathEdge struct {
	pathTest
	feature int32
	share   float64
}

func newTreePaths(features int) *treePaths {
	p := &treePaths{slots: make([]int32, features)}
	for i := range p.slots {
		p.slots[i] = -1
	}
	return p
}

// collect lists the leaves of t from left to right.
func (p *treePaths) collect(t *Tree) {
	p.leaves, p.terms, p.tests, p.edges = p.leaves[:0], p.terms[:0], p.tests[:0], p.edges[:0]
	root := int32(0)
	if len(t.Nodes) == 0 {
		root = ^root
	}
	p.descend(t, root)
}

func (p *treePaths) descend(t *Tree, child int32) {
	if child < 0 {
		p.reach(^child)
		return
	}
	n := &t.Nodes[child]
	top := len(p.edges)
	p.edges = append(p.edges, pathEdge{pathTest{child, true}, n.Feature, coverShare(t, n, n.Left)})
	p.descend(t, n.Left)
	p.edges[top] = pathEdge{pathTest{child, false}, n.Feature, coverShare(t, n, n.Right)}
	p.descend(t, n.Right)
	p.edges = p.edges[:top]
}

// reach adds a leaf whose path is the edges at hand, gathered by feature in order of first use.
func (p *treePaths) reach(leaf int32) {
	first := len(p.terms)
	for _, e := range p.edges {
		if p.slots[e.feature] < 0 {
			p.slots[e.feature] = int32(len(p.terms))
			p.terms = append(p.terms, pathTerm{feature: e.feature, share: 1})
		}
		p.terms[p.slots[e.feature]].share *= e.share
	}
	share := 1.0
	for i := first; i < len(p.terms); i++ {
		term := &p.terms[i]
		p.slots[term.feature] = -1
		share *= term.share
		term.first = int32(len(p.tests))
		for _, e := range p.edges {
			if e.feature == term.feature {
				p.tests = append(p.tests, e.pathTest)
			}
		}
		term.end = int32(len(p.tests))
	}
	p.leaves = append(p.leaves, pathLeaf{leaf, int32(first), int32(len(p.terms)), share})
}

// coverShare is the share of a node's training rows that went to one of its children.
func coverShare(t *Tree, n *Node, child int32) float64 {
	c := cover(t, child)
	switch {
	case n.Cover <= 0:
		return unknownShare
	case c <= 0:
		return emptyChildShare
	}
	return max(c/n.Cover, emptyChildShare)
}

func cover(t *Tree, child int32) float64 {
	if child < 0 {
		return t.Leaves[^child].Cover
	}
	return t.Nodes[child].Cover
}

// checkExplainable refuses forests whose contributions are not defined.
func checkExplainable(f *Forest) error {
	splits, covered := false, false
	for i := range f.Trees {
		t := &f.Trees[i]
		if reason := linearFault(t); reason != "" {
			return f.unexplained(i, -1, KindNoCover, reason)
		}
		for j := range t.Nodes {
			splits, covered = true, covered || t.Nodes[j].Cover > 0
			if reason := coverFault(t, &t.Nodes[j]); reason != "" {
				return f.unexplained(i, j, KindValue, reason)
			}
		}
	}
	if splits && !covered {
		return f.unexplained(-1, -1, KindNoCover, "explanations need the covers of the nodes, and the file has none")
	}
	return nil
}

func (f *Forest) unexplained(tree, node int, kind Kind, reason string) error {
	return &Error{Kind: kind, File: f.Source.Name, Tree: tree, Node: node, Reason: reason}
}

// coverFault says why the shares of a node's children are not defined; empty if they are.
func coverFault(t *Tree, n *Node) string {
	for _, child := range [2]int32{n.Left, n.Right} {
		c := cover(t, child)
		switch {
		case !(c >= 0) || math.IsInf(c, 1) || !(n.Cover >= 0) || math.IsInf(n.Cover, 1):
			return "cover is negative or not finite"
		case n.Cover > 0 && c > n.Cover*maxShare:
			return fmt.Sprintf("a child has cover %g, its parent only %g", c, n.Cover)
		}
	}
	return ""
}
