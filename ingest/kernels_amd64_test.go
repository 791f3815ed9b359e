//go:build amd64 && !purego

package ingest

import "testing"

// everyKernels are the sets that this machine can run.
func everyKernels(tb testing.TB) map[string]kernels {
	sets := map[string]kernels{"portable": portable()}
	if hasAVX2() {
		sets["avx2"] = vectorsOf256()
	} else {
		tb.Log("no AVX2 on this machine: its kernels are not tested")
	}
	if hasAVX512() {
		sets["avx512"] = vectorsOf512()
	} else {
		tb.Log("no AVX-512 with VBMI2 on this machine: its kernels are not tested")
	}
	return sets
}
