package engine

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

func TestLossBinsAscend(t *testing.T) {
	for _, loss := range []float64{math.NaN(), math.Inf(-1), -5, 0, 5e-324, 1.0 / 1024} {
		if bin := lossBin(loss); bin != 0 {
			t.Errorf("%v is in bin %d", loss, bin)
		}
	}
	for i := 1; i < lossBins; i++ {
		low := math.Ldexp(1+0.5*float64(i%2), i/2-10)
		if lossBin(low) != i || lossBin(math.Nextafter(low, 0)) != i-1 {
			t.Errorf("bin %d does not begin at %v: %d, %d", i, low, lossBin(low), lossBin(math.Nextafter(low, 0)))
		}
	}
	for _, loss := range []float64{1e15, math.MaxFloat64, math.Inf(1)} {
		if bin := lossBin(loss); bin != lossBins-1 {
			t.Errorf("%v is in bin %d", loss, bin)
		}
	}
}

// Of a column with many categories, those most frequent in training stay separate.
func TestSegmentsKeepFrequentCategories(t *testing.T) {
	c := bundleColumn{Name: "city", Type: "category"}
	shares := make([]float64, 61)
	for i := range 60 {
		c.Categories = append(c.Categories, fmt.Sprintf("city %d", i))
		shares[i] = float64(i)
	}
	b := &Bundle{
		file:     &bundleFile{Columns: []bundleColumn{c}},
		profiles: []columnProfile{{training: &Profile{Shares: shares}}},
	}
	s := b.segmentColumn(0)
	if len(s.values) != 50 || s.values[0] != "city 59" || s.values[49] != "city 10" {
		t.Fatalf("values %q", s.values)
	}
	others := slices.Repeat([]uint8{50}, 10)
	if !slices.Equal(s.slots[:10], others) || s.slots[59] != 0 || s.slots[10] != 49 || s.slots[60] != 51 ||
		s.slots[61] != 50 {
		t.Errorf("slots %v", s.slots)
	}
}

// Top lists of chunks, merged in order, equal the list of all rows; equal figures stay in input order.
func TestMergeTop(t *testing.T) {
	var merged TopTally
	var all topCounter
	row := 0
	for chunk := range 9 {
		var part topCounter
		for i := range 5 * chunk * chunk {
			figure := float64((i * 7919) % 40)
			all.offer(row, figure)
			part.offer(row, figure)
			row++
		}
		var list TopTally
		for i := range part.n {
			figure := part.figures[i]
			row := TopRow{Row: int64(part.rows[i]), Probability: float32(figure), Loss: &figure}
			list.ByProbability = append(list.ByProbability, row)
			list.ByLoss = append(list.ByLoss, row)
		}
		merged.add(&list)
	}
	all.offer(row, math.NaN())
	for _, list := range [][]TopRow{merged.ByProbability, merged.ByLoss} {
		if len(list) != topMax || all.n != topMax {
			t.Fatalf("%d rows, %d", len(list), all.n)
		}
		for i, r := range list {
			if r.Row != int64(all.rows[i]) {
				t.Errorf("place %d is row %d, not %d", i, r.Row, all.rows[i])
			}
		}
	}
}
