package ingest

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/retainwise/millrace/ingest/internal/kernels"
)

// everyKernels are the sets that this machine can run.
func everyKernels(tb testing.TB) map[string]kernels.Set {
	sets := map[string]kernels.Set{}
	for _, set := range kernels.Runnable() {
		sets[set.Rows] = set
	}
	for _, name := range []string{"avx2", "avx512"} {
		if _, runs := sets[name]; !runs {
			tb.Logf("no %s on this machine: its kernels are not tested", name)
		}
	}
	return sets
}

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

// Portably runs f with the portable kernels.
func Portably(f func()) {
	before := kernel
	kernel = kernels.Runnable()[0]
	defer func() { kernel = before }()
	f()
}

// ChunksInPlace cuts text as a Chunker does, but leaves it where it is.
func ChunksInPlace(text []byte, start Position) (chunks []Chunk, err error) {
	c := NewChunker(bytes.NewReader(text), ',', start, Limits{})
	for {
		chunk, err := c.Next(nil)
		if errors.Is(err, io.EOF) {
			return chunks, nil
		}
		if err != nil {
			return nil, err
		}
		at := chunk.Offset - start.Offset
		chunk.Bytes = text[at : at+int64(len(chunk.Bytes))]
		chunks = append(chunks, chunk)
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

// Poisoned says whether batches are overwritten when they are over.
const Poisoned = poisoned

// Unguard takes off what the guard added to a cell's text.
func Unguard(text string) string { return string(unguard([]byte(text))) }

// GuardOnce is the guard of one text of a file of millrace's own.
func GuardOnce(text string) string {
	if guarded := guardOnce([]byte(text)); guarded != nil {
		return string(guarded)
	}
	return text
}
