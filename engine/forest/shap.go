package forest

import "unsafe"

// shapScratchBytes is the share of a core's second-level cache that the codes and sums of the rows in work may take.
const shapScratchBytes = 512 << 10

// shapBlocksMax bounds the blocks of rows that are in work at once.
const shapBlocksMax = 16

// Explainer computes contributions: exact path-dependent TreeSHAP, in margin units (log-odds for a sigmoid). It is
// immutable and may be shared; each worker takes a [Contributor] of its own.
type Explainer struct {
	*binner
	groups []shapGroup
	order  []int32   // binner.features by their place in a row
	bias   []float64 // per class
	scale  float64   // of the sums over trees
	width  int       // features and bias
	terms  int       // of the longest path
	kernel kernel
	linear linearParts
}

// NewExplainer returns the explainer of a validated forest. Forests without covers, or with linear leaves of several
// features, are refused with an [Error] of [KindNoCover], and forests so large that explaining would take gigabytes with
// one of [KindLimits].
func NewExplainer(f *Forest) (*Explainer, error) { return newExplainer(f, newBinner(f), bestKernel) }

func newExplainer(f *Forest, bins *binner, k kernel) (*Explainer, error) {
	if err := checkExplainable(f); err != nil {
		return nil, err
	}
	b := newShapBuilder(f, bins)
	if err := b.plan(b.pathLengths()); err != nil {
		return nil, err
	}
	return b.explainer(k), nil
}

// explainer builds the groups and what goes with them.
func (b *shapBuilder) explainer(k kernel) *Explainer {
	b.build()
	e := &Explainer{
		binner: b.bins, groups: b.groups, bias: expectedRaw(b.f), scale: averageScale(b.f),
		width: len(b.f.Features) + 1, kernel: k, linear: newLinearParts(b.f),
	}
	for i := range e.features {
		e.order = append(e.order, int32(e.features[i].feature))
	}
	for _, g := range e.groups {
		for _, run := range g.runs {
			e.terms = max(e.terms, run.terms)
		}
	}
	return e
}

// Contributor computes the contributions of batches of rows. It is the scratch of one worker and allocates nothing.
type Contributor struct {
	e      *Explainer
	bins   *bins
	blocks int       // blocks in work at once
	codes  []uint8   // [block][column][blockRows]; the last column is all zero
	group  []float32 // [feature][blockRows]: sums over a group, all zero between groups
	sums   []float64 // [block][feature][blockRows]: sums over the groups of a class
	masks  []uint64  // by term: the rows of a pack that do not satisfy it, in a bit or (AVX2) a byte each
	exact  exactScratch
}

// termMask is the place of a term in Contributor.masks: a byte for each row of a pack.
const termMask = packRows / 8

// alignedSlice returns zeros that start at a cache line, so that no vector load straddles two.
func alignedSlice[T float32 | float64 | uint64](n int) []T {
	size := unsafe.Sizeof(T(0))
	s := make([]T, n+int(63/size))
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(s))) & 63 / size
	return s[skip:][:n:n]
}

// NewContributor returns the scratch of one worker.
func (e *Explainer) NewContributor() *Contributor {
	features := len(e.features)
	blockBytes := e.blockBytes() + blockRows*8*features
	c := &Contributor{e: e, bins: e.newBins(), blocks: min(max(shapScratchBytes/blockBytes, 1), shapBlocksMax)}
	c.codes = alignedBytes(c.blocks * e.blockBytes())
	c.group = alignedSlice[float32](features * blockRows)
	c.sums = alignedSlice[float64](c.blocks * features * blockRows)
	c.masks = alignedSlice[uint64](max(e.terms, 1) * termMask)
	if e.linear.trees != nil {
		c.exact = newExactScratch(e.width - 1)
	}
	return c
}

// Contributions writes, for each row and class, one contribution per feature and then the bias (the expected raw score,
// base margin included) into dst[:rows.Len*Classes*(len(Features)+1)]. They add up to the row's raw score; like it,
// those of a random forest are divided by the iterations.
func (c *Contributor) Contributions(dst []float64, rows Rows) {
	e := c.e
	stride := e.stride()
	c.bins.start(rows)
	step := c.blocks * blockRows
	for first := 0; first < rows.Len; first += step {
		n := min(step, rows.Len-first)
		for at := 0; at < n; at += blockRows {
			c.bins.fill(e.blockOf(c.codes, at/blockRows), first+at, min(blockRows, n-at))
		}
		c.explain(dst[first*stride:][:n*stride], c.codes, n)
	}
	c.bins.finish()
	c.addLinear(dst, rows)
}

// stride is the contributions of a row: of all classes.
func (e *Explainer) stride() int { return len(e.bias) * e.width }

// blockOf gives the codes of one block.
func (b *binner) blockOf(codes []uint8, block int) []uint8 {
	size := b.blockBytes()
	return codes[block*size:][:size]
}

func (c *Contributor) blockSums(block int) []float64 {
	size := len(c.e.features) * blockRows
	return c.sums[block*size:][:size]
}

// explain writes the contributions of the first n rows of some codes, class by class.
func (c *Contributor) explain(dst []float64, codes []uint8, n int) {
	next := 0
	for class := range c.e.bias {
		clear(c.sums)
		for ; next < len(c.e.groups) && c.e.groups[next].class == class; next++ {
			g := &c.e.groups[next]
			for at := 0; at < n; at += blockRows {
				block, rows := at/blockRows, min(blockRows, n-at)
				for i := range g.runs {
					c.addRun(&g.runs[i], c.e.blockOf(codes, block), rows)
				}
				c.closeGroup(g, c.blockSums(block), rows)
			}
		}
		c.write(dst, class, n)
	}
}

// addRun adds the contributions of a run's leaves to the sums of the group.
func (c *Contributor) addRun(run *shapRun, codes []uint8, rows int) {
	switch {
	case c.e.kernel != kernelPortable:
		c.addRunVectors(run, codes, packsOf(rows))
	case run.points == 0:
		run.addTables(c.group, codes, rows)
	default:
		run.integrate(c.group, codes, rows, c.masks)
	}
}

func packsOf(rows int) int { return (rows + packRows - 1) / packRows }

// closeGroup moves the sums of a group to those of the class.
func (c *Contributor) closeGroup(g *shapGroup, sums []float64, rows int) {
	packs := packsOf(rows)
	for _, feature := range g.features {
		from, to := c.group[feature*blockRows:][:packs*packRows], sums[feature*blockRows:][:packs*packRows]
		if c.e.kernel == kernelAVX512 {
			addSumsAVX512(to, from, packs)
		} else {
			addSums(to, from)
		}
	}
}

// write turns the sums around: the contributions of a row become neighbours.
func (c *Contributor) write(dst []float64, class, n int) {
	width, classes := c.e.width, len(c.e.bias)
	for row := range n {
		out := dst[(row*classes+class)*width:][:width]
		if len(c.e.order) < width-1 { // some features occur in no split
			clear(out)
		}
		out[width-1] = c.e.bias[class]
		sums, lane := c.blockSums(row/blockRows), row%blockRows
		for i, feature := range c.e.order {
			out[feature] = sums[i*blockRows+lane] * c.e.scale
		}
	}
}
