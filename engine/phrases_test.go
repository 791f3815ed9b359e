package engine_test

import (
	"math"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/forest"
)

// phraseAndFact returns the phrase and the JSON value for one value of one feature.
func phraseAndFact(f engine.FeatureText, column forest.Column) (phrase, value string) {
	narrator := engine.NewPhrasebook([]engine.FeatureText{f}, sigmoid).NewNarrator()
	rows := forest.Rows{Len: 1, Columns: []forest.Column{column}}
	narrator.Read(engine.RowFacts{Rows: rows, Contributions: []float64{1}, Probability: 0.5})
	_, phrase, _ = strings.Cut(string(narrator.AppendExplanation(nil)), "raised by ")
	_, value, _ = strings.Cut(string(narrator.AppendRiskFactors(nil)), `"value":`)
	value, _, _ = strings.Cut(value, `,"typical"`)
	return strings.TrimSuffix(phrase, "."), value
}

func TestNumberPhrases(t *testing.T) {
	f := func(text engine.FeatureText, x float64, phrase, value string) {
		t.Helper()
		p, v := phraseAndFact(text, forest.Column{Numbers: []float64{x}})
		if p != phrase || v != value {
			t.Errorf("%v: got %q and %s, want %q and %s", x, p, v, phrase, value)
		}
	}
	plain := engine.FeatureText{Name: "seats_used"}
	f(plain, 3, "seats_used 3", "3")
	f(plain, math.NaN(), "seats_used not known", "null")
	f(plain, math.Inf(1), "seats_used null", "null")
	f(plain, 29.850000000000001, "seats_used 29.85", "29.85")
	f(plain, 0.1+0.2, "seats_used 0.3", "0.3")
	f(plain, math.Copysign(0, -1), "seats_used 0", "0")
	f(plain, -2.5, "seats_used -2.5", "-2.5")
	f(plain, 3.14159, "seats_used 3.14", "3.14159")
	f(plain, 12.05, "seats_used 12.05", "12.05")
	f(plain, 0.0123456, "seats_used 0.0123", "0.0123456")
	f(plain, -0.5, "seats_used -0.5", "-0.5")
	f(plain, 1e21, "seats_used 1e+21", "1e+21")
	f(plain, 123456789, "seats_used 123456789", "123456789")

	seats := engine.FeatureText{Name: "seats_used", Label: "Seats used", Unit: "seats", Typical: "10"}
	f(seats, 1.004, "low seats used (1 seat, typical 10)", "1.004")
	f(seats, 1, "low seats used (1 seat, typical 10)", "1")
	f(seats, 10.5, "seats used near the typical level (10.5 seats, typical 10)", "10.5")
	f(seats, 10.6, "high seats used (10.6 seats, typical 10)", "10.6")
	f(seats, 10, "seats used at the typical level (10 seats)", "10")

	own := engine.FeatureText{
		Name: "tickets", Label: "Tickets", Unit: "in 90 days", Typical: "1",
		Phrases: engine.Phrases{
			High: "{value} tickets {unit} ({value} against {typical})", Missing: "no record of {unit}",
			Values: map[string]string{"0": "no tickets {unit}", "many": "never used"},
		},
	}
	f(own, 4, "4 tickets in 90 days (4 against 1)", "4")
	f(own, 0, "no tickets in 90 days", "0")
	f(own, 1, "tickets at the typical level (1 in 90 days)", "1")
	f(own, math.NaN(), "no record of in 90 days", "null")

	// Only the unit itself is made singular.
	days := engine.FeatureText{
		Name: "idle", Unit: "days", Phrases: engine.Phrases{Value: "{value} days idle, {value} daysies"},
	}
	f(days, 1, "1 day idle, 1 daysies", "1")
	f(days, 2, "2 days idle, 2 daysies", "2")
	words := engine.FeatureText{Name: "n", Typical: "unheard of"}
	f(words, 2, "n 2", "2")
}

func TestCategoryPhrases(t *testing.T) {
	f := func(text engine.FeatureText, code uint16, phrase, value string) {
		t.Helper()
		p, v := phraseAndFact(text, forest.Column{Codes: []uint16{code}})
		if p != phrase || v != value {
			t.Errorf("code %d: got %q and %s, want %q and %s", code, p, v, phrase, value)
		}
	}
	plan := engine.FeatureText{
		Name: "plan", Label: "Plan", Typical: "A", Categories: []string{"A", "B<&>\n", "C"},
		Phrases: engine.Phrases{Values: map[string]string{"C": "plan {value}, not {typical}"}},
	}
	f(plan, 0, "plan: A", `"A"`)
	f(plan, 1, "plan: B<&>\n", `"B<&>\n"`)
	f(plan, 2, "plan C, not A", `"C"`)
	f(plan, 3, "plan not known", "null")
	f(plan, 4, "unrecognised plan", "null")
}
