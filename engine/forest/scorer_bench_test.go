package forest

import (
	"fmt"
	"testing"
)

// benchRows is the number of rows of a scored batch.
const benchRows = 4096

// BenchmarkScore measures codes and scores, on one core, by engine, forest and kind of rows.
func BenchmarkScore(b *testing.B) {
	for _, size := range []struct{ trees, leaves int }{{100, 31}, {500, 15}, {500, 31}, {500, 63}, {500, 255}} {
		m := maker{library: LightGBM, trees: size.trees, leaves: size.leaves, features: 50, thresholds: 200, plain: true}
		f := m.forest(1)
		benchEngines(b, fmt.Sprintf("%dx%d/random", size.trees, size.leaves), f, m.rows(f, benchRows, 1))
	}
	for _, leaves := range []int{31, 63} {
		rows := Rows{Len: benchRows}
		x, _ := customers(50, benchRows, 2)
		for i := range x {
			rows.Columns = append(rows.Columns, Column{Numbers: x[i]})
		}
		benchEngines(b, fmt.Sprintf("500x%d/realistic", leaves), trained(500, leaves, 50), rows)
	}
}

func benchEngines(b *testing.B, name string, f *Forest, rows Rows) {
	dst := make([]float64, rows.Len)
	for _, k := range kernels() {
		b.Run("compiled-"+k.String()+"/"+name, func(b *testing.B) {
			c, err := compileFor(f, k)
			if err != nil {
				b.Fatal(err)
			}
			s := c.NewScorer()
			benchRaw(b, f, rows, func() { s.Raw(dst, rows) })
		})
	}
	b.Run("leaves/"+name, func(b *testing.B) {
		l, err := NewLeaves(f)
		if err != nil {
			b.Fatal(err)
		}
		benchRaw(b, f, rows, func() {
			if err := l.Raw(dst, rows); err != nil {
				b.Fatal(err)
			}
		})
	})
}

func benchRaw(b *testing.B, f *Forest, rows Rows, raw func()) {
	b.ReportAllocs()
	for b.Loop() {
		raw()
	}
	perRow := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(rows.Len)
	b.ReportMetric(1e9/perRow, "rows/s")
	b.ReportMetric(perRow/float64(len(f.Trees)), "ns/row/tree")
}

// BenchmarkBin measures the binning of a block.
func BenchmarkBin(b *testing.B) {
	m := maker{library: LightGBM, trees: 500, leaves: 31, features: 50, thresholds: 200, plain: true}
	f := m.forest(1)
	for _, k := range kernels() {
		bins := newBinnerFor(f, k).newBins()
		b.Run(fmt.Sprint(k), func(b *testing.B) {
			rows := m.rows(f, blockRows, 1)
			codes := make([]uint8, bins.columns*blockRows)
			for b.Loop() {
				bins.start(rows)
				bins.fill(codes, 0, blockRows)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/blockRows, "ns/row")
		})
	}
}

// BenchmarkFew measures calls of a few rows: codes and scores.
func BenchmarkFew(b *testing.B) {
	m := maker{library: LightGBM, trees: 500, leaves: 31, features: 50, thresholds: 200, plain: true}
	f := m.forest(1)
	l, err := NewLeaves(f)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 2, 4, 8, 16, 32, 64} {
		var batches []Rows
		for i := range 64 {
			batches = append(batches, m.rows(f, n, uint64(i)))
		}
		dst := make([]float64, n)
		for _, k := range kernels() {
			c, err := compileFor(f, k)
			if err != nil {
				b.Fatal(err)
			}
			s := c.NewScorer()
			benchFew(b, fmt.Sprintf("compiled-%v/%d", k, n), n, func(i int) { s.Raw(dst, batches[i%len(batches)]) })
		}
		if n == 1 {
			benchFew(b, "leaves/1", n, func(i int) { _ = l.Raw(dst, batches[i%len(batches)]) })
		}
	}
}

func benchFew(b *testing.B, name string, rows int, raw func(i int)) {
	b.Run(name, func(b *testing.B) {
		i := 0
		for b.Loop() {
			raw(i)
			i++
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
	})
}
