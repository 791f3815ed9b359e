package engine_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/forest"
)

func sigmoid(raw float64) float64 { return 1 / (1 + math.Exp(-raw)) }

// churnTexts describes a small model.
func churnTexts() []engine.FeatureText {
	yesNo := []string{"No", "No internet service", "Yes"}
	return []engine.FeatureText{
		{
			Name: "tenure", Label: "Tenure", Unit: "months", Group: "tenure", Typical: "29",
			Phrases: engine.Phrases{
				High: "long tenure ({value} months, typical {typical})",
				Low:  "short tenure ({value} months, typical {typical})",
			},
		},
		{
			Name: "Contract", Label: "Contract", Group: "contract", Typical: "Month-to-month",
			Categories: []string{"Month-to-month", "One year", "Two year"},
			Phrases: engine.Phrases{
				Value: "{value} contract", Missing: "contract not known",
				Values: map[string]string{"Month-to-month": "month-to-month contract"},
			},
		},
		{
			Name: "PaymentMethod", Label: "Payment method", Group: "billing", Typical: "Electronic check",
			Categories: []string{"Electronic check", `Check by "post"`},
			Phrases:    engine.Phrases{Values: map[string]string{"Electronic check": "electronic check payments"}},
		},
		{Name: "MonthlyCharges", Label: "Monthly charges", Unit: "per month", Typical: "70.35"},
		{
			Name: "OnlineSecurity", Label: "Online security", Group: "add-ons", Categories: yesNo,
			Phrases: engine.Phrases{Values: map[string]string{
				"No": "no online security", "No internet service": "no internet service", "Yes": "online security",
			}},
		},
		{
			Name: "TechSupport", Label: "Tech support", Group: "add-ons", Categories: yesNo,
			Phrases: engine.Phrases{Values: map[string]string{
				"No": "no tech support", "No internet service": "no internet service", "Yes": "tech support",
			}},
		},
		{
			Name: "Streaming", Categories: yesNo,
			Phrases: engine.Phrases{Values: map[string]string{"No internet service": "no internet service"}},
		},
		{Name: "gender", Label: "Gender", Group: "add-ons", Categories: []string{"Female", "Male"}, Sensitive: true},
		{Name: "nps", Label: "NPS score"},
	}
}

// churnRow returns a row of the small model; features without an entry in cells are missing.
func churnRow(cells map[string]any, contributions map[string]float64, bias float64, band string) engine.RowFacts {
	row := engine.RowFacts{Rows: forest.Rows{Len: 2}, Row: 1, Raw: bias, Band: band}
	for _, f := range churnTexts() {
		column := forest.Column{Numbers: []float64{-1, math.NaN()}}
		if f.Categories != nil {
			column = forest.Column{Codes: []uint16{0, uint16(len(f.Categories))}}
		}
		switch cell := cells[f.Name].(type) {
		case float64:
			column.Numbers[1] = cell
		case string:
			column.Codes[1]++ // unknown, unless found
			for code, category := range f.Categories {
				if category == cell {
					column.Codes[1] = uint16(code)
				}
			}
		}
		row.Rows.Columns = append(row.Rows.Columns, column)
		row.Contributions = append(row.Contributions, contributions[f.Name])
		row.Raw += contributions[f.Name]
	}
	row.Contributions = append(row.Contributions, bias)
	row.Probability = sigmoid(row.Raw)
	return row
}

