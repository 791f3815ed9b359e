//go:build !amd64 || purego

package ingest

import "testing"

// everyKernels are the sets that this machine can run.
func everyKernels(testing.TB) map[string]kernels {
	return map[string]kernels{"portable": portable()}
}
