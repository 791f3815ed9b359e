package forest

import (
	"fmt"
	"testing"
)

func BenchmarkScore(b *testing.B) {
	for _, size := range []struct{ trees, leaves int }{{500, 15}, {500, 31}, {500, 63}, {500, 127}, {500, 255}} {
		m := maker{library: LightGBM, trees: size.trees, leaves: size.leaves, features: 50, thresholds: 200}
		f := m.forest(1)
		c, err := Compile(f)
		if err != nil {
			b.Fatal(err)
		}
		rows := m.rows(f, 4096, 1)
		b.Run(fmt.Sprintf("compiled-portable/%dx%d/random", size.trees, size.leaves), func(b *testing.B) {
			s := c.NewScorer()
			dst := make([]float64, rows.Len)
			for b.Loop() {
				s.Raw(dst, rows)
			}
			perRow := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(rows.Len)
			b.ReportMetric(1e9/perRow, "rows/s")
			b.ReportMetric(perRow/float64(size.trees), "ns/row/tree")
		})
	}
}

func BenchmarkBin(b *testing.B) {
	m := maker{library: LightGBM, trees: 500, leaves: 31, features: 50, thresholds: 200}
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

// BenchmarkFew measures calls of a single row: codes and scores.
func BenchmarkFew(b *testing.B) {
	m := maker{library: LightGBM, trees: 500, leaves: 31, features: 50, thresholds: 200}
	f := m.forest(1)
	c, err := Compile(f)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 2, 4, 6, 7, 16, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var batches []Rows
			for i := range 64 {
				batches = append(batches, m.rows(f, n, uint64(i)))
			}
			s, dst, i := c.NewScorer(), make([]float64, n), 0
			for b.Loop() {
				s.Raw(dst, batches[i%64])
				i++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/row")
		})
	}
}
