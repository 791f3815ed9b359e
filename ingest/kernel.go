package ingest

import "github.com/retainwise/millrace/ingest/internal/kernels"

// kernel is the best set for this machine, chosen once at start; tests put another in its place.
var kernel = bestKernels()

func bestKernels() kernels.Set {
	sets := kernels.Runnable()
	return sets[len(sets)-1]
}

// Kernels returns the names of the kernels in use on this processor, "avx512", "avx2" or "portable": of the one that
// finds rows and fields, and of the one that converts cells.
func Kernels() (rows, cells string) { return kernel.Rows, kernel.Cells }
