package ingest_test

import (
	"io"
	"strings"
	"testing"

	"github.com/retainwise/millrace/ingest"
)

// A file becomes the same wherever the bytes of one Read end and those of the next begin.
func TestEveryCut(t *testing.T) {
	for _, body := range spectrum {
		file := churnHeader + body
		want := read(file, churn(), ingest.Limits{ChunkBytes: 4096}, nil)
		for at := range len(file) {
			got := read(file, churn(), ingest.Limits{ChunkBytes: 4096}, func(io.Reader) io.Reader {
				return io.MultiReader(strings.NewReader(file[:at]), strings.NewReader(file[at:]))
			})
			sameOutcome(t, file, got, want)
		}
	}
}

// However little of a file arrives, it ends in rows that add up or in one clear error.
func TestEveryPrefix(t *testing.T) {
	for _, body := range spectrum {
		file := churnHeader + body
		for n := range len(file) + 1 {
			o := read(file[:n], churn(), ingest.Limits{ChunkBytes: 4096}, nil)
			if o.err == nil && int64(len(o.rows)+len(o.rejects)) != o.read {
				t.Errorf("%q: %d rows read, %d scored and %d rejected", file[:n], o.read, len(o.rows), len(o.rejects))
			}
			if o.err != nil && len(o.err.Error()) < 10 {
				t.Errorf("%q: %v", file[:n], o.err)
			}
			if o.err == nil && o.read == 0 && strings.Trim(file[len(churnHeader):n], ",\n") != "" {
				t.Errorf("%q: no row and no error", file[:n])
			}
		}
	}
}
