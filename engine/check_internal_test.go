package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

// wrongKernel returns a baseline whose compiled trees differ from its model, so that it scores incorrectly.
func wrongKernel(t *testing.T, name string, by float64) *Bundle {
	t.Helper()
	b, err := OpenBaseline(name)
	if err != nil {
		t.Fatal(err)
	}
	wrong := *b.forest
	wrong.Trees = slices.Clone(wrong.Trees)
	wrong.Trees[0].Leaves = slices.Clone(wrong.Trees[0].Leaves)
	for i := range wrong.Trees[0].Leaves {
		wrong.Trees[0].Leaves[i].Value += by
	}
	if b.compiled, err = forest.Compile(&wrong); err != nil {
		t.Fatal(err)
	}
	return b
}

// discard is a sink that counts chunks and checked rows.
type discard struct{ chunks, checked int }

func (d *discard) WriteChunk(c *ScoredChunk) error {
	d.chunks++
	d.checked += c.Checked
	return nil
}

// longFile returns rows with varying numbers.
func longFile(rows int) string {
	var b strings.Builder
	b.WriteString("customerID,tenure,MonthlyCharges,TotalCharges,Contract,seats_used\n")
	for i := range rows {
		fmt.Fprintf(&b, "C-%d,%d,%d.5,%d,One year,%d\n", i, i%70, 20+i%90, i, i%50)
	}
	return b.String()
}

func scoreLong(t *testing.T, b *Bundle, rows int, known bool, opt Options) (*discard, error) {
	t.Helper()
	limits := ingest.Limits{ChunkBytes: 16 << 10}
	header, body, err := ingest.ReadHeader(strings.NewReader(longFile(rows)), limits)
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Body: body, Header: header, Start: header.Start(), Limits: limits}
	if known {
		in.Rows = int64(rows)
	}
	d := new(discard)
	_, err = Score(t.Context(), in, b, opt, d)
	return d, err
}

// TestB26SampleOfRows wants the first 64 rows of an input and 64 spread over the rest, whatever its length and chunks.
func TestB26SampleOfRows(t *testing.T) {
	b, err := OpenBaseline("saas")
	if err != nil {
		t.Fatal(err)
	}
	for rows, want := range map[int]int{1: 1, 63: 63, 64: 64, 65: 65, 100: 100, 128: 128, 129: 128, 1000: 128, 9999: 128} {
		for _, workers := range []int{1, 3} {
			d, err := scoreLong(t, b, rows, true, Options{Check: true, Workers: workers})
			if err != nil || d.checked != want {
				t.Errorf("%d rows, %d workers: %d checked, want %d (%v)", rows, workers, d.checked, want, err)
			}
		}
	}
	for rows, want := range map[int]int{64: 64, 65: 65, 320: 65, 321: 66, 20_000: 128} {
		if d, err := scoreLong(t, b, rows, false, Options{Check: true}); err != nil || d.checked != want {
			t.Errorf("%d rows, length unknown: %d checked, want %d (%v)", rows, d.checked, want, err)
		}
	}
	for _, opt := range []Options{{}, {Check: true, Scorer: ScorerLeaves}, {Check: true, Scorer: ScorerWalker}} {
		if d, err := scoreLong(t, b, 1000, true, opt); err != nil || d.checked != 0 {
			t.Errorf("%+v: %d checked (%v)", opt, d.checked, err)
		}
	}
}

// TestB26SampleIsSpread wants the last of the checked rows in the last 64th of the input.
func TestB26SampleIsSpread(t *testing.T) {
	b, err := OpenBaseline("telecom")
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []int64{128, 129, 191, 192, 1000, 80_000, 20_000_000} {
		c := b.newCheckWorker(Input{Start: ingest.Position{Row: 7}, Rows: rows}, Options{Check: true})
		count, last := 0, int64(0)
		for n := range min(rows, 1_000_000) {
			if c.checks(n) {
				count, last = count+1, n
			}
		}
		if rows <= 1_000_000 && (count != 128 || last < rows-64-rows/64) {
			t.Errorf("%d rows: %d checked, the last is %d", rows, count, last)
		}
	}
}

// TestB26WrongKernelIsFound wants the error in place of results, however little the kernel is off, and right results
// from the walker and from leaves.
func TestB26WrongKernelIsFound(t *testing.T) {
	for name, by := range map[string]float64{"telecom": 1e-12, "saas": 1e-2} {
		b := wrongKernel(t, name, by)
		d, err := scoreLong(t, b, 5000, true, Options{Check: true, Workers: 2, Explain: ExplainAll})
		var e *DifferenceError
		if !errors.As(err, &e) || e.Checked < checkedFirst || e.Differing != e.Checked || d.chunks != 0 {
			t.Errorf("%s: %v after %d chunks", name, err, d.chunks)
		}
		right, err := OpenBaseline(name)
		if err != nil {
			t.Fatal(err)
		}
		want := resultOf(t, right, ScorerCompiled)
		if got := resultOf(t, b, ScorerWalker); got != want {
			t.Errorf("%s: the walker gives other scores", name)
		}
		if by > 1e-6 && resultOf(t, b, ScorerCompiled) == want {
			t.Errorf("%s: the kernel is not wrong at all", name)
		}
	}
	// XGBoost sums float32: rounding differences are within the tolerance.
	if _, err := scoreLong(t, wrongKernel(t, "saas", 1e-9), 1000, true, Options{Check: true}); err != nil {
		t.Error(err)
	}
}

// resultOf returns the result of a file without explanations.
func resultOf(t *testing.T, b *Bundle, scorer Scorer) string {
	t.Helper()
	header, body, err := ingest.ReadHeader(strings.NewReader(longFile(300)), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var out resultSink
	in := Input{Body: body, Header: header, Start: header.Start()}
	if _, err := Score(t.Context(), in, b, Options{Scorer: scorer}, &out); err != nil {
		t.Fatal(err)
	}
	return string(out)
}

type resultSink []byte

func (s *resultSink) WriteChunk(c *ScoredChunk) error {
	*s = append(*s, c.Result...)
	return nil
}
