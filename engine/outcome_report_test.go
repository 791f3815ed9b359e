package engine_test

import (
	"encoding/csv"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/retainwise/millrace/engine"
)

func wantNear(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !near(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// observedSample returns the file that scikit-learn has evaluated.
func observedSample(t *testing.T) []engine.Observed {
	t.Helper()
	file, err := os.Open("../testdata/outcomes/observed.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var list []engine.Observed
	for _, row := range rows[1:] {
		p, err := strconv.ParseFloat(row[0], 32)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, engine.Observed{
			Probability: float32(p), Churned: row[1] == "1", Group: row[2], Band: int16(min(3*p, 2)),
		})
	}
	return list
}

// TestOutcomeReportEqualsScikitLearn compares with roc_auc_score, brier_score_loss, calibration_curve, precision_score
// and recall_score.
func TestOutcomeReportEqualsScikitLearn(t *testing.T) {
	text, err := os.ReadFile("../testdata/outcomes/sklearn.json")
	if err != nil {
		t.Fatal(err)
	}
	var want engine.OutcomeReport
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	got := engine.NewOutcomeReport(observedSample(t), []string{"low", "medium", "high"})
	if got.Customers != want.Customers || got.Churned != want.Churned {
		t.Errorf("%d of %d, want %d of %d", got.Churned, got.Customers, want.Churned, want.Customers)
	}
	wantNear(t, "rate", got.ActualRate, want.ActualRate)
	wantNear(t, "mean probability", got.MeanProbability, want.MeanProbability)
	wantNear(t, "AUC", *got.AUC, *want.AUC)
	wantNear(t, "Brier", got.Brier, want.Brier)
	if len(got.Calibration) != len(want.Calibration) || len(got.Deciles) != len(want.Deciles) ||
		len(got.Contacted) != len(want.Contacted) || len(got.Groups) != len(want.Groups) {
		t.Fatalf("%+v", got)
	}
	for i, w := range want.Calibration {
		wantNear(t, "calibration rate", got.Calibration[i].ActualRate, w.ActualRate)
		wantNear(t, "calibration mean", got.Calibration[i].MeanProbability, w.MeanProbability)
	}
	for i, w := range want.Deciles {
		wantNear(t, "lift", got.Deciles[i].Lift, w.Lift)
	}
	for i, w := range want.Contacted {
		wantNear(t, "precision", got.Contacted[i].Precision, w.Precision)
		wantNear(t, "recall", got.Contacted[i].Recall, w.Recall)
	}
	for i, w := range want.Groups {
		g := got.Groups[i]
		if *g.Group != *w.Group || g.Customers != w.Customers || g.Churned != w.Churned {
			t.Errorf("group %s: %d of %d, want %s: %d of %d", *g.Group, g.Churned, g.Customers, *w.Group, w.Churned,
				w.Customers)
		}
		wantNear(t, "group's AUC", *g.AUC, *w.AUC)
		wantNear(t, "group's Brier", g.Brier, w.Brier)
	}
	if got.Note == "" {
		t.Error("the bias is not stated")
	}
}

// TestOutcomeReportEqualsBruteForce recounts pair by pair and customer by customer.
func TestOutcomeReportEqualsBruteForce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		customers := make([]engine.Observed, 1+random.IntN(60))
		for i := range customers {
			p := float32(random.IntN(11)) / 10
			customers[i] = engine.Observed{
				Probability: p, Band: int16(random.IntN(4)) - 1, Churned: random.Float32() < p/2+0.2,
				Group: []string{"", "a", "b"}[random.IntN(3)],
			}
		}
		got := engine.NewOutcomeReport(customers, []string{"low", "medium", "high"})
		checkCohorts(t, got, customers)
		var won, pairs, squares float64
		for _, a := range customers {
			y := 0.0
			if a.Churned {
				y = 1
			}
			squares += (float64(a.Probability) - y) * (float64(a.Probability) - y)
			for _, b := range customers {
				if !a.Churned || b.Churned {
					continue
				}
				pairs++
				switch {
				case a.Probability > b.Probability:
					won++
				case a.Probability == b.Probability:
					won += 0.5
				}
			}
		}
		if (got.AUC == nil) != (pairs == 0) {
			t.Fatalf("AUC %v of %v pairs", got.AUC, pairs)
		}
		if got.AUC != nil {
			wantNear(t, "AUC", *got.AUC, won/pairs)
		}
		wantNear(t, "Brier", got.Brier, squares/float64(len(customers)))
	}
}

// checkCohorts counts the customers of every band, bin and group.
func checkCohorts(t *testing.T, got engine.OutcomeReport, customers []engine.Observed) {
	t.Helper()
	check := func(what string, c engine.CohortReport, in func(engine.Observed) bool) {
		t.Helper()
		var want engine.CohortReport
		var sum float64
		for _, o := range customers {
			if in(o) {
				want.Customers++
				sum += float64(o.Probability)
				if o.Churned {
					want.Churned++
				}
			}
		}
		if n := float64(want.Customers); n > 0 {
			want.ActualRate, want.MeanProbability = float64(want.Churned)/n, sum/n
		}
		if c.Customers != want.Customers || c.Churned != want.Churned ||
			!near(c.ActualRate, want.ActualRate) || !near(c.MeanProbability, want.MeanProbability) {
			t.Errorf("%s: %+v, want %+v", what, c, want)
		}
	}
	for i, b := range got.Bands {
		check("band "+b.Band, b.CohortReport, func(o engine.Observed) bool { return int(o.Band) == i })
	}
	for _, c := range got.Calibration {
		check("bin", c.CohortReport, func(o engine.Observed) bool {
			p := float64(o.Probability)
			return p > c.From && p <= c.To || c.From == 0 && p == 0
		})
	}
	for _, g := range got.Groups {
		name := ""
		if g.Group != nil {
			name = *g.Group
		}
		check("group "+name, g.CohortReport, func(o engine.Observed) bool { return o.Group == name })
	}
	var inDeciles, inBins int64
	for _, d := range got.Deciles {
		inDeciles += d.Customers
	}
	for _, c := range got.Calibration {
		inBins += c.Customers
	}
	if inDeciles != got.Customers || inBins != got.Customers {
		t.Errorf("%d in deciles, %d in bins, of %d", inDeciles, inBins, got.Customers)
	}
}
