package engine

import (
	"math"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

func TestFixedTextAppend(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, 127, 128, 129, 1000} {
		text := strings.Repeat("0123456789", n/10+1)[:n]
		if got := string(newFixedText(text).append(reserve([]byte("a"), n))); got != "a"+text {
			t.Errorf("%d bytes: got %q", n, got)
		}
	}
}

// TestPrecomputedIntegersEqualFormatted compares precomputed texts with those formatted row by row.
func TestPrecomputedIntegersEqualFormatted(t *testing.T) {
	text := FeatureText{
		Name: "tenure", Unit: "months", Typical: "29", Phrases: Phrases{Values: map[string]string{"0": "new customer"}},
	}
	for direction := -1; direction <= 1; direction++ {
		formatted, precomputed := newFeaturePhrases(text), newFeaturePhrases(text)
		formatted.direction, precomputed.direction = direction, direction
		precomputed.precomputeIntegers()
		for _, x := range []float64{0, math.Copysign(0, -1), 1, 28, 29, 30, 127, 128, 1.5, -1, math.NaN(), math.Inf(1), 1e300} {
			column := &forest.Column{Numbers: []float64{x}}
			format := func(p *featurePhrases) string {
				dst := p.appendFact(reserve(nil, p.factBytesMax()), column, 0, cellForm)
				dst = p.appendFact(reserve(dst, p.factBytesMax()), column, 0, jsonForm)
				dst = p.appendPhrase(reserve(dst, p.phraseBytesMax()), column, 0, true)
				return string(p.appendPhrase(reserve(dst, p.phraseBytesMax()), column, 0, false))
			}
			if got, want := format(&precomputed), format(&formatted); got != want {
				t.Errorf("%v, direction %d: got %s, want %s", x, direction, got, want)
			}
		}
	}
}

// TestReserveForLongText appends long texts and long numbers to buffers with minimal and with ample capacity.
func TestReserveForLongText(t *testing.T) {
	long := strings.Repeat(`"long" `, 100)
	var features []FeatureText
	var columns []forest.Column
	for i, x := range []float64{-1.23456789012345e-300, 123456789012345.6, 1, math.NaN(), 0} {
		features = append(features, FeatureText{
			Name: long, Label: long + string(rune('a'+i)), Unit: long, Typical: "1",
			Phrases: Phrases{
				High: strings.Repeat("{value}{unit}", 50), Low: "{value} {value}", Missing: long,
				Values: map[string]string{"0": long},
			},
		})
		columns = append(columns, forest.Column{Numbers: []float64{x}})
	}
	features = append(features, FeatureText{Name: "c", Categories: []string{long, "b"}})
	columns = append(columns, forest.Column{Codes: []uint16{0}})
	narrator := NewPhrasebook(features, func(float64) float64 { return -1e13 }).NewNarrator()
	for _, contributions := range [][]float64{
		{1e14, 1e14, -1e14, -1e14, 1e14, -1e14}, {-1e14, -1e14, 1e14, 1e14, 1e14, 1e14}, {1, 1, 1, -1, -1, -1},
	} {
		narrator.Read(RowFacts{Rows: forest.Rows{Len: 1, Columns: columns}, Contributions: contributions, Probability: 0.5})
		for name, add := range map[string]func([]byte) []byte{
			"risk factors": narrator.AppendRiskFactors, "protective factors": narrator.AppendProtectiveFactors,
			"risk cell": narrator.AppendRiskCell, "protective cell": narrator.AppendProtectiveCell,
			"explanation": narrator.AppendExplanation,
		} {
			fresh, ample := string(add(nil)), string(add(make([]byte, 0, 1<<20)))
			if fresh != ample || !strings.Contains(fresh, "long") && !strings.Contains(fresh, "1") {
				t.Errorf("%s: %d bytes in a minimal buffer, %d in an ample one", name, len(fresh), len(ample))
			}
		}
	}
}
