package forest

// StageKernels returns the names of the kernels that [Compile] and [NewExplainer] choose on this processor.
func StageKernels() (score, explain string) { return bestKernel.String(), bestKernel.String() }
