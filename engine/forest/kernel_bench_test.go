package forest

import (
	"fmt"
	"testing"
)

// BenchmarkKernel measures the evaluation of trees alone: the codes are there.
func BenchmarkKernel(b *testing.B) {
	for _, k := range kernels() {
		for _, library := range []Library{LightGBM, XGBoost} {
			for _, leaves := range []int{15, 31, 63, 127, 255, 600, 2000} {
				name := fmt.Sprintf("%v/%v/500x%d", k, map[Library]string{LightGBM: "float64", XGBoost: "float32"}[library], leaves)
				b.Run(name, func(b *testing.B) {
					m := maker{library: library, trees: 500, leaves: leaves, features: 50, thresholds: 200, plain: true}
					f := m.forest(1)
					c, err := compileFor(f, k)
					if err != nil {
						b.Fatal(err)
					}
					s, n := c.NewScorer(), 2048
					s.bins.start(m.rows(f, n, 1))
					s.fill(n)
					s.reset(n)
					for b.Loop() {
						s.score(n)
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n)/500, "ns/row/tree")
				})
			}
		}
	}
}
