package forest_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

// TestWalkerRaw demands the library's raw score to the last bit.
func TestWalkerRaw(t *testing.T) {
	eachFixture(t, func(t *testing.T, fx fixture, f *forest.Forest) {
		rows := fx.rows(t)
		got := make([]float64, rows.Len*f.Classes)
		walker := forest.NewWalker(f)
		walker.Sum(got, rows)
		sameBits(t, got, flat(fx.table(t, "raw")))
		if f.Average != fx.RawIsSum {
			t.Fatalf("average is %v", f.Average)
		}
		average := make([]float64, len(got))
		walker.Raw(average, rows)
		for i := range got {
			if f.Average {
				got[i] /= float64(f.Iterations)
			}
		}
		sameBits(t, average, got)
	})
}

func TestProbabilities(t *testing.T) {
	eachFixture(t, func(t *testing.T, fx fixture, f *forest.Forest) {
		rows := fx.rows(t)
		got := make([]float64, rows.Len*f.Classes)
		forest.NewWalker(f).Raw(got, rows)
		f.Probabilities(got, got)
		if fx.Predicted == "class" && f.Classes > 1 {
			got = mostLikely(got, f.Classes)
		}
		sameBits(t, got, flat(fx.table(t, "probability"))) // the exponentials of the libraries and ours are glibc's
	})
}

func mostLikely(probabilities []float64, classes int) []float64 {
	var chosen []float64
	for row := range slices.Chunk(probabilities, classes) {
		chosen = append(chosen, float64(slices.Index(row, slices.Max(row))))
	}
	return chosen
}

func TestWalkerLeafIDs(t *testing.T) {
	numbered := func(fx fixture) bool { return fx.Outputs["leaf"] > 0 }
	fixturesWith(t, numbered, func(t *testing.T, fx fixture, f *forest.Forest) {
		rows := fx.rows(t)
		ids := make([]int32, rows.Len*len(f.Trees))
		forest.NewWalker(f).LeafIDs(ids, rows)
		want := flat(fx.table(t, "leaf"))
		for i, w := range want {
			tree := &f.Trees[i%len(f.Trees)]
			got := ids[i]
			if tree.LeafNumbers != nil {
				got = tree.LeafNumbers[got]
			}
			if float64(got) != w {
				t.Fatalf("row %d tree %d: leaf %d, want %v", i/len(f.Trees), i%len(f.Trees), got, w)
			}
		}
	})
}

func TestReadRefusesFixtures(t *testing.T) {
	for _, fx := range readFixtures(t) {
		if fx.Refused == "" {
			continue
		}
		for _, model := range fx.Models {
			_, err := forest.Read(model, fx.bytes(t, model), forest.Limits{})
			var e *forest.Error
			if !errors.As(err, &e) || e.Kind.String() != fx.Refused {
				t.Errorf("%s/%s: %v, want kind %s", fx.Name, model, err, fx.Refused)
			}
		}
	}
}

// TestReadDescribes checks what the files say beside their trees.
func TestReadDescribes(t *testing.T) {
	eachFixture(t, func(t *testing.T, fx fixture, f *forest.Forest) {
		if f.Classes != fx.Classes || len(f.Features) != fx.Features {
			t.Fatalf("%d classes and %d features, want %d and %d", f.Classes, len(f.Features), fx.Classes, fx.Features)
		}
		if f.Source.Name == "" || f.Source.Version == "" || f.Source.Bytes == 0 || f.Source.SHA256 == [32]byte{} {
			t.Fatalf("source is %+v", f.Source)
		}
		if len(f.Warnings) != 0 {
			t.Fatalf("warnings: %q", f.Warnings)
		}
	})
}
