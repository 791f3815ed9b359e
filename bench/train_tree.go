package bench

import "github.com/retainwise/millrace/engine/forest"

// bucket sums up the rows of one bin.
type bucket struct {
	g, h float64
	n    int32
}

func (b *bucket) add(o bucket)      { b.g, b.h, b.n = b.g+o.g, b.h+o.h, b.n+o.n }
func (b *bucket) subtract(o bucket) { b.g, b.h, b.n = b.g-o.g, b.h-o.h, b.n-o.n }

// gain is what a leaf of these rows takes off the loss.
func (b *bucket) gain() float64 { return b.g * b.g / (b.h + regularise) }

// histogram has a bucket for each bin of each chosen feature.
type histogram [][missingBin + 1]bucket

// openLeaf is a leaf that may still be split.
type openLeaf struct {
	rows      []int32 // ascending
	sum       bucket
	histogram histogram
	best      split
	node      int  // that it hangs below
	left      bool // on which side
}

// split is the best split of a leaf; a gain of 0 is none.
type split struct {
	gain        float64
	feature     int
	bin         int // the last one on the left
	missingLeft bool
}

// grower grows one tree, always splitting the leaf that gains most.
type grower struct {
	*trainer
	tree forest.Tree
	open []openLeaf // by leaf index
}

func (g *grower) grow(rows []int32) {
	root := openLeaf{rows: rows, histogram: g.count(rows)}
	for _, row := range rows {
		p := g.gradients[row]
		root.sum.add(bucket{p.g, p.h, 1})
	}
	g.search(&root)
	g.open = append(g.open, root)
	for len(g.open) < g.leaves {
		best := 0
		for i := range g.open {
			if g.open[i].best.gain > g.open[best].best.gain {
				best = i
			}
		}
		if g.open[best].best.gain <= 0 {
			break
		}
		g.split(best)
	}
	g.tree.Leaves = make([]forest.Leaf, len(g.open))
}

// split turns leaf i into a node; its left child keeps the index.
func (g *grower) split(i int) {
	parent := g.open[i]
	id, s := len(g.tree.Nodes), parent.best
	if id > 0 && parent.left {
		g.tree.Nodes[parent.node].Left = int32(id)
	} else if id > 0 {
		g.tree.Nodes[parent.node].Right = int32(id)
	}
	g.tree.Nodes = append(g.tree.Nodes, forest.Node{
		Feature: int32(s.feature), Kind: forest.SplitLessEqual, Threshold: g.cuts[s.feature][s.bin],
		Missing: forest.MissingNaN, DefaultLeft: s.missingLeft, Cover: float64(parent.sum.n),
		Left: ^int32(i), Right: ^int32(len(g.open)),
	})
	left, right := openLeaf{node: id, left: true}, openLeaf{node: id}
	bins := g.bins[s.feature]
	for _, row := range parent.rows {
		side := &right
		if bin := int(bins[row]); bin <= s.bin && bin != missingBin || bin == missingBin && s.missingLeft {
			side = &left
		}
		p := g.gradients[row]
		side.rows = append(side.rows, row)
		side.sum.add(bucket{p.g, p.h, 1})
	}
	g.share(parent.histogram, &left, &right)
	g.open[i] = left
	g.open = append(g.open, right)
}

// share counts the smaller child and leaves the rest of the parent's histogram to the larger one.
func (g *grower) share(parent histogram, left, right *openLeaf) {
	small, large := left, right
	if len(left.rows) > len(right.rows) {
		small, large = right, left
	}
	small.histogram, large.histogram = g.count(small.rows), parent
	for i := range parent {
		for bin := range parent[i] {
			parent[i][bin].subtract(small.histogram[i][bin])
		}
	}
	g.search(left)
	g.search(right)
}

// count sums the rows up by bin.
func (g *grower) count(rows []int32) histogram {
	h := make(histogram, len(g.chosen))
	for i, feature := range g.chosen {
		bins, buckets := g.bins[feature], &h[i]
		for _, row := range rows {
			p := &g.gradients[row]
			b := &buckets[bins[row]]
			b.g, b.h, b.n = b.g+p.g, b.h+p.h, b.n+1
		}
	}
	return h
}

// search finds the best split of a leaf.
func (g *grower) search(leaf *openLeaf) {
	if leaf.sum.n < 2*leafRowsMin {
		return
	}
	for i, feature := range g.chosen {
		buckets := &leaf.histogram[i]
		missing := buckets[missingBin]
		for _, missingLeft := range []bool{false, true} {
			var left bucket
			if missingLeft {
				left = missing
			}
			for bin := range g.cuts[feature] {
				left.add(buckets[bin])
				right := leaf.sum
				right.subtract(left)
				if left.n < leafRowsMin || right.n < leafRowsMin {
					continue
				}
				if gain := left.gain() + right.gain() - leaf.sum.gain(); gain > leaf.best.gain {
					leaf.best = split{gain, feature, bin, missingLeft}
				}
			}
		}
	}
}
