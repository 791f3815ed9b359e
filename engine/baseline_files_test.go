package engine_test

import (
	"errors"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

const (
	requiredNames = "customerID,tenure,MonthlyCharges,TotalCharges,Contract"
	promisedNames = requiredNames + ",seats_used,feature_usage_score,last_activity_days_ago,support_tickets"
)

func registry(t testing.TB) *engine.Registry {
	t.Helper()
	r, err := engine.NewRegistry(baseline(t, "saas"), baseline(t, "telecom"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestB1SaasTakesThePromisedFile expects exactly the promised columns to be required and read, each under its own name.
func TestB1SaasTakesThePromisedFile(t *testing.T) {
	var required, optional []string
	for _, c := range baseline(t, "saas").Schema().Columns {
		if c.Required {
			required = append(required, c.Name)
		} else {
			optional = append(optional, c.Name)
		}
	}
	if got := strings.Join(required, ","); got != requiredNames {
		t.Errorf("required columns %s", got)
	}
	if got := strings.Join(append(required, optional[:4]...), ","); got != promisedNames {
		t.Errorf("the promised columns come first: %s", got)
	}
	file := promisedNames + "\nA-1,12,49.5,594,Month-to-month,3,20,30,4\nA-2,48,99,4752,Two year,40,90,0,0\n" +
		"A-3,0,99,,One year,,,,\n"
	sink, tally, err := score(t, file, baseline(t, "saas"), engine.Options{Explain: engine.ExplainAll}, ingest.Limits{})
	if err != nil || tally.Scored != 3 || len(tally.NotUsed) != 0 {
		t.Fatalf("%+v %v", tally, err)
	}
	rows := csvRecords(t, sink.result.String())
	risky, loyal := probabilityOf(t, rows[1]), probabilityOf(t, rows[2])
	if risky < 0.5 || loyal > 0.1 {
		t.Errorf("a customer who leaves %v, one who stays %v", risky, loyal)
	}
}

// probabilityOf returns the score in a row of a result.
func probabilityOf(t testing.TB, row []string) float64 {
	t.Helper()
	p, err := strconv.ParseFloat(row[len(row)-5], 64)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestB1ModelIsChosenByOptionalColumns tries every subset of the four optional columns, in two spellings, alone and
// beside all columns of telecom.
func TestB1ModelIsChosenByOptionalColumns(t *testing.T) {
	r := registry(t)
	telecom, _, _ := strings.Cut(sample(t, "telecom_sample.csv"), "\n")
	spellings := [][]string{
		strings.Split(strings.TrimPrefix(promisedNames, requiredNames+","), ","),
		{"Active Seats", "usage score", "Days-Since-Last-Login", "TICKETS"},
	}
	for _, before := range []string{requiredNames, telecom, requiredNames + ",plan,industry", requiredNames + ",notes"} {
		for _, names := range spellings {
			for set := range 1 << len(names) {
				line := before
				for i, name := range names {
					if set>>i&1 != 0 {
						line += "," + name
					}
				}
				want := "saas"
				if set == 0 {
					want = "telecom"
				}
				if b, err := r.Choose(headerOf(t, line)); err != nil || b.Name() != want {
					t.Errorf("%s: %v %v, want %s", line, b, err, want)
				}
			}
		}
	}
}

// TestB1FormerSaasFiles reads a file with the column names of version 1 as far as it goes and names what it lacks.
func TestB1FormerSaasFiles(t *testing.T) {
	r := registry(t)
	const former = "customer_id,plan,tenure_months,monthly_revenue"
	for line, want := range map[string]string{
		former + ",billing_period,total_revenue":          "",
		former + ",billing_period,total_revenue,nps":      "",
		former + ",billing_period":                        "TotalCharges",
		former + ",billing_period,seats_used":             "TotalCharges",
		former + ",industry,seats_total,integrations":     "TotalCharges,Contract",
		former + ",feature_usage_score,support_tickets":   "TotalCharges,Contract",
		"id,tier,account_age_months,mrr,billing_cycle":    "TotalCharges",
		"id,tier,account_age_months,mrr,lifetime_charges": "Contract",
	} {
		b, err := r.Choose(headerOf(t, line))
		var missing *ingest.MissingColumnsError
		var names []string
		if errors.As(err, &missing) {
			for _, c := range missing.Columns {
				names = append(names, c.Name)
			}
		}
		if got := strings.Join(names, ","); got != want || want == "" && (err != nil || b.Name() != "saas") {
			t.Errorf("%s: lacks %s, want %s (%v %v)", line, got, want, b, err)
		}
	}
	file := former + ",billing_period,TotalCharges\nA-1,Pro,12,49.5,Annual,\nA-2,Starter,3,49.5,quarterly,\n"
	sink, tally, err := score(t, file, baseline(t, "saas"), engine.Options{}, ingest.Limits{})
	if err != nil || tally.Scored != 2 || tally.Rejected != 0 {
		t.Fatalf("%s %v", sink.rejects.String(), err)
	}
	for _, w := range tally.Warnings {
		if w.Code == "ERR-1653" {
			t.Errorf("a category of version 1 is not understood: %+v", w)
		}
	}
}

// TestB1ColumnsNotUsedAreNamed expects every column that the model does not read in the summary, and no other.
func TestB1ColumnsNotUsedAreNamed(t *testing.T) {
	file := promisedNames + ",region, Note ,,churn_probability,risk_band,risk_factors,protective_factors,explanation\n" +
		"A-1,12,49.5,594,Month-to-month,3,20,30,4,north,x,,0.5,low,[],[],because\n"
	for model, want := range map[string][]string{
		"saas":    {"region", "Note"},
		"telecom": append(strings.Split(promisedNames, ",")[5:], "region", "Note"),
	} {
		b := baseline(t, model)
		_, tally, err := score(t, file, b, engine.Options{}, ingest.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := tally.Summary().NotUsed; !slices.Equal(got, want) {
			t.Errorf("%s: not used %q, want %q", model, got, want)
		}
		first, body, err := ingest.ReadHeader(strings.NewReader(file), ingest.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		in := engine.Input{Body: body, Header: first, Start: first.Start()}
		tally, err = engine.Validate(t.Context(), in, b, func(ingest.Chunk, ingest.Reject) {})
		if got := tally.Summary().NotUsed; err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: validation: not used %q, want %q (%v)", model, got, want, err)
		}
		if got := b.NotUsed(strings.Split(file[:strings.Index(file, "\n")], ",")); !slices.Equal(got, want) {
			t.Errorf("%s: by name: not used %q, want %q", model, got, want)
		}
	}
	if got := baseline(t, "telecom").NotUsed([]string{"plan"}); got != nil {
		t.Errorf("a file that is refused: %q", got)
	}
}

// TestB1ChosenByNeedsAColumn refuses a bundle that is chosen by a column which it does not describe.
func TestB1ChosenByNeedsAColumn(t *testing.T) {
	files := copyOf(t, "saas")
	replace(files, "bundle.yaml", "chosen_by: [seats_used,", "chosen_by: [seats_usde,")
	writeManifest(files)
	if _, err := engine.OpenBundle(files); err == nil || !strings.Contains(err.Error(), `chosen_by: column "seats_usde"`) {
		t.Errorf("got %v", err)
	}
}

// TestB26LeavesHoldsTheBaselines scores both samples by every engine: telecom gives the same bytes, saas, whose sums
// are of float32, the same probabilities within leaves' own arithmetic.
func TestB26LeavesHoldsTheBaselines(t *testing.T) {
	for model, file := range map[string]string{"telecom": "telecom_10k.csv", "saas": "saas_sample.csv"} {
		b := baseline(t, model)
		if err := b.LeavesError(); err != nil {
			t.Fatal(err)
		}
		results := map[engine.Scorer]string{}
		for _, scorer := range []engine.Scorer{engine.ScorerCompiled, engine.ScorerLeaves, engine.ScorerWalker} {
			opt := engine.Options{Scorer: scorer, Explain: engine.ExplainAll}
			sink, _, err := score(t, sample(t, file), b, opt, ingest.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			results[scorer] = sink.result.String()
		}
		want := results[engine.ScorerCompiled]
		if results[engine.ScorerWalker] != want {
			t.Errorf("%s: the walker gives other bytes", model)
		}
		if model == "telecom" && results[engine.ScorerLeaves] != want {
			t.Error("telecom: leaves gives other bytes")
		}
		rows, byLeaves := csvRecords(t, want), csvRecords(t, results[engine.ScorerLeaves])
		for i := range rows[1:] {
			if p, q := probabilityOf(t, rows[i+1]), probabilityOf(t, byLeaves[i+1]); math.Abs(p-q) > 1e-6 {
				t.Errorf("%s: row %d: %v, by leaves %v", model, i+1, p, q)
			}
		}
	}
}

// TestB26LeavesRefusalIsNamed expects the reason why leaves does not support a model, as the error of a model that is not
// supported.
func TestB26LeavesRefusalIsNamed(t *testing.T) {
	b, err := engine.OpenModelFile("native.ubj", nativeCategories(t))
	if err != nil {
		t.Fatal(err)
	}
	const reason = "leaves cannot send a missing category to the right"
	if err := b.LeavesError(); !errors.Is(err, engine.ErrModelUnsupported) || !strings.Contains(err.Error(), reason) {
		t.Errorf("got %v", err)
	}
	names := make([]string, len(b.Schema().Columns))
	for i, c := range b.Schema().Columns {
		names[i] = c.Name
	}
	file := strings.Join(names, ",") + "\n" + strings.Repeat("1,", len(names)-1) + "1\n"
	_, _, err = score(t, file, b, engine.Options{Scorer: engine.ScorerLeaves}, ingest.Limits{})
	if !errors.Is(err, engine.ErrModelUnsupported) {
		t.Errorf("scored by leaves: %v", err)
	}
	if _, _, err = score(t, file, b, engine.Options{Check: true}, ingest.Limits{}); err != nil {
		t.Errorf("what cannot be checked is scored all the same: %v", err)
	}
}

// nativeCategories returns an XGBoost model that splits categories as sets.
func nativeCategories(t testing.TB) []byte {
	t.Helper()
	model, err := os.ReadFile("../testdata/forest/xgboost/categorical/model.ubj")
	if err != nil {
		t.Fatal(err)
	}
	return model
}
