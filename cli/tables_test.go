package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
)

func TestScoreCommandWritesTheSummary(t *testing.T) {
	file := readSample(t, "telecom_sample.csv")
	dir := t.TempDir()
	out, name := filepath.Join(dir, "out.csv"), filepath.Join(dir, "summary.json")
	status, _, messages := command(t, file, "score", "--model", "telecom", "--out", out, "--summary", name, "-")
	if status != 0 {
		t.Fatalf("status %d: %s", status, messages)
	}
	written, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var s engine.Summary
	if err := json.Unmarshal(written, &s); err != nil || s.Scored != 20 || len(s.Top.ByLoss) != 20 ||
		len(s.Drivers) == 0 {
		t.Errorf("%v: %s", err, written)
	}
	status, printed, messages := command(t, file, "score", "--model", "telecom", "--out", out, "--summary", "-", "-")
	if status != 0 || printed != string(written) {
		t.Errorf("status %d: %s%s", status, printed, messages)
	}
	for _, top := range s.Top.ByProbability {
		if strings.Contains(messages, top.ID) {
			t.Errorf("customer %s is named in what may be a log: %s", top.ID, messages)
		}
	}
	if status, _, _ := command(t, file, "score", "--model", "telecom", "--summary", "-", "-"); status == 0 {
		t.Error("two streams to standard output")
	}
	status, _, _ = command(t, "customerID,tenure\n", "score", "--model", "telecom", "--out", out, "--summary",
		filepath.Join(dir, "no.json"), "-")
	if _, err := os.Stat(filepath.Join(dir, "no.json")); status == 0 || !os.IsNotExist(err) {
		t.Errorf("a summary of nothing was written: status %d, %v", status, err)
	}
}

func TestTerminalReport(t *testing.T) {
	value, loss, share := 90_000.4, 40_000.0, 0.5
	s := engine.Summary{
		Rows: 12_346, Scored: 12_345, Rejected: 1,
		Rejects:  []engine.ReasonCount{{Code: "ERR-1602", Column: "tenure", Count: 1}},
		Bands:    []engine.BandSummary{{Name: "low", Count: 12_345, Expected: 1234.5, Value: &value, Loss: &loss}},
		Expected: 1234.5, Spread: 30, Value: &engine.ValueSummary{Column: "Revenue", Total: value, Loss: loss},
		Top:     engine.TopTally{ByProbability: []engine.TopRow{{Row: 7, ID: "A\x1b[31m", Probability: 0.75}}},
		Drivers: []engine.Driver{{Label: "Contract", Share: 0.25}},
		Coverage: engine.Coverage{ByLoss: []engine.CoveragePoint{
			{Contacted: 1000, ExpectedShare: 0.4, LossShare: &share},
			{Contacted: 12_345, ExpectedShare: 1, LossShare: &share},
		}},
		Quality: engine.Quality{Columns: []engine.ColumnQuality{{Column: "gender", Constant: true}}},
		Drift: &engine.Drift{
			Score: &engine.Shift{PSI: 0.3, Change: "large"},
			Features: []engine.FeatureShift{
				{Column: "tenure", Shift: engine.Shift{PSI: 0.12, Change: "moderate"}},
				{Column: "plan", Shift: engine.Shift{Change: "none"}},
			},
		},
	}
	for _, terminal := range []bool{false, true} {
		var out strings.Builder
		p := progress{out: &out, terminal: terminal}
		p.report(&s, nil, time.Second)
		text := out.String()
		for _, want := range []string{
			"12346 rows: 12345 scored, 1 rejected in 1s", "           1    0.0 %  tenure\n",
			"risk  customers  expected to leave  Revenue  expected loss",
			"low      12,345              1,235   90,000         40,000",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("terminal %v: %q is not in\n%s", terminal, want, text)
			}
		}
		for _, want := range []string{
			"A·[31m      7       75.0 %", "Contract  25.0 %", "1,000", "probability     large drift  PSI 0.30",
			"tenure       moderate drift  PSI 0.12", "gender       one value only",
		} {
			if strings.Contains(text, want) != terminal {
				t.Errorf("terminal %v: %q in\n%s", terminal, want, text)
			}
		}
		if strings.Contains(text, "plan") {
			t.Errorf("nothing is wrong with plan:\n%s", text)
		}
	}
}

func TestGroupedNumbers(t *testing.T) {
	for want, x := range map[string]float64{
		"0": 0.4, "999": 999, "1,000": 999.5, "-1,234,568": -1234567.8, "100": 100, "-100": -100,
	} {
		if got := grouped(x); got != want {
			t.Errorf("%v is written %q, want %q", x, got, want)
		}
	}
}
