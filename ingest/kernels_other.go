package ingest

func bestKernels() kernels { return portable() }
