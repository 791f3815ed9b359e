package engine_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

// resultWriter is a sink that writes the result file.
type resultWriter struct{ w io.Writer }

func (r resultWriter) WriteChunk(c *engine.ScoredChunk) error {
	_, err := r.w.Write(c.Result)
	return err
}

// Score a CSV stream with a bundle.
func ExampleScore() {
	bundle, err := engine.OpenBaseline("saas")
	if err != nil {
		log.Fatal(err)
	}
	file, err := os.Open("../testdata/samples/saas_sample.csv")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = file.Close() }()

	var limits ingest.Limits // the defaults
	header, body, err := ingest.ReadHeader(file, limits)
	if err != nil {
		log.Fatal(err)
	}
	in := engine.Input{Body: body, Header: header, Start: header.Start(), Limits: limits}
	tally, err := engine.Score(context.Background(), in, bundle, engine.Options{}, resultWriter{io.Discard})
	if err != nil {
		log.Fatal(err)
	}

	s := tally.Summary()
	fmt.Printf("%d rows, %d rejected, %.0f customers expected to leave\n", s.Rows, s.Rejected, s.Expected)
	for _, band := range s.Bands {
		fmt.Printf("%s: %d\n", band.Name, band.Count)
	}
	// Output:
	// 20 rows, 0 rejected, 4 customers expected to leave
	// low: 17
	// medium: 2
	// high: 1
}

// Explain the rows of a CSV stream: the result file gets their factors and explanations, the tally those of the top rows.
func ExampleScore_explain() {
	bundle, err := engine.OpenBaseline("telecom")
	if err != nil {
		log.Fatal(err)
	}
	const file = "customerID,tenure,Contract,MonthlyCharges,TotalCharges\nA-1,2,Month-to-month,85.5,171\n"
	header, body, err := ingest.ReadHeader(strings.NewReader(file), ingest.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	in := engine.Input{Body: body, Header: header, Start: header.Start()}
	opt := engine.Options{Explain: engine.ExplainAll, WithHeader: true}
	tally, err := engine.Score(context.Background(), in, bundle, opt, resultWriter{io.Discard})
	if err != nil {
		log.Fatal(err)
	}
	for _, row := range tally.Top.ByProbability {
		fmt.Printf("%s: %s\n", row.ID, row.Explanation)
	}
	// Output:
	// A-1: High risk (73 %): short tenure (2 months, typical 29), month-to-month contract and high monthly charges (85.5, typical 70.35) raise the risk.
}

// Explain a row that was scored with package forest.
func ExampleNarrator() {
	const name = "../testdata/forest/lightgbm/binary/model.txt"
	model, err := os.ReadFile(name)
	if err != nil {
		log.Fatal(err)
	}
	f, err := engine.ReadForest(name, model)
	if err != nil {
		log.Fatal(err)
	}
	explainer, err := forest.NewExplainer(f)
	if err != nil {
		log.Fatal(err)
	}
	compiled, err := forest.Compile(f)
	if err != nil {
		log.Fatal(err)
	}

	texts := make([]engine.FeatureText, len(f.Features))
	rows := forest.Rows{Len: 1}
	for i, feature := range f.Features {
		texts[i] = engine.FeatureText{Name: feature.Name, Typical: "0"}
		rows.Columns = append(rows.Columns, forest.Column{Numbers: []float64{1}})
	}
	raw, contributions := make([]float64, 1), make([]float64, len(f.Features)+1)
	compiled.NewScorer().Raw(raw, rows)
	explainer.NewContributor().Contributions(contributions, rows)

	probability := f.ScalarLink()
	narrator := engine.NewPhrasebook(texts, probability).NewNarrator()
	narrator.Read(engine.RowFacts{
		Rows: rows, Row: 0, Contributions: contributions, Raw: raw[0], Probability: probability(raw[0]), Band: "high",
	})
	fmt.Println(string(narrator.AppendExplanation(nil)))
	fmt.Println(string(narrator.AppendProtectiveFactors(nil)))
	// Output:
	// High risk (86 %): high Column_0 (1, typical 0) and high Column_2 (1, typical 0) raise the risk; it is lowered by high Column_4 (1, typical 0).
	// [{"feature":"Column_4","label":"Column_4","value":1,"typical":0,"contribution":-0.2145,"impact_points":-2.3,"strength":"-"}]
}
