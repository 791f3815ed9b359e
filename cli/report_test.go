package cli

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/retainwise/millrace/engine"
)

// TestReportFitsTerminal makes summaries with long names and large numbers: no line of the report is longer than 80
// characters, and what is wrong is said first.
func TestReportFitsTerminal(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	name := func() string {
		text := strings.Repeat("ü name ", 1+random.IntN(20))
		return text[:len(text)-1]
	}
	for range 200 {
		n := random.Int64N(1_000_000_000)
		value, share := 1e12*random.Float64(), random.Float64()
		s := &engine.Summary{
			Rows: 2 * n, Scored: n, Rejected: n, Expected: value, Spread: value,
			Rejects: []engine.ReasonCount{{Code: "ERR-1602", Column: name(), Count: n}, {Code: "ERR-1601", Count: n}},
			Warnings: []engine.ReasonCount{
				{Code: "ERR-1653", Column: name(), Count: n}, {Code: "ERR-1651", Column: name(), Count: 1},
			},
			Remarks: []engine.Remark{{Code: "ERR-1653", Text: name() + ", such as " + name()}, {Code: "ERR-1651", Text: name()}},
			Bands:   []engine.BandSummary{{Name: name(), Count: n, Expected: value, Value: &value, Loss: &value}},
			Value:   &engine.ValueSummary{Column: name(), Total: value, Loss: value},
			NotUsed: []string{name(), name()}, Renamed: []string{name(), name()}, Skipped: n, NumberStyle: name(),
			Drivers: []engine.Driver{{Label: name(), Share: share}},
			Top: engine.TopTally{
				ByProbability: []engine.TopRow{{Row: n, ID: name(), Loss: &value}}, ByLoss: []engine.TopRow{{Row: n, ID: name()}},
			},
			Quality: engine.Quality{Columns: []engine.ColumnQuality{
				{Column: name(), Constant: true, Missing: n, Unseen: n, OutOfRange: n}, {Column: name(), Absent: true},
			}},
			Drift: &engine.Drift{Features: []engine.FeatureShift{{Column: name(), Shift: engine.Shift{PSI: 0.3, Change: "moderate"}}}},
			Changes: &engine.Changes{
				Status: engine.ChangesCompared, Previous: &engine.PreviousUpload{Filename: name()},
				Customers: &engine.CustomerChange{New: n, MovedUp: &n, MovedDown: &n, Unchanged: &n},
				Expected:  &engine.SumChange{New: value}, Loss: &engine.SumChange{New: value},
				Risen:   []engine.RiskChange{{Row: n, ID: name(), Explanation: name()}},
				Factors: []engine.FactorChange{{Label: name(), Change: share}},
			},
		}
		var out strings.Builder
		p := progress{out: &out, terminal: true}
		p.report(s, engineReport(n), time.Hour)
		out.WriteString(absentLine(s) + section("Data quality", qualityTable(s)))
		text := strings.TrimPrefix(out.String(), eraseLine)
		if !strings.HasPrefix(text, "Not understood: column") || !strings.Contains(text, "\nRejected: ") {
			t.Fatalf("it begins with %.100q", text)
		}
		for _, line := range strings.Split(text, "\n") {
			if width := utf8.RuneCountInString(line); width > lineWidth {
				t.Fatalf("%d characters: %q", width, line)
			}
		}
	}
}

// engineReport returns a comparison with outcomes with large counts.
func engineReport(n int64) *engine.OutcomeReport {
	c := engine.CohortReport{Customers: n, Churned: n, ActualRate: 1, MeanProbability: 1}
	return &engine.OutcomeReport{
		Customers: n, Churned: n, Deciles: []engine.DecileReport{{Decile: 10, Lift: 10, CohortReport: c}},
		Calibration: []engine.CalibrationReport{{From: 0.9, To: 1, CohortReport: c}},
	}
}

// TestReportOfGoodFile checks that a report of a good file has nothing but its counts and bands.
func TestReportOfGoodFile(t *testing.T) {
	s := &engine.Summary{Rows: 3, Scored: 3}
	if text := problemLines(s) + remarkLines(s) + notUsedLine(s); text != "" {
		t.Errorf("%q", text)
	}
}