func TestFactors(t *testing.T) {
	book := engine.NewPhrasebook(churnTexts(), sigmoid)
	narrator := book.NewNarrator()
	f := func(name string, row engine.RowFacts, risk, protective string) {
		t.Helper()
		narrator.Read(row)
		for _, side := range []struct {
			got, want string
			cell      []byte
		}{
			{string(narrator.AppendRiskFactors(nil)), risk, narrator.AppendRiskCell(nil)},
			{string(narrator.AppendProtectiveFactors(nil)), protective, narrator.AppendProtectiveCell(nil)},
		} {
			if !json.Valid([]byte(side.got)) {
				t.Errorf("%s: not JSON: %s", name, side.got)
			}
			if cell := csvCell(t, side.cell); cell != side.got {
				t.Errorf("%s:\ncell %s\nJSON %s", name, cell, side.got)
			}
			if want := strings.ReplaceAll(side.want, "\n", ""); side.got != want {
				t.Errorf("%s:\n got %s\nwant %s", name, side.got, want)
			}
		}
	}
	f("numbers, categories, strength", churnRow(
		map[string]any{"tenure": 2.0, "Contract": "Month-to-month", "MonthlyCharges": 29.85, "nps": 0.1 + 0.2},
		map[string]float64{"tenure": 0.5, "Contract": 1, "MonthlyCharges": -0.2, "nps": -0.3}, -1, "medium"),
		`[{"feature":"Contract","label":"Contract","value":"Month-to-month","typical":"Month-to-month",
"contribution":1,"impact_points":23.1,"strength":"+++"},
{"feature":"tenure","label":"Tenure","value":2,"typical":29,"contribution":0.5,"impact_points":12.2,"strength":"+++"}]`,
		`[{"feature":"nps","label":"NPS score","value":0.3,"typical":null,
"contribution":-0.3,"impact_points":-7.4,"strength":"--"},
{"feature":"MonthlyCharges","label":"Monthly charges","value":29.85,"typical":70.35,
"contribution":-0.2,"impact_points":-5,"strength":"--"}]`)
	f("at most three, equals in the model's order, missing and unknown values, quotes", churnRow(
		map[string]any{"Contract": "Half year", "PaymentMethod": `Check by "post"`},
		map[string]float64{
			"tenure": 0.2, "Contract": 0.2, "PaymentMethod": 0.2, "MonthlyCharges": 0.2, "nps": 0.1,
		}, 0, "high"),
		`[{"feature":"tenure","label":"Tenure","value":null,"typical":29,
"contribution":0.2,"impact_points":4.3,"strength":"+++"},
{"feature":"Contract","label":"Contract","value":null,"typical":"Month-to-month",
"contribution":0.2,"impact_points":4.3,"strength":"+++"},
{"feature":"PaymentMethod","label":"Payment method","value":"Check by \"post\"","typical":"Electronic check",
"contribution":0.2,"impact_points":4.3,"strength":"+++"}]`, `[]`)
	f("a group is one factor; who pushes in its direction speaks; sensitive features stay outside and count", churnRow(
		map[string]any{"OnlineSecurity": "No", "TechSupport": "Yes", "gender": "Male", "tenure": 1.0},
		map[string]float64{"OnlineSecurity": 0.3, "TechSupport": -0.4, "gender": 0.85, "tenure": 0.05}, 0, "high"),
		`[{"feature":"tenure","label":"Tenure","value":1,"typical":29,
"contribution":0.05,"impact_points":1.1,"strength":"+"}]`,
		`[{"feature":"TechSupport","label":"Tech support","value":"Yes","typical":null,
"contribution":-0.1,"impact_points":-2.1,"strength":"--"}]`)
	f("below five percent", churnRow(
		nil, map[string]float64{"gender": 0.9, "nps": 0.04, "tenure": 0.04}, 0, "high"), `[]`, `[]`)
	f("nothing known", churnRow(nil, nil, 0, "high"), `[]`, `[]`)
	f("rounding", churnRow(nil, map[string]float64{"nps": 1.23456, "tenure": -1.00004}, 0, "high"),
		`[{"feature":"nps","label":"NPS score","value":null,"typical":null,
"contribution":1.2346,"impact_points":28.9,"strength":"+++"}]`,
		`[{"feature":"tenure","label":"Tenure","value":null,"typical":29,
"contribution":-1,"impact_points":-21.6,"strength":"---"}]`)
}

// csvCell returns the only cell of a CSV file.
func csvCell(t *testing.T, file []byte) string {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil || len(records) != 1 || len(records[0]) != 1 {
		t.Fatalf("%s is not one cell (error %v)", file, err)
	}
	return records[0][0]
}

func TestNarratorAllocatesNothing(t *testing.T) {
	narrator, row, dst := benchmarkNarrator()
	if n := testing.AllocsPerRun(100, func() {
		narrator.Read(row)
		dst = narrator.AppendRiskCell(dst[:0])
		dst = narrator.AppendProtectiveCell(dst)
		dst = narrator.AppendExplanation(dst)
	}); n != 0 {
		t.Errorf("%v allocations a row", n)
	}
}

func BenchmarkNarrator(b *testing.B) {
	narrator, row, dst := benchmarkNarrator()
	b.ReportAllocs()
	for b.Loop() {
		narrator.Read(row)
		dst = narrator.AppendRiskCell(dst[:0])
		dst = narrator.AppendProtectiveCell(dst)
		dst = narrator.AppendExplanation(dst)
	}
}

func benchmarkNarrator() (*engine.Narrator, engine.RowFacts, []byte) {
	row := churnRow(
		map[string]any{"tenure": 2.0, "Contract": "Month-to-month", "MonthlyCharges": 29.85, "TechSupport": "No", "nps": 7.0},
		map[string]float64{"tenure": 0.5, "Contract": 1, "MonthlyCharges": -0.2, "nps": -0.3, "TechSupport": 0.35}, -1, "high")
	narrator := engine.NewPhrasebook(churnTexts(), sigmoid).NewNarrator()
	narrator.Read(row)
	narrator.AppendExplanation(nil)
	return narrator, row, make([]byte, 0, 4096)
}
