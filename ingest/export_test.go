package ingest

import "testing"

// WithKernels runs f once for every set of kernels that this machine can run, as a subtest of that name.
func WithKernels[T interface {
	testing.TB
	Run(name string, f func(T)) bool
}](t T, f func(T)) {
	for name, set := range everyKernels(t) {
		t.Run(name, func(t T) {
			before := kernel
			kernel = set
			defer func() { kernel = before }()
			f(t)
		})
	}
}

// IndexWindows tokenises text window by window and returns the number of separators.
func IndexWindows(text []byte, delimiter byte) (n int) {
	w := window{delimiter: delimiter, width: 1}
	w.open(Chunk{Bytes: text})
	for at := 0; at < len(text); at = w.end {
		if w.cut(at) != nil {
			return -1
		}
		n += w.n
	}
	return n
}
