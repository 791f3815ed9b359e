package ingest

// kernels are the loops over bytes that have vector twins. Every set gives the same results.
type kernels struct {
	scan  func(text []byte, delimiter byte) scanned
	index func(text []byte, delimiter byte, base uint32, at []uint32) indexed
	// leads finds where formulas may begin.
	leads func(text []byte, base uint32, at []uint32) leads
	// numbers reads plain decimals from low to high; what else a cell has is left over, and its value undefined.
	numbers func(f fields, values []float64, low, high float64, over left)
	// categories looks cells up; what is not in the dictionary is left over, and its code undefined.
	categories func(f fields, codes []uint16, d *dictionary, over left)

	rows, cells string // names of the first three, and of the last two
}

// portable is the set that runs anywhere, and the oracle of the others.
func portable() kernels {
	return kernels{
		scan: scanPortable, index: indexPortable, leads: leadsPortable,
		numbers: numbersPortable, categories: categoriesPortable,
		rows: "portable", cells: "portable",
	}
}

// kernel is the best set for this machine, chosen once at start; tests put another in its place.
var kernel = bestKernels()

// Kernels returns the names of the kernels in use on this processor, "avx512", "avx2" or "portable": of the one that
// finds rows and fields, and of the one that converts cells.
func Kernels() (rows, cells string) { return kernel.rows, kernel.cells }
