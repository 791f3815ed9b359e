//go:build amd64 && !purego

package forest

import "unsafe"

// callCost bounds the work of one call, in contributions of packs: assembly cannot be preempted. AVX2 takes some four
// times as long for the same work.
const (
	callCost     = 8192
	callCostAVX2 = 2048
)

// branchKernel adds the contributions of branches of one shape for packs of rows. Scratch has room for the masks of every term.
type branchKernel func(
	records *byte, tests int, slots *uint32, values *float32, branches int,
	codes *byte, sums *float32, packs int, scratch *uint64, terms int,
)

// tables512 and tables2 are by the bits of a pattern, points512 and points2 by the points of the quadrature.
var (
	tables512 = [...]branchKernel{
		1: shapTables1AVX512, shapTables2AVX512, shapTables3AVX512, shapTables4AVX512, shapTables5AVX512, shapTables6AVX512,
		shapTables7AVX512,
	}
	tables2 = [...]branchKernel{
		1: shapTables1AVX2, shapTables2AVX2, shapTables3AVX2, shapTables4AVX2, shapTables5AVX2, shapTables6AVX2, shapTables7AVX2,
	}
	points512 = [...]branchKernel{
		4: shapIntegrate4AVX512, shapIntegrate5AVX512, shapIntegrate6AVX512, shapIntegrate7AVX512, shapIntegrate8AVX512,
	}
	points2 = [...]branchKernel{
		4: shapIntegrate4AVX2, shapIntegrate5AVX2, shapIntegrate6AVX2, shapIntegrate7AVX2, shapIntegrate8AVX2,
	}
)

// branchKernel returns the vector kernel of a run, and how much work it may do in one call.
func (k kernel) branchKernel(run *shapRun) (add branchKernel, cost int) {
	switch {
	case k == kernelAVX2 && run.points == 0:
		return tables2[run.bits], callCostAVX2
	case k == kernelAVX2:
		return points2[run.points], callCostAVX2
	case run.points == 0:
		return tables512[run.bits], callCost
	}
	return points512[run.points], callCost
}

// addRunVectors is addRun for whole packs.
func (c *Contributor) addRunVectors(run *shapRun, codes []uint8, packs int) {
	add, most := c.e.kernel.branchKernel(run)
	cost, valuesPerBranch := run.terms*packs, len(run.values)/run.branches
	if run.points > 0 {
		cost *= run.points
	}
	step := max(most/cost, 1)
	for first := 0; first < run.branches; first += step {
		records := (*byte)(unsafe.Pointer(&run.records[first*run.tests]))
		slots, values := &run.slots[first*run.terms], &run.values[first*valuesPerBranch]
		branches := min(step, run.branches-first)
		add(records, run.tests, slots, values, branches, &codes[0], &c.group[0], packs, &c.masks[0], run.terms)
	}
}

// addSumsAVX512 is addSums for whole packs.
func addSumsAVX512(to []float64, from []float32, packs int) {
	shapAddSumsAVX512(&to[0], &from[0], packs)
}
