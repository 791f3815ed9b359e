package forest

// StageKernels returns the names of the kernels that [Compile] and [NewExplainer] choose on this processor. There is none
// of AVX2 for contributions.
func StageKernels() (score, explain string) {
	explain = kernelPortable.String()
	if bestKernel == kernelAVX512 {
		explain = bestKernel.String()
	}
	return bestKernel.String(), explain
}
