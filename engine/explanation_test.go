package engine_test

import (
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

func TestExplanation(t *testing.T) {
	narrator := engine.NewPhrasebook(churnTexts(), sigmoid).NewNarrator()
	f := func(band string, bias float64, cells map[string]any, contributions map[string]float64, want string) {
		t.Helper()
		row := churnRow(cells, contributions, bias, band)
		narrator.Read(row)
		if got := string(narrator.AppendExplanation([]byte("…"))); got != "…"+want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
	type values = map[string]any
	type shares = map[string]float64

	f("high", -0.3,
		values{"tenure": 2.0, "Contract": "Month-to-month", "PaymentMethod": "Electronic check", "TechSupport": "Yes"},
		shares{"tenure": 0.8, "Contract": 1, "PaymentMethod": 0.4, "TechSupport": -0.35},
		"High risk (82 %): month-to-month contract, short tenure (2 months, typical 29) and electronic check payments "+
			"raise the risk; it is lowered by tech support.")
	f("low", -1,
		values{"tenure": 70.0, "Contract": "Two year", "MonthlyCharges": 99.5},
		shares{"tenure": -0.8, "Contract": -1, "MonthlyCharges": 0.3},
		"Low risk (8 %): Two year contract and long tenure (70 months, typical 29) lower the risk; "+
			"it is raised by high monthly charges (99.5 per month, typical 70.35).")
	f("Medium risk", 0, values{"tenure": 1.0}, shares{"tenure": 0.1},
		"Medium risk (52 %): the risk is raised by short tenure (1 month, typical 29).")
	f("low", -9, values{"tenure": 29.0}, shares{"tenure": -0.1},
		"Low risk (under 1 %): the risk is lowered by tenure at the typical level (29 months).")

	// Three factors in the sentence's direction, two against it.
	f("high", 9,
		values{"tenure": 30.0, "MonthlyCharges": 70.35, "nps": 7.0},
		shares{
			"tenure": 0.3, "MonthlyCharges": 0.2, "nps": 0.25, "Streaming": 0.2,
			"Contract": -0.1, "PaymentMethod": -0.2, "OnlineSecurity": -0.15,
		},
		"High risk (over 99 %): tenure near the typical level (30 months, typical 29), NPS score 7 and monthly charges "+
			"at the typical level (70.35 per month) raise the risk; payment method not known and online security not "+
			"known lower it.")

	// Equal phrases appear once, in either direction.
	f("medium", 0,
		values{"OnlineSecurity": "No internet service", "Streaming": "No internet service", "nps": 3.5, "Contract": "Half year"},
		shares{"OnlineSecurity": 0.5, "Streaming": -0.3, "Contract": 0.4, "nps": -0.2},
		"Medium risk (60 %): no internet service and unrecognised contract raise the risk; it is lowered by NPS score 3.5.")

	// The sum raises the risk, though no visible factor does.
	f("high", 0, values{"Contract": "One year", "gender": "Male"}, shares{"gender": 2, "Contract": -0.5},
		"High risk (82 %): the risk is lowered by One year contract.")
	f("medium", -0.4, nil, shares{"gender": 2, "nps": -0.05}, "Medium risk (82 %). No single strong driver.")
	f("", 0, nil, nil, "Risk (50 %). No single strong driver.")
}

// A number is called low or high only if that is what moved the score.
func TestExplanationDirectionMatchesContribution(t *testing.T) {
	c, _, err := score(t, sample(t, "telecom_10k.csv"), baseline(t, "telecom"),
		engine.Options{Explain: engine.ExplainAll}, ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	plain := 0
	for _, row := range csvRecords(t, c.result.String())[1:] {
		_, reasons, _ := strings.Cut(row[len(row)-1], ":")
		for clause := range strings.SplitSeq(reasons, ";") {
			wrong := []string{"short tenure", "high monthly charges"} // these raise the risk
			if strings.Contains(clause, " raise") {
				wrong = []string{"long tenure", "low monthly charges"}
			}
			for _, phrase := range wrong {
				if strings.Contains(clause, phrase) {
					t.Fatalf("%q", row[len(row)-1])
				}
			}
			if strings.Contains(clause, " tenure (") && !strings.Contains(clause, "short") && !strings.Contains(clause, "long") {
				plain++
			}
		}
	}
	if plain == 0 {
		t.Error("no tenure has the neutral phrase: the sample no longer covers it")
	}
}
