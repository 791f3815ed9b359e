package forest

import (
	"io"
	"math"
	"strconv"
)

// leavesStream is a forest as LightGBM text version 3, written tree by tree as it is read. The text says only what
// leaves reads, in the dialect that leaves understands:
//
//   - XGBoost's x < t becomes x <= the float32 below t, and its category sets, whose members go right, become
//     LightGBM's, whose members go left, with the children exchanged.
//   - Trees come in turn for every class; a class with fewer trees gets trees of one leaf that add nothing.
//   - Base margins, averages and links stay outside.
type leavesStream struct {
	forest  *Forest
	byClass [][]int // the trees of every class, in order
	next    int     // tree to write next, -1 for the header
	text    []byte
}

func newLeavesStream(f *Forest) *leavesStream {
	s := &leavesStream{forest: f, byClass: treesByClass(f), next: -1}
	return s
}

func treesByClass(f *Forest) [][]int {
	byClass := make([][]int, f.Classes)
	for i := range f.Trees {
		class := f.Trees[i].Class
		byClass[class] = append(byClass[class], i)
	}
	return byClass
}

// rounds is the number of trees that every class has in the stream.
func (s *leavesStream) rounds() int {
	rounds := 0
	for _, trees := range s.byClass {
		rounds = max(rounds, len(trees))
	}
	return rounds
}

// tree returns the forest's tree at a position of the stream, or nil where a class has none left.
func (s *leavesStream) tree(position int) *Tree {
	trees, round := s.byClass[position%s.forest.Classes], position/s.forest.Classes
	if round >= len(trees) {
		return nil
	}
	return &s.forest.Trees[trees[round]]
}

// Read implements io.Reader.
func (s *leavesStream) Read(p []byte) (int, error) {
	for len(s.text) == 0 {
		switch {
		case s.next < 0:
			s.header()
		case s.next < s.rounds()*s.forest.Classes:
			s.appendTree(s.tree(s.next))
		default:
			return 0, io.EOF
		}
		s.next++
	}
	n := copy(p, s.text)
	s.text = s.text[n:]
	return n, nil
}

func (s *leavesStream) header() {
	s.text = append(s.text[:0], "version=v3"...)
	s.integer("num_class", s.forest.Classes)
	s.integer("num_tree_per_iteration", s.forest.Classes)
	s.integer("max_feature_idx", leavesColumns(s.forest)-1)
	s.key("tree_sizes") // leaves counts the entries and ignores their values
	for range s.rounds() * s.forest.Classes {
		s.text = append(s.text, "0 "...)
	}
	s.end()
}

// leavesColumns is the number of columns that leaves is given: it mistakes one feature for none.
func leavesColumns(f *Forest) int { return max(2, len(f.Features)) }

func (s *leavesStream) appendTree(t *Tree) {
	s.text = append(s.text[:0], "Tree="...)
	if t == nil {
		s.integer("num_leaves", 1)
		s.integer("num_cat", 0)
		s.key("leaf_value")
		s.float(0)
		s.end()
		return
	}
	s.integer("num_leaves", len(t.Leaves))
	s.integer("num_cat", len(t.Sets))
	s.key("leaf_value")
	for i := range t.Leaves {
		s.float(t.Leaves[i].Value)
	}
	if len(t.Nodes) > 0 {
		s.appendNodes(t)
	}
	if len(t.Sets) > 0 {
		s.appendSets(t)
	}
	s.end()
}

func (s *leavesStream) appendNodes(t *Tree) {
	for _, f := range []struct {
		key  string
		text func(n *Node)
	}{
		{"split_feature", func(n *Node) { s.text = strconv.AppendInt(s.text, int64(n.Feature), 10) }},
		{"threshold", func(n *Node) { s.text = appendFloat(s.text, leavesThreshold(n)) }},
		{"decision_type", func(n *Node) { s.text = strconv.AppendInt(s.text, int64(leavesDecision(n)), 10) }},
		{"left_child", func(n *Node) { s.text = strconv.AppendInt(s.text, int64(leavesChildren(n)[0]), 10) }},
		{"right_child", func(n *Node) { s.text = strconv.AppendInt(s.text, int64(leavesChildren(n)[1]), 10) }},
	} {
		s.key(f.key)
		for i := range t.Nodes {
			f.text(&t.Nodes[i])
			s.text = append(s.text, ' ')
		}
	}
}

// leavesThreshold is the t of leaves' x <= t, or the set of a category split.
func leavesThreshold(n *Node) float64 {
	switch {
	case n.Kind == SplitInSet || n.Kind == SplitNotInSet:
		return float64(n.Set)
	case n.Kind == SplitLessEqual:
		return n.Threshold
	case math.IsInf(n.Threshold, -1):
		return math.NaN() // nothing is below: nothing is <= NaN either
	}
	return float64(math.Nextafter32(float32(n.Threshold), float32(math.Inf(-1))))
}

// leavesDecision is the decision_type: bit 0 categorical, bit 1 default left, bits 2 and 3 the missing type. With the
// missing type NaN leaves sends NaN right at category splits on every processor.
func leavesDecision(n *Node) int {
	if n.Kind == SplitInSet || n.Kind == SplitNotInSet {
		return 1 | int(MissingNaN)<<2
	}
	decision := int(n.Missing) << 2
	if n.DefaultLeft {
		decision |= 2
	}
	return decision
}

func leavesChildren(n *Node) [2]int32 {
	if n.Kind == SplitNotInSet {
		return [2]int32{n.Right, n.Left}
	}
	return [2]int32{n.Left, n.Right}
}

func (s *leavesStream) appendSets(t *Tree) {
	s.key("cat_boundaries")
	bound := 0
	s.text = append(s.text, "0 "...)
	for _, set := range t.Sets {
		bound += len(set)
		s.text = strconv.AppendInt(s.text, int64(bound), 10)
		s.text = append(s.text, ' ')
	}
	s.key("cat_threshold")
	for _, set := range t.Sets {
		for _, word := range set {
			s.text = strconv.AppendUint(s.text, uint64(word), 10)
			s.text = append(s.text, ' ')
		}
	}
}

func (s *leavesStream) integer(key string, v int) {
	s.key(key)
	s.text = strconv.AppendInt(s.text, int64(v), 10)
}

// key starts a line. The blank behind the last value of the line before goes: leaves takes it for one more value.
func (s *leavesStream) key(key string) {
	s.trim()
	s.text = append(s.text, '\n')
	s.text = append(s.text, key...)
	s.text = append(s.text, '=')
}

func (s *leavesStream) float(v float64) {
	s.text = append(appendFloat(s.text, v), ' ')
}

// end closes a section with an empty line.
func (s *leavesStream) end() {
	s.trim()
	s.text = append(s.text, "\n\n"...)
}

func (s *leavesStream) trim() {
	if n := len(s.text); n > 0 && s.text[n-1] == ' ' {
		s.text = s.text[:n-1]
	}
}

// appendFloat writes the shortest text that reads back to the same bits.
func appendFloat(text []byte, v float64) []byte {
	return strconv.AppendFloat(text, v, 'g', -1, 64)
}
