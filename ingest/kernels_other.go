//go:build !amd64 || purego

package ingest

func bestKernels() kernels { return portable() }
