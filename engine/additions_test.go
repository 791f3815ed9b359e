package engine_test

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

// bareModel opens a model file without a bundle.
func bareModel(t *testing.T) *engine.Bundle {
	t.Helper()
	file, err := os.ReadFile("../testdata/forest/lightgbm/binary/model.txt")
	if err != nil {
		t.Fatal(err)
	}
	b, err := engine.OpenModelFile("model.txt", file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// labelledFile returns rows for the model with the columns id, worth and left, one of each spelling of the last.
func labelledFile(b *engine.Bundle) (file string, left []string) {
	left = []string{"yes", "NO", "True", "false", "1", "0", "1.0", "0.0", "Y", "n", "", "perhaps"}
	names := make([]string, 0, len(b.Schema().Columns))
	for _, c := range b.Schema().Columns {
		names = append(names, c.Name)
	}
	file = strings.Join(names, ",") + ",id,worth,left\n"
	for i, label := range left {
		file += strings.Repeat(fmt.Sprintf("%d,", i), len(names)) + fmt.Sprintf("customer %d,%d,%s\n", i, 100*i, label)
	}
	return file, left
}

// TestAdditions checks that columns with a purpose change no byte of the result, and that the outcomes are read.
func TestAdditions(t *testing.T) {
	bare := bareModel(t)
	file, left := labelledFile(bare)
	want, _, err := score(t, file, bare, engine.Options{WithHeader: true, Explain: engine.ExplainAll}, ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := bare.With(engine.Additions{ID: "id", Value: "worth", Label: "left"})
	if err != nil {
		t.Fatal(err)
	}
	got, tally, err := score(t, file, b, engine.Options{
		WithHeader: true, Explain: engine.ExplainAll, NewSampler: b.NewLabelSampler,
	}, ingest.Limits{})
	if err != nil || got.result.String() != want.result.String() || want.result.Len() == 0 {
		t.Errorf("%v\n%s\nwant\n%s", err, got.result.String(), want.result.String())
	}
	s := tally.Summary()
	if s.Value == nil || s.Value.Column != "worth" || s.Value.Total != 6600 || !strings.HasPrefix(s.Top.ByProbability[0].ID, "customer ") {
		t.Errorf("value %+v, top %+v", s.Value, s.Top.ByProbability)
	}
	for _, w := range s.Warnings {
		if w.Column == "left" && (w.Code == "ERR-1654" || w.Count != 1) { // one is missing, one is no label
			t.Errorf("remark %+v", w)
		}
	}
	observed := engine.AppendObserved(nil, got.sample.Bytes(), 1000)
	if len(observed) != len(left)-2 {
		t.Fatalf("%d labels of %d rows", len(observed), len(left))
	}
	for i, o := range observed {
		if o.Churned != (i%2 == 0) || o.Probability <= 0 || o.Probability >= 1 || o.Band < 0 || o.Band > 2 {
			t.Errorf("row %d: %+v", i+1, o)
		}
	}
	if few := engine.AppendObserved(nil, got.sample.Bytes(), 3); len(few) != 3 {
		t.Errorf("%d rows, at most 3", len(few))
	}
	if len(bare.Schema().Columns)+3 != len(b.Schema().Columns) {
		t.Error("the bare model was changed")
	}
}

func TestAdditionsBands(t *testing.T) {
	bands := []engine.Band{{Name: "stays", Below: 0.5}, {Name: "leaves", Below: math.Inf(1)}}
	b, err := bareModel(t).With(engine.Additions{Bands: bands})
	if err != nil || len(b.Bands()) != 2 || b.Bands()[0] != bands[0] || b.Bands()[1] != bands[1] {
		t.Errorf("%v, %v", b, err)
	}
}

func TestAdditionsRefused(t *testing.T) {
	bare := bareModel(t)
	feature := bare.Schema().Columns[0].Name
	for want, a := range map[string]engine.Additions{
		"id: column":                        {ID: feature},
		"label: column":                     {Label: feature},
		`label: column "x" is described`:    {ID: "x", Label: "x"},
		`value: column "x" is not a number`: {ID: "x", Value: "x"},
		"bands: ":                           {Bands: []engine.Band{{Name: "=1", Below: math.Inf(1)}}},
	} {
		if _, err := bare.With(a); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", a, err, want)
		}
	}
	if b, err := bare.With(engine.Additions{Value: feature}); err != nil {
		t.Errorf("value that the model reads: %v, %v", b, err)
	}
}

// TestExplanationsKeepColumnNames checks that sentences write the name of a column without a label as it is in the file.
func TestExplanationsKeepColumnNames(t *testing.T) {
	number, category := forest.Column{Numbers: []float64{74.4}}, forest.Column{Codes: []uint16{0}}
	missing := forest.Column{Codes: []uint16{1}}
	for _, test := range []struct {
		text   engine.FeatureText
		column forest.Column
		want   string
	}{
		{engine.FeatureText{Name: "MonthlyCharges"}, number, "MonthlyCharges 74.4"},
		{engine.FeatureText{Name: "MonthlyCharges", Typical: "60"}, number, "high MonthlyCharges (74.4, typical 60)"},
		{engine.FeatureText{Name: "MonthlyCharges", Label: "Monthly charges"}, number, "monthly charges 74.4"},
		{engine.FeatureText{Name: "Internet", Categories: []string{"DSL"}}, category, "Internet: DSL"},
		{engine.FeatureText{Name: "Internet", Label: "Internet", Categories: []string{"DSL"}}, category, "internet: DSL"},
		{engine.FeatureText{Name: "Internet", Categories: []string{"DSL"}}, missing, "Internet not known"},
	} {
		if got, _ := phraseAndFact(test.text, test.column); got != test.want {
			t.Errorf("%+v: %q, want %q", test.text, got, test.want)
		}
	}
}
