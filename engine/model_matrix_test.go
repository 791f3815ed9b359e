package engine_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

// modelCase is a case.json of testdata/train/make_model_matrix.py.
type modelCase struct {
	Library, Model string
	Iterations     string
	Refused        string // part of the error; empty if the model is scored
	RawIsSum       bool   `json:"raw_is_sum"`

	dir   string
	model []byte
}

// modelCases reads the cases of MILLRACE_MODELS, where make models puts them, or those that are committed.
func modelCases(t *testing.T) (cases []modelCase) {
	t.Helper()
	root := cmp.Or(os.Getenv("MILLRACE_MODELS"), "../testdata/models")
	files, err := filepath.Glob(filepath.Join(root, "*", "*", "case.json"))
	if err != nil || len(files) < 40 {
		t.Fatalf("%d cases in %s, want 40 at least: %v", len(files), root, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c := modelCase{dir: filepath.Dir(file)}
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		if c.model, err = os.ReadFile(filepath.Join(c.dir, c.Model)); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

// TestModelsOfManyVersionsScoreAsTheirLibrary scores what pandas wrote with the bare model file: the probability is the
// library's, rounded to float32, or the file is refused.
func TestModelsOfManyVersionsScoreAsTheirLibrary(t *testing.T) {
	for _, c := range modelCases(t) {
		t.Run(c.Library+"/"+filepath.Base(c.dir), func(t *testing.T) {
			b, err := engine.OpenModelFileIterations(c.Model, c.model, c.Iterations)
			if c.Refused != "" {
				if !errors.Is(err, engine.ErrModelUnsupported) || !strings.Contains(err.Error(), c.Refused) {
					t.Fatalf("error %v, want one with %q", err, c.Refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			rows, err := os.ReadFile(filepath.Join(c.dir, "rows.csv"))
			if err != nil {
				t.Fatal(err)
			}
			out, tally, err := score(t, string(rows), b, engine.Options{}, ingest.Limits{})
			if err != nil || tally.Rejected != 0 {
				t.Fatalf("%d rows rejected: %v", tally.Rejected, err)
			}
			table := csvRecords(t, out.result.String())
			got, want := slices.Index(table[0], "churn_probability"), slices.Index(table[0], "_probability")
			for i, row := range table[1:] {
				exact, err := strconv.ParseFloat(row[want], 64)
				if err != nil {
					t.Fatal(err)
				}
				if p, err := strconv.ParseFloat(row[got], 32); err != nil || float32(p) != float32(exact) {
					t.Errorf("row %d: probability %s, want %v (%v)", i+1, row[got], float32(exact), err)
				}
			}
		})
	}
}

// TestModelsOfManyVersionsHaveTheirLibrarysRawScores does so for the matrix that the library saw, to the last bit, by all
// scorers. Files are read for this that are refused where a table's texts would have to be found.
func TestModelsOfManyVersionsHaveTheirLibrarysRawScores(t *testing.T) {
	for _, c := range modelCases(t) {
		t.Run(c.Library+"/"+filepath.Base(c.dir), func(t *testing.T) {
			f, err := engine.ReadForest(c.Model, c.model)
			if err != nil {
				t.Fatal(err)
			}
			if f, err = engine.TakeIterations(f, c.Iterations); err != nil {
				t.Fatal(err)
			}
			if _, err := engine.CheckForest(f); err != nil {
				t.Fatal(err)
			}
			rows, want := matrix(t, filepath.Join(c.dir, "x.tsv")), rawColumn(t, filepath.Join(c.dir, "rows.csv"))
			got := make([]float64, rows.Len)
			compiled, err := forest.Compile(f)
			if err != nil {
				t.Fatal(err)
			}
			compiled.NewScorer().Raw(got, rows)
			if c.RawIsSum {
				forest.NewWalker(f).Sum(got, rows)
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("row %d: raw %v, want %v", i+1, got[i], want[i])
				}
			}
		})
	}
}

// matrix reads tab-separated numbers, column by column.
func matrix(t *testing.T, name string) forest.Rows {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var rows forest.Rows
	for line := range strings.Lines(string(text)) {
		for i, cell := range strings.Fields(line) {
			v, err := strconv.ParseFloat(cell, 64)
			if err != nil {
				t.Fatal(err)
			}
			if i == len(rows.Columns) {
				rows.Columns = append(rows.Columns, forest.Column{})
			}
			rows.Columns[i].Numbers = append(rows.Columns[i].Numbers, v)
		}
		rows.Len++
	}
	return rows
}

func rawColumn(t *testing.T, name string) []float64 {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	table := csvRecords(t, string(text))
	column := slices.Index(table[0], "_raw")
	var raw []float64
	for _, row := range table[1:] {
		v, err := strconv.ParseFloat(row[column], 64)
		if err != nil || math.IsNaN(v) {
			t.Fatalf("raw score %q: %v", row[column], err)
		}
		raw = append(raw, v)
	}
	return raw
}
