package forest

import "math"

// vectorBins is one column's thresholds as the vector search wants them; the assembly knows the offsets.
type vectorBins struct {
	// tree holds the thresholds in heap order: node n has the children 2n and 2n+1, the root is node 1. They are
	// rounded to float32; where there is none, NaN stands, which no value is beyond.
	tree    [256]float32
	exact   [256]float64 // ascending, as they are; behind the last NaN
	bound   float64      // |x| not above it is missing
	missing uint32       // the code of missing values
	levels  uint32       // of the tree
	rounds  uint32       // how many thresholds share a float32 at most
	_       uint32
	pivots  [16]float64 // every sixteenth of exact
}

// roundsMax bounds the work of telling thresholds apart that share a float32; more are searched without vectors.
const roundsMax = 12

// newVectorBins prepares the thresholds of one column; ok is false if they are too close together.
func newVectorBins(thresholds []float64, narrow bool, missing Missing) (v *vectorBins, ok bool) {
	v = &vectorBins{bound: -1, missing: missingCode, levels: 1}
	for 1<<v.levels <= len(thresholds) {
		v.levels++
	}
	rounded := [256]float32{}
	for i := range v.exact {
		v.exact[i], rounded[i] = math.NaN(), float32(math.NaN())
		if i < len(thresholds) {
			v.exact[i], rounded[i] = thresholds[i], float32(thresholds[i])
		}
	}
	for i := range v.pivots {
		v.pivots[i] = v.exact[16*i+15]
	}
	v.plant(1, 0, 1<<v.levels-1, &rounded)
	switch missing {
	case MissingNone:
		v.missing = 0
		for _, t := range thresholds {
			if thresholdKey(t, narrow) < orderedKey(0) {
				v.missing++
			}
		}
	case MissingZero:
		v.bound = zeroBound
	case MissingNaN:
	}
	v.rounds = longestRun(rounded[:len(thresholds)])
	return v, narrow || v.rounds <= roundsMax
}

// plant puts thresholds low … high-1 under a node.
func (v *vectorBins) plant(node, low, high int, thresholds *[256]float32) {
	if low >= high {
		return
	}
	middle := (low + high) / 2
	v.tree[node] = thresholds[middle]
	v.plant(2*node, low, middle, thresholds)
	v.plant(2*node+1, middle+1, high, thresholds)
}

// longestRun is the length of the longest run of equal numbers.
func longestRun(ascending []float32) uint32 {
	longest, run := uint32(1), uint32(1)
	for i := 1; i < len(ascending); i++ {
		if ascending[i] != ascending[i-1] {
			run = 0
		}
		run++
		longest = max(longest, run)
	}
	return longest
}
