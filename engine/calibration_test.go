package engine_test

import (
	"encoding/csv"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// calibrated returns the telecom baseline with a calibration and matching golden rows.
func calibrated(t *testing.T, yaml string, f func(p float64) float64) (*engine.Bundle, error) {
	t.Helper()
	files := copyOf(t, "telecom")
	replace(files, "bundle.yaml", "value: MonthlyCharges\n", "value: MonthlyCharges\ncalibration: "+yaml+"\n")
	rows := csvRecords(t, string(files["golden.csv"].Data))
	last := len(rows[0]) - 1
	if rows[0][last] != "_probability" {
		t.Fatalf("golden header %q", rows[0])
	}
	for _, row := range rows[1:] {
		p, err := strconv.ParseFloat(row[last], 64)
		if err != nil {
			t.Fatal(err)
		}
		row[last] = strconv.FormatFloat(f(p), 'g', 17, 64)
	}
	var out strings.Builder
	if err := csv.NewWriter(&out).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	files["golden.csv"].Data = []byte(out.String())
	writeManifest(files)
	return engine.OpenBundle(files)
}

func TestCalibrationAppliesAfterLink(t *testing.T) {
	plain := baseline(t, "telecom")
	file := sampled(t, sample(t, "telecom_10k.csv"), 600, nil)
	before, _, err := score(t, file, plain, engine.Options{Explain: engine.ExplainNone}, ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	was := csvRecords(t, before.result.String())
	at := len(was[0]) - 5
	for name, test := range map[string]struct {
		yaml string
		f    func(p float64) float64
	}{
		"platt": {
			"{method: platt, slope: 0.8, intercept: -0.5}",
			func(p float64) float64 { return sigmoid(0.8*math.Log(p/(1-p)) - 0.5) },
		},
		"isotonic": {
			"{method: isotonic, x: [0.1, 0.5, 0.9], y: [0.05, 0.6, 0.7]}",
			func(p float64) float64 {
				switch {
				case p <= 0.1:
					return 0.05
				case p <= 0.5:
					return 0.05 + (p-0.1)/0.4*0.55
				case p <= 0.9:
					return 0.6 + (p-0.5)/0.4*0.1
				}
				return 0.7
			},
		},
		"one point": {"{method: isotonic, x: [0.5], y: [0.25]}", func(float64) float64 { return 0.25 }},
	} {
		b, err := calibrated(t, test.yaml, test.f)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		after, tally, err := score(t, file, b, engine.Options{Explain: engine.ExplainAll}, ingest.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for i, row := range csvRecords(t, after.result.String())[1:] {
			p, q := number(t, was[i+1][at]), number(t, row[at])
			if math.Abs(q-test.f(p)) > 1e-6 {
				t.Errorf("%s: %v became %v, want %v", name, p, q, test.f(p))
			}
			sum += q
		}
		if s := tally.Summary(); math.Abs(s.Expected-sum) > 1e-4 {
			t.Errorf("%s: %v expected churners, want %v", name, s.Expected, sum)
		}
	}
}

func number(t testing.TB, text string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestCalibrationValidation(t *testing.T) {
	same := func(p float64) float64 { return p }
	for _, yaml := range []string{
		"{method: beta}", "{slope: 1}",
		"{method: platt}", "{method: platt, slope: -1}", "{method: platt, slope: .inf}",
		"{method: platt, slope: 1, intercept: .nan}",
		"{method: platt, slope: 1, x: [0.5], y: [0.5]}",
		"{method: isotonic}", "{method: isotonic, x: [0, 1], y: [0]}", "{method: isotonic, x: [0, 1], y: [0.5, 0.4]}",
		"{method: isotonic, x: [0.5, 0.5], y: [0, 1]}", "{method: isotonic, x: [1, 0], y: [0, 1]}",
		"{method: isotonic, x: [0, 1], y: [0, 1.5]}", "{method: isotonic, x: [-1, 1], y: [0, 1]}",
		"{method: isotonic, x: [0, .nan], y: [0, 1]}", "{method: isotonic, x: [0, 1], y: [0, 1], slope: 1}",
	} {
		if _, err := calibrated(t, yaml, same); err == nil || !strings.Contains(err.Error(), "calibration") {
			t.Errorf("%s: error %v", yaml, err)
		}
	}
	for _, yaml := range []string{"{method: platt, slope: 1}", "{method: isotonic, x: [0, 1], y: [0, 1]}"} {
		if _, err := calibrated(t, yaml, same); err != nil {
			t.Errorf("%s changes nothing: %v", yaml, err)
		}
	}
	// Golden rows contain calibrated probabilities.
	if _, err := calibrated(t, "{method: platt, slope: 2}", same); !errors.Is(err, engine.ErrGolden) {
		t.Errorf("golden rows of another map: %v", err)
	}
}
