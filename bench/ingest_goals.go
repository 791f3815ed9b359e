package bench

import (
	"runtime"

	"github.com/retainwise/millrace/ingest"
)

func (r *Report) ingestGoals(rowAllocs float64) {
	find := func(name string) *Measurement { return r.find("unquoted", name) }
	convert := find("tokenise+convert")
	arrowFloor := 7.0
	if !vectorBuild {
		arrowFloor = 4
	} else {
		r.atMost("tokenise, time / memcpy's", 1.5, "x", timeRatio(find("tokenise"), find("memcpy")))
		r.atMost("tokenise+convert, time / memcpy's", 7, "x", timeRatio(convert, find("memcpy")))
	}
	r.atLeast("arrow reader's time / tokenise+convert's", arrowFloor, "x", timeRatio(find("arrow"), convert))
	r.atMost("quoted, time / unquoted", 1.5, "x", 1/r.find("quoting", "quoted").Ratio)
	r.atMost("allocations of one more row", 0, "per row", rowAllocs)
	r.atLeast("two workers' best speed / one's", 1.8, "x", r.find("unquoted/workers", "two").RatioOfMinima)
}

// rowAllocs is what a chunk twice as long allocates more, divided by its additional rows: what a chunk allocates
// whatever its length is no cost of a row.
func rowAllocs(o Options) (float64, error) {
	rows := o.pick(3000, 100)
	short, err := chunkAllocs(rows)
	if err != nil {
		return 0, err
	}
	long, err := chunkAllocs(2 * rows)
	return (long - short) / float64(rows), err
}

// chunkAllocs counts the allocations of converting a chunk of so many rows; others of the process may add to a count,
// so the smallest of several holds.
func chunkAllocs(rows int) (float64, error) {
	m, chunks, err := chunksOf(CustomerFile(rows, false), CustomerSchema())
	if err != nil {
		return 0, err
	}
	converter := ingest.NewConverter(m, ingest.Limits{})
	var before, after runtime.MemStats
	least := ^uint64(0)
	for range 5 {
		runtime.ReadMemStats(&before)
		if _, err := converter.Convert(chunks[0]); err != nil {
			return 0, err
		}
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	return float64(least), nil
}
