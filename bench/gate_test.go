package bench_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/retainwise/millrace/bench"
)

const gated = "scores of 64: leaves / compiled/portable"

func TestGateJudgesByTheFloors(t *testing.T) {
	unjudged := quick(t, "gate", bench.Options{})
	if len(unjudged.Goals) > 0 || !strings.Contains(unjudged.Note, "not judged") || unjudged.BelowFloor() != nil {
		t.Errorf("a machine without floors was judged: %v, %q", unjudged.Goals, unjudged.Note)
	}
	checkFloors(t, unjudged)
	const fell = "client: CopyFromSource / blocks"
	floors := map[string]float64{gated: 1e-6, fell: 1e9, "scores of 64: leaves / abacus": 1}
	machine, system := unjudged.Machine.CPU, unjudged.Machine.System
	r := quick(t, "gate", bench.Options{Floors: bench.Floors{machine: floors, system: {gated: 1e9}}})
	if len(r.Goals) != 2 || !r.Goals[0].Met || r.Goals[1].Met {
		t.Fatalf("%+v", r.Goals)
	}
	want := regexp.MustCompile(`^below the recorded floor: ` + fell +
		` is [\d.]+ times, more than 20 % below [\d,]+ times$`)
	if err := r.BelowFloor(); err == nil || !want.MatchString(err.Error()) {
		t.Errorf("%v", err)
	}
	r = quick(t, "gate", bench.Options{Floors: bench.Floors{system: {gated: 1e-6}, "another": {gated: 1e9}}})
	if err := r.BelowFloor(); err != nil || len(r.Goals) != 1 {
		t.Errorf("%v, %+v", err, r.Goals)
	}
}

// A floor whose name is not measured would hold forever.
func checkFloors(t *testing.T, r *bench.Report) {
	t.Helper()
	file, err := os.ReadFile("results/floors.json")
	if err != nil {
		t.Fatal(err)
	}
	floors, err := bench.ReadFloors(file)
	if err != nil {
		t.Fatal(err)
	}
	anywhere := strings.NewReplacer("avx512", "portable", "avx2", "portable", "vectors", "portable", "1024", "64")
	measured := map[string]bool{}
	for _, c := range r.Comparisons {
		for _, m := range c.Measurements[1:] {
			measured[anywhere.Replace(fmt.Sprintf("%s: %s / %s", c.Name, c.Measurements[0].Name, m.Name))] = true
		}
	}
	for machine, ratios := range floors {
		for name, floor := range ratios {
			if !measured[anywhere.Replace(name)] || floor <= 1 {
				t.Errorf("%s: %q is not measured, %v", machine, name, floor)
			}
		}
	}
}

func TestReadFloorsErrors(t *testing.T) {
	if _, err := bench.ReadFloors([]byte(`{"a": 1}`)); err == nil {
		t.Error("read floors of no ratio")
	}
}
