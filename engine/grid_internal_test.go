package engine

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The grid counts like comparing each number with every edge.
func TestGridEqualsLinearSearch(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	cases := [][]float64{
		{},
		{0},
		{5},
		{0, 1, 2, 3},
		{-23.5, -4.5, 0.1, 4.8, 23.8},
		{1, 1e6, 1e6 + 1, 1e12},
		{-math.MaxFloat64, math.MaxFloat64},
		{0, 5e-324},
		{45, 60, 90, 154, 257.4, 376.2, 693, 1344, 3104},
		{math.Inf(-1), 0, math.Inf(1)},
	}
	for range 50 {
		edges := make([]float64, 1+random.IntN(20))
		for i := range edges {
			edges[i] = random.NormFloat64() * math.Pow(10, float64(random.IntN(8)))
		}
		slices.Sort(edges)
		cases = append(cases, slices.Compact(edges))
	}
	for _, edges := range cases {
		g := newGrid(edges)
		numbers := []float64{
			math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), math.MaxFloat64, 1e300, -1e300,
		}
		for _, e := range edges {
			numbers = append(numbers, e, math.Nextafter(e, inf), math.Nextafter(e, -inf), -e, e+0.5)
		}
		for range 300 {
			numbers = append(numbers, random.NormFloat64()*math.Pow(10, float64(random.IntN(6))))
		}
		want := make([]int64, len(edges)+1)
		for _, x := range numbers {
			below := 0
			for _, e := range edges {
				if x > e {
					below++
				}
			}
			want[below]++
			one := make([]int64, len(edges)+1)
			if g.count(one, []float64{x}); one[below] != 1 {
				t.Errorf("edges %v: %v is in %v, want bin %d", edges, x, one, below)
			}
		}
		got := make([]int64, len(edges)+1)
		if g.count(got, numbers); !slices.Equal(got, want) {
			t.Errorf("edges %v: %v, want %v", edges, got, want)
		}
	}
}

func TestCountCodes(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1, 2, 7, 8, 9, 300} {
		for _, rows := range []int{0, 1, 254, 255, 256, 5000} {
			codes := make([]uint16, rows)
			want := make([]int64, n)
			for i := range codes {
				if i%3 > 0 { // the others are all code 0: a counter of eight bits must not overflow
					codes[i] = uint16(random.IntN(n))
				}
				want[codes[i]]++
			}
			if got := countCodes(make([]int64, 2, 400), codes, n); !slices.Equal(got, want) {
				t.Errorf("%d codes, %d rows: %v, want %v", n, rows, got, want)
			}
		}
	}
	if got := countCodes(nil, make([]uint16, 1000), 8); got[0] != 1000 {
		t.Errorf("%d equal codes of 1000", got[0])
	}
}
