package engine

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestImpactEqualsRoundedLink compares the approximation with the exact link, for links in float64 and float32.
func TestImpactEqualsRoundedLink(t *testing.T) {
	links := map[string]func(float64) float64{
		"float64": func(x float64) float64 { return 1 / (1 + math.Exp(-0.7*x)) },
		"float32": func(x float64) float64 { return float64(1 / (float32(math.Exp(float64(float32(-0.7*x)))) + 1)) },
	}
	for name, link := range links {
		t.Run(name, func(t *testing.T) {
			short := &Narrator{book: &Phrasebook{probability: link, sigmoid: newSigmoidTable(0.7)}}
			long := &Narrator{book: &Phrasebook{probability: link}}
			random := rand.New(rand.NewPCG(8, 1))
			for range 300_000 {
				raw := random.NormFloat64() * 8
				f := factor{contribution: random.NormFloat64() * 2}
				row := RowFacts{Raw: raw, Probability: float64(float32(link(raw)))}
				short.row, long.row = row, row
				got, want := string(short.appendImpact(nil, &f)), string(long.appendImpact(nil, &f))
				if got != want {
					t.Fatalf("raw %v, contribution %v: got %s, want %s", raw, f.contribution, got, want)
				}
			}
		})
	}
}

func TestSigmoidTable(t *testing.T) {
	s := newSigmoidTable(1)
	for x := -float64(sigmoidRange); x <= sigmoidRange; x += 0.001 {
		p, known := s.approx(x)
		if want := 1 / (1 + math.Exp(-x)); !known || math.Abs(p-want) > 1e-8 {
			t.Fatalf("%v: got %v (%v), want %v", x, p, known, want)
		}
	}
	for _, x := range []float64{-sigmoidRange - 0.01, sigmoidRange + 0.01, math.Inf(-1), math.Inf(1), math.NaN()} {
		if _, known := s.approx(x); known {
			t.Errorf("%v is in the table", x)
		}
	}
}
