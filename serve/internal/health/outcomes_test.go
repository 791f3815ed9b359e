package health_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/retainwise/millrace/serve/internal/health"
	"github.com/retainwise/millrace/store/counts"
)

// golden is a case of testdata/outcomes.py, with what scikit-learn says.
type golden struct {
	Name             string
	P                []float32
	Churned          []int
	AUC, Brier, Lift float64
	Error            float64 `json:"calibration_error"`
}

func goldens(t *testing.T) (list []golden) {
	t.Helper()
	text, err := os.ReadFile("testdata/outcomes.json")
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil || len(list) < 5 {
		t.Fatal(len(list), err)
	}
	return list
}

func (g *golden) scored() []counts.Scored {
	list := make([]counts.Scored, len(g.P))
	for i, p := range g.P {
		list[i] = counts.Scored{Probability: p, Churned: g.Churned[i] == 1}
	}
	return list
}

func TestOutcomes_EqualScikitLearn(t *testing.T) {
	for _, g := range goldens(t) {
		scored := g.scored()
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(scored), func(i, j int) { scored[i], scored[j] = scored[j], scored[i] })
		o := health.NewOutcomes(health.Sum(scored))
		if o.AUC == nil || math.Abs(*o.AUC-g.AUC) > 1e-14 {
			t.Errorf("%s: AUC %v, want %v", g.Name, o.AUC, g.AUC)
		}
		for what, f := range map[string]struct {
			got  *float64
			want float64
		}{"Brier": {o.Brier, g.Brier}, "calibration error": {o.Error, g.Error}, "lift": {o.Lift, g.Lift}} {
			if f.got == nil || math.Abs(*f.got-f.want) > 1e-8 {
				t.Errorf("%s: %s %v, want %v", g.Name, what, f.got, f.want)
			}
		}
	}
}

// Sums of parts can be added in any order, and those of customers do not depend on theirs.
func TestOutcomes_AddInAnyOrder(t *testing.T) {
	var sums [][]int64
	for _, g := range goldens(t) {
		scored := g.scored()
		want := health.Sum(slices.Clone(scored))
		slices.Reverse(scored)
		if got := health.Sum(scored); !slices.Equal(got, want) {
			t.Errorf("%s: the order of the customers matters", g.Name)
		}
		sums = append(sums, want)
	}
	wantAssociative(t, sums)
}

// wantAssociative adds numbers in many groupings.
func wantAssociative(t *testing.T, parts [][]int64) {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	want := make([]int64, len(parts[0]))
	for _, p := range parts {
		health.Add(want, p)
	}
	for range 200 {
		left := make([][]int64, len(parts))
		for i, p := range parts {
			left[i] = slices.Clone(p)
		}
		for len(left) > 1 { // add any two
			i, j := random.IntN(len(left)), random.IntN(len(left)-1)
			if j >= i {
				j++
			}
			health.Add(left[i], left[j])
			left = slices.Delete(left, j, j+1)
		}
		if !slices.Equal(left[0], want) {
			t.Fatalf("%v, want %v", left[0], want)
		}
	}
}

// Of too few customers there is no figure, and just enough have all.
func TestOutcomes_TooFewGiveNoFigure(t *testing.T) {
	customers := func(n, left int) (list []counts.Scored) {
		for i := range n {
			list = append(list, counts.Scored{Probability: float32(i) / float32(n), Churned: i < left})
		}
		return list
	}
	for _, c := range []struct {
		n, left    int
		some, rank bool // figures over all customers; those that rank them
	}{
		{0, 0, false, false},
		{health.OutcomesMin - 1, 50, false, false},
		{health.OutcomesMin, 50, true, true},
		{health.OutcomesMin, health.EachMin, true, true},
		{health.OutcomesMin, health.EachMin - 1, true, false},
		{health.OutcomesMin, health.OutcomesMin - health.EachMin + 1, true, false},
		{health.OutcomesMin, 0, true, false},
	} {
		o := health.NewOutcomes(health.Sum(customers(c.n, c.left)))
		for _, f := range []*float64{o.Mean, o.Rate, o.Brier, o.Error} {
			if (f != nil) != c.some {
				t.Errorf("%d customers, %d left: %+v", c.n, c.left, o)
			}
		}
		if (o.AUC != nil) != c.rank || (o.Lift != nil) != c.rank {
			t.Errorf("%d customers, %d left: AUC %v, lift %v", c.n, c.left, o.AUC, o.Lift)
		}
		if o.Customers != int64(c.n) || o.Left != int64(c.left) {
			t.Errorf("%d customers, %d left: %+v", c.n, c.left, o)
		}
	}
}

// A row that was scored after the outcome predicted nothing.
func TestOutcomes_LateRowsAreInNoFigure(t *testing.T) {
	g := goldens(t)[1]
	scored := g.scored()
	want := health.NewOutcomes(health.Sum(slices.Clone(scored)))
	for range 70 {
		scored = append(scored, counts.Scored{Probability: 1, Churned: true, Late: true})
	}
	got := health.NewOutcomes(health.Sum(scored))
	if got.Late != 70 || *got.AUC != *want.AUC || got.Customers != want.Customers || *got.Error != *want.Error {
		t.Errorf("%+v, want %+v", got, want)
	}
}
