package draft_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/draft"
	"github.com/retainwise/millrace/ingest"
)

var update = flag.Bool("update", false, "write golden files")

const testdata = "../../testdata/"

// tableOf returns a table of CSV text.
func tableOf(text string) draft.Table {
	return func() (engine.Input, func(), error) {
		header, body, err := ingest.ReadHeader(strings.NewReader(text), ingest.Limits{})
		return engine.Input{Body: body, Header: header, Start: header.Start()}, func() {}, err
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// options are those of a bundle with a fixed date and without Python.
func options() draft.Options {
	return draft.Options{Name: "mine", Title: "Mine", Today: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)}
}

// osDir is a directory of the system.
type osDir struct {
	fs.FS
	path string
}

func (d osDir) WriteFile(name string, content []byte) error {
	return os.WriteFile(filepath.Join(d.path, name), content, 0o600)
}

// create makes a bundle and opens it.
func create(t *testing.T, model []byte, modelName, data, holdout string, o draft.Options) (string, *engine.Bundle, *draft.Report, error) {
	t.Helper()
	dir := t.TempDir()
	var unseen draft.Table
	if holdout != "" {
		unseen = tableOf(holdout)
	}
	r, err := draft.Create(t.Context(), osDir{os.DirFS(dir), dir}, modelName, model, tableOf(data), unseen, o)
	if err != nil {
		return dir, nil, nil, err
	}
	b, err := engine.OpenBundle(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	return dir, b, r, nil
}

// result collects the result of a score.
type result struct{ bytes.Buffer }

func (r *result) WriteChunk(c *engine.ScoredChunk) error {
	_, err := r.Write(c.Result)
	return err
}

// scored scores a file and returns the rows of the result, the header first.
func scored(t *testing.T, b *engine.Bundle, data string) [][]string {
	t.Helper()
	in, _, err := tableOf(data)()
	if err != nil {
		t.Fatal(err)
	}
	var r result
	tally, err := engine.Score(t.Context(), in, b, engine.Options{WithHeader: true}, &r)
	if err != nil || tally.Rejected > 0 {
		t.Fatalf("%d rows rejected: %v", tally.Rejected, err)
	}
	rows, err := csv.NewReader(&r).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func column(t *testing.T, rows [][]string, name string) []string {
	t.Helper()
	at := slices.Index(rows[0], name)
	if at < 0 {
		t.Fatalf("no column %s in %q", name, rows[0])
	}
	var cells []string
	for _, row := range rows[1:] {
		cells = append(cells, row[at])
	}
	return cells
}

// TestBundleOfEveryModelScoresAsItsLibrary makes a bundle of every model of several library versions and of rows that pandas
// wrote: its probabilities are the library's, also where the model file lists no categories.
func TestBundleOfEveryModelScoresAsItsLibrary(t *testing.T) {
	files, err := filepath.Glob(testdata + "models/*/*/case.json")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d cases, want 40 at least: %v", len(files), err)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(filepath.Dir(dir))+"/"+filepath.Base(dir), func(t *testing.T) {
			var c struct{ Model, Iterations, Refused string }
			if err := json.Unmarshal(read(t, file), &c); err != nil {
				t.Fatal(err)
			}
			data := string(read(t, filepath.Join(dir, "rows.csv")))
			o := options()
			o.Iterations = c.Iterations
			kind := filepath.Base(dir)
			if _, _, _, err := create(t, read(t, filepath.Join(dir, c.Model)), c.Model, data, "", o); err != nil {
				if c.Refused == "" && kind != "empty" {
					t.Fatal(err)
				}
				o.SortedCategories = kind != "ordered"
				if kind == "ordered" {
					o.Categories = map[string][]string{"k": {"low", "middle", "high"}}
				}
			} else if c.Refused != "" {
				t.Fatalf("refused as a bare file (%s), and no bundle asks for its categories", c.Refused)
			}
			_, b, r, err := create(t, read(t, filepath.Join(dir, c.Model)), c.Model, data, "", o)
			if kind == "empty" { // no table can name such a category
				if err == nil && !strings.Contains(strings.Join(r.LookAt, "\n"), "empty text") {
					t.Errorf("nothing is said of a category with an empty name: %q", r.LookAt)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.Verified != engine.VerifiedSelf || b.Verified() != engine.VerifiedSelf {
				t.Errorf("verified %q, %q without a library", r.Verified, b.Verified())
			}
			rows := scored(t, b, data)
			want := column(t, rows, "_probability")
			for i, p := range column(t, rows, "churn_probability") {
				exact, _ := strconv.ParseFloat(want[i], 64)
				if got, err := strconv.ParseFloat(p, 32); err != nil || float32(got) != float32(exact) {
					t.Fatalf("row %d: %s, want %v; refused as a bare file: %q; %q", i+1, p, float32(exact), c.Refused, r.Assumed)
				}
			}
		})
	}
}

// telecomRows are rows in the form of the telecom baseline's training rows, with a label that depends on the contract.
func telecomRows(t *testing.T) string {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(read(t, testdata+"samples/telecom_10k.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	contract := slices.Index(rows[0], "Contract")
	var out strings.Builder
	w := csv.NewWriter(&out)
	for i, row := range rows {
		label := "No"
		if i%7 == 0 || row[contract] == "Month-to-month" && i%2 == 0 {
			label = "Yes"
		}
		if i == 0 {
			label = "Churn"
		}
		if err := w.Write(append(row, label)); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	return out.String()
}

func telecomOptions() draft.Options {
	o := options()
	o.ID, o.Value, o.Label, o.SortedCategories = "customerID", "MonthlyCharges", "Churn", true
	return o
}

// TestBundleOfTelecomScoresAsTheShippedOne: from the baseline's model file and rows alone, probabilities are those of the
// shipped bundle, to the last digit, and the reasons name the same columns.
func TestBundleOfTelecomScoresAsTheShippedOne(t *testing.T) {
	model := read(t, "../baseline/telecom/model.txt")
	data := telecomRows(t)
	dir, b, r, err := create(t, model, "model.txt", data, "", telecomOptions())
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := engine.OpenBaseline("telecom")
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := scoredAndExplained(t, b, data), scoredAndExplained(t, shipped, data)
	if got, want := column(t, ours, "churn_probability"), column(t, theirs, "churn_probability"); !slices.Equal(got, want) {
		t.Error("probabilities differ from the shipped bundle's")
	}
	same := 0
	got, want := column(t, ours, "risk_factors"), column(t, theirs, "risk_factors")
	for i := range got {
		if firstFeature(t, got[i]) == firstFeature(t, want[i]) {
			same++
		}
	}
	if same < len(got)*8/10 { // the shipped one shows tenure and total charges, and both kinds of streaming, as one reason
		t.Errorf("the first reason is the same column in %d of %d rows", same, len(got))
	}
	if r.Training == nil || r.Holdout != nil || r.Scored != 10000 {
		t.Errorf("report %+v", r)
	}
	compareGolden(t, "testdata/telecom.yaml", read(t, filepath.Join(dir, "bundle.yaml")))
}

func scoredAndExplained(t *testing.T, b *engine.Bundle, data string) [][]string {
	t.Helper()
	in, _, err := tableOf(data)()
	if err != nil {
		t.Fatal(err)
	}
	var r result
	if _, err := engine.Score(t.Context(), in, b, engine.Options{WithHeader: true, Explain: engine.ExplainAll}, &r); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&r).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// firstFeature returns the column of the first factor in a cell of factors.
func firstFeature(t *testing.T, cell string) string {
	t.Helper()
	var factors []struct{ Feature string }
	if err := json.Unmarshal([]byte(cell), &factors); err != nil {
		t.Fatalf("%v: %q", err, cell)
	}
	if len(factors) == 0 {
		return ""
	}
	return factors[0].Feature
}

func compareGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := read(t, name); !bytes.Equal(got, want) {
		t.Errorf("%s is different; run with -update and look at the change:\n%s", name, got)
	}
}
