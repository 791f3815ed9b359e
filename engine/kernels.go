package engine

import (
	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

// StageKernel is the kernel in use on this processor for a stage of the data path: avx512, avx2 or portable. All give the
// same bits.
type StageKernel struct{ Stage, Kernel string }

// StageKernels returns the kernels in use, in the order of the data path.
func StageKernels() []StageKernel {
	rows, cells := ingest.Kernels()
	score, explain := forest.StageKernels()
	return []StageKernel{{"read rows", rows}, {"convert cells", cells}, {"score", score}, {"explain", explain}}
}
