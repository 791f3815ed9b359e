package forest

import (
	"math"
	"slices"
	"strings"
)

// Binning turns every row into bytes, once, before any tree is looked at. It is exact: a node's test on the value
// and the test "code <= threshold" on the byte always agree.
//
// A column is 256 bytes, one code a row. Numerical columns hold the rank of the value among the feature's sorted
// distinct thresholds:
//
//	LightGBM  code = number of thresholds t with t < x            x <= t[k]  <=>  code <= k
//	XGBoost   code = number of thresholds t with t <= float32(x)  x < t[k]   <=>  code <= k
//
// Code 255 is a missing value. It fails every test, so it goes right; a node that sends missing values left reads the
// twin column instead, which holds code+1 mod 256 (missing becomes 0), with threshold k+1.
//
// A feature with more than 254 thresholds has several columns; column s holds the rank clamped to [254s, 254s+254],
// minus 254s. A categorical test has a column of its own for each distinct set: 0 goes left, 255 goes right.
const (
	// packRows is the number of rows in a pack: the bytes of one vector register.
	packRows = 64
	// blockRows is the number of rows that are binned together: four packs, and the stride from column to column.
	blockRows = 256
	// columnThresholds is the greatest number of thresholds that one column can distinguish.
	columnThresholds = 254
	// missingCode is the code of a missing value in a numerical column, and of "right" in a set column.
	missingCode = 255
	// zeroBound is float32(1e-35): LightGBM takes every |x| up to it for zero.
	zeroBound = 1.0000000180025095e-35
)

// binner knows the columns of one forest and how to fill them. It is immutable and may be shared; [bins] is the
// scratch of one worker.
type binner struct {
	features []featureBins // the features that occur in a split, ascending
	columns  int           // columns in a block
	numeric  map[numericKey]numericPlace
	sets     map[setKey]int // column of each set
	row      rowPlan
}

// split is what a node became: a test on one byte.
type split struct {
	column    int   // the column that a scorer reads
	threshold uint8 // code <= threshold goes left
	// base is the column without the twin's shift; it always exists and equals column unless missingLeft. On base a
	// row goes left if code <= rank, or if missingLeft and code == missingCode.
	base        int
	rank        uint8
	missingLeft bool
	set         bool // base holds 0 (left) and 255 (right) only; there is no missing code
	hasMissing  bool // base can hold missingCode
}

// featureBins is all that is derived from one feature; its columns are adjacent, so that a table of categories can
// fill them all.
type featureBins struct {
	feature int
	first   int // first column
	count   int // columns
	numeric []numericBins
	sets    []setBins
}

type numericKey struct {
	feature int32
	narrow  bool // compare as float32
	missing Missing
}

type numericPlace struct{ feature, index int } // featureBins and numericBins

// numericBins is one sorted list of thresholds and its columns.
type numericBins struct {
	narrow     bool
	missing    Missing
	thresholds []float64
	search     *rankSearch
	base       int           // first of the columns
	parts      int           // how many
	twins      []int         // column of the twin of each part, or -1
	vector     []*vectorBins // of each part; nil if the kernel or the thresholds do not allow it
	kernel     kernel
	inRowPlan  bool // see rowPlan
}

type setKey struct {
	feature     int32
	narrow      bool
	missingLeft bool
	bits        string
}

// setBins is one categorical test.
type setBins struct {
	column      int
	bits        []uint32
	narrow      bool
	missingLeft bool
	table       *[256]uint8 // result by compact category, nil if the feature has too many categories
}

// newBinner collects the tests of all trees. The forest must be valid.
func newBinner(f *Forest) *binner { return newBinnerFor(f, bestKernel) }

func newBinnerFor(f *Forest, k kernel) *binner {
	c := newBinCollector(len(f.Features))
	c.kernel = k
	for t := range f.Trees {
		tree := &f.Trees[t]
		for i := range tree.Nodes {
			c.add(tree, &tree.Nodes[i])
		}
	}
	b := c.layOut()
	if k == kernelAVX512 {
		b.planRowVectors()
	} else {
		b.planRows()
	}
	return b
}

// split says which byte test a node of one of the forest's trees became.
func (b *binner) split(t *Tree, n *Node) split {
	if n.isSet() {
		column := b.sets[n.setKey(t)]
		return split{column: column, base: column, set: true}
	}
	place := b.numeric[n.numericKey()]
	bins := &b.features[place.feature].numeric[place.index]
	k, _ := slices.BinarySearch(bins.thresholds, n.Threshold+0)
	part, rank := k/columnThresholds, uint8(k%columnThresholds)
	s := split{
		column: bins.base + part, threshold: rank,
		base: bins.base + part, rank: rank,
		hasMissing: n.Missing != MissingNone,
	}
	if n.DefaultLeft && s.hasMissing {
		s.column, s.threshold, s.missingLeft = bins.twins[part], rank+1, true
	}
	return s
}

func (n *Node) isSet() bool { return n.Kind == SplitInSet || n.Kind == SplitNotInSet }

func (n *Node) numericKey() numericKey {
	return numericKey{feature: n.Feature, narrow: n.Kind == SplitLess, missing: n.Missing}
}

// setKey ignores what cannot matter: LightGBM sends every missing category right, and so does a category beyond the
// set.
func (n *Node) setKey(t *Tree) setKey {
	narrow := n.Kind == SplitNotInSet
	return setKey{
		feature: n.Feature, narrow: narrow, missingLeft: narrow && n.DefaultLeft, bits: setText(t.Sets[n.Set]),
	}
}

// setText makes a set comparable; words of zeros at the end say nothing.
func setText(bits []uint32) string {
	for len(bits) > 0 && bits[len(bits)-1] == 0 {
		bits = bits[:len(bits)-1]
	}
	var text strings.Builder
	for _, w := range bits {
		text.Write([]byte{byte(w), byte(w >> 8), byte(w >> 16), byte(w >> 24)})
	}
	return text.String()
}

// orderedKey maps numbers to integers of the same order; both zeros map to one key.
func orderedKey(x float64) uint64 {
	b := math.Float64bits(x + 0)
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

// thresholdKey is the integer with thresholdKey(t) < orderedKey(x) exactly if x is beyond t.
func thresholdKey(t float64, narrow bool) uint64 {
	if narrow {
		return orderedKey(t) - 1
	}
	return orderedKey(t)
}
