package forest_test

import (
	"errors"
	"math"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

// TestContributionsAgreeWithTheLibraries compares both explainers with what the training libraries say. LightGBM computes
// in float64, XGBoost in float32.
func TestContributionsAgreeWithTheLibraries(t *testing.T) {
	explained := func(fx fixture) bool { return fx.Outputs["contrib"] > 0 }
	fixturesWith(t, explained, func(t *testing.T, fx fixture, f *forest.Forest) {
		n := fx.Outputs["contrib"]
		rows := shapSlice(fx.rows(t), 0, n)
		exact, fast := explainBoth(t, f, rows)
		within := 1e-9
		if f.Library == forest.XGBoost {
			within = 2e-6
		}
		nearContributions(t, f, fx, exact, within)
		nearContributions(t, f, fx, fast, 2e-6)
	})
}

func nearContributions(t *testing.T, f *forest.Forest, fx fixture, got []float64, within float64) {
	t.Helper()
	want := flat(fx.table(t, "contrib"))
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	width := len(f.Features) + 1
	for at := 0; at < len(want); at += width {
		size, raw := 0.0, 0.0
		for _, v := range want[at:][:width] {
			raw += v
			size += math.Abs(v)
		}
		for i := at; i < at+width; i++ {
			v := got[i]
			if fx.RawIsSum {
				v *= float64(f.Iterations) // the library does not divide those of random forests
			}
			if !(math.Abs(v-want[i]) <= within*max(1, size)) {
				t.Fatalf("row %d class %d value %d: got %v, want %v (raw score %v)",
					at/width/f.Classes, at/width%f.Classes, i-at, v, want[i], raw)
			}
		}
	}
}

func TestLinearFixturesAreNotExplained(t *testing.T) {
	eachFixture(t, func(t *testing.T, fx fixture, f *forest.Forest) {
		if !fx.Linear {
			return
		}
		_, err := forest.NewExplainer(f)
		if e, ok := errors.AsType[*forest.Error](err); !ok || e.Kind != forest.KindNoCover {
			t.Errorf("got error %v", err)
		}
	})
}
