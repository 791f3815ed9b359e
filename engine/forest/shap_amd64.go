//go:build amd64 && !purego

package forest

import "unsafe"

// callCost bounds the work of one call, in contributions of packs: assembly cannot be preempted. AVX2 takes some four
// times as long for the same work.
const (
	callCost     = 8192
	callCostAVX2 = 2048
)

// addRunVectors is addRun for whole packs.
func (c *Contributor) addRunVectors(run *shapRun, codes []uint8, packs int) {
	cost, valuesPerBranch := run.terms*packs, len(run.values)/run.branches
	if run.points > 0 {
		cost *= run.points
	}
	narrow, most := c.e.kernel == kernelAVX2, callCost
	if narrow {
		most = callCostAVX2
	}
	step := max(most/cost, 1)
	for first := 0; first < run.branches; first += step {
		records := (*byte)(unsafe.Pointer(&run.records[first*run.tests]))
		slots, values := &run.slots[first*run.terms], &run.values[first*valuesPerBranch]
		branches := min(step, run.branches-first)
		switch {
		case narrow && run.points == 0:
			addTablesAVX2(run, records, slots, values, branches, &codes[0], &c.group[0], packs, &c.masks[0])
		case narrow:
			integrateAVX2(run, records, slots, values, branches, &codes[0], &c.group[0], packs, &c.masks[0])
		case run.points == 0:
			addTablesAVX512(run, records, slots, values, branches, &codes[0], &c.group[0], packs, &c.masks[0])
		default:
			integrateAVX512(run, records, slots, values, branches, &codes[0], &c.group[0], packs, &c.masks[0])
		}
	}
}

func addTablesAVX512(
	run *shapRun, records *byte, slots *uint32, values *float32, branches int,
	codes *byte, sums *float32, packs int, scratch *uint64,
) {
	switch run.bits {
	case 1:
		shapTables1AVX512(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 2:
		shapTables2AVX512(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 3:
		shapTables3AVX512(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 4:
		shapTables4AVX512(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 5:
		shapTables5AVX512(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 6:
		shapTables6AVX512(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 7:
		shapTables7AVX512(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	}
}

func integrateAVX512(
	run *shapRun, records *byte, slots *uint32, values *float32, branches int,
	codes *byte, sums *float32, packs int, scratch *uint64,
) {
	switch run.points {
	case 4:
		shapIntegrate4AVX512(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 5:
		shapIntegrate5AVX512(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 6:
		shapIntegrate6AVX512(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 7:
		shapIntegrate7AVX512(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 8:
		shapIntegrate8AVX512(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	}
}

func addTablesAVX2(
	run *shapRun, records *byte, slots *uint32, values *float32, branches int,
	codes *byte, sums *float32, packs int, scratch *uint64,
) {
	switch run.bits {
	case 1:
		shapTables1AVX2(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 2:
		shapTables2AVX2(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 3:
		shapTables3AVX2(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 4:
		shapTables4AVX2(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 5:
		shapTables5AVX2(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 6:
		shapTables6AVX2(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 7:
		shapTables7AVX2(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	}
}

func integrateAVX2(
	run *shapRun, records *byte, slots *uint32, values *float32, branches int,
	codes *byte, sums *float32, packs int, scratch *uint64,
) {
	switch run.points {
	case 4:
		shapIntegrate4AVX2(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 5:
		shapIntegrate5AVX2(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 6:
		shapIntegrate6AVX2(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 7:
		shapIntegrate7AVX2(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	case 8:
		shapIntegrate8AVX2(records, run.tests, slots, values, branches, codes, sums, packs, scratch, run.terms)
	}
}

// addSumsAVX512 is addSums for whole packs.
func addSumsAVX512(to []float64, from []float32, packs int) {
	shapAddSumsAVX512(&to[0], &from[0], packs)
}
